"""IAM users and groups: made, listed, deleted, and who is in which."""

from __future__ import annotations

from lambent.aws.context import Operations, Params, RequestContext
from lambent.iam.entities import IamEntities
from lambent.iam.policy_holders import delete_conflict
from lambent.iam.users import User
from lambent.model.errors import ServiceError
from lambent.services.iam.paging import page
from lambent.services.iam.shapes import date, group_shape, listed_user, tag_pairs, user_shape


def operations(entities: IamEntities) -> Operations:
    """The operations on users and groups themselves (their policies: `lambent.services.iam.holder_policies`)."""
    users, groups = _UserOperations(entities), _GroupOperations(entities)
    return {
        "CreateUser": users.create_user,
        "GetUser": users.get_user,
        "ListUsers": users.list_users,
        "DeleteUser": users.delete_user,
        "ListGroupsForUser": users.list_groups_for_user,
        "CreateGroup": groups.create_group,
        "GetGroup": groups.get_group,
        "ListGroups": groups.list_groups,
        "DeleteGroup": groups.delete_group,
        "AddUserToGroup": groups.add_user_to_group,
        "RemoveUserFromGroup": groups.remove_user_from_group,
    }


class _UserOperations:
    def __init__(self, entities: IamEntities) -> None:
        self._entities = entities
        self._users = entities.users

    async def create_user(self, ctx: RequestContext, params: Params) -> Params:
        boundary = params.get("PermissionsBoundary")
        if boundary is not None:
            await self._entities.policies.check_attachable(boundary)
        user = await self._users.create(
            ctx.account,
            params["UserName"],
            path=params.get("Path", "/"),
            permissions_boundary=boundary,
            tags=tag_pairs(params),
        )
        return {"User": user_shape(user)}

    async def get_user(self, ctx: RequestContext, params: Params) -> Params:
        name = params.get("UserName")
        arn = ctx.principal.arn
        if name is None and arn.endswith(":root"):
            keys = [key.created_at for key in self._entities.identities.list_keys() if key.arn == arn]
            created = date(min(keys, default=0.0))
            return {"User": {"Path": "/", "UserId": ctx.account, "Arn": arn, "CreateDate": created}}
        if name is None and ":user/" not in arn:
            raise ServiceError("ValidationError", "Must specify userName when calling with non-User credentials")
        return {"User": user_shape(await self._users.get(ctx.account, name or arn.rsplit("/", 1)[-1]))}

    async def list_users(self, ctx: RequestContext, params: Params) -> Params:
        users = await self._users.list_all(ctx.account, params.get("PathPrefix", "/"))
        return page("Users", users, params, key=lambda user: user.name.lower(), shape=listed_user)

    async def delete_user(self, ctx: RequestContext, params: Params) -> Params:
        def check(user: User) -> None:
            if self._entities.identities.keys_of(user.arn):
                raise delete_conflict("Cannot delete entity, must delete access keys first.")

        await self._users.delete(ctx.account, params["UserName"], check)
        return {}

    async def list_groups_for_user(self, ctx: RequestContext, params: Params) -> Params:
        user = await self._users.get(ctx.account, params["UserName"])
        groups = [await self._entities.groups.get(ctx.account, name) for name in sorted(user.groups, key=str.lower)]
        return page("Groups", groups, params, key=lambda group: group.name.lower(), shape=group_shape)


class _GroupOperations:
    def __init__(self, entities: IamEntities) -> None:
        self._users = entities.users
        self._groups = entities.groups

    async def create_group(self, ctx: RequestContext, params: Params) -> Params:
        group = await self._groups.create(ctx.account, params["GroupName"], path=params.get("Path", "/"))
        return {"Group": group_shape(group)}

    async def get_group(self, ctx: RequestContext, params: Params) -> Params:
        group = await self._groups.get(ctx.account, params["GroupName"])
        users = await self._users.members(ctx.account, group.name)
        listed = page("Users", users, params, key=lambda user: user.name.lower(), shape=listed_user)
        return {"Group": group_shape(group)} | listed

    async def list_groups(self, ctx: RequestContext, params: Params) -> Params:
        groups = await self._groups.list_all(ctx.account, params.get("PathPrefix", "/"))
        return page("Groups", groups, params, key=lambda group: group.name.lower(), shape=group_shape)

    async def delete_group(self, ctx: RequestContext, params: Params) -> Params:
        await self._groups.delete(ctx.account, params["GroupName"], self._users)
        return {}

    async def add_user_to_group(self, ctx: RequestContext, params: Params) -> Params:
        await self._users.add_to_group(ctx.account, params["UserName"], params["GroupName"], self._groups)
        return {}

    async def remove_user_from_group(self, ctx: RequestContext, params: Params) -> Params:
        await self._users.remove_from_group(ctx.account, params["UserName"], params["GroupName"], self._groups)
        return {}
