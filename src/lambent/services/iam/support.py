"""What each member of each offered operation does here. The coverage page is made from it."""

from __future__ import annotations

from typing import Final

from lambent.aws.support import Support, effective, refused, without_effect

_PAGE: Final = effective("Marker", "MaxItems")
_ALL_AT_ONCE: Final = without_effect("The answer always fits on one page.")
_NOT_EVALUATED: Final = without_effect("Checked, stored and answered; what it allows or denies is not evaluated yet.")
_NO_USERS: Final = refused("There are no IAM users: the keys are those of the calling account's root.")

SUPPORT: Final[Support] = {
    "CreateRole": {
        **effective("Path", "RoleName", "AssumeRolePolicyDocument", "Description", "MaxSessionDuration", "Tags"),
        "PermissionsBoundary": _NOT_EVALUATED,
    },
    "GetRole": effective("RoleName"),
    "ListRoles": {**effective("PathPrefix"), **_PAGE},
    "UpdateRole": effective("RoleName", "Description", "MaxSessionDuration"),
    "UpdateRoleDescription": effective("RoleName", "Description"),
    "DeleteRole": effective("RoleName"),
    "UpdateAssumeRolePolicy": effective("RoleName", "PolicyDocument"),
    "PutRolePermissionsBoundary": {**effective("RoleName"), "PermissionsBoundary": _NOT_EVALUATED},
    "DeleteRolePermissionsBoundary": effective("RoleName"),
    "TagRole": effective("RoleName", "Tags"),
    "UntagRole": effective("RoleName", "TagKeys"),
    "ListRoleTags": {**effective("RoleName"), **_PAGE},
    "ListInstanceProfilesForRole": {
        **effective("RoleName"),
        "Marker": _ALL_AT_ONCE,
        "MaxItems": _ALL_AT_ONCE,
    },
    "PutRolePolicy": {**effective("RoleName", "PolicyName"), "PolicyDocument": _NOT_EVALUATED},
    "GetRolePolicy": effective("RoleName", "PolicyName"),
    "ListRolePolicies": {**effective("RoleName"), **_PAGE},
    "DeleteRolePolicy": effective("RoleName", "PolicyName"),
    "AttachRolePolicy": {**effective("RoleName"), "PolicyArn": _NOT_EVALUATED},
    "DetachRolePolicy": effective("RoleName", "PolicyArn"),
    "ListAttachedRolePolicies": {**effective("RoleName", "PathPrefix"), **_PAGE},
    "CreatePolicy": {
        **effective("PolicyName", "Path", "Description", "Tags"),
        "PolicyDocument": _NOT_EVALUATED,
    },
    "GetPolicy": effective("PolicyArn"),
    "GetPolicyVersion": effective("PolicyArn", "VersionId"),
    "ListPolicies": {**effective("Scope", "OnlyAttached", "PathPrefix", "PolicyUsageFilter"), **_PAGE},
    "ListPolicyVersions": {**effective("PolicyArn"), "Marker": _ALL_AT_ONCE, "MaxItems": _ALL_AT_ONCE},
    "ListEntitiesForPolicy": {**effective("PolicyArn", "EntityFilter", "PathPrefix", "PolicyUsageFilter"), **_PAGE},
    "DeletePolicy": effective("PolicyArn"),
    "CreateAccessKey": {"UserName": _NO_USERS},
    "ListAccessKeys": {**_PAGE, "UserName": _NO_USERS},
    "UpdateAccessKey": {**effective("AccessKeyId", "Status"), "UserName": _NO_USERS},
    "DeleteAccessKey": {**effective("AccessKeyId"), "UserName": _NO_USERS},
}
