"""Access keys of users and of the account's root: CreateAccessKey, ListAccessKeys, UpdateAccessKey, DeleteAccessKey.

Without a UserName they are about the caller's own keys, as on AWS: those of the calling user, or root. Keys sign
requests for `--auth sigv4`.
"""

from __future__ import annotations

from typing import Final

from lambent.aws.context import Operations, Params, RequestContext
from lambent.iam.entities import IamEntities
from lambent.iam.identities import AccessKey, root_principal
from lambent.iam.policy_holders import limit_exceeded, no_such_entity
from lambent.iam.principal import Principal
from lambent.model.errors import ServiceError
from lambent.services.iam.paging import page
from lambent.services.iam.shapes import date

ACCESS_KEYS_MAX: Final = 2  # Access keys assigned to an IAM user; to the AWS account root user
_ROOT_NAME: Final = "root"


def operations(entities: IamEntities) -> Operations:
    """The operations on access keys."""
    resource = _AccessKeyOperations(entities)
    return {
        "CreateAccessKey": resource.create_access_key,
        "ListAccessKeys": resource.list_access_keys,
        "UpdateAccessKey": resource.update_access_key,
        "DeleteAccessKey": resource.delete_access_key,
    }


class _AccessKeyOperations:
    def __init__(self, entities: IamEntities) -> None:
        self._users = entities.users
        self._identities = entities.identities

    async def create_access_key(self, ctx: RequestContext, params: Params) -> Params:
        owner = await self._owner(ctx, params)
        if len(self._identities.keys_of(owner.arn)) >= ACCESS_KEYS_MAX:
            raise limit_exceeded(f"Cannot exceed quota for AccessKeysPerUser: {ACCESS_KEYS_MAX}")
        key = await self._identities.create(owner)
        return {"AccessKey": _metadata(key) | {"SecretAccessKey": key.secret_access_key}}

    async def list_access_keys(self, ctx: RequestContext, params: Params) -> Params:
        owner = await self._owner(ctx, params)
        keys = sorted(self._identities.keys_of(owner.arn), key=lambda key: key.access_key_id)
        return page("AccessKeyMetadata", keys, params, key=lambda key: key.access_key_id, shape=_metadata)

    async def update_access_key(self, ctx: RequestContext, params: Params) -> Params:
        key = await self._key(ctx, params)
        await self._identities.set_active(key.access_key_id, params["Status"] == "Active")
        return {}

    async def delete_access_key(self, ctx: RequestContext, params: Params) -> Params:
        key = await self._key(ctx, params)
        await self._identities.delete(key.access_key_id)
        return {}

    async def _key(self, ctx: RequestContext, params: Params) -> AccessKey:
        wanted = params["AccessKeyId"]
        owner = await self._owner(ctx, params)
        for key in self._identities.keys_of(owner.arn):
            if key.access_key_id == wanted:
                return key
        raise no_such_entity(f"The Access Key with id {wanted} cannot be found.")

    async def _owner(self, ctx: RequestContext, params: Params) -> Principal:
        """Whose keys it is about."""
        name = params.get("UserName")
        if name is not None:
            user = await self._users.get(ctx.account, name)
            return Principal(ctx.account, user.arn, user.user_id)
        arn = ctx.principal.arn
        if arn.endswith(":root"):
            return root_principal(ctx.account)
        if ":user/" not in arn:
            raise ServiceError("ValidationError", "Must specify userName when calling with non-User credentials")
        return Principal(ctx.account, arn, ctx.principal.user_id)


def _metadata(key: AccessKey) -> Params:
    return {
        "UserName": _ROOT_NAME if key.arn.endswith(":root") else key.arn.rsplit("/", 1)[-1],
        "AccessKeyId": key.access_key_id,
        "Status": "Active" if key.active else "Inactive",
        "CreateDate": date(key.created_at),
    }
