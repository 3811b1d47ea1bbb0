"""What each IAM operation needs to be allowed: action, resource, condition keys.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html. Requests
name users, groups and roles without their paths, ARNs have them: so the stored one is looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lambent.aws.authorisation import AccessRule, AccessRules
from lambent.aws.context import Params, RequestContext
from lambent.iam.enforcement import Access
from lambent.iam.entities import IamEntities

_LISTS: Final = {"ListUsers": "user", "ListGroups": "group", "ListRoles": "role", "ListPolicies": "policy"}
_OF_GROUPS: Final = frozenset(
    {
        "CreateGroup", "GetGroup", "DeleteGroup", "AddUserToGroup", "RemoveUserFromGroup", "PutGroupPolicy",
        "GetGroupPolicy", "DeleteGroupPolicy", "ListGroupPolicies", "AttachGroupPolicy", "DetachGroupPolicy",
        "ListAttachedGroupPolicies", "UpdateGroup",
    }
)  # fmt: skip
_OF_ROLES: Final = frozenset(
    {
        "CreateRole", "GetRole", "UpdateRole", "UpdateRoleDescription", "DeleteRole", "UpdateAssumeRolePolicy",
        "ListInstanceProfilesForRole", "PutRolePolicy", "GetRolePolicy", "DeleteRolePolicy", "ListRolePolicies",
        "AttachRolePolicy", "DetachRolePolicy", "ListAttachedRolePolicies", "PutRolePermissionsBoundary",
        "DeleteRolePermissionsBoundary", "TagRole", "UntagRole", "ListRoleTags",
    }
)  # fmt: skip
_OF_USERS: Final = frozenset(
    {
        "CreateUser", "GetUser", "UpdateUser", "DeleteUser", "ListGroupsForUser", "PutUserPolicy", "GetUserPolicy",
        "DeleteUserPolicy", "ListUserPolicies", "AttachUserPolicy", "DetachUserPolicy", "ListAttachedUserPolicies",
        "PutUserPermissionsBoundary", "DeleteUserPermissionsBoundary", "TagUser", "UntagUser", "ListUserTags",
        "CreateAccessKey", "ListAccessKeys", "UpdateAccessKey", "DeleteAccessKey",
    }
)  # fmt: skip
_OF_POLICIES: Final = frozenset(
    {
        "GetPolicy", "DeletePolicy", "CreatePolicyVersion", "GetPolicyVersion", "ListPolicyVersions",
        "SetDefaultPolicyVersion", "DeletePolicyVersion", "ListEntitiesForPolicy", "TagPolicy", "UntagPolicy",
        "ListPolicyTags",
    }
)  # fmt: skip
_OF_PROVIDERS: Final = frozenset(
    {
        "GetOpenIDConnectProvider", "DeleteOpenIDConnectProvider", "AddClientIDToOpenIDConnectProvider",
        "RemoveClientIDFromOpenIDConnectProvider", "UpdateOpenIDConnectProviderThumbprint", "TagOpenIDConnectProvider",
        "UntagOpenIDConnectProvider", "ListOpenIDConnectProviderTags",
    }
)  # fmt: skip
_OF_SOURCES: Final = frozenset({"SimulatePrincipalPolicy", "GetContextKeysForPrincipalPolicy"})


def rules(entities: IamEntities) -> AccessRules:
    """Operation → what it needs; others need the action of their name on every resource."""
    resources = _Resources(entities)
    return {
        **{name: resources.group(name) for name in _OF_GROUPS},
        **{name: resources.role(name) for name in _OF_ROLES},
        **{name: resources.user(name) for name in _OF_USERS},
        **{name: _policy(name) for name in _OF_POLICIES},
        **{name: _source(name) for name in _OF_SOURCES},
        **{name: _provider(name) for name in _OF_PROVIDERS},
        "CreateOpenIDConnectProvider": _create_provider,
        **{name: _list(name, kind) for name, kind in _LISTS.items()},
        "CreatePolicy": _create_policy,
    }


class _Resources:
    """Finds the ARNs of what requests name."""

    def __init__(self, entities: IamEntities) -> None:
        self._entities = entities

    def group(self, operation: str) -> AccessRule:
        async def rule(context: RequestContext, params: Params) -> Sequence[Access]:
            found = await self._entities.groups.find_named(context.account, params["GroupName"])
            arn = found.arn if found is not None else _arn(context, "group", params, "GroupName")
            return (_access(operation, arn, context, params),)

        return rule

    def role(self, operation: str) -> AccessRule:
        async def rule(context: RequestContext, params: Params) -> Sequence[Access]:
            found = await self._entities.roles.find_named(context.account, params["RoleName"])
            exists = found is not None and operation != "CreateRole"
            arn = found.arn if found is not None and exists else _arn(context, "role", params, "RoleName")
            return (_access(operation, arn, context, params),)

        return rule

    def user(self, operation: str) -> AccessRule:
        async def rule(context: RequestContext, params: Params) -> Sequence[Access]:
            if "UserName" not in params:
                return (_access(operation, context.principal.arn, context, params),)
            found = await self._entities.users.find_named(context.account, params["UserName"])
            exists = found is not None and operation != "CreateUser"
            arn = found.arn if found is not None and exists else _arn(context, "user", params, "UserName")
            return (_access(operation, arn, context, params),)

        return rule


def _policy(operation: str) -> AccessRule:
    def rule(context: RequestContext, params: Params) -> Sequence[Access]:
        return (_access(operation, params["PolicyArn"], context, params),)

    return rule


def _provider(operation: str) -> AccessRule:
    def rule(context: RequestContext, params: Params) -> Sequence[Access]:
        return (_access(operation, params["OpenIDConnectProviderArn"], context, params),)

    return rule


def _create_provider(context: RequestContext, params: Params) -> Sequence[Access]:
    name = params["Url"].removeprefix("https://")
    arn = f"arn:aws:iam::{context.account}:oidc-provider/{name}"
    return (_access("CreateOpenIDConnectProvider", arn, context, params),)


def _source(operation: str) -> AccessRule:
    def rule(context: RequestContext, params: Params) -> Sequence[Access]:
        return (_access(operation, params["PolicySourceArn"], context, params),)

    return rule


def _list(operation: str, kind: str) -> AccessRule:
    def rule(context: RequestContext, params: Params) -> Sequence[Access]:
        arn = f"arn:aws:iam::{context.account}:{kind}{params.get('PathPrefix', '/')}"
        return (_access(operation, arn, context, params),)

    return rule


def _create_policy(context: RequestContext, params: Params) -> Sequence[Access]:
    return (_access("CreatePolicy", _arn(context, "policy", params, "PolicyName"), context, params),)


def _arn(context: RequestContext, kind: str, params: Params, member: str) -> str:
    return f"arn:aws:iam::{context.account}:{kind}{params.get('Path', '/')}{params[member]}"


def _access(operation: str, resource: str, context: RequestContext, params: Params) -> Access:
    keys: dict[str, tuple[str, ...]] = {}
    if operation.startswith(("Attach", "Detach")):
        keys["iam:policyarn"] = (params["PolicyArn"],)
    if "PermissionsBoundary" in params:
        keys["iam:permissionsboundary"] = (params["PermissionsBoundary"],)
    tags = params.get("Tags")
    if tags:
        keys |= {f"aws:requesttag/{tag['Key'].lower()}": (tag["Value"],) for tag in tags}
        keys["aws:tagkeys"] = tuple(tag["Key"] for tag in tags)
    elif params.get("TagKeys"):
        keys["aws:tagkeys"] = tuple(params["TagKeys"])
    return Access(f"iam:{operation}", resource, context.account, keys)
