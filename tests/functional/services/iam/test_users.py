"""Users and groups, their policies and keys; versions of managed policies; the account as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]}
TEXT = json.dumps(POLICY)
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


def refused(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as raised:
        call(**params)
    error: Any = raised.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture
def account(request: pytest.FixtureRequest) -> str:
    """An account of this test's own."""
    return f"{abs(hash(request.node.nodeid)) % 10**12:012d}"


@pytest.fixture
def iam(open_server: Any, account: str) -> Any:
    return open_server.client("iam", account, "x")


def test_the_life_of_a_user(iam: Any, account: str) -> None:
    made = iam.create_user(UserName="Ann", Path="/staff/", Tags=[{"Key": "k", "Value": "v"}])["User"]
    assert made["Arn"] == f"arn:aws:iam::{account}:user/staff/Ann"
    assert made["UserId"].startswith("AIDA")
    assert iam.get_user(UserName="ann")["User"] == made
    assert refused(iam.create_user, UserName="ann") == ("EntityAlreadyExists", "User with name ann already exists.")
    assert [user["UserName"] for user in iam.list_users(PathPrefix="/staff/")["Users"]] == ["Ann"]
    assert iam.list_users(PathPrefix="/other/")["Users"] == []
    iam.tag_user(UserName="Ann", Tags=[{"Key": "l", "Value": "w"}])
    iam.untag_user(UserName="Ann", TagKeys=["k"])
    assert iam.list_user_tags(UserName="Ann")["Tags"] == [{"Key": "l", "Value": "w"}]
    iam.put_user_permissions_boundary(UserName="Ann", PermissionsBoundary=BASIC)
    assert iam.get_user(UserName="Ann")["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == BASIC
    iam.delete_user_permissions_boundary(UserName="Ann")
    iam.delete_user(UserName="Ann")
    assert refused(iam.get_user, UserName="Ann") == ("NoSuchEntity", "The user with name Ann cannot be found.")


def test_a_user_with_anything_left_is_not_deleted(iam: Any) -> None:
    iam.create_user(UserName="u")
    iam.create_group(GroupName="g")
    iam.add_user_to_group(UserName="u", GroupName="g")
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=TEXT)
    iam.attach_user_policy(UserName="u", PolicyArn=BASIC)
    key = iam.create_access_key(UserName="u")["AccessKey"]
    assert key["UserName"] == "u"
    assert refused(iam.delete_user, UserName="u")[0] == "DeleteConflict"
    iam.detach_user_policy(UserName="u", PolicyArn=BASIC)
    assert refused(iam.delete_user, UserName="u")[1] == "Cannot delete entity, must delete policies first."
    iam.delete_user_policy(UserName="u", PolicyName="p")
    assert refused(iam.delete_user, UserName="u")[0] == "DeleteConflict"
    iam.remove_user_from_group(UserName="u", GroupName="g")
    assert refused(iam.delete_user, UserName="u")[1] == "Cannot delete entity, must delete access keys first."
    iam.delete_access_key(UserName="u", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="u")


def test_groups(iam: Any, account: str) -> None:
    group = iam.create_group(GroupName="Devs", Path="/x/")["Group"]
    assert group["Arn"] == f"arn:aws:iam::{account}:group/x/Devs"
    for name in ("b", "a"):
        iam.create_user(UserName=name)
        iam.add_user_to_group(UserName=name, GroupName="devs")
        iam.add_user_to_group(UserName=name, GroupName="Devs")
    assert [user["UserName"] for user in iam.get_group(GroupName="Devs")["Users"]] == ["a", "b"]
    assert iam.list_groups_for_user(UserName="a")["Groups"] == [group]
    assert iam.list_groups()["Groups"] == [group]
    iam.put_group_policy(GroupName="Devs", PolicyName="p", PolicyDocument=TEXT)
    assert iam.get_group_policy(GroupName="Devs", PolicyName="p")["PolicyDocument"] == POLICY
    iam.attach_group_policy(GroupName="Devs", PolicyArn=BASIC)
    attached = iam.list_attached_group_policies(GroupName="Devs")["AttachedPolicies"]
    assert attached == [{"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": BASIC}]
    entities = iam.list_entities_for_policy(PolicyArn=BASIC)
    assert [one["GroupName"] for one in entities["PolicyGroups"]] == ["Devs"]
    assert refused(iam.delete_group, GroupName="Devs")[0] == "DeleteConflict"
    assert refused(iam.add_user_to_group, UserName="a", GroupName="absent")[0] == "NoSuchEntity"
    assert refused(iam.add_user_to_group, UserName="absent", GroupName="Devs")[0] == "NoSuchEntity"
    for name in ("a", "b"):
        iam.remove_user_from_group(UserName=name, GroupName="DEVS")
    iam.delete_group_policy(GroupName="Devs", PolicyName="p")
    iam.detach_group_policy(GroupName="Devs", PolicyArn=BASIC)
    iam.delete_group(GroupName="Devs")
    assert iam.list_groups_for_user(UserName="a")["Groups"] == []


