"""Customer managed policies, each in one version. AWS's own are not listed: their documents are not shipped."""

from __future__ import annotations

from lambent.aws.context import Operations, Params, RequestContext
from lambent.iam.managed_policies import DEFAULT_VERSION_ID, ManagedPolicies, ManagedPolicy
from lambent.iam.roles import Role, Roles, no_such_entity
from lambent.model.errors import ServiceError
from lambent.services.iam.paging import page
from lambent.services.iam.shapes import date, document, policy_shape, tag_list, tag_pairs


def operations(roles: Roles, policies: ManagedPolicies) -> Operations:
    """The operations on managed policies themselves."""
    resource = _PolicyOperations(roles, policies)
    return {
        "CreatePolicy": resource.create_policy,
        "GetPolicy": resource.get_policy,
        "GetPolicyVersion": resource.get_policy_version,
        "ListPolicies": resource.list_policies,
        "ListPolicyVersions": resource.list_policy_versions,
        "ListEntitiesForPolicy": resource.list_entities_for_policy,
        "DeletePolicy": resource.delete_policy,
    }


class _PolicyOperations:
    def __init__(self, roles: Roles, policies: ManagedPolicies) -> None:
        self._roles = roles
        self._policies = policies

    async def create_policy(self, ctx: RequestContext, params: Params) -> Params:
        policy = await self._policies.create(
            ctx.account,
            params["PolicyName"],
            params["PolicyDocument"],
            path=params.get("Path", "/"),
            description=params.get("Description"),
            tags=tag_pairs(params),
        )
        shape = policy_shape(policy, 0, 0)
        return {"Policy": shape | {"Tags": tag_list(policy.tags)} if policy.tags else shape}

    async def get_policy(self, ctx: RequestContext, params: Params) -> Params:
        policy = await self._policies.get(params["PolicyArn"])
        shape = _counted(policy, await self._roles.list_roles(ctx.account))
        shape["Tags"] = tag_list(policy.tags)
        if policy.description is not None:
            shape["Description"] = policy.description
        return {"Policy": shape}

    async def get_policy_version(self, _: RequestContext, params: Params) -> Params:
        policy = await self._policies.get(params["PolicyArn"])
        version_id = params["VersionId"]
        if version_id != DEFAULT_VERSION_ID:
            raise no_such_entity(f"Policy {policy.arn} version {version_id} does not exist or is not attachable.")
        return {"PolicyVersion": _version(policy) | {"Document": document(policy.document)}}

    async def list_policies(self, ctx: RequestContext, params: Params) -> Params:
        policies = (
            []
            if params.get("Scope") == "AWS"
            else await self._policies.list_policies(ctx.account, params.get("PathPrefix", "/"))
        )
        roles = await self._roles.list_roles(ctx.account)
        shapes = [_counted(policy, roles) for policy in policies]
        used = {"PermissionsPolicy": "AttachmentCount", "PermissionsBoundary": "PermissionsBoundaryUsageCount"}
        wanted = params.get("PolicyUsageFilter")
        if wanted is not None:
            shapes = [shape for shape in shapes if shape[used[wanted]]]
        if params.get("OnlyAttached"):
            shapes = [shape for shape in shapes if shape["AttachmentCount"]]
        return page("Policies", shapes, params, key=lambda shape: shape["PolicyName"].lower(), shape=dict)

    async def list_policy_versions(self, _: RequestContext, params: Params) -> Params:
        policy = await self._policies.get(params["PolicyArn"])
        return {"Versions": [_version(policy)], "IsTruncated": False}

    async def list_entities_for_policy(self, ctx: RequestContext, params: Params) -> Params:
        arn = params["PolicyArn"]
        await self._policies.check_attachable(arn)
        wanted = params.get("EntityFilter", "Role") == "Role"
        as_boundary = params.get("PolicyUsageFilter") == "PermissionsBoundary"
        found = await self._roles.list_roles(ctx.account, params.get("PathPrefix", "/"))
        roles = [role for role in found if (role.permissions_boundary == arn if as_boundary else _has(role, arn))]
        output = page(
            "PolicyRoles",
            roles if wanted else [],
            params,
            key=lambda role: role.name.lower(),
            shape=lambda role: {"RoleName": role.name, "RoleId": role.role_id},
        )
        return output | {"PolicyGroups": [], "PolicyUsers": []}

    async def delete_policy(self, ctx: RequestContext, params: Params) -> Params:
        policy = await self._policies.get(params["PolicyArn"])
        roles = await self._roles.list_roles(ctx.account)
        if any(_has(role, policy.arn) or role.permissions_boundary == policy.arn for role in roles):
            raise ServiceError("DeleteConflict", "Cannot delete a policy attached to entities.", status=409)
        await self._policies.delete(policy.arn)
        return {}


def _has(role: Role, policy_arn: str) -> bool:
    return policy_arn in role.attached_policies


def _counted(policy: ManagedPolicy, roles: list[Role]) -> Params:
    attached = sum(_has(role, policy.arn) for role in roles)
    return policy_shape(policy, attached, sum(role.permissions_boundary == policy.arn for role in roles))


def _version(policy: ManagedPolicy) -> Params:
    return {"VersionId": DEFAULT_VERSION_ID, "IsDefaultVersion": True, "CreateDate": date(policy.created_at)}
