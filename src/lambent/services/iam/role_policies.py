"""Policies of a role: inline ones, and managed ones attached to it. Stored; not evaluated yet."""

from __future__ import annotations

from lambent.aws.context import Operations, Params, RequestContext
from lambent.iam.managed_policies import ManagedPolicies, policy_name_of
from lambent.iam.roles import Roles
from lambent.services.iam.paging import page
from lambent.services.iam.shapes import document


def operations(roles: Roles, policies: ManagedPolicies) -> Operations:
    """The operations on what a role is allowed."""
    resource = _RolePolicyOperations(roles, policies)
    return {
        "PutRolePolicy": resource.put_role_policy,
        "GetRolePolicy": resource.get_role_policy,
        "ListRolePolicies": resource.list_role_policies,
        "DeleteRolePolicy": resource.delete_role_policy,
        "AttachRolePolicy": resource.attach_role_policy,
        "DetachRolePolicy": resource.detach_role_policy,
        "ListAttachedRolePolicies": resource.list_attached_role_policies,
    }


class _RolePolicyOperations:
    def __init__(self, roles: Roles, policies: ManagedPolicies) -> None:
        self._roles = roles
        self._policies = policies

    async def put_role_policy(self, ctx: RequestContext, params: Params) -> Params:
        await self._roles.put_policy(ctx.account, params["RoleName"], params["PolicyName"], params["PolicyDocument"])
        return {}

    async def get_role_policy(self, ctx: RequestContext, params: Params) -> Params:
        text = await self._roles.get_policy(ctx.account, params["RoleName"], params["PolicyName"])
        return {
            "RoleName": params["RoleName"],
            "PolicyName": params["PolicyName"],
            "PolicyDocument": document(text),
        }

    async def list_role_policies(self, ctx: RequestContext, params: Params) -> Params:
        role = await self._roles.get(ctx.account, params["RoleName"])
        return page("PolicyNames", sorted(role.inline_policies), params, key=str, shape=str)

    async def delete_role_policy(self, ctx: RequestContext, params: Params) -> Params:
        await self._roles.delete_policy(ctx.account, params["RoleName"], params["PolicyName"])
        return {}

    async def attach_role_policy(self, ctx: RequestContext, params: Params) -> Params:
        await self._policies.check_attachable(params["PolicyArn"])
        await self._roles.attach_policy(ctx.account, params["RoleName"], params["PolicyArn"])
        return {}

    async def detach_role_policy(self, ctx: RequestContext, params: Params) -> Params:
        await self._roles.detach_policy(ctx.account, params["RoleName"], params["PolicyArn"])
        return {}

    async def list_attached_role_policies(self, ctx: RequestContext, params: Params) -> Params:
        role = await self._roles.get(ctx.account, params["RoleName"])
        prefix = params.get("PathPrefix", "/")
        arns = [arn for arn in role.attached_policies if arn.partition(":policy")[2].startswith(prefix)]
        return page(
            "AttachedPolicies",
            sorted(arns),
            params,
            key=str,
            shape=lambda arn: {"PolicyName": policy_name_of(arn), "PolicyArn": arn},
        )
