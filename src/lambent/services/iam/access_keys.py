"""Access keys of the account's root user: CreateAccessKey, ListAccessKeys, UpdateAccessKey, DeleteAccessKey.

There are no IAM users yet, so a UserName names nobody. Called by root without one, as on AWS, these are root's own
keys. Keys sign requests for `--auth sigv4`.
"""

from __future__ import annotations

from typing import Final

from lambent.aws.context import Operations, Params, RequestContext
from lambent.iam.identities import AccessKey, Identities
from lambent.iam.principal import Principal
from lambent.iam.roles import limit_exceeded, no_such_entity
from lambent.model.errors import ServiceError
from lambent.services.iam.paging import page
from lambent.services.iam.shapes import date

ACCESS_KEYS_MAX: Final = 2  # Access keys assigned to the AWS account root user


def operations(identities: Identities) -> Operations:
    """The operations on access keys."""
    resource = _AccessKeyOperations(identities)
    return {
        "CreateAccessKey": resource.create_access_key,
        "ListAccessKeys": resource.list_access_keys,
        "UpdateAccessKey": resource.update_access_key,
        "DeleteAccessKey": resource.delete_access_key,
    }


class _AccessKeyOperations:
    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    async def create_access_key(self, ctx: RequestContext, params: Params) -> Params:
        root = _root(ctx, params)
        if len(self._keys_of(root)) >= ACCESS_KEYS_MAX:
            raise limit_exceeded(f"Cannot exceed quota for AccessKeysPerUser: {ACCESS_KEYS_MAX}")
        key = await self._identities.create(root)
        return {"AccessKey": _metadata(key) | {"SecretAccessKey": key.secret_access_key}}

    async def list_access_keys(self, ctx: RequestContext, params: Params) -> Params:
        keys = sorted(self._keys_of(_root(ctx, params)), key=lambda key: key.access_key_id)
        return page("AccessKeyMetadata", keys, params, key=lambda key: key.access_key_id, shape=_metadata)

    async def update_access_key(self, ctx: RequestContext, params: Params) -> Params:
        key = self._key(ctx, params)
        await self._identities.set_active(key.access_key_id, params["Status"] == "Active")
        return {}

    async def delete_access_key(self, ctx: RequestContext, params: Params) -> Params:
        key = self._key(ctx, params)
        await self._identities.delete(key.access_key_id)
        return {}

    def _keys_of(self, principal: Principal) -> list[AccessKey]:
        return [key for key in self._identities.list_keys() if key.arn == principal.arn]

    def _key(self, ctx: RequestContext, params: Params) -> AccessKey:
        wanted = params["AccessKeyId"]
        for key in self._keys_of(_root(ctx, params)):
            if key.access_key_id == wanted:
                return key
        raise no_such_entity(f"The Access Key with id {wanted} cannot be found.")


def _root(ctx: RequestContext, params: Params) -> Principal:
    """The calling root user, whose keys it is about."""
    name = params.get("UserName")
    if name is not None:
        raise no_such_entity(f"The user with name {name} cannot be found.")
    if not ctx.principal.arn.endswith(":root"):
        raise ServiceError("ValidationError", "Must specify userName when calling with non-User credentials")
    return ctx.principal


def _metadata(key: AccessKey) -> Params:
    return {
        "UserName": "root",
        "AccessKeyId": key.access_key_id,
        "Status": "Active" if key.active else "Inactive",
        "CreateDate": date(key.created_at),
    }
