"""The account as a whole: GetAccountSummary, GetAccountAuthorizationDetails, ListAccountAliases."""

from __future__ import annotations

from typing import Any

from lambent.aws.context import Operations, Params, RequestContext
from lambent.iam.entities import IamEntities
from lambent.iam.managed_policies import VERSIONS_MAX, ManagedPolicy, aws_managed_policies, policy_name_of
from lambent.iam.policy_holders import ATTACHED_POLICIES_MAX, PolicyHolder
from lambent.iam.users import GROUPS_PER_USER_MAX
from lambent.services.iam.access_keys import ACCESS_KEYS_MAX
from lambent.services.iam.policies import counted, holders_of
from lambent.services.iam.shapes import date, document, group_shape, role_shape, user_shape


def operations(entities: IamEntities) -> Operations:
    """The operations on the account."""
    resource = _AccountOperations(entities)
    return {
        "GetAccountSummary": resource.get_account_summary,
        "GetAccountAuthorizationDetails": resource.get_account_authorization_details,
        "ListAccountAliases": resource.list_account_aliases,
    }


class _AccountOperations:
    def __init__(self, entities: IamEntities) -> None:
        self._entities = entities

    async def get_account_summary(self, ctx: RequestContext, _: Params) -> Params:
        entities, account = self._entities, ctx.account
        policies = await entities.policies.list_policies(account)
        root_arn = f"arn:aws:iam::{account}:root"
        return {
            "SummaryMap": {
                "Users": len(await entities.users.list_all(account)),
                "Groups": len(await entities.groups.list_all(account)),
                "Roles": len(await entities.roles.list_all(account)),
                "Policies": len(policies),
                "PolicyVersionsInUse": sum(len(policy.versions) for policy in policies),
                "VersionsPerPolicyQuota": VERSIONS_MAX,
                "AccountAccessKeysPresent": int(bool(entities.identities.keys_of(root_arn))),
                "AccessKeysPerUserQuota": ACCESS_KEYS_MAX,
                "AttachedPoliciesPerUserQuota": ATTACHED_POLICIES_MAX,
                "AttachedPoliciesPerGroupQuota": ATTACHED_POLICIES_MAX,
                "AttachedPoliciesPerRoleQuota": ATTACHED_POLICIES_MAX,
                "GroupsPerUserQuota": GROUPS_PER_USER_MAX,
                "MFADevices": 0,
                "MFADevicesInUse": 0,
                "AccountMFAEnabled": 0,
                "Providers": 0,
                "InstanceProfiles": 0,
                "ServerCertificates": 0,
            }
        }

    async def get_account_authorization_details(self, ctx: RequestContext, params: Params) -> Params:
        """All on one page."""
        entities, account = self._entities, ctx.account
        wanted = params.get("Filter") or ["User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"]
        holders = await holders_of(entities, account)
        output: dict[str, Any] = {"UserDetailList": [], "GroupDetailList": [], "RoleDetailList": [], "Policies": []}
        if "User" in wanted:
            for user in await entities.users.list_all(account):
                detail = user_shape(user) | _policies_of(user, "UserPolicyList") | {"GroupList": list(user.groups)}
                output["UserDetailList"].append(detail)
        if "Group" in wanted:
            for group in await entities.groups.list_all(account):
                output["GroupDetailList"].append(group_shape(group) | _policies_of(group, "GroupPolicyList"))
        if "Role" in wanted:
            for role in await entities.roles.list_all(account):
                detail = role_shape(role) | _policies_of(role, "RolePolicyList") | {"InstanceProfileList": []}
                output["RoleDetailList"].append(detail)
        if "LocalManagedPolicy" in wanted:
            output["Policies"] += [_detail(one, holders) for one in await entities.policies.list_policies(account)]
        if "AWSManagedPolicy" in wanted:
            attached = {arn for holder in holders for arn in (*holder.attached_policies, holder.permissions_boundary)}
            known = [policy for arn, policy in aws_managed_policies().items() if arn in attached]
            output["Policies"] += [_detail(one, holders) for one in known]
        return output | {"IsTruncated": False}

    async def list_account_aliases(self, _: RequestContext, params: Params) -> Params:
        """Always empty: an alias is for the sign-in page. Terraform and CDK ask."""
        return {"AccountAliases": [], "IsTruncated": False}


def _policies_of(holder: PolicyHolder, member: str) -> Params:
    return {
        member: [
            {"PolicyName": name, "PolicyDocument": document(text)} for name, text in holder.inline_policies.items()
        ],
        "AttachedManagedPolicies": [
            {"PolicyName": policy_name_of(arn), "PolicyArn": arn} for arn in holder.attached_policies
        ],
    }


def _detail(policy: ManagedPolicy, holders: list[PolicyHolder]) -> Params:
    return counted(policy, holders) | {
        "PolicyVersionList": [
            {
                "Document": document(version.document),
                "VersionId": version_id,
                "IsDefaultVersion": version_id == policy.default_version_id,
                "CreateDate": date(version.created_at),
            }
            for version_id, version in policy.versions.items()
        ]
    }
