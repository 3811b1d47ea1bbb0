"""What belongs to functions, changed while something else happens: no orphans, and never over the limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.control_plane.alias_configuration import CreateAliasRequest
from lambent.control_plane.attachments import TABLES
from lambent.control_plane.concurrency import Shares
from lambent.control_plane.event_invoke_configs import EventInvokeSettings
from lambent.control_plane.functions import FunctionsControlPlane
from lambent.control_plane.requests import (
    ConfigurationSettings,
    CreateRequest,
    PublishRequest,
    UpdateConfigurationRequest,
)
from lambent.model.arn import FunctionId, FunctionReference
from lambent.model.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
    ServiceError,
)
from lambent.store.api import EVENT_SOURCE_MAPPINGS, FUNCTION_CONCURRENCY, FUNCTIONS, VERSIONS, Change
from lambent.store.memory import MemoryStore

Create = Callable[..., CreateRequest]
Work = Callable[[FunctionsControlPlane, FunctionId], Coroutine[Any, Any, object]]
QUEUE = "arn:aws:sqs:us-east-1:000000000000:queue"


class OvertakenStore(MemoryStore):
    """Does `first` before its next commit."""

    first: Callable[[], Awaitable[object]] | None = None
    overtaken = 0

    async def commit(self, changes: Sequence[Change]) -> None:
        first, self.first = self.first, None
        if first is not None:
            await first()
            self.overtaken += 1
        await super().commit(changes)


@pytest.fixture
def store() -> OvertakenStore:
    return OvertakenStore()


def configure(qualifier: str | None) -> Work:
    def work(plane: FunctionsControlPlane, function: FunctionId) -> Coroutine[Any, Any, object]:
        settings = EventInvokeSettings(maximum_retry_attempts=1)
        return plane.event_invoke_configs.put(FunctionReference(function, qualifier), settings)

    return work


def create_url(plane: FunctionsControlPlane, function: FunctionId) -> Coroutine[Any, Any, object]:
    return plane.function_urls.create(FunctionReference(function, None), "NONE", None, None)


def provision(qualifier: str, executions: int = 1) -> Work:
    def work(plane: FunctionsControlPlane, function: FunctionId) -> Coroutine[Any, Any, object]:
        return plane.provisioned_concurrency.put(FunctionReference(function, qualifier), executions)

    return work


def reserve(executions: int) -> Work:
    def work(plane: FunctionsControlPlane, function: FunctionId) -> Coroutine[Any, Any, object]:
        return plane.concurrency.reserve(function, executions)

    return work


def delete_version(plane: FunctionsControlPlane, function: FunctionId) -> Coroutine[Any, Any, object]:
    return plane.delete_version(function, "2")


def delete_alias(plane: FunctionsControlPlane, function: FunctionId) -> Coroutine[Any, Any, object]:
    return plane.aliases.delete(function, "old")


def delete(plane: FunctionsControlPlane, function: FunctionId) -> Coroutine[Any, Any, object]:
    return plane.delete(function)


RACES: list[tuple[Work, Work, type[ServiceError] | None]] = [
    (configure("2"), delete_version, ResourceNotFoundException),
    (provision("2"), delete_version, ResourceNotFoundException),
    (delete_version, configure("2"), None),
    (configure("old"), delete_alias, ResourceNotFoundException),
    (delete_alias, configure("old"), None),
    (provision("1"), provision("live"), ResourceConflictException),
    (provision("live"), provision("1"), ResourceConflictException),
    (provision("1", 3), reserve(2), InvalidParameterValueException),
    (reserve(2), provision("1", 3), InvalidParameterValueException),
    (configure(None), delete, ResourceNotFoundException),
    (configure("1"), delete, ResourceNotFoundException),
    (create_url, delete, ResourceNotFoundException),
    (create_url, create_url, ResourceConflictException),
    (reserve(5), delete, ResourceNotFoundException),
    (delete, configure("old"), None),
    (delete, create_url, None),
    (delete, reserve(5), None),
    (configure(None), reserve(5), None),
]


@pytest.mark.parametrize(("slow", "fast", "error"), RACES)
async def test_the_slow_one_decides_again(
    plane: FunctionsControlPlane,
    store: OvertakenStore,
    function: FunctionId,
    create_request: Create,
    slow: Work,
    fast: Work,
    error: type[ServiceError] | None,
) -> None:
    await plane.create(create_request())
    await plane.publish(PublishRequest(function))
    await plane.update_configuration(UpdateConfigurationRequest(function, ConfigurationSettings(timeout_s=9)))
    await plane.publish(PublishRequest(function))
    await plane.aliases.create(CreateAliasRequest(function, "old", "$LATEST"))
    await plane.aliases.create(CreateAliasRequest(function, "live", "1"))
    store.first = lambda: fast(plane, function)
    if error is None:
        await slow(plane, function)
    else:
        with pytest.raises(error):
            await slow(plane, function)
    assert store.overtaken == 1
    exists = bool(await store.scan(FUNCTIONS, ""))
    owners = {"$LATEST"} if exists else set()
    owners |= {str(record.value["version"]) for record in await store.scan(VERSIONS, "")}
    owners |= {stored.alias.name for stored in await plane.queries.aliases(function)}
    for table in TABLES:
        assert {record.key.split("/")[3] for record in await store.scan(table, "")} <= owners, table
    assert exists or not await store.scan(FUNCTION_CONCURRENCY, "")


async def test_reservations_at_once_leave_the_minimum(
    plane: FunctionsControlPlane, function: FunctionId, create_request: Create
) -> None:
    await plane.create(create_request())
    others = [FunctionId(function.account, function.region, f"f-{number}") for number in range(5)]
    for other in others:
        request = create_request()
        await plane.create(CreateRequest(other, request.settings, request.code))
    outcomes = await asyncio.gather(
        *(plane.concurrency.reserve(other, 250) for other in others), return_exceptions=True
    )
    assert outcomes.count(None) == 3
    assert sum(isinstance(outcome, InvalidParameterValueException) for outcome in outcomes) == 2
    assert (await plane.concurrency.shares(function.account, function.region)).unreserved == 250


async def test_one_of_two_equal_mappings_is_made(
    plane: FunctionsControlPlane, store: OvertakenStore, function: FunctionId, create_request: Create
) -> None:
    await plane.create(create_request())

    def make() -> Coroutine[Any, Any, object]:
        given = {"EventSourceArn": QUEUE}
        mappings = plane.event_source_mappings
        return mappings.create(function.account, function.region, "greet", given, enabled=True, tags={})

    store.first = make
    with pytest.raises(ResourceConflictException):
        await make()
    assert store.overtaken == 1
    assert len(await store.scan(EVENT_SOURCE_MAPPINGS, "")) == 1


async def test_a_signing_configuration_in_use_stays(
    plane: FunctionsControlPlane, store: OvertakenStore, function: FunctionId, create_request: Create
) -> None:
    signing = plane.code_signing
    config = await signing.create(function.account, function.region, ["p"], None, None, {})
    await plane.create(create_request())
    store.first = lambda: signing.attach(function, config.arn)
    with pytest.raises(ResourceConflictException):
        await signing.delete(config.arn)
    await signing.detach(function)
    store.first = lambda: signing.delete(config.arn)
    with pytest.raises(ServiceError, match="can not be found"):
        await signing.attach(function, config.arn)
    assert await signing.attached(function) is None


STEPS = st.lists(st.tuples(st.sampled_from("abcd"), st.none() | st.integers(0, 1100)), max_size=40)


@given(STEPS, st.integers(1, 1200))
def test_the_arithmetic_of_reservations(steps: list[tuple[str, int | None]], limit: int) -> None:
    """Whatever is asked for in whatever order: what was granted is kept, and the minimum stays free."""
    shares = Shares(limit, {})
    granted: dict[str, int] = {}
    for name, executions in steps:
        if executions is None:
            granted.pop(name, None)
            shares = shares.without(name)
            continue
        others = sum(share for other, share in granted.items() if other != name)
        fits = limit - others - executions >= min(100, limit) or executions <= granted.get(name, 0)
        try:
            shares = shares.with_reserved(name, executions)
        except InvalidParameterValueException:
            assert not fits
        else:
            assert fits
            granted[name] = executions
    assert shares.reserved == granted
    assert shares.unreserved == limit - sum(granted.values()) >= min(100, limit)
