"""Roles and their policies as boto3 and the tools above it use them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]}
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
accounts = itertools.count(1)


@pytest.fixture
def iam(open_server: Any) -> Any:
    """A client in an account nobody has used."""
    return open_server.client("iam", f"{next(accounts):012d}", "x")


def refused(call: Callable[..., Any], **params: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as raised:
        call(**params)
    response: Any = raised.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


def create(iam: Any, name: str = "r", **params: Any) -> Any:
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), **params)["Role"]


def test_a_role_reads_back_as_made(iam: Any) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    made = create(
        iam, Path="/service-role/", Description="dé", MaxSessionDuration=7200, Tags=[{"Key": "k", "Value": "v"}]
    )
    role = iam.get_role(RoleName="r")["Role"]
    assert role.pop("RoleLastUsed", {}) == {}
    assert role == made
    assert role["AssumeRolePolicyDocument"] == TRUST
    assert role["Arn"].endswith(":role/service-role/r")
    assert role["RoleId"].startswith("AROA")
    assert before <= role["CreateDate"] <= datetime.now(UTC)
    assert (role["Description"], role["MaxSessionDuration"]) == ("dé", 7200)
    assert role["Tags"] == [{"Key": "k", "Value": "v"}]


def test_errors_are_aws_s(iam: Any) -> None:
    create(iam)
    no_role = ("NoSuchEntity", 404, "The role with name x cannot be found.")
    assert refused(iam.get_role, RoleName="x") == no_role
    assert refused(iam.delete_role, RoleName="x") == no_role
    assert refused(iam.create_role, RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST)) == (
        "EntityAlreadyExists", 409, "Role with name r already exists.",
    )  # fmt: skip
    assert refused(iam.create_role, RoleName="s", AssumeRolePolicyDocument="trust.json") == (
        "MalformedPolicyDocument", 400, "This policy contains invalid Json",
    )  # fmt: skip
    assert refused(iam.put_role_policy, RoleName="r", PolicyName="p", PolicyDocument="{}")[0] == (
        "MalformedPolicyDocument"
    )
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_role(RoleName="x")
    code, status, message = refused(iam.create_role, RoleName="a b", AssumeRolePolicyDocument=json.dumps(TRUST))
    assert (code, status) == ("ValidationError", 400)
    assert "'roleName' failed to satisfy constraint" in message


def test_the_life_of_a_role_with_policies(iam: Any) -> None:
    create(iam)
    iam.put_role_policy(RoleName="r", PolicyName="inline", PolicyDocument=json.dumps(POLICY))
    iam.attach_role_policy(RoleName="r", PolicyArn=BASIC)
    assert iam.get_role_policy(RoleName="r", PolicyName="inline")["PolicyDocument"] == POLICY
    assert iam.list_role_policies(RoleName="r")["PolicyNames"] == ["inline"]
    attached = [{"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": BASIC}]
    assert iam.list_attached_role_policies(RoleName="r")["AttachedPolicies"] == attached
    assert iam.list_attached_role_policies(RoleName="r", PathPrefix="/other/")["AttachedPolicies"] == []
    assert iam.list_instance_profiles_for_role(RoleName="r")["InstanceProfiles"] == []
    message = "Cannot delete entity, must detach all policies first."
    assert refused(iam.delete_role, RoleName="r") == ("DeleteConflict", 409, message)
    iam.detach_role_policy(RoleName="r", PolicyArn=BASIC)
    message = "Cannot delete entity, must delete policies first."
    assert refused(iam.delete_role, RoleName="r") == ("DeleteConflict", 409, message)
    iam.delete_role_policy(RoleName="r", PolicyName="inline")
    iam.delete_role(RoleName="r")
    assert iam.list_roles()["Roles"] == []


def test_changes_to_a_role(iam: Any) -> None:
    create(iam, Description="old")
    iam.update_role(RoleName="r", Description="new", MaxSessionDuration=43_200)
    role = iam.get_role(RoleName="r")["Role"]
    assert (role["Description"], role["MaxSessionDuration"]) == ("new", 43_200)
    assert iam.update_role_description(RoleName="r", Description="newer")["Role"]["Description"] == "newer"
    trust = json.loads(json.dumps(TRUST).replace("lambda.", "states."))
    iam.update_assume_role_policy(RoleName="r", PolicyDocument=json.dumps(trust))
    assert iam.get_role(RoleName="r")["Role"]["AssumeRolePolicyDocument"] == trust
    iam.put_role_permissions_boundary(RoleName="r", PermissionsBoundary=BASIC)
    assert iam.get_role(RoleName="r")["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == BASIC
    iam.delete_role_permissions_boundary(RoleName="r")
    assert "PermissionsBoundary" not in iam.get_role(RoleName="r")["Role"]
    iam.tag_role(RoleName="r", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
    iam.untag_role(RoleName="r", TagKeys=["a"])
    assert iam.list_role_tags(RoleName="r")["Tags"] == [{"Key": "b", "Value": ""}]


def test_listing_in_pages(iam: Any) -> None:
    for number in range(7):
        create(iam, f"role-{number}", Path="/even/" if number % 2 == 0 else "/")
    first = iam.list_roles(MaxItems=3)
    assert first["IsTruncated"]
    iam.delete_role(RoleName="role-2")  # the marker's own role: the listing goes on all the same
    second = iam.list_roles(MaxItems=3, Marker=first["Marker"])
    assert [role["RoleName"] for role in second["Roles"]] == ["role-3", "role-4", "role-5"]
    pages = iam.get_paginator("list_roles").paginate(PathPrefix="/even/", PaginationConfig={"PageSize": 1})
    assert [role["RoleName"] for role in pages.search("Roles[]")] == ["role-0", "role-4", "role-6"]
    assert not iam.list_roles()["IsTruncated"]
    assert refused(iam.list_roles, Marker="nonsense!")[:2] == ("ValidationError", 400)


def test_customer_managed_policies(iam: Any) -> None:
    arn = iam.create_policy(PolicyName="p", PolicyDocument=json.dumps(POLICY), Description="d")["Policy"]["Arn"]
    create(iam)
    iam.attach_role_policy(RoleName="r", PolicyArn=arn)
    policy = iam.get_policy(PolicyArn=arn)["Policy"]
    assert (policy["AttachmentCount"], policy["DefaultVersionId"], policy["Description"]) == (1, "v1", "d")
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"] == POLICY
    assert refused(iam.get_policy_version, PolicyArn=arn, VersionId="v2")[0] == "NoSuchEntity"
    assert [one["VersionId"] for one in iam.list_policy_versions(PolicyArn=arn)["Versions"]] == ["v1"]
    assert [one["Arn"] for one in iam.list_policies(Scope="Local", OnlyAttached=True)["Policies"]] == [arn]
    of_aws = {one["Arn"] for one in iam.list_policies(Scope="AWS")["Policies"]}
    assert BASIC in of_aws
    assert arn not in of_aws
    assert [one["RoleName"] for one in iam.list_entities_for_policy(PolicyArn=arn)["PolicyRoles"]] == ["r"]
    message = "Cannot delete a policy attached to entities."
    assert refused(iam.delete_policy, PolicyArn=arn) == ("DeleteConflict", 409, message)
    iam.detach_role_policy(RoleName="r", PolicyArn=arn)
    iam.delete_policy(PolicyArn=arn)
    assert refused(iam.attach_role_policy, RoleName="r", PolicyArn=arn) == (
        "NoSuchEntity", 404, f"Policy {arn} does not exist or is not attachable.",
    )  # fmt: skip


def test_an_operation_not_offered_says_so(iam: Any) -> None:
    code, status, message = refused(iam.create_login_profile, UserName="u")
    assert status == 501
    assert "iam:CreateLoginProfile" in message
    assert code == "NotImplementedException"
