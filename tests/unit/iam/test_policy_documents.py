"""Policy documents: AWS's refusals, and whom a trust policy lets in."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from lambent.iam.policy_documents import check_identity_policy, check_trust_policy, trusts_service
from lambent.model.errors import ServiceError
from lambent.model.ids import AccountId

LAMBDA = "lambda.amazonaws.com"
ACCOUNT = AccountId("123456789012")


def trust(principal: object, **fields: object) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"} | fields
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def identity(**fields: object) -> str:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"} | fields
    kept = {name: value for name, value in statement.items() if value is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": kept})


@pytest.mark.parametrize(
    "principal",
    [
        "*",
        {"Service": LAMBDA},
        {"Service": [LAMBDA, "edgelambda.amazonaws.com"]},
        {"AWS": "123456789012"},
        {"AWS": ["arn:aws:iam::123456789012:root", "*"], "Service": LAMBDA},
        {"Federated": "cognito-identity.amazonaws.com"},
    ],
)
def test_trust_policies(principal: object) -> None:
    check_trust_policy(trust(principal))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "This policy contains invalid Json"),
        ("{", "This policy contains invalid Json"),
        ("file://trust.json", "This policy contains invalid Json"),
        ("[]", "Syntax errors in policy."),
        ("{}", "Syntax errors in policy."),
        ('{"Statement": []}', "Syntax errors in policy."),
        ('{"Statement": ["x"]}', "Syntax errors in policy."),
        ('{"Statement": [{}], "Other": 1}', "Syntax errors in policy."),
        ('{"Version": "2020", "Statement": [{}]}', "The policy must contain a valid version string."),
        ('{"Statement": {}}', "Syntax errors in policy."),
        ('{"Statement": {"Sid": "a"}}', "Missing required field Effect"),
        ('{"Statement": {"Effect": "Allow"}}', "Missing required field Action"),
        (trust({"Service": LAMBDA}, Effect="allow"), "Invalid effect: allow"),
        (trust({"Service": LAMBDA}, Resource="*"), "Has prohibited field Resource"),
        (trust({"Service": LAMBDA}, NotPrincipal="*"), "Syntax errors in policy."),
        (trust({"Service": LAMBDA}, Action=[]), "Syntax errors in policy."),
        (trust({"Service": LAMBDA}, Action=1), "Syntax errors in policy."),
        (trust({"Service": LAMBDA}, Action="s3:*"), "AssumeRole policy may only specify STS AssumeRole actions."),
        (trust({"Service": LAMBDA}, Condition="x"), "Syntax errors in policy."),
        (trust({}), "Syntax errors in policy."),
        (trust("me"), "Syntax errors in policy."),
        (trust({"Who": "*"}), "Syntax errors in policy."),
        (trust({"Service": "lambda"}), 'Invalid principal in policy: "SERVICE":"lambda"'),
        (trust({"AWS": "me"}), 'Invalid principal in policy: "AWS":"me"'),
        (identity(Resource=None, Action="sts:AssumeRole"), "Missing required field Principal"),
    ],
)
def test_refused_trust_policies(text: str, message: str) -> None:
    with pytest.raises(ServiceError) as raised:
        check_trust_policy(text)
    assert (raised.value.code, raised.value.status, raised.value.message) == ("MalformedPolicyDocument", 400, message)


@pytest.mark.parametrize("resource", ["*", "arn:aws:s3:::b/*", ["arn:aws:s3:::b", "arn:aws:sqs:*:*:${aws:username}"]])
def test_identity_policies(resource: object) -> None:
    check_identity_policy(identity(Resource=resource))
    check_identity_policy(identity(NotAction=["s3:*"], Action=None, Resource=resource))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "This policy contains invalid Json"),
        (identity(Principal="*"), "Policy document should not specify a principal."),
        (identity(Resource=None), "Policy statement must contain resources."),
        (identity(Resource="bucket"), 'Resource bucket must be in ARN format or "*".'),
        (identity(Action="GetObject"), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
    ],
)
def test_refused_identity_policies(text: str, message: str) -> None:
    with pytest.raises(ServiceError) as raised:
        check_identity_policy(text)
    assert (raised.value.code, raised.value.message) == ("MalformedPolicyDocument", message)


@pytest.mark.parametrize(
    ("text", "trusted"),
    [
        (trust({"Service": LAMBDA}), True),
        (trust({"Service": ["a.amazonaws.com", LAMBDA]}), True),
        (trust({"Service": LAMBDA}, Action=["sts:TagSession", "sts:assumerole"]), True),
        (trust({"Service": LAMBDA}, Action="sts:*"), True),
        (trust({"Service": LAMBDA}, Action="sts:Assume*"), True),
        (trust({"Service": LAMBDA}, Action="sts:TagSession"), False),
        (trust({"Service": "edgelambda.amazonaws.com"}), False),
        (trust({"AWS": "*"}), False),
        (trust("*"), False),
        (trust({"Service": LAMBDA}, Effect="Deny"), False),
        (trust({"Service": LAMBDA}, Condition={"StringEquals": {"aws:SourceAccount": "1"}}), True),
    ],
)
def test_trust_in_a_service(text: str, trusted: bool) -> None:
    assert trusts_service(text, LAMBDA) is trusted


def test_a_denial_beats_a_grant() -> None:
    allow = json.loads(trust({"Service": LAMBDA}))["Statement"][0]
    for statements in ([allow, allow | {"Effect": "Deny"}], [allow | {"Effect": "Deny"}, allow]):
        assert not trusts_service(json.dumps({"Statement": statements}), LAMBDA)


@pytest.mark.parametrize("check", [check_trust_policy, check_identity_policy])
def test_deep_nesting_is_refused(check: Callable[[str], None]) -> None:
    with pytest.raises(ServiceError):
        check("[" * 100_000)
