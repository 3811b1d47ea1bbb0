"""Sessions with less than their role may, with tags and a source identity; where policies are enforced."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

ACCOUNT = "000000000000"


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: object, resource: object = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource} | more


def trust(action: object, **more: Any) -> str:
    return policy({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": action} | more)


def refused(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as raised:
        call(**params)
    error: Any = raised.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture(scope="module")
def server(start_identity: Any) -> Any:
    return start_identity(auth="sigv4", enforce=True)


@pytest.fixture(scope="module")
def sts(server: Any) -> Any:
    return server.as_root("sts")


def role(server: Any, name: str, document: str, text: str | None = None) -> str:
    iam = server.as_root("iam")
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=text or trust("sts:AssumeRole"))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document)
    return arn


def test_session_policies_only_take_away(server: Any, sts: Any) -> None:
    arn = role(server, "reader", policy(allow(["iam:ListUsers", "iam:ListRoles"])))
    assume = {"RoleArn": arn, "RoleSessionName": "me"}
    plain = server.with_session("iam", sts.assume_role(**assume)["Credentials"])
    plain.list_users()
    plain.list_roles()
    answer = sts.assume_role(**assume, Policy=policy(allow("iam:ListUsers")))
    assert answer["PackedPolicySize"] > 0
    narrow = server.with_session("iam", answer["Credentials"])
    narrow.list_users()
    message = refused(narrow.list_roles)[1]
    assert message.endswith("because no session policy allows the iam:ListRoles action")
    managed = [{"arn": "arn:aws:iam::aws:policy/IAMReadOnlyAccess"}]
    by_arn = server.with_session("iam", sts.assume_role(**assume, PolicyArns=managed)["Credentials"])
    by_arn.list_roles()
    assert refused(by_arn.list_groups)[0] == "AccessDenied"  # not wider than the role either
    denying = sts.assume_role(**assume, Policy=policy(allow("*"), allow("iam:ListUsers") | {"Effect": "Deny"}))
    message = refused(server.with_session("iam", denying["Credentials"]).list_users)[1]
    assert message.endswith("with an explicit deny in a session policy")
    lax = server.client("sts", server.root.access_key_id, server.root.secret_access_key, parameter_validation=False)
    long = policy(allow([f"iam:{'x' * 100}{number}" for number in range(25)]))
    assert refused(lax.assume_role, **assume, Policy=long)[0] == "ValidationError"
    tags = [{"Key": f"k{number}", "Value": "v" * 256} for number in range(40)]
    open_arn = role(server, "open", policy(allow("*")), trust(["sts:AssumeRole", "sts:TagSession"]))
    too_much = {"RoleArn": open_arn, "RoleSessionName": "me", "Tags": tags}
    assert refused(sts.assume_role, **too_much)[0] == "PackedPolicyTooLarge"


def test_session_tags(server: Any, sts: Any) -> None:
    tags = [{"Key": "team", "Value": "red"}]
    plain = role(server, "untaggable", policy(allow("*")))
    assert refused(sts.assume_role, RoleArn=plain, RoleSessionName="me", Tags=tags)[0] == "AccessDenied"
    asked = {"StringEquals": {"aws:PrincipalTag/team": "red"}}
    both = trust(["sts:AssumeRole", "sts:TagSession"])
    arn = role(server, "tagged", policy(allow("iam:ListUsers", Condition=asked), allow("sts:*")), both)
    assume = {"RoleArn": arn, "RoleSessionName": "me"}
    without = server.with_session("iam", sts.assume_role(**assume)["Credentials"])
    assert refused(without.list_users)[0] == "AccessDenied"
    red = sts.assume_role(**assume, Tags=tags, TransitiveTagKeys=["team"])["Credentials"]
    server.with_session("iam", red).list_users()
    chained = server.with_session("sts", red)
    server.with_session("iam", chained.assume_role(**assume)["Credentials"]).list_users()  # handed on
    blue = [{"Key": "Team", "Value": "blue"}]
    assert refused(chained.assume_role, **assume, Tags=blue)[0] == "ValidationError"
    assert refused(sts.assume_role, **assume, TransitiveTagKeys=["absent"])[0] == "ValidationError"


def test_a_source_identity_stays(server: Any, sts: Any) -> None:
    arn = role(server, "traced", policy(allow("*")), trust(["sts:AssumeRole", "sts:SetSourceIdentity"]))
    assume = {"RoleArn": arn, "RoleSessionName": "me"}
    answer = sts.assume_role(**assume, SourceIdentity="ann")
    assert answer["SourceIdentity"] == "ann"
    chained = server.with_session("sts", answer["Credentials"])
    assert chained.assume_role(**assume)["SourceIdentity"] == "ann"
    assert refused(chained.assume_role, **assume, SourceIdentity="bob")[0] == "AccessDenied"


def test_conditions_of_trust_policies(server: Any, sts: Any) -> None:
    named = trust("sts:AssumeRole", Condition={"StringLike": {"sts:RoleSessionName": "build-*"}})
    arn = role(server, "named", policy(allow("*")), named)
    sts.assume_role(RoleArn=arn, RoleSessionName="build-1")
    assert refused(sts.assume_role, RoleArn=arn, RoleSessionName="other")[0] == "AccessDenied"


def test_sessions_end_with_their_role(server: Any, sts: Any) -> None:
    """A role made again under the same name is another role."""
    arn = role(server, "again", policy(allow("iam:ListUsers")))
    session = server.with_session("iam", sts.assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"])
    session.list_users()
    iam = server.as_root("iam")
    iam.delete_role_policy(RoleName="again", PolicyName="p")
    iam.delete_role(RoleName="again")
    assert refused(session.list_users)[0] == "AccessDenied"
    role(server, "again", policy(allow("iam:ListUsers")))
    assert refused(session.list_users)[0] == "AccessDenied"


def test_the_address_of_the_caller(server: Any) -> None:
    iam = server.as_root("iam")
    iam.create_user(UserName="local")
    keys = iam.create_access_key(UserName="local")["AccessKey"]
    client = server.client("iam", keys["AccessKeyId"], keys["SecretAccessKey"])
    for network, works in (("127.0.0.0/8", True), ("10.0.0.0/8", False)):
        here = {"IpAddress": {"aws:SourceIp": network}, "Bool": {"aws:SecureTransport": "false"}}
        document = policy(allow("iam:ListUsers", Condition=here))
        iam.put_user_policy(UserName="local", PolicyName="p", PolicyDocument=document)
        if works:
            client.list_users()
        else:
            assert refused(client.list_users)[0] == "AccessDenied"