def test_versions_of_a_policy(iam: Any) -> None:
    arn = iam.create_policy(PolicyName="p", PolicyDocument=TEXT)["Policy"]["Arn"]
    other = json.loads(TEXT.replace("logs:", "s3:"))
    made = iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(other), SetAsDefault=True)
    assert (made["PolicyVersion"]["VersionId"], made["PolicyVersion"]["IsDefaultVersion"]) == ("v2", True)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v2"
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"] == POLICY
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]["Document"] == other
    for _ in range(3):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=TEXT)
    assert refused(iam.create_policy_version, PolicyArn=arn, PolicyDocument=TEXT)[0] == "LimitExceeded"
    versions = [one["VersionId"] for one in iam.list_policy_versions(PolicyArn=arn)["Versions"]]
    assert versions == ["v5", "v4", "v3", "v2", "v1"]
    assert refused(iam.delete_policy_version, PolicyArn=arn, VersionId="v2")[0] == "DeleteConflict"
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v5")
    made = iam.create_policy_version(PolicyArn=arn, PolicyDocument=TEXT)
    assert made["PolicyVersion"]["VersionId"] == "v6"
    assert refused(iam.delete_policy, PolicyArn=arn)[0] == "DeleteConflict"
    for version in ("v2", "v3", "v4", "v6"):
        iam.delete_policy_version(PolicyArn=arn, VersionId=version)
    iam.tag_policy(PolicyArn=arn, Tags=[{"Key": "a", "Value": "b"}])
    assert iam.list_policy_tags(PolicyArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    iam.untag_policy(PolicyArn=arn, TagKeys=["a"])
    iam.delete_policy(PolicyArn=arn)


def test_policies_of_aws(iam: Any) -> None:
    policy = iam.get_policy(PolicyArn=BASIC)["Policy"]
    assert (policy["PolicyName"], policy["Path"]) == ("AWSLambdaBasicExecutionRole", "/service-role/")
    version = iam.get_policy_version(PolicyArn=BASIC, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    (statement,) = version["Document"]["Statement"]
    assert statement["Action"] == ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    assert refused(iam.create_policy_version, PolicyArn=BASIC, PolicyDocument=TEXT)[0] == "AccessDenied"
    assert refused(iam.delete_policy, PolicyArn=BASIC)[0] == "AccessDenied"
    assert refused(iam.get_policy, PolicyArn="arn:aws:iam::aws:policy/Unheard")[0] == "NoSuchEntity"


def test_the_account(iam: Any, account: str) -> None:
    iam.create_user(UserName="u")
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=TEXT)
    iam.create_group(GroupName="g")
    iam.add_user_to_group(UserName="u", GroupName="g")
    iam.attach_group_policy(GroupName="g", PolicyArn=BASIC)
    summary = iam.get_account_summary()["SummaryMap"]
    assert (summary["Users"], summary["Groups"], summary["Roles"], summary["Policies"]) == (1, 1, 0, 0)
    details = iam.get_account_authorization_details()
    (user,) = details["UserDetailList"]
    assert user["UserPolicyList"] == [{"PolicyName": "p", "PolicyDocument": POLICY}]
    assert user["GroupList"] == ["g"]
    assert [policy["Arn"] for policy in details["Policies"]] == [BASIC]
    only = iam.get_account_authorization_details(Filter=["Group"])
    assert (only["UserDetailList"], len(only["GroupDetailList"])) == ([], 1)
    assert iam.list_account_aliases()["AccountAliases"] == []
    assert iam.get_user()["User"]["Arn"] == f"arn:aws:iam::{account}:root"
