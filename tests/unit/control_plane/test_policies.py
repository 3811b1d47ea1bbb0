"""Policies after any sequence of changes, held against a list of statements; layer versions' statements."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.control_plane.policies import (
    Permission,
    check_policy_revision,
    read_policy,
    statement_of,
    with_statement,
    without_statement,
)
from lambent.model import limits
from lambent.model.arn import FunctionId
from lambent.model.errors import (
    PolicyLengthExceededException,
    PreconditionFailedException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from lambent.model.ids import AccountId, Region, RevisionId
from lambent.model.resource_policy import ResourcePolicy, function_policy_key, layer_policy_key
from lambent.store.api import ConflictError
from lambent.store.memory import MemoryStore

LAYER = "arn:aws:lambda:us-east-1:000000000000:layer:l:1"
FIRST = RevisionId("first")
CHANGES = st.lists(st.tuples(st.booleans(), st.sampled_from(["a", "b", "c"])))


def permission(sid: str, **given: Any) -> Permission:
    return Permission(resource=LAYER, statement_id=sid, action="lambda:GetLayerVersion", principal="*", **given)


@given(changes=CHANGES)
def test_changes(changes: list[tuple[bool, str]]) -> None:
    policy: ResourcePolicy | None = None
    model: list[str] = []
    for number, (adds, sid) in enumerate(changes):
        revision = RevisionId(str(number))
        if adds and sid in model:
            with pytest.raises(ResourceConflictException):
                with_statement(policy, statement_of(permission(sid)), revision)
        elif adds:
            policy = with_statement(policy, statement_of(permission(sid)), revision)
            model.append(sid)
        elif sid in model:
            policy = without_statement(policy, sid, revision)
            model.remove(sid)
        else:
            with pytest.raises(ResourceNotFoundException):
                without_statement(policy, sid, revision)
        found = [] if policy is None else [statement["Sid"] for statement in policy.statements]
        assert found == model
        if policy is not None:
            assert json.loads(policy.text).keys() == {"Version", "Id", "Statement"}
            assert ResourcePolicy.from_document(policy.to_document()) == policy


@given(length=st.integers(1, 2 * limits.RESOURCE_POLICY_MAX_BYTES), letter=st.sampled_from("aé"))
def test_the_quota_counts_bytes(length: int, letter: str) -> None:
    statement = statement_of(permission("s", source_arn=letter * length))
    text = ResourcePolicy({"Version": "2012-10-17", "Id": "default", "Statement": [statement]}, FIRST).text
    if len(text.encode()) <= limits.RESOURCE_POLICY_MAX_BYTES:
        assert with_statement(None, statement, FIRST).text == text
    else:
        with pytest.raises(PolicyLengthExceededException):
            with_statement(None, statement, FIRST)


def test_a_layer_versions_statement() -> None:
    policy = with_statement(None, statement_of(permission("s", organization_id="o-1234567890")), FIRST)
    assert policy.text == (
        '{"Version":"2012-10-17","Id":"default","Statement":[{"Sid":"s","Effect":"Allow","Principal":"*",'
        f'"Action":"lambda:GetLayerVersion","Resource":"{LAYER}",'
        '"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1234567890"}}}]}'
    )


def test_a_document_with_a_single_statement_grows() -> None:
    single = ResourcePolicy({"Version": "2012-10-17", "Statement": {"Sid": "a", "Effect": "Deny"}}, FIRST)
    grown = with_statement(single, statement_of(permission("b")), FIRST)
    assert [statement["Sid"] for statement in grown.statements] == ["a", "b"]
    assert "Id" not in grown.document


def test_revisions() -> None:
    check_policy_revision(None, None)
    check_policy_revision("first", FIRST)
    for current in (FIRST, None):
        with pytest.raises(PreconditionFailedException, match="Call the GetLayerPolicy API"):
            check_policy_revision("other", current, "GetLayerPolicy")


async def test_storing_expects_what_was_read() -> None:
    store = MemoryStore()
    key = layer_policy_key(AccountId("000000000000"), Region("us-east-1"), "l", 1)
    before = await read_policy(store, key)
    assert (before.policy, before.revision) == (None, 0)
    policy = with_statement(before.policy, statement_of(permission("s")), FIRST)
    await store.commit([before.replaced(policy)])
    with pytest.raises(ConflictError):
        await store.commit([before.replaced(policy)])
    stored = await read_policy(store, key)
    assert stored.policy == policy
    await store.commit([stored.replaced(None)])
    assert (await read_policy(store, key)).policy is None


def test_functions_and_layers_have_keys_of_their_own() -> None:
    account, region = AccountId("000000000000"), Region("us-east-1")
    function = FunctionId(account, region, "l")
    assert function_policy_key(function, None) == function_policy_key(function, "$LATEST")
    assert function_policy_key(function, "1") != layer_policy_key(account, region, "l", 1)
