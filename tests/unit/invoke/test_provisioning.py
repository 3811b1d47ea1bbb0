"""Provisioned concurrency: what is asked for becomes environments, whatever changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count

import pytest

from lambent.invoke.counting import Counting, Permit
from lambent.invoke.directory import FunctionDirectory
from lambent.invoke.pools import Pools
from lambent.invoke.ports import Done, WorkerEvents
from lambent.invoke.provisioning import Provisioning, spread
from lambent.model.alias import AliasConfiguration, alias_key
from lambent.model.arn import LATEST, FunctionId
from lambent.model.execution import (
    EnvironmentSpec,
    Invocation,
    LaunchFailure,
    LaunchFailureKind,
    ProvisionedProgress,
    ProvisionedStatus,
    RoleCredentials,
    TemplateSpec,
)
from lambent.model.function import FunctionRecord, FunctionVersion, LoggingConfig, version_key
from lambent.model.ids import AccountId, EnvironmentId, Region, RevisionId
from lambent.store.api import ALIASES, FUNCTIONS, PROVISIONED_CONCURRENCY, VERSIONS, Delete, Put
from lambent.store.memory import MemoryStore
from lambent.testing.clock import ManualClock

FUNCTION = FunctionId(AccountId("000000000000"), Region("us-east-1"), "f")
READY = ProvisionedStatus.READY


class Worker:
    """Environments that are ready at once, or fail."""

    def __init__(self) -> None:
        self.living: dict[EnvironmentId, str] = {}
        self.failure: LaunchFailure | None = None
        self.events: WorkerEvents

    def start_environment(self, spec: EnvironmentSpec, events: WorkerEvents) -> None:
        assert spec.initialization_type == "provisioned-concurrency"
        self.events = events
        loop = asyncio.get_running_loop()
        if self.failure is not None:
            loop.call_soon(events.environment_ended, spec.environment_id, self.failure)
        else:
            self.living[spec.environment_id] = spec.version
            loop.call_soon(events.environment_ready, spec.environment_id)

    def invoke(self, environment_id: EnvironmentId, invocation: Invocation, done: Done) -> None:
        raise NotImplementedError

    def stop_environment(self, environment_id: EnvironmentId, reason: str) -> None:
        if self.living.pop(environment_id, None) is not None:
            asyncio.get_running_loop().call_soon(self.events.environment_ended, environment_id, None)

    def prepare(self, template: TemplateSpec) -> None:
        """It does nothing ahead."""

    def keep_spares(self, template: TemplateSpec, number: int) -> None:
        """It has none."""

    def has_capacity(self, memory_mb: int) -> bool:
        return True

    @property
    def versions(self) -> list[str]:
        return sorted(self.living.values())


class World:
    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = ManualClock()
        self.worker = Worker()
        self.counting = Counting(100)
        self._numbers = count(1)
        self.pools = Pools(self.worker, self._spec, self.clock, idle_timeout_s=600, credentials_margin_s=1200)
        directory = FunctionDirectory(self.store)
        self.provisioning = Provisioning(self.store, directory, self.pools, self.counting, self.clock)

    def _spec(self, version: FunctionVersion) -> EnvironmentSpec:
        credentials = RoleCredentials("A", "S", "T", self.clock.now() + 6 * 3600, "arn", "id")
        return EnvironmentSpec(
            EnvironmentId(f"e{next(self._numbers)}"), "t", version.function, version.version, "python3.11", "a.b", "d",
            128, 3, 512, "x86_64", {}, credentials, "group", "stream",
        )  # fmt: skip

    async def ask(self, qualifier: str, requested: int | None) -> None:
        key = f"{FUNCTION.key}/{qualifier}"
        document = {"requested": requested, "modified": 0.0}
        table = PROVISIONED_CONCURRENCY
        await self.store.commit([Put(table, key, document) if requested is not None else Delete(table, key)])

    async def alias(self, version: str, **weights: float) -> None:
        alias = AliasConfiguration(
            FUNCTION,
            "live",
            version,
            RevisionId("r"),
            "",
            {name.strip("v"): weight for name, weight in weights.items()},
        )
        await self.store.commit([Put(ALIASES, alias_key(FUNCTION, "live"), alias.to_document())])

    async def settle(self) -> None:
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
            while not self.provisioning.is_idle():
                await asyncio.sleep(0.005)

    def progress(self, qualifier: str, requested: int) -> ProvisionedProgress:
        return self.provisioning.progress(FUNCTION, qualifier, requested)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A function with the versions 1 and 2, and the alias `live` of 1."""
    world = World()
    latest = FunctionVersion(
        *(FUNCTION, LATEST, "r", "d", "s", 1, RevisionId("r"), "e", ""), logging=LoggingConfig("Text", "g")
    )
    versions = [replace(latest, version=number) for number in ("1", "2")]
    await world.store.commit(
        [
            Put(FUNCTIONS, FUNCTION.key, FunctionRecord(latest).to_document()),
            *(Put(VERSIONS, version_key(FUNCTION, one.version), one.to_document()) for one in versions),
        ]
    )
    await world.alias("1")
    await world.provisioning.start()
    yield world
    await world.provisioning.close()


