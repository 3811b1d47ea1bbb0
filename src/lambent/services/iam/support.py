"""What each member of each offered operation does here. The coverage page is made from it."""

from __future__ import annotations

from typing import Final

from lambent.aws.support import Member, Support, effective, refused, without_effect

_PAGE: Final = effective("Marker", "MaxItems")
_ALL_AT_ONCE: Final = without_effect("The answer always fits on one page.")
_ONE_PAGE: Final = {"Marker": _ALL_AT_ONCE, "MaxItems": _ALL_AT_ONCE}

_SIMULATION: Final = {
    **effective(
        "PolicyInputList",
        "PermissionsBoundaryPolicyInputList",
        "ActionNames",
        "ResourceArns",
        "ResourcePolicy",
        "ResourceOwner",
        "CallerArn",
        "ContextEntries",
    ),
    "ResourceHandlingOption": without_effect("It is for EC2's actions."),
    **_PAGE,
}


def _policies_of(noun: str) -> dict[str, dict[str, Member]]:
    """The rows of what roles, users and groups have in common."""
    name = f"{noun}Name"
    return {
        f"Put{noun}Policy": effective(name, "PolicyName", "PolicyDocument"),
        f"Get{noun}Policy": effective(name, "PolicyName"),
        f"List{noun}Policies": {**effective(name), **_PAGE},
        f"Delete{noun}Policy": effective(name, "PolicyName"),
        f"Attach{noun}Policy": effective(name, "PolicyArn"),
        f"Detach{noun}Policy": effective(name, "PolicyArn"),
        f"ListAttached{noun}Policies": {**effective(name, "PathPrefix"), **_PAGE},
    }


def _tags_and_boundary_of(noun: str) -> dict[str, dict[str, Member]]:
    """The rows of what roles and users have in common besides."""
    name = f"{noun}Name"
    return {
        f"Put{noun}PermissionsBoundary": effective(name, "PermissionsBoundary"),
        f"Delete{noun}PermissionsBoundary": effective(name),
        f"Tag{noun}": effective(name, "Tags"),
        f"Untag{noun}": effective(name, "TagKeys"),
        f"List{noun}Tags": {**effective(name), **_PAGE},
    }


SUPPORT: Final[Support] = {
    "CreateRole": effective(
        "Path",
        "RoleName",
        "AssumeRolePolicyDocument",
        "Description",
        "MaxSessionDuration",
        "PermissionsBoundary",
        "Tags",
    ),
    "GetRole": effective("RoleName"),
    "ListRoles": {**effective("PathPrefix"), **_PAGE},
    "UpdateRole": effective("RoleName", "Description", "MaxSessionDuration"),
    "UpdateRoleDescription": effective("RoleName", "Description"),
    "DeleteRole": effective("RoleName"),
    "UpdateAssumeRolePolicy": effective("RoleName", "PolicyDocument"),
    "ListInstanceProfilesForRole": {**effective("RoleName"), **_ONE_PAGE},
    "CreateUser": effective("Path", "UserName", "PermissionsBoundary", "Tags"),
    "GetUser": effective("UserName"),
    "ListUsers": {**effective("PathPrefix"), **_PAGE},
    "DeleteUser": effective("UserName"),
    "ListGroupsForUser": {**effective("UserName"), **_PAGE},
    "CreateGroup": effective("Path", "GroupName"),
    "GetGroup": {**effective("GroupName"), **_PAGE},
    "ListGroups": {**effective("PathPrefix"), **_PAGE},
    "DeleteGroup": effective("GroupName"),
    "AddUserToGroup": effective("GroupName", "UserName"),
    "RemoveUserFromGroup": effective("GroupName", "UserName"),
    **_policies_of("Role"),
    **_policies_of("User"),
    **_policies_of("Group"),
    **_tags_and_boundary_of("Role"),
    **_tags_and_boundary_of("User"),
    "CreatePolicy": effective("PolicyName", "Path", "PolicyDocument", "Description", "Tags"),
    "GetPolicy": effective("PolicyArn"),
    "ListPolicies": {**effective("Scope", "OnlyAttached", "PathPrefix", "PolicyUsageFilter"), **_PAGE},
    "DeletePolicy": effective("PolicyArn"),
    "CreatePolicyVersion": effective("PolicyArn", "PolicyDocument", "SetAsDefault"),
    "GetPolicyVersion": effective("PolicyArn", "VersionId"),
    "ListPolicyVersions": {**effective("PolicyArn"), **_ONE_PAGE},
    "SetDefaultPolicyVersion": effective("PolicyArn", "VersionId"),
    "DeletePolicyVersion": effective("PolicyArn", "VersionId"),
    "ListEntitiesForPolicy": {
        **effective("PolicyArn", "EntityFilter", "PathPrefix", "PolicyUsageFilter"),
        **_ONE_PAGE,
    },
    "TagPolicy": effective("PolicyArn", "Tags"),
    "UntagPolicy": effective("PolicyArn", "TagKeys"),
    "ListPolicyTags": {**effective("PolicyArn"), **_PAGE},
    "CreateAccessKey": effective("UserName"),
    "ListAccessKeys": {**effective("UserName"), **_PAGE},
    "UpdateAccessKey": effective("UserName", "AccessKeyId", "Status"),
    "DeleteAccessKey": effective("UserName", "AccessKeyId"),
    "CreateOpenIDConnectProvider": effective("Url", "ClientIDList", "ThumbprintList", "Tags"),
    "GetOpenIDConnectProvider": effective("OpenIDConnectProviderArn"),
    "ListOpenIDConnectProviders": {},
    "DeleteOpenIDConnectProvider": effective("OpenIDConnectProviderArn"),
    "AddClientIDToOpenIDConnectProvider": effective("OpenIDConnectProviderArn", "ClientID"),
    "RemoveClientIDFromOpenIDConnectProvider": effective("OpenIDConnectProviderArn", "ClientID"),
    "UpdateOpenIDConnectProviderThumbprint": effective("OpenIDConnectProviderArn", "ThumbprintList"),
    "TagOpenIDConnectProvider": effective("OpenIDConnectProviderArn", "Tags"),
    "UntagOpenIDConnectProvider": effective("OpenIDConnectProviderArn", "TagKeys"),
    "ListOpenIDConnectProviderTags": {**effective("OpenIDConnectProviderArn"), **_PAGE},
    "GetAccountSummary": {},
    "GetAccountAuthorizationDetails": {**effective("Filter"), **_ONE_PAGE},
    "ListAccountAliases": _ONE_PAGE,
    "SimulateCustomPolicy": {
        **_SIMULATION,
        "OrderedOrganizationPolicyInputList": refused("Policies of organizations are not evaluated."),
    },
    "SimulatePrincipalPolicy": {
        **effective("PolicySourceArn"),
        **_SIMULATION,
        "PolicyExclusionList": refused("Every policy of the principal takes part."),
    },
    "GetContextKeysForCustomPolicy": effective("PolicyInputList"),
    "GetContextKeysForPrincipalPolicy": effective("PolicySourceArn", "PolicyInputList"),
}
