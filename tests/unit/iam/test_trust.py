"""Whom a role's trust policy lets in."""

from __future__ import annotations

import json

import pytest

from lambent.iam.identities import root_principal
from lambent.iam.policy.templates import Keys
from lambent.iam.principal import Principal
from lambent.iam.roles import Role
from lambent.iam.trust import trusts
from lambent.model.ids import AccountId

ACCOUNT = AccountId("123456789012")
ROOT = root_principal(ACCOUNT)
USER = Principal(ACCOUNT, "arn:aws:iam::123456789012:user/u", "AIDAX")
SESSION = Principal(ACCOUNT, "arn:aws:sts::123456789012:assumed-role/r/s", "AROAX:s")
STRANGER = root_principal(AccountId("999999999999"))


def statement(principal: object, **fields: object) -> dict[str, object]:
    return {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"} | fields


def trusted(statements: object, principal: Principal, keys: Keys | None = None) -> bool:
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    role = Role(account=ACCOUNT, name="t", role_id="AROAT", trust_policy=text, created_at=0.0)
    return trusts(role, principal, "sts:AssumeRole", keys or {})


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        ("*", [ROOT, USER, SESSION, STRANGER]),
        ({"AWS": "*"}, [ROOT, USER, SESSION, STRANGER]),
        ({"AWS": ACCOUNT}, [ROOT, USER, SESSION]),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, [ROOT, USER, SESSION]),
        ({"AWS": USER.arn}, [USER]),
        ({"AWS": USER.user_id}, [USER]),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:role/some/path/r"}, [SESSION]),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:role/other"}, []),
        ({"AWS": SESSION.arn}, [SESSION]),
        ({"Service": "lambda.amazonaws.com"}, []),
    ],
)
def test_trust_in_a_caller(principal: object, expected: list[Principal]) -> None:
    callers = [ROOT, USER, SESSION, STRANGER]
    assert [caller for caller in callers if trusted(statement(principal), caller)] == expected


def test_a_denial_beats_a_grant() -> None:
    statements = [statement({"AWS": ACCOUNT}), statement({"AWS": USER.arn}, Effect="Deny")]
    assert trusted(statements, ROOT)
    assert not trusted(statements, USER)


def test_an_external_id_must_be_given() -> None:
    asked = statement({"AWS": ACCOUNT}, Condition={"StringEquals": {"sts:ExternalId": ["a", "b"]}})
    assert trusted(asked, ROOT, {"sts:externalid": ("b",)})
    assert not trusted(asked, ROOT, {"sts:externalid": ("c",)})
    assert not trusted(asked, ROOT)


def test_other_actions_and_broken_policies_let_nobody_in() -> None:
    assert not trusted(statement({"AWS": ACCOUNT}, Action="sts:TagSession"), ROOT)
    assert trusted(statement({"AWS": ACCOUNT}, Action=["sts:Assume*"]), ROOT)
    assert not trusted(statement({"AWS": ACCOUNT}, Condition={"Fuzzy": {"a": "b"}}), ROOT)