async def test_from_asking_to_giving_back(world: World) -> None:
    await world.ask("1", 2)
    assert world.progress("1", 2) == ProvisionedProgress(ProvisionedStatus.IN_PROGRESS)
    await world.settle()
    assert world.progress("1", 2) == ProvisionedProgress(READY, 2, 2)
    assert world.worker.versions == ["1", "1"]
    permit = world.counting.try_acquire(FUNCTION, "1")
    assert isinstance(permit, Permit)
    assert permit.is_provisioned
    await world.ask("1", 1)
    await world.settle()
    assert (world.worker.versions, world.progress("1", 1)) == (["1"], ProvisionedProgress(READY, 1, 1))
    await world.ask("1", None)
    await world.settle()
    assert world.worker.versions == []
    assert world.counting.claimed_total(*("000000000000", "us-east-1")) == 0


async def test_an_alias_takes_it_along_and_shares_it(world: World) -> None:
    await world.ask("live", 4)
    await world.settle()
    assert world.worker.versions == ["1", "1", "1", "1"]
    await world.alias("1", v2=0.25)
    await world.settle()
    assert world.worker.versions == ["1", "1", "1", "2"]
    assert world.progress("live", 4) == ProvisionedProgress(READY, 4, 4)
    await world.alias("2")
    await world.settle()
    assert world.worker.versions == ["2", "2", "2", "2"]


async def test_what_ends_is_replaced(world: World) -> None:
    await world.ask("1", 2)
    await world.settle()
    before = set(world.worker.living)
    world.worker.stop_environment(next(iter(before)), "killed")
    await asyncio.sleep(0.01)
    await world.settle()
    assert len(before & set(world.worker.living)) == 1
    assert world.progress("1", 2) == ProvisionedProgress(READY, 2, 2)


async def test_a_failure_is_told_and_tried_again_after_a_minute(world: World) -> None:
    world.worker.failure = LaunchFailure(LaunchFailureKind.INIT, "no")
    await world.ask("1", 1)
    await world.settle()
    failed = ProvisionedProgress(ProvisionedStatus.FAILED, 0, 0, "FUNCTION_ERROR_INIT_FAILURE")
    assert world.progress("1", 1) == failed
    world.worker.failure = None
    await world.clock.run_for(59)
    assert world.progress("1", 1) == failed
    await world.clock.run_for(1)
    await world.settle()
    assert world.progress("1", 1) == ProvisionedProgress(READY, 1, 1)


async def test_a_deleted_function_keeps_nothing(world: World) -> None:
    await world.ask("1", 2)
    await world.settle()
    await world.store.commit(
        [
            Delete(FUNCTIONS, FUNCTION.key),
            Delete(VERSIONS, version_key(FUNCTION, "1")),
            Delete(PROVISIONED_CONCURRENCY, f"{FUNCTION.key}/1"),
        ]
    )
    await world.settle()
    assert world.worker.versions == []


@pytest.mark.parametrize(
    ("weights", "requested", "shares"),
    [
        ({}, 5, {"1": 5}),
        ({"2": 0.1}, 10, {"1": 9, "2": 1}),
        ({"2": 0.1}, 5, {"1": 5, "2": 0}),
        ({"2": 1.0}, 3, {"1": 0, "2": 3}),
    ],
)
def test_how_it_is_spread(weights: dict[str, float], requested: int, shares: dict[str, int]) -> None:
    assert spread(AliasConfiguration(FUNCTION, "live", "1", RevisionId("r"), "", weights), requested) == shares
