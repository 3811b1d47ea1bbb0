"""Whose policies count, and that what is kept never outlives a change."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lambent.iam.entities import IamEntities
from lambent.iam.identities import Identities
from lambent.iam.policy.evaluation import AccessRequest, PolicySet, decide
from lambent.iam.policy_sources import PolicySource, StoredResourcePolicies
from lambent.iam.principal import Principal
from lambent.iam.sessions import SessionIssuer, SessionNarrowing
from lambent.model.ids import AccountId
from lambent.store.api import RESOURCE_POLICIES, ROLES, Delete, Put
from lambent.testing.store import MemoryStore

ACCOUNT = AccountId("123456789012")
TRUST = json.dumps({"Statement": {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}})


def policy(action: str, effect: str = "Allow") -> str:
    return json.dumps({"Statement": {"Effect": effect, "Action": action, "Resource": "*"}})


@pytest.fixture
async def entities(store: MemoryStore) -> AsyncIterator[IamEntities]:
    identities = await Identities.load(store)
    yield IamEntities.of(store, identities)
    await identities.close()


@pytest.fixture
def source(store: MemoryStore, entities: IamEntities) -> PolicySource:
    return PolicySource(store, entities)


async def may(source: PolicySource, principal: Principal, action: str) -> bool:
    caller = source.cached(principal) or await source.load(principal)
    policies = PolicySet(caller.identity, caller.boundary, caller.session)
    return decide(AccessRequest(caller.subject, action, "*", caller.keys), policies).allowed


async def user(entities: IamEntities, name: str = "u") -> Principal:
    made = await entities.users.create(ACCOUNT, name)
    return Principal(ACCOUNT, made.arn, made.user_id)


async def test_a_user_has_its_own_and_its_groups_policies(entities: IamEntities, source: PolicySource) -> None:
    ann = await user(entities)
    assert not await may(source, ann, "a:x")
    await entities.users.put_policy(ACCOUNT, "u", "p", policy("a:x"))
    assert await may(source, ann, "a:x")
    await entities.groups.create(ACCOUNT, "g")
    await entities.groups.put_policy(ACCOUNT, "g", "p", policy("b:x"))
    assert not await may(source, ann, "b:x")
    await entities.users.add_to_group(ACCOUNT, "u", "g", entities.groups)
    assert await may(source, ann, "b:x")
    managed = await entities.policies.create(ACCOUNT, "m", policy("c:x"))
    await entities.groups.attach_policy(ACCOUNT, "g", managed.arn)
    assert await may(source, ann, "c:x")
    await entities.policies.create_version(managed.arn, policy("c:*", "Deny"), as_default=True)
    assert not await may(source, ann, "c:x")
    await entities.users.set_permissions_boundary(ACCOUNT, "u", "arn:aws:iam::aws:policy/AWSLambda_ReadOnlyAccess")
    assert not await may(source, ann, "a:x")


async def test_it_reads_once_until_something_changes(entities: IamEntities, source: PolicySource) -> None:
    ann = await user(entities)
    kept = await source.load(ann)
    assert source.cached(ann) is kept
    await entities.users.create(ACCOUNT, "another")
    assert source.cached(ann) is None


async def test_what_was_read_while_something_changed_is_not_kept(store: MemoryStore, entities: IamEntities) -> None:
    source = PolicySource(store, entities)
    ann = await user(entities)
    read = source.identity_policies

    async def meddled(holder: Any) -> Any:
        found = await read(holder)
        await entities.users.put_policy(ACCOUNT, "u", "p", policy("a:x", "Deny"))
        return found

    source.identity_policies = meddled  # type: ignore[method-assign]
    assert (await source.load(ann)).identity == []
    source.identity_policies = read  # type: ignore[method-assign]
    assert source.cached(ann) is None
    assert len((await source.load(ann)).identity) == 1


async def test_a_namesake_of_somebody_gone_is_somebody_else(entities: IamEntities, source: PolicySource) -> None:
    before = await user(entities)
    await entities.users.delete(ACCOUNT, "u", lambda _: None)
    now = await user(entities)
    await entities.users.put_policy(ACCOUNT, "u", "p", policy("*"))
    assert await may(source, now, "a:x")
    assert not await may(source, before, "a:x")


async def test_sessions_of_roles(entities: IamEntities, source: PolicySource, sessions: SessionIssuer) -> None:
    role = await entities.roles.create(ACCOUNT, "r", TRUST, path="/p/", tags=[("team", "red"), ("k", "role")])
    await entities.roles.put_policy(ACCOUNT, "r", "p", policy("a:*"))
    narrowed = SessionNarrowing((policy("a:x"),), (), (("K", "session"),), (), "ann")
    credentials, wide = sessions.assume_role(role.arn, "s", 900, role_id=role.role_id)
    _, narrow = sessions.assume_role(role.arn, "s", 900, role_id=role.role_id, narrowed=narrowed)
    _, of_environment = sessions.assume_role(role.arn, "s", 900)
    _, gone = sessions.assume_role(role.arn, "s", 900, role_id="AROAGONE")
    _, elsewhere = sessions.assume_role(role.arn.replace("/p/", "/"), "s", 900)
    assert credentials.session_token is not None
    verified = sessions.verify(credentials.access_key_id, credentials.session_token).principal
    asked = {"verified": verified, "wide": wide, "narrow": narrow, "environment": of_environment, "gone": gone,
             "elsewhere": elsewhere}  # fmt: skip
    allowed = {name: [await may(source, one, action) for action in ("a:x", "a:y")] for name, one in asked.items()}
    assert allowed == {
        "verified": [True, True], "wide": [True, True], "narrow": [True, False], "environment": [True, True],
        "gone": [False, False], "elsewhere": [False, False],
    }  # fmt: skip
    keys = (await source.load(narrow)).keys
    assert keys["aws:principalarn"] == (role.arn,)
    assert keys["aws:sourceidentity"] == ("ann",)
    assert (keys["aws:principaltag/team"], keys["aws:principaltag/k"]) == (("red",), ("session",))
    assert keys["aws:userid"] == (f"{role.role_id}:s",)
    assert "aws:tokenissuetime" in keys


async def test_an_unknown_managed_policy_allows_nothing(entities: IamEntities, source: PolicySource) -> None:
    ann = await user(entities)
    await entities.users.attach_policy(ACCOUNT, "u", "arn:aws:iam::aws:policy/Unheard")
    assert not await may(source, ann, "a:x")
    await entities.users.put_policy(ACCOUNT, "u", "p", policy("a:x"))
    assert await may(source, ann, "a:x")


async def test_a_policy_that_cannot_be_evaluated_denies(
    store: MemoryStore, entities: IamEntities, source: PolicySource
) -> None:
    role = await entities.roles.create(ACCOUNT, "r", TRUST)
    record = await store.get(ROLES, f"{ACCOUNT}/r")
    assert record is not None
    broken = {"inline_policies": {"good": policy("*"), "bad": "{"}}
    await store.commit([Put(ROLES, record.key, record.value | broken)])
    session = SessionIssuer(b"s" * 32).assume_role(role.arn, "s", 900, role_id=role.role_id)[1]
    assert not await may(source, session, "a:x")


async def test_policies_of_resources(store: MemoryStore, entities: IamEntities) -> None:
    resources = StoredResourcePolicies(store, entities)
    key = f"{ACCOUNT}/us-east-1/function/f/$LATEST"
    assert await resources.load(RESOURCE_POLICIES, key) == ()
    assert resources.cached(RESOURCE_POLICIES, key) == ()
    statement = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
    value = {"document": {"Statement": [statement]}, "revision_id": "r"}
    await store.commit([Put(RESOURCE_POLICIES, key, value)])
    assert resources.cached(RESOURCE_POLICIES, key) is None
    assert len(await resources.load(RESOURCE_POLICIES, key)) == 1
    await store.commit([Delete(RESOURCE_POLICIES, key)])
    assert await resources.load(RESOURCE_POLICIES, key) == ()
    role = await entities.roles.create(ACCOUNT, "r", TRUST)
    assert len(await resources.load(ROLES, role.arn)) == 1
    assert await resources.load(ROLES, role.arn + "x") == ()
    resources.close()
    resources.close()
