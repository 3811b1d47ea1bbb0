"""What roles, users and groups have in common: inline and attached policies; for the former two boundary and tags too.

The operations differ in name only (PutRolePolicy, PutUserPolicy, PutGroupPolicy), so there is one set for any noun.
"""

from __future__ import annotations

from typing import Generic

from lambent.aws.context import Operations, Params, RequestContext
from lambent.iam.managed_policies import ManagedPolicies, policy_name_of
from lambent.iam.policy_holders import H, PolicyHolders
from lambent.services.iam.paging import page
from lambent.services.iam.shapes import document, tag_pairs


def policy_operations(noun: str, holders: PolicyHolders[H], policies: ManagedPolicies) -> Operations:
    """The operations on what a `noun` (Role, User, Group) is allowed."""
    resource = _HolderOperations(noun, holders, policies)
    return {
        f"Put{noun}Policy": resource.put_policy,
        f"Get{noun}Policy": resource.get_policy,
        f"List{noun}Policies": resource.list_policies,
        f"Delete{noun}Policy": resource.delete_policy,
        f"Attach{noun}Policy": resource.attach_policy,
        f"Detach{noun}Policy": resource.detach_policy,
        f"ListAttached{noun}Policies": resource.list_attached_policies,
    }


def tag_and_boundary_operations(noun: str, holders: PolicyHolders[H], policies: ManagedPolicies) -> Operations:
    """The operations on tags and permissions boundary of a `noun` (Role, User)."""
    resource = _HolderOperations(noun, holders, policies)
    return {
        f"Put{noun}PermissionsBoundary": resource.put_permissions_boundary,
        f"Delete{noun}PermissionsBoundary": resource.delete_permissions_boundary,
        f"Tag{noun}": resource.tag,
        f"Untag{noun}": resource.untag,
        f"List{noun}Tags": resource.list_tags,
    }


class _HolderOperations(Generic[H]):
    def __init__(self, noun: str, holders: PolicyHolders[H], policies: ManagedPolicies) -> None:
        self._name = f"{noun}Name"
        self._holders = holders
        self._policies = policies

    async def put_policy(self, ctx: RequestContext, params: Params) -> Params:
        await self._holders.put_policy(ctx.account, params[self._name], params["PolicyName"], params["PolicyDocument"])
        return {}

    async def get_policy(self, ctx: RequestContext, params: Params) -> Params:
        text = await self._holders.get_policy(ctx.account, params[self._name], params["PolicyName"])
        return {
            self._name: params[self._name],
            "PolicyName": params["PolicyName"],
            "PolicyDocument": document(text),
        }

    async def list_policies(self, ctx: RequestContext, params: Params) -> Params:
        holder = await self._holders.get(ctx.account, params[self._name])
        return page("PolicyNames", sorted(holder.inline_policies), params, key=str, shape=str)

    async def delete_policy(self, ctx: RequestContext, params: Params) -> Params:
        await self._holders.delete_policy(ctx.account, params[self._name], params["PolicyName"])
        return {}

    async def attach_policy(self, ctx: RequestContext, params: Params) -> Params:
        await self._policies.check_attachable(params["PolicyArn"])
        await self._holders.attach_policy(ctx.account, params[self._name], params["PolicyArn"])
        return {}

    async def detach_policy(self, ctx: RequestContext, params: Params) -> Params:
        await self._holders.detach_policy(ctx.account, params[self._name], params["PolicyArn"])
        return {}

    async def list_attached_policies(self, ctx: RequestContext, params: Params) -> Params:
        holder = await self._holders.get(ctx.account, params[self._name])
        prefix = params.get("PathPrefix", "/")
        arns = [arn for arn in holder.attached_policies if arn.partition(":policy")[2].startswith(prefix)]
        return page(
            "AttachedPolicies",
            sorted(arns),
            params,
            key=str,
            shape=lambda arn: {"PolicyName": policy_name_of(arn), "PolicyArn": arn},
        )

    async def put_permissions_boundary(self, ctx: RequestContext, params: Params) -> Params:
        arn = params["PermissionsBoundary"]
        await self._policies.check_attachable(arn)
        await self._holders.set_permissions_boundary(ctx.account, params[self._name], arn)
        return {}

    async def delete_permissions_boundary(self, ctx: RequestContext, params: Params) -> Params:
        await self._holders.set_permissions_boundary(ctx.account, params[self._name], None)
        return {}

    async def tag(self, ctx: RequestContext, params: Params) -> Params:
        await self._holders.tag(ctx.account, params[self._name], tag_pairs(params))
        return {}

    async def untag(self, ctx: RequestContext, params: Params) -> Params:
        await self._holders.untag(ctx.account, params[self._name], params["TagKeys"])
        return {}

    async def list_tags(self, ctx: RequestContext, params: Params) -> Params:
        holder = await self._holders.get(ctx.account, params[self._name])
        return page(
            "Tags",
            sorted(holder.tags.items()),
            params,
            key=lambda tag: tag[0],
            shape=lambda tag: {"Key": tag[0], "Value": tag[1]},
        )
