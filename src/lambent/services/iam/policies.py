"""Managed policies: the customer's own, in up to five versions, and those of AWS's that Lambent knows."""

from __future__ import annotations

from lambent.aws.context import Operations, Params, RequestContext
from lambent.iam.entities import IamEntities
from lambent.iam.managed_policies import ManagedPolicy, PolicyVersion, aws_managed_policies, version_of
from lambent.iam.policy_holders import PolicyHolder, delete_conflict
from lambent.model.ids import AccountId
from lambent.services.iam.paging import page
from lambent.services.iam.shapes import date, document, policy_shape, tag_list, tag_pairs


def operations(entities: IamEntities) -> Operations:
    """The operations on managed policies themselves."""
    resource = _PolicyOperations(entities)
    return {
        "CreatePolicy": resource.create_policy,
        "GetPolicy": resource.get_policy,
        "ListPolicies": resource.list_policies,
        "DeletePolicy": resource.delete_policy,
        "CreatePolicyVersion": resource.create_policy_version,
        "GetPolicyVersion": resource.get_policy_version,
        "ListPolicyVersions": resource.list_policy_versions,
        "SetDefaultPolicyVersion": resource.set_default_policy_version,
        "DeletePolicyVersion": resource.delete_policy_version,
        "ListEntitiesForPolicy": resource.list_entities_for_policy,
        "TagPolicy": resource.tag_policy,
        "UntagPolicy": resource.untag_policy,
        "ListPolicyTags": resource.list_policy_tags,
    }


class _PolicyOperations:
    def __init__(self, entities: IamEntities) -> None:
        self._entities = entities
        self._policies = entities.policies

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
        shape = counted(policy, await holders_of(self._entities, ctx.account))
        shape["Tags"] = tag_list(policy.tags)
        if policy.description is not None:
            shape["Description"] = policy.description
        return {"Policy": shape}

    async def list_policies(self, ctx: RequestContext, params: Params) -> Params:
        scope, prefix = params.get("Scope", "All"), params.get("PathPrefix", "/")
        policies = [] if scope == "AWS" else await self._policies.list_policies(ctx.account, prefix)
        if scope != "Local":
            policies += [policy for policy in aws_managed_policies().values() if policy.path.startswith(prefix)]
        holders = await holders_of(self._entities, ctx.account)
        shapes = [counted(policy, holders) for policy in policies]
        used = {"PermissionsPolicy": "AttachmentCount", "PermissionsBoundary": "PermissionsBoundaryUsageCount"}
        wanted = params.get("PolicyUsageFilter")
        if wanted is not None:
            shapes = [shape for shape in shapes if shape[used[wanted]]]
        if params.get("OnlyAttached"):
            shapes = [shape for shape in shapes if shape["AttachmentCount"]]
        shapes.sort(key=_listing_key)
        return page("Policies", shapes, params, key=_listing_key, shape=dict)

    async def delete_policy(self, ctx: RequestContext, params: Params) -> Params:
        policy = await self._policies.get(params["PolicyArn"])
        holders = await holders_of(self._entities, ctx.account)
        if any(_has(one, policy.arn) or one.permissions_boundary == policy.arn for one in holders):
            raise delete_conflict("Cannot delete a policy attached to entities.")
        await self._policies.delete(policy.arn)
        return {}

    async def create_policy_version(self, _: RequestContext, params: Params) -> Params:
        version_id, policy = await self._policies.create_version(
            params["PolicyArn"], params["PolicyDocument"], as_default=params.get("SetAsDefault", False)
        )
        return {"PolicyVersion": _version(policy, version_id, policy.versions[version_id])}

    async def get_policy_version(self, _: RequestContext, params: Params) -> Params:
        policy = await self._policies.get(params["PolicyArn"])
        version_id = params["VersionId"]
        version = version_of(policy, version_id)
        return {"PolicyVersion": _version(policy, version_id, version) | {"Document": document(version.document)}}

    async def list_policy_versions(self, _: RequestContext, params: Params) -> Params:
        policy = await self._policies.get(params["PolicyArn"])
        newest_first = [_version(policy, *item) for item in reversed(list(policy.versions.items()))]
        return {"Versions": newest_first, "IsTruncated": False}

    async def set_default_policy_version(self, _: RequestContext, params: Params) -> Params:
        await self._policies.set_default_version(params["PolicyArn"], params["VersionId"])
        return {}

    async def delete_policy_version(self, _: RequestContext, params: Params) -> Params:
        await self._policies.delete_version(params["PolicyArn"], params["VersionId"])
        return {}

    async def list_entities_for_policy(self, ctx: RequestContext, params: Params) -> Params:
        """All kinds on one page: an entity filter and paging through several lists at once do not go together."""
        arn, prefix = params["PolicyArn"], params.get("PathPrefix", "/")
        await self._policies.check_attachable(arn)
        wanted = params.get("EntityFilter")
        as_boundary = params.get("PolicyUsageFilter") == "PermissionsBoundary"

        def fits(holder: PolicyHolder) -> bool:
            return holder.permissions_boundary == arn if as_boundary else _has(holder, arn)

        entities = self._entities
        roles = [one for one in await entities.roles.list_all(ctx.account, prefix) if fits(one)]
        users = [one for one in await entities.users.list_all(ctx.account, prefix) if fits(one)]
        groups = [one for one in await entities.groups.list_all(ctx.account, prefix) if fits(one)]
        shapes = {
            "PolicyRoles": [{"RoleName": role.name, "RoleId": role.role_id} for role in roles],
            "PolicyUsers": [{"UserName": user.name, "UserId": user.user_id} for user in users],
            "PolicyGroups": [{"GroupName": group.name, "GroupId": group.group_id} for group in groups],
        }
        kept = {f"Policy{wanted}s"} if wanted in ("Role", "User", "Group") else set(shapes)
        return {name: shape if name in kept else [] for name, shape in shapes.items()} | {"IsTruncated": False}

    async def tag_policy(self, _: RequestContext, params: Params) -> Params:
        await self._policies.tag(params["PolicyArn"], tag_pairs(params))
        return {}

    async def untag_policy(self, _: RequestContext, params: Params) -> Params:
        await self._policies.untag(params["PolicyArn"], params["TagKeys"])
        return {}

    async def list_policy_tags(self, _: RequestContext, params: Params) -> Params:
        policy = await self._policies.get(params["PolicyArn"])
        return page(
            "Tags",
            sorted(policy.tags.items()),
            params,
            key=lambda tag: tag[0],
            shape=lambda tag: {"Key": tag[0], "Value": tag[1]},
        )


async def holders_of(entities: IamEntities, account: AccountId) -> list[PolicyHolder]:
    """Everything in the account that policies can be attached to."""
    return [
        *await entities.roles.list_all(account),
        *await entities.users.list_all(account),
        *await entities.groups.list_all(account),
    ]


def counted(policy: ManagedPolicy, holders: list[PolicyHolder]) -> Params:
    """A policy's shape with what it is attached to."""
    attached = sum(_has(holder, policy.arn) for holder in holders)
    return policy_shape(policy, attached, sum(holder.permissions_boundary == policy.arn for holder in holders))


def _listing_key(shape: Params) -> str:
    return f"{shape['PolicyName'].lower()} {shape['Arn']}"


def _has(holder: PolicyHolder, policy_arn: str) -> bool:
    return policy_arn in holder.attached_policies


def _version(policy: ManagedPolicy, version_id: str, version: PolicyVersion) -> Params:
    return {
        "VersionId": version_id,
        "IsDefaultVersion": version_id == policy.default_version_id,
        "CreateDate": date(version.created_at),
    }
