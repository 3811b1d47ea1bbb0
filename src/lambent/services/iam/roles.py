"""IAM roles: CreateRole, GetRole, ListRoles, UpdateRole, DeleteRole, trust policy."""

from __future__ import annotations

from lambent.aws.context import Operations, Params, RequestContext
from lambent.iam.entities import IamEntities
from lambent.iam.roles import MAX_SESSION_DURATION_DEFAULT_S
from lambent.services.iam.paging import page
from lambent.services.iam.shapes import listed_role, role_shape, tag_pairs


def operations(entities: IamEntities) -> Operations:
    """The operations on roles themselves; those on their policies, boundary and tags are in `holder_policies`."""
    resource = _RoleOperations(entities)
    return {
        "CreateRole": resource.create_role,
        "GetRole": resource.get_role,
        "ListRoles": resource.list_roles,
        "UpdateRole": resource.update_role,
        "UpdateRoleDescription": resource.update_role_description,
        "DeleteRole": resource.delete_role,
        "UpdateAssumeRolePolicy": resource.update_assume_role_policy,
        "ListInstanceProfilesForRole": resource.list_instance_profiles_for_role,
    }


class _RoleOperations:
    def __init__(self, entities: IamEntities) -> None:
        self._roles = entities.roles
        self._policies = entities.policies

    async def create_role(self, ctx: RequestContext, params: Params) -> Params:
        boundary = params.get("PermissionsBoundary")
        if boundary is not None:
            await self._policies.check_attachable(boundary)
        role = await self._roles.create(
            ctx.account,
            params["RoleName"],
            params["AssumeRolePolicyDocument"],
            path=params.get("Path", "/"),
            description=params.get("Description"),
            max_session_duration_s=params.get("MaxSessionDuration", MAX_SESSION_DURATION_DEFAULT_S),
            permissions_boundary=boundary,
            tags=tag_pairs(params),
        )
        return {"Role": role_shape(role)}

    async def get_role(self, ctx: RequestContext, params: Params) -> Params:
        role = await self._roles.get(ctx.account, params["RoleName"])
        return {"Role": role_shape(role) | {"RoleLastUsed": {}}}

    async def list_roles(self, ctx: RequestContext, params: Params) -> Params:
        roles = await self._roles.list_all(ctx.account, params.get("PathPrefix", "/"))
        return page("Roles", roles, params, key=lambda role: role.name.lower(), shape=listed_role)

    async def update_role(self, ctx: RequestContext, params: Params) -> Params:
        await self._roles.update(
            ctx.account,
            params["RoleName"],
            description=params.get("Description"),
            max_session_duration_s=params.get("MaxSessionDuration"),
        )
        return {}

    async def update_role_description(self, ctx: RequestContext, params: Params) -> Params:
        role = await self._roles.update(
            ctx.account, params["RoleName"], description=params["Description"], max_session_duration_s=None
        )
        return {"Role": role_shape(role)}

    async def delete_role(self, ctx: RequestContext, params: Params) -> Params:
        await self._roles.delete(ctx.account, params["RoleName"])
        return {}

    async def update_assume_role_policy(self, ctx: RequestContext, params: Params) -> Params:
        await self._roles.update_trust_policy(ctx.account, params["RoleName"], params["PolicyDocument"])
        return {}

    async def list_instance_profiles_for_role(self, ctx: RequestContext, params: Params) -> Params:
        """Always empty: instance profiles are for EC2. Terraform asks before it deletes a role."""
        await self._roles.get(ctx.account, params["RoleName"])
        return {"InstanceProfiles": [], "IsTruncated": False}
