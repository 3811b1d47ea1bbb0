"""Roles and managed policies in the store: the rules of changing them, and what Lambda asks about a role."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Coroutine
from typing import Any

import pytest

from lambent.iam.managed_policies import ManagedPolicies
from lambent.iam.roles import Role, Roles, RoleTrust
from lambent.iam.tags import tagged, untagged
from lambent.model.errors import ServiceError
from lambent.model.ids import AccountId
from lambent.store.api import ROLES, Put
from lambent.testing.clock import ManualClock
from lambent.testing.store import MemoryStore

ACCOUNT, OTHER = AccountId("123456789012"), AccountId("999999999999")
TRUST = json.dumps(
    {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
)
POLICY = json.dumps({"Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]})
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


@pytest.fixture
def roles(store: MemoryStore, clock: ManualClock) -> Roles:
    return Roles(store, clock.now)


@pytest.fixture
def policies(store: MemoryStore, clock: ManualClock) -> ManagedPolicies:
    return ManagedPolicies(store, clock.now)


async def error_of(work: Coroutine[Any, Any, object]) -> tuple[str, int, str]:
    with pytest.raises(ServiceError) as raised:
        await work
    return raised.value.code, raised.value.status, raised.value.message


NO_ROLE = ("NoSuchEntity", 404, "The role with name r cannot be found.")


async def test_a_role_is_kept_whole(store: MemoryStore, roles: Roles, clock: ManualClock) -> None:
    role = await roles.create(
        ACCOUNT,
        "My-Role",
        TRUST,
        path="/service-role/",
        description="d",
        max_session_duration_s=7200,
        permissions_boundary=BASIC,
        tags=[("k", "v")],
    )
    assert role.arn == "arn:aws:iam::123456789012:role/service-role/My-Role"
    assert re.fullmatch("AROA[A-Z2-7]{17}", role.role_id)
    assert role.created_at == clock.now()
    assert await Roles(store).get(ACCOUNT, "My-Role") == role
    assert await roles.get(ACCOUNT, "my-role") == role
    assert await roles.find(role.arn) == role


async def test_names_are_unlike_in_more_than_case(roles: Roles) -> None:
    await roles.create(ACCOUNT, "r", TRUST)
    expected = ("EntityAlreadyExists", 409, "Role with name R already exists.")
    assert await error_of(roles.create(ACCOUNT, "R", TRUST)) == expected
    await roles.create(OTHER, "r", TRUST)


async def test_find_goes_by_the_whole_arn(roles: Roles) -> None:
    role = await roles.create(ACCOUNT, "r", TRUST, path="/p/")
    for arn in (role.arn.replace("/p/", "/"), role.arn.replace("role/p/r", "role/p/R"), role.arn + "x", "r", ""):
        assert await roles.find(arn) is None


async def test_an_absent_role(roles: Roles) -> None:
    for work in (
        roles.get(ACCOUNT, "r"),
        roles.delete(ACCOUNT, "r"),
        roles.update(ACCOUNT, "r", description="d", max_session_duration_s=None),
        roles.update_trust_policy(ACCOUNT, "r", TRUST),
        roles.put_policy(ACCOUNT, "r", "p", POLICY),
        roles.get_policy(ACCOUNT, "r", "p"),
        roles.delete_policy(ACCOUNT, "r", "p"),
        roles.attach_policy(ACCOUNT, "r", BASIC),
        roles.detach_policy(ACCOUNT, "r", BASIC),
        roles.tag(ACCOUNT, "r", [("a", "b")]),
        roles.untag(ACCOUNT, "r", ["a"]),
    ):
        assert await error_of(work) == NO_ROLE


async def test_a_role_goes_only_without_policies(roles: Roles) -> None:
    await roles.create(ACCOUNT, "r", TRUST)
    await roles.put_policy(ACCOUNT, "r", "p", POLICY)
    await roles.attach_policy(ACCOUNT, "r", BASIC)
    detach = ("DeleteConflict", 409, "Cannot delete entity, must detach all policies first.")
    assert await error_of(roles.delete(ACCOUNT, "r")) == detach
    await roles.detach_policy(ACCOUNT, "r", BASIC)
    remove = ("DeleteConflict", 409, "Cannot delete entity, must delete policies first.")
    assert await error_of(roles.delete(ACCOUNT, "r")) == remove
    await roles.delete_policy(ACCOUNT, "r", "p")
    await roles.delete(ACCOUNT, "r")
    assert await error_of(roles.get(ACCOUNT, "r")) == NO_ROLE


async def test_updates(roles: Roles) -> None:
    await roles.create(ACCOUNT, "r", TRUST, description="old")
    await roles.update(ACCOUNT, "r", description=None, max_session_duration_s=43_200)
    role = await roles.update(ACCOUNT, "r", description="", max_session_duration_s=None)
    assert (role.description, role.max_session_duration_s) == ("", 43_200)
    trust = TRUST.replace("lambda.", "edgelambda.")
    assert (await roles.update_trust_policy(ACCOUNT, "r", trust)).trust_policy == trust
    assert (await roles.set_permissions_boundary(ACCOUNT, "r", BASIC)).permissions_boundary == BASIC
    assert (await roles.set_permissions_boundary(ACCOUNT, "r", None)).permissions_boundary is None


async def test_inline_policies(roles: Roles) -> None:
    await roles.create(ACCOUNT, "r", TRUST)
    await roles.put_policy(ACCOUNT, "r", "p", POLICY)
    assert await roles.get_policy(ACCOUNT, "r", "p") == POLICY
    missing = ("NoSuchEntity", 404, "The role policy with name q cannot be found.")
    assert await error_of(roles.get_policy(ACCOUNT, "r", "q")) == missing
    assert await error_of(roles.delete_policy(ACCOUNT, "r", "q")) == missing
    assert (await error_of(roles.put_policy(ACCOUNT, "r", "p", "{}")))[0] == "MalformedPolicyDocument"


def policy_of(characters: int) -> str:
    padding = characters - len(POLICY.replace(" ", "")) - len('"Sid":"",')
    return POLICY.replace('"Effect"', f'"Sid": "{"a" * padding}", "Effect"')


async def test_quotas(roles: Roles, policies: ManagedPolicies) -> None:
    await roles.create(ACCOUNT, "r", TRUST)
    await roles.put_policy(ACCOUNT, "r", "p", policy_of(10_240))
    too_much = ("LimitExceeded", 409, "Maximum policy size of 10240 bytes exceeded for role r")
    assert await error_of(roles.put_policy(ACCOUNT, "r", "q", POLICY)) == too_much
    for number in range(10):
        await roles.attach_policy(ACCOUNT, "r", f"arn:aws:iam::aws:policy/p{number}")
    await roles.attach_policy(ACCOUNT, "r", "arn:aws:iam::aws:policy/p0")
    too_many = ("LimitExceeded", 409, "Cannot exceed quota for PoliciesPerRole: 10")
    assert await error_of(roles.attach_policy(ACCOUNT, "r", BASIC)) == too_many
    long = TRUST.replace('"Effect"', f'"Sid": "{"a" * 2048}", "Effect"')
    too_long = ("LimitExceeded", 409, "Cannot exceed quota for ACLSizePerRole: 2048")
    assert await error_of(roles.create(ACCOUNT, "s", long)) == too_long
    await policies.create(ACCOUNT, "p", policy_of(6144))
    too_big = ("LimitExceeded", 409, "Cannot exceed quota for PolicySize: 6144")
    assert await error_of(policies.create(ACCOUNT, "q", policy_of(6145))) == too_big


async def test_attached_policies(roles: Roles) -> None:
    await roles.create(ACCOUNT, "r", TRUST)
    await roles.attach_policy(ACCOUNT, "r", BASIC)
    assert (await roles.attach_policy(ACCOUNT, "r", BASIC)).attached_policies == (BASIC,)
    assert (await roles.detach_policy(ACCOUNT, "r", BASIC)).attached_policies == ()
    assert await error_of(roles.detach_policy(ACCOUNT, "r", BASIC)) == (
        "NoSuchEntity", 404, f"Policy {BASIC} was not found.",
    )  # fmt: skip


async def test_listing_goes_by_account_path_and_name(roles: Roles) -> None:
    for account, name, path in ((ACCOUNT, "b", "/x/"), (ACCOUNT, "A", "/"), (ACCOUNT, "c", "/x/y/"), (OTHER, "d", "/")):
        await roles.create(account, name, TRUST, path=path)
    assert [role.name for role in await roles.list_all(ACCOUNT)] == ["A", "b", "c"]
    assert [role.name for role in await roles.list_all(ACCOUNT, "/x/")] == ["b", "c"]


async def test_changes_at_once_are_all_kept(roles: Roles) -> None:
    await roles.create(ACCOUNT, "r", TRUST)
    await asyncio.gather(*(roles.tag(ACCOUNT, "r", [(f"k{number}", "v")]) for number in range(5)))
    assert len((await roles.get(ACCOUNT, "r")).tags) == 5


async def test_a_change_in_between_is_taken_in(store: MemoryStore, roles: Roles) -> None:
    await roles.create(ACCOUNT, "r", TRUST)
    record = await store.get(ROLES, f"{ACCOUNT}/r")
    assert record is not None
    key, value = record.key, record.value
    meddled = False

    class Meddling(MemoryStore):
        async def commit(self, changes: Any) -> None:
            nonlocal meddled
            if not meddled:
                meddled = True
                await store.commit([Put(ROLES, key, value | {"description": "meanwhile"})])
            await store.commit(changes)

        async def get(self, table: str, key: str) -> Any:
            return await store.get(table, key)

    role = await Roles(Meddling()).tag(ACCOUNT, "r", [("k", "v")])
    assert (role.description, role.tags) == ("meanwhile", {"k": "v"})


@pytest.mark.parametrize(
    ("arn", "trust"),
    [
        (f"arn:aws:iam::{ACCOUNT}:role/r", RoleTrust.TRUSTED),
        (f"arn:aws:iam::{ACCOUNT}:role/s", RoleTrust.UNTRUSTED),
        (f"arn:aws:iam::{ACCOUNT}:role/absent", RoleTrust.ABSENT),
        (f"arn:aws:iam::{OTHER}:role/r", RoleTrust.ABSENT),
        (f"arn:aws:iam::{ACCOUNT}:user/r", RoleTrust.NOT_A_ROLE),
        ("r", RoleTrust.NOT_A_ROLE),
    ],
)
async def test_what_lambda_asks_about_a_role(roles: Roles, arn: str, trust: RoleTrust) -> None:
    await roles.create(ACCOUNT, "r", TRUST)
    await roles.create(ACCOUNT, "s", TRUST.replace("lambda.", "edgelambda."))
    assert await roles.trust_in_service(arn) is trust


def test_tags() -> None:
    assert tagged({"a": "1"}, [("A", "2"), ("b", "3")]) == {"A": "2", "b": "3"}
    assert untagged({"a": "1", "B": "2"}, ["b", "c"]) == {"a": "1"}
    with pytest.raises(ServiceError, match="InvalidInput: Duplicate tag keys found"):
        tagged({}, [("a", "1"), ("A", "2")])
    fifty = {f"k{number}": "v" for number in range(50)}
    assert tagged(fifty, [("k0", "w")])["k0"] == "w"
    with pytest.raises(ServiceError, match="LimitExceeded"):
        tagged(fifty, [("one more", "")])


async def test_managed_policies(policies: ManagedPolicies) -> None:
    policy = await policies.create(ACCOUNT, "p", POLICY, path="/x/", description="d", tags=[("k", "v")])
    assert policy.arn == "arn:aws:iam::123456789012:policy/x/p"
    assert await policies.get(policy.arn) == policy
    assert await policies.list_policies(ACCOUNT) == [policy]
    assert await policies.list_policies(ACCOUNT, "/y/") == []
    assert (await error_of(policies.create(ACCOUNT, "P", POLICY)))[:2] == ("EntityAlreadyExists", 409)
    await policies.check_attachable(policy.arn)
    await policies.check_attachable(BASIC)
    gone = policy.arn.replace("/x/", "/")
    assert await error_of(policies.get(gone)) == ("NoSuchEntity", 404, f"Policy {gone} was not found.")
    assert await error_of(policies.check_attachable(gone)) == (
        "NoSuchEntity", 404, f"Policy {gone} does not exist or is not attachable.",
    )  # fmt: skip
    assert await error_of(policies.check_attachable("x" * 20)) == ("InvalidInput", 400, f"ARN {'x' * 20} is not valid.")
    await policies.delete(policy.arn)
    assert (await error_of(policies.get(policy.arn)))[0] == "NoSuchEntity"


def test_a_role_is_frozen() -> None:
    role = Role(account=ACCOUNT, name="r", role_id="AROAX", trust_policy=TRUST, created_at=0.0)
    with pytest.raises(AttributeError):
        role.name = "s"  # type: ignore[misc]
