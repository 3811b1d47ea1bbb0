"""IAM's output shapes of what `lambent.iam` keeps. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from lambent.aws.context import Params
from lambent.iam.managed_policies import ManagedPolicy
from lambent.iam.policy_holders import PolicyHolder
from lambent.iam.roles import Role
from lambent.iam.users import Group, User


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
    return listed_role(role) | _boundary_and_tags(role)


def listed_user(user: User) -> Params:
    """A user as ListUsers gives it: without tags and boundary."""
    return {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.user_id,
        "Arn": user.arn,
        "CreateDate": date(user.created_at),
    }


def user_shape(user: User) -> Params:
    """A user in full."""
    return listed_user(user) | _boundary_and_tags(user)


def group_shape(group: Group) -> Params:
    return {
        "Path": group.path,
        "GroupName": group.name,
        "GroupId": group.group_id,
        "Arn": group.arn,
        "CreateDate": date(group.created_at),
    }


def _boundary_and_tags(holder: PolicyHolder) -> Params:
    shape: Params = {}
    if holder.permissions_boundary is not None:
        shape["PermissionsBoundary"] = {
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": holder.permissions_boundary,
        }
    if holder.tags:
        shape["Tags"] = tag_list(holder.tags)
    return shape


def policy_shape(policy: ManagedPolicy, attachment_count: int, boundary_count: int) -> Params:
    """A managed policy, but for its description and tags, which only some operations give."""
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.policy_id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": policy.default_version_id,
        "AttachmentCount": attachment_count,
        "PermissionsBoundaryUsageCount": boundary_count,
        "IsAttachable": True,
        "CreateDate": date(policy.created_at),
        "UpdateDate": date(policy.updated_at or policy.created_at),
    }
