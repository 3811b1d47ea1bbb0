"""Whom resource-based policies let in, and what is no such policy."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.iam.principal import Principal
from lambent.iam.resource_policies import (
    PolicyDocumentError,
    ServicePrincipal,
    matches,
    parse_resource_policy,
    permits,
)
from lambent.model.ids import AccountId

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
USER = Principal(AccountId("111122223333"), "arn:aws:iam::111122223333:user/u", "AIDA")
SESSION = Principal(AccountId("111122223333"), "arn:aws:sts::111122223333:assumed-role/r/s", "AROA:s")
S3 = ServicePrincipal("s3.amazonaws.com")
BUCKET = {"source_arn": "arn:aws:s3:::b", "source_account": "000000000000"}


def statement(**given: Any) -> dict[str, Any]:
    whole = {"Effect": "Allow", "Principal": "*", "Action": "lambda:InvokeFunction", "Resource": ARN} | given
    return {name: value for name, value in whole.items() if value is not None}


def let_in(*statements: dict[str, Any], caller: Principal | ServicePrincipal = USER, **given: Any) -> bool:
    return permits(statements, caller, "lambda:InvokeFunction", given.pop("resource", ARN), **given)


@pytest.mark.parametrize(
    ("principal", "user", "session", "service"),
    [
        ("*", True, True, True),
        ({"AWS": "*"}, True, True, False),
        ({"AWS": "111122223333"}, True, True, False),
        ({"AWS": "arn:aws:iam::111122223333:root"}, True, True, False),
        ({"AWS": "arn:aws:iam::444455556666:root"}, False, False, False),
        ({"AWS": ["444455556666", "arn:aws:iam::111122223333:user/u"]}, True, False, False),
        ({"AWS": "arn:aws:iam::111122223333:role/path/r"}, False, True, False),
        ({"AWS": "arn:aws:iam::111122223333:role/other"}, False, False, False),
        ({"AWS": "arn:aws:iam::444455556666:role/r"}, False, False, False),
        ({"AWS": "arn:aws:sts::111122223333:assumed-role/r/s"}, False, True, False),
        ({"AWS": "arn:aws:sts::111122223333:assumed-role/r/t"}, False, False, False),
        ({"Service": "s3.amazonaws.com"}, False, False, True),
        ({"Service": ["sns.amazonaws.com", "s3.amazonaws.com"], "AWS": "444455556666"}, False, False, True),
        ({"Service": "sns.amazonaws.com"}, False, False, False),
    ],
)
def test_principals(principal: Any, user: bool, session: bool, service: bool) -> None:
    allowing = statement(Principal=principal)
    assert [let_in(allowing, caller=caller) for caller in (USER, SESSION, S3)] == [user, session, service]


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ({"Action": "lambda:*"}, True),
        ({"Action": "*"}, True),
        ({"Action": "lambda:Invoke*"}, True),
        ({"Action": "LAMBDA:invokefunction"}, True),
        ({"Action": ["lambda:GetFunction"]}, False),
        ({"Action": None, "NotAction": "lambda:GetFunction"}, True),
        ({"Action": None, "NotAction": "lambda:Invoke*"}, False),
        ({"Resource": "*"}, True),
        ({"Resource": f"{ARN}:*"}, False),
        ({"Resource": f"{ARN}:1"}, False),
        ({"Resource": None, "NotResource": f"{ARN}:1"}, True),
        ({"Resource": None, "NotResource": ARN}, False),
        ({"Principal": None, "NotPrincipal": {"AWS": "444455556666"}}, False),  # an Allow for all the world
    ],
)
def test_actions_and_resources(given: dict[str, Any], allowed: bool) -> None:
    assert let_in(statement(**given)) is allowed


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"StringEquals": {"AWS:SourceAccount": "000000000000"}}, True),
        ({"StringEquals": {"aws:sourceaccount": ["1", "000000000000"]}}, True),
        ({"StringEquals": {"AWS:SourceAccount": "000000000001"}}, False),
        ({"StringNotEquals": {"AWS:SourceAccount": "000000000000"}}, False),
        ({"StringNotEquals": {"aws:none": "x"}}, True),
        ({"StringEquals": {"aws:none": "x"}}, False),
        ({"StringEqualsIfExists": {"aws:none": "x"}}, True),
        ({"StringLike": {"AWS:SourceArn": "arn:aws:s3:::*"}}, True),
        ({"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b"}}, True),
        ({"ArnLike": {"AWS:SourceArn": "arn:*:s3:*:*:b"}}, True),
        ({"ArnLike": {"AWS:SourceArn": "arn:*"}}, False),
        ({"ArnNotLike": {"AWS:SourceArn": "arn:aws:s3:::c"}}, True),
        ({"Null": {"aws:none": "true"}}, True),
        ({"Null": {"AWS:SourceArn": True}}, False),
        ({"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}, False),
        ({"NumericLessThan": {"aws:none": "1"}}, False),  # not understood
        (
            {
                "StringEquals": {"AWS:SourceAccount": "000000000000"},
                "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::other"},
            },
            False,
        ),
    ],
)
def test_conditions(condition: dict[str, Any], allowed: bool) -> None:
    assert let_in(statement(Condition=condition), caller=S3, **BUCKET) is allowed


def test_conditions_on_the_caller_and_the_context() -> None:
    of_account = statement(Condition={"StringEquals": {"aws:PrincipalAccount": "111122223333"}})
    assert let_in(of_account)
    assert not let_in(of_account, caller=S3)
    via_url = statement(Condition={"Bool": {"lambda:InvokedViaFunctionUrl": "true"}})
    assert let_in(via_url, context={"lambda:invokedviafunctionurl": "true"})


def test_a_deny_wins() -> None:
    deny = statement(Effect="Deny", Principal={"AWS": "111122223333"})
    assert not let_in(statement(), deny)
    assert not let_in(deny, statement())
    assert let_in(statement(), deny, caller=S3)
    assert let_in(statement(), deny | {"Condition": {"StringEquals": {"aws:none": "x"}}})
    assert not let_in(statement(), deny | {"Condition": {"NumericLessThan": {"aws:none": "1"}}})  # not understood
    others = statement(Effect="Deny", Principal=None, NotPrincipal={"AWS": "111122223333"})
    assert let_in(statement(), others)
    assert not let_in(statement(), others, caller=S3)


def test_nothing_said_is_not_allowed() -> None:
    assert not let_in()


@given(pattern=st.text("ab*?"), value=st.text("ab"))
def test_wildcards(pattern: str, value: str) -> None:
    expression = "".join({"*": ".*", "?": "."}.get(character, character) for character in pattern)
    assert matches(pattern, value) == (re.fullmatch(expression, value) is not None)


def test_many_wildcards_cost_little() -> None:
    assert not matches("*a" * 2000, "a" * 1999)
    assert matches("*a" * 2000, "a" * 2000)


def test_a_document() -> None:
    document = {"Version": "2012-10-17", "Statement": statement(Resource=[ARN], Condition={"Bool": {"a": True}})}
    assert parse_resource_policy(json.dumps(document), ARN) == document


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "This policy contains invalid Json"),
        ("[" * 100_000, "This policy contains invalid Json"),
        ("[]", "Syntax errors in policy."),
        ('{"Statement": [], "Other": 1}', "Syntax errors in policy."),
        ('{"Version": "2020-01-01"}', "The policy must contain a valid version string."),
        ('{"Statement": []}', "Missing required field Statement"),
        ("{}", "Syntax errors in policy."),
        ({"Effect": "Perhaps"}, "Invalid effect: Perhaps"),
        ({"Principal": None}, "A statement must have either Principal or NotPrincipal"),
        ({"NotAction": "lambda:*"}, "A statement must have either Action or NotAction"),
        ({"Resource": None}, "A statement must have either Resource or NotResource"),
        ({"Principal": "111122223333"}, "Invalid principal in policy"),
        ({"Principal": {}}, "Invalid principal in policy"),
        ({"Principal": {"AWS": []}}, "Syntax errors in policy."),
        ({"Action": "s3:GetObject"}, "Invalid action: s3:GetObject"),
        ({"Action": [1]}, "Syntax errors in policy."),
        ({"Resource": f"{ARN}:1"}, f"Policy has invalid resource: {ARN}:1"),
        ({"Sid": 1}, "Syntax errors in policy."),
        ({"Condition": []}, "Syntax errors in policy."),
        ({"Condition": {"StringEquals": "x"}}, "Syntax errors in policy."),
        ({"Condition": {"StringEquals": {"x": 1}}}, "Syntax errors in policy."),
        ({"Other": 1}, "Syntax errors in policy."),
    ],
    ids=range(22),
)
def test_no_document(text: str | dict[str, Any], message: str) -> None:
    given = text if isinstance(text, str) else json.dumps({"Statement": [statement(**text)]})
    with pytest.raises(PolicyDocumentError, match=re.escape(message)):
        parse_resource_policy(given, ARN)


def test_statement_ids_are_unique() -> None:
    document = json.dumps({"Statement": [statement(Sid="a"), statement(Sid="a")]})
    with pytest.raises(PolicyDocumentError, match="must be unique"):
        parse_resource_policy(document, ARN)
