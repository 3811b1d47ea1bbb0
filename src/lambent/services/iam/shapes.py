"""IAM's output shapes of what `lambent.iam` keeps. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from lambent.aws.context import Params
from lambent.iam.managed_policies import DEFAULT_VERSION_ID, ManagedPolicy
from lambent.iam.roles import Role


def date(moment: float) -> datetime:
    """Seconds since the epoch as IAM gives them: to the second."""
    return datetime.fromtimestamp(int(moment), UTC)


def document(text: str) -> str:
    """A policy document as IAM gives it: percent-encoded (RFC 3986), which SDKs decode."""
    return quote(text, safe="-_.~")


def tag_list(tags: Mapping[str, str]) -> list[Params]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tag_pairs(params: Params) -> list[tuple[str, str]]:
    """The Tags of an input."""
    return [(tag["Key"], tag["Value"]) for tag in params.get("Tags", [])]


def listed_role(role: Role) -> Params:
    """A role as ListRoles gives it: without tags, boundary and last use."""
    shape: Params = {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.role_id,
        "Arn": role.arn,
        "CreateDate": date(role.created_at),
        "AssumeRolePolicyDocument": document(role.trust_policy),
        "MaxSessionDuration": role.max_session_duration_s,
    }
    if role.description is not None:
        shape["Description"] = role.description
    return shape


def role_shape(role: Role) -> Params:
    """A role in full."""
    shape = listed_role(role)
    if role.permissions_boundary is not None:
        shape["PermissionsBoundary"] = {
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": role.permissions_boundary,
        }
    if role.tags:
        shape["Tags"] = tag_list(role.tags)
    return shape


def policy_shape(policy: ManagedPolicy, attachment_count: int, boundary_count: int) -> Params:
    """A managed policy, but for its description and tags, which only some operations give."""
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.policy_id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": DEFAULT_VERSION_ID,
        "AttachmentCount": attachment_count,
        "PermissionsBoundaryUsageCount": boundary_count,
        "IsAttachable": True,
        "CreateDate": date(policy.created_at),
        "UpdateDate": date(policy.created_at),
    }
