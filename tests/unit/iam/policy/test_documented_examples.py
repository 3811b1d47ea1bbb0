# ruff: noqa: E501 tables read better in lines
"""Examples and tables of the IAM user guide, each with what it says comes of them."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.iam.policy.conditions import ConditionError, parse_conditions
from lambent.iam.policy.denials import denial
from lambent.iam.policy.document import PolicyError, parse_policy
from lambent.iam.policy.evaluation import AccessRequest, PolicySet, decide, missing_keys
from lambent.iam.policy.subjects import ANONYMOUS, Subject, service_subject

ACCOUNT = "123456789012"
ANN = Subject(f"arn:aws:iam::{ACCOUNT}:user/Ann", ACCOUNT, "AIDAANN")
SESSION = Subject(f"arn:aws:sts::{ACCOUNT}:assumed-role/Dev/s", ACCOUNT, "AROADEV", role="Dev")
ROOT = Subject(f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, ACCOUNT, is_root=True)
BUCKET = "arn:aws:s3:::amzn-s3-demo-bucket"


def policy(*statements: dict[str, Any], version: str = "2012-10-17") -> Any:
    return parse_policy({"Version": version, "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource} | more


def deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return allow(action, resource, **more) | {"Effect": "Deny"}


def effect(request: AccessRequest, **policies: Any) -> str:
    return decide(request, PolicySet(**policies)).effect.value


def holds(block: dict[str, Any], **keys: Any) -> bool:
    values = {name.replace("__", ":").lower(): value if isinstance(value, tuple) else (value,)
              for name, value in keys.items()}  # fmt: skip
    return all(one.holds(values) for one in parse_conditions(block, with_variables=True))


# reference_policies_elements_condition_operators
@pytest.mark.parametrize(
    ("block", "keys", "expected"),
    [
        ({"StringEquals": {"k": ["a", "b"]}}, {"k": "b"}, True),
        ({"StringEquals": {"k": "a"}}, {"k": "A"}, False),
        ({"StringEquals": {"K": "a"}}, {"k": "a"}, True),  # names of keys have no case
        ({"StringEquals": {"k": "a"}}, {}, False),
        ({"StringNotEquals": {"k": "a"}}, {}, True),  # negated operators hold for an absent key
        ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": "b"}, False),  # NOR
        ({"StringEqualsIfExists": {"k": "a"}}, {}, True),
        ({"StringEqualsIfExists": {"k": "a"}}, {"k": "b"}, False),
        ({"StringEqualsIgnoreCase": {"k": "JohnDoe"}}, {"k": "johndoe"}, True),
        ({"StringLike": {"k": "home/*"}}, {"k": "home/a/b"}, True),
        ({"StringLike": {"k": "${*}"}}, {"k": "x"}, False),
        ({"StringLike": {"k": "${*}"}}, {"k": "*"}, True),
        ({"StringEquals": {"k": "*"}}, {"k": "x"}, False),  # wildcards only where the operator says so
        ({"NumericLessThanEquals": {"s3__max-keys": "10"}}, {}, False),
        ({"NumericLessThanEquals": {"k": "10"}}, {"k": "9.5"}, True),
        ({"NumericGreaterThan": {"k": 10}}, {"k": "10"}, False),
        ({"DateGreaterThan": {"k": "2020-04-01T00:00:00Z"}}, {"k": "2020-04-01T00:00:01Z"}, True),
        ({"DateLessThan": {"k": "1585699200"}}, {"k": "2020-03-31T23:59:59Z"}, True),
        ({"Bool": {"aws:SecureTransport": False}}, {"aws__securetransport": "false"}, True),
        ({"Bool": {"aws:MultiFactorAuthPresent": "true"}}, {}, False),
        ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}, {}, True),
        ({"BinaryEquals": {"k": "QmluYXJ5VmFsdWVJbkJhc2U2NA=="}}, {"k": "QmluYXJ5VmFsdWVJbkJhc2U2NA=="}, True),
        ({"BinaryEquals": {"k": "QQ=="}}, {"k": "Qg=="}, False),
        ({"IpAddress": {"k": "203.0.113.0/24"}}, {"k": "203.0.113.7"}, True),
        ({"IpAddress": {"k": ["203.0.113.0/24", "2001:DB8:1234:5678::/64"]}}, {"k": "2001:db8:1234:5678::1"}, True),
        ({"NotIpAddress": {"k": "203.0.113.0/24"}}, {"k": "203.0.114.7"}, True),
        ({"IpAddress": {"k": "203.0.113.0/24"}}, {"k": "::ffff:203.0.113.7"}, True),
        ({"ArnLike": {"k": "arn:aws:sns:*:123456789012:t?pic"}}, {"k": "arn:aws:sns:eu-west-1:123456789012:topic"}, True),
        ({"ArnEquals": {"k": "arn:aws:sns:*:*:topic"}}, {"k": "arn:aws:sns:eu-west-1:1:topic"}, True),
        ({"ArnLike": {"k": "arn:aws:sns:*"}}, {"k": "arn:aws:sns:eu-west-1:1:topic"}, False),  # each part by itself
        ({"ArnNotLike": {"k": "arn:aws:sns:*:*:*"}}, {"k": "not an ARN"}, True),
        ({"Null": {"k": "true"}}, {}, True),
        ({"Null": {"k": "false"}}, {"k": "x"}, True),
        ({"Null": {"k": "true"}}, {"k": "x"}, False),
        ({"Null": {"k": "true"}}, {"k": ()}, True),
    ],
)  # fmt: skip
def test_operators(block: dict[str, Any], keys: dict[str, Any], expected: bool) -> None:
    assert holds(block, **keys) is expected


# reference_policies_condition-single-vs-multi-valued-context-keys: the tables of ForAllValues and ForAnyValue
@pytest.mark.parametrize(
    ("operator", "tags", "expected"),
    [
        ("ForAllValues:StringEquals", ("environment", "preprod"), False),
        ("ForAllValues:StringEquals", ("environment", "costcenter"), True),
        ("ForAllValues:StringEquals", ("costcenter",), True),
        ("ForAllValues:StringEquals", (), True),
        ("ForAnyValue:StringEquals", ("environment", "preprod"), True),
        ("ForAnyValue:StringEquals", ("preprod",), False),
        ("ForAnyValue:StringEquals", (), False),
        ("ForAnyValue:StringEqualsIfExists", (), True),
        ("ForAllValues:StringNotEquals", ("preprod", "storage"), True),
        ("ForAllValues:StringNotEquals", ("preprod", "costcenter"), False),
        ("ForAllValues:StringNotEquals", (), True),
        ("ForAnyValue:StringNotEquals", ("preprod", "costcenter"), True),
        ("ForAnyValue:StringNotEquals", ("environment", "costcenter"), False),
        ("ForAnyValue:StringNotEquals", (), False),
    ],
)
def test_sets(operator: str, tags: tuple[str, ...], expected: bool) -> None:
    assert holds({operator: {"aws:TagKeys": ["environment", "costcenter"]}}, aws__tagkeys=tags) is expected


@pytest.mark.parametrize(
    "block",
    [
        [],
        {"StringIs": {"k": "v"}},
        {"StringEquals": "v"},
        {"StringEquals": {"k": {"a": 1}}},
        {"NullIfExists": {"k": "true"}},
        {"ForSomeValues:StringEquals": {"k": "v"}},
    ],
)
def test_what_is_no_condition(block: Any) -> None:
    with pytest.raises(ConditionError):
        parse_conditions(block, with_variables=True)


# reference_policies_variables
@pytest.mark.parametrize(
    ("resource", "keys", "asked", "expected"),
    [
        (f"{BUCKET}/${{aws:username}}/*", {"aws:username": ("Ann",)}, f"{BUCKET}/Ann/x", True),
        (f"{BUCKET}/${{aws:username}}/*", {"aws:username": ("Bob",)}, f"{BUCKET}/Ann/x", False),
        (f"{BUCKET}/${{aws:username}}/*", {}, f"{BUCKET}//x", False),
        (f"{BUCKET}/${{aws:username}}/*", {"aws:username": ("*",)}, f"{BUCKET}/Ann/x", False),
        (f"{BUCKET}/${{aws:username}}/*", {"aws:username": ("Ann", "Bob")}, f"{BUCKET}/Ann/x", False),
        (f"{BUCKET}/${{aws:PrincipalTag/team, 'company-wide'}}/*", {}, f"{BUCKET}/company-wide/x", True),
        (f"{BUCKET}/${{aws:PrincipalTag/team, 'company-wide'}}/*", {"aws:principaltag/team": ("yellow",)},
         f"{BUCKET}/yellow/x", True),
        (f"{BUCKET}/${{*}}", {}, f"{BUCKET}/*", True),
        (f"{BUCKET}/${{*}}", {}, f"{BUCKET}/x", False),
        (f"{BUCKET}/${{?}}${{$}}", {}, f"{BUCKET}/?$", True),
    ],
)  # fmt: skip
def test_variables(resource: str, keys: dict[str, tuple[str, ...]], asked: str, expected: bool) -> None:
    request = AccessRequest(ANN, "s3:GetObject", asked, keys)
    assert decide(request, PolicySet([policy(allow("s3:GetObject", resource))])).allowed is expected


def test_before_2012_10_17_a_variable_is_text() -> None:
    old = policy(allow("s3:*", f"{BUCKET}/${{aws:username}}"), version="2008-10-17")
    keys = {"aws:username": ("Ann",)}
    assert effect(AccessRequest(ANN, "s3:GetObject", f"{BUCKET}/Ann", keys), identity=[old]) == "implicitDeny"
    literally = f"{BUCKET}/${{aws:username}}"
    assert effect(AccessRequest(ANN, "s3:GetObject", literally, keys), identity=[old]) == "allowed"


# reference_policies_elements_resource, …_action, …_notaction, …_notresource
@pytest.mark.parametrize(
    ("statement", "action", "resource", "expected"),
    [
        (allow("iam:*AccessKey*"), "iam:CreateAccessKey", "*", True),
        (allow("IAM:*accesskey*"), "iam:ListAccessKeys", "*", True),
        (allow("sqs:*", "arn:aws:sqs:*:123456789012:queue-*"), "sqs:SendMessage", "arn:aws:sqs:us-east-1:123456789012:queue-1", True),
        (allow("sqs:*", "arn:aws:sqs:*:123456789012:queue-*"), "sqs:SendMessage", "arn:aws:sqs:us-east-1:9:queue-1", False),
        (allow("s3:*", "arn:aws:s3:::*"), "s3:GetObject", f"{BUCKET}/a/b:c", True),
        (allow("s3:*", "arn:aws:s3:*"), "s3:GetObject", f"{BUCKET}/a", True),
        (allow("s3:*", "arn:aws:s3:::amzn-s3-demo-bucket/*/test/*"), "s3:GetObject", f"{BUCKET}/1/2/test/3.jpg", True),
        (allow("s3:*", "arn:aws:s3:::amzn-s3-demo-bucket/*/test/*"), "s3:GetObject", f"{BUCKET}/1/2/3.jpg", False),
        (allow("s3:*", BUCKET.upper()), "s3:ListBucket", BUCKET, False),  # resources have a case
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, "s3:GetObject", BUCKET, True),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, "iam:GetUser", "*", False),
        ({"Effect": "Allow", "Action": "s3:*", "NotResource": [BUCKET, f"{BUCKET}/*"]}, "s3:GetObject", f"{BUCKET}/x", False),
        ({"Effect": "Allow", "Action": "s3:*", "NotResource": [BUCKET, f"{BUCKET}/*"]}, "s3:GetObject", "arn:aws:s3:::b/x", True),
    ],
)  # fmt: skip
def test_actions_and_resources(statement: dict[str, Any], action: str, resource: str, expected: bool) -> None:
    assert decide(AccessRequest(ANN, action, resource), PolicySet([policy(statement)])).allowed is expected


def test_wildcards_take_no_time_to_speak_of() -> None:
    hostile = policy(allow("*a" * 60 + "*b", "arn:aws:s3:::" + "*a" * 60 + "*b"))
    request = AccessRequest(ANN, "s3:" + "a" * 3000, "arn:aws:s3:::" + "a" * 3000)
    assert not decide(request, PolicySet([hostile])).allowed


ON_FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"
INVOKE = "lambda:InvokeFunction"


def granted_to(principal: Any, effect_: str = "Allow") -> Any:
    return policy({"Effect": effect_, "Principal": principal, "Action": INVOKE, "Resource": ON_FUNCTION})


# reference_policies_evaluation-logic, access_policies_boundaries, access_policies (session policies)
@pytest.mark.parametrize(
    ("subject", "on_resource", "narrowed", "expected"),
    [
        (ANN, {"AWS": ANN.arn}, {}, "allowed"),
        (ANN, {"AWS": ANN.arn}, {"boundary": []}, "allowed"),  # granted to the user itself: not limited by a boundary
        (ANN, {"AWS": ACCOUNT}, {}, "implicitDeny"),  # the account is asked in turn
        (ANN, "*", {}, "allowed"),
        (SESSION, {"AWS": f"arn:aws:iam::{ACCOUNT}:role/x/Dev"}, {}, "allowed"),
        (SESSION, {"AWS": f"arn:aws:iam::{ACCOUNT}:role/x/Dev"}, {"boundary": []}, "implicitDeny"),
        (SESSION, {"AWS": f"arn:aws:iam::{ACCOUNT}:role/x/Dev"}, {"session": []}, "implicitDeny"),
        (SESSION, {"AWS": SESSION.arn}, {"session": [], "boundary": []}, "allowed"),
        (ROOT, {"AWS": "999999999999"}, {}, "allowed"),
        (service_subject("s3.amazonaws.com"), {"Service": "s3.amazonaws.com"}, {}, "allowed"),
        (service_subject("s3.amazonaws.com"), {"Service": "sns.amazonaws.com"}, {}, "implicitDeny"),
        (service_subject("s3.amazonaws.com"), {"AWS": "*"}, {}, "allowed"),
        (ANONYMOUS, "*", {}, "allowed"),
        (ANONYMOUS, {"AWS": ACCOUNT}, {}, "implicitDeny"),
    ],
)
def test_resource_based_policies(subject: Subject, on_resource: Any, narrowed: Any, expected: str) -> None:
    request = AccessRequest(subject, INVOKE, ON_FUNCTION, {}, ACCOUNT)
    assert effect(request, resource=[granted_to(on_resource)], **narrowed) == expected


def test_between_accounts_both_must_allow() -> None:
    request = AccessRequest(ANN, INVOKE, ON_FUNCTION.replace(ACCOUNT, "999999999999"), {}, "999999999999")
    mine = policy(allow(INVOKE))
    theirs = parse_policy(
        {"Statement": {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "lambda:*", "Resource": "*"}}
    )
    assert effect(request, identity=[mine]) == "implicitDeny"
    assert effect(request, resource=[theirs]) == "implicitDeny"
    assert effect(request, identity=[mine], resource=[theirs]) == "allowed"
    assert effect(request, identity=[mine], resource=[theirs], boundary=[]) == "implicitDeny"


def test_not_principal() -> None:
    """A Deny excepts somebody only when all that the caller is is listed."""
    request = AccessRequest(SESSION, INVOKE, ON_FUNCTION, {}, ACCOUNT)
    role, account = f"arn:aws:iam::{ACCOUNT}:role/Dev", f"arn:aws:iam::{ACCOUNT}:root"

    def excepting(*names: str) -> str:
        statement = {"Effect": "Deny", "NotPrincipal": {"AWS": list(names)}, "Action": "*", "Resource": "*"}
        return effect(request, identity=[policy(allow("*"))], resource=[policy(statement)])

    assert excepting(SESSION.arn, role, account) == "allowed"
    assert excepting(role, account) == "explicitDeny"
    assert excepting(ANN.arn, account) == "explicitDeny"


@pytest.mark.parametrize(
    ("policies", "why"),
    [
        ({}, "because no identity-based policy allows the lambda:InvokeFunction action"),
        ({"identity": [policy(deny("lambda:*"))]}, "with an explicit deny in an identity-based policy"),
        ({"resource": [granted_to("*", "Deny")]}, "with an explicit deny in a resource-based policy"),
        ({"identity": [policy(allow("*"))], "boundary": []},
         "because no permissions boundary allows the lambda:InvokeFunction action"),
        ({"identity": [policy(allow("*"))], "boundary": [policy(deny("*"))]},
         "with an explicit deny in a permissions boundary"),
        ({"identity": [policy(allow("*"))], "session": []},
         "because no session policy allows the lambda:InvokeFunction action"),
        ({"identity": [policy(allow("*"))], "session": [policy(deny("*"))]},
         "with an explicit deny in a session policy"),
    ],
)  # fmt: skip
def test_denials_in_awss_words(policies: Any, why: str) -> None:
    request = AccessRequest(ANN, INVOKE, ON_FUNCTION, {}, ACCOUNT)
    decision = decide(request, PolicySet(**policies))
    assert denial(request, decision) == (
        f"User: {ANN.arn} is not authorized to perform: {INVOKE} on resource: {ON_FUNCTION} {why}"
    )


def test_keys_that_would_have_mattered() -> None:
    asked = policy(
        allow(INVOKE, f"{ON_FUNCTION}-${{aws:username}}"),
        allow(INVOKE, Condition={"StringEquals": {"aws:PrincipalTag/Team": "x", "k": "y"}}),
        allow("s3:*", Condition={"Bool": {"other": "true"}}),
    )
    request = AccessRequest(ANN, INVOKE, ON_FUNCTION, {"k": ("y",)})
    assert missing_keys(request, PolicySet([asked])) == {"aws:principaltag/team"}


@pytest.mark.parametrize(
    "document",
    [
        "nonsense",
        "[]",
        '{"Statement": {"Effect": "Maybe", "Action": "*"}}',
        '{"Statement": {"Effect": "Allow"}}',
        '{"Statement": {"Effect": "Allow", "Action": "*", "NotAction": "*"}}',
        '{"Statement": {"Effect": "Allow", "Action": 1}}',
        '{"Statement": {"Effect": "Allow", "Action": "*", "Condition": {"x": {"y": "z"}}}}',
        '{"Statement": {"Effect": "Allow", "Action": "*", "Principal": "me"}}',
    ],
)
def test_what_cannot_be_evaluated_is_refused(document: str) -> None:
    with pytest.raises(PolicyError):
        parse_policy(document)
