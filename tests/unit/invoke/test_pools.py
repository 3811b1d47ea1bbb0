"""The pools, with a worker that only remembers what it was told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest

from lambent.invoke.pool import Kept, PendingInvocation
from lambent.invoke.pools import HAND_OFF_ATTEMPTS, Pools
from lambent.invoke.ports import Done, WorkerEvents
from lambent.model.arn import FunctionId
from lambent.model.errors import InvalidRuntimeException, ServiceError, ServiceException, TooManyRequestsException
from lambent.model.execution import (
    Completed,
    EnvironmentSpec,
    Invocation,
    LaunchFailure,
    LaunchFailureKind,
    NotHandedOff,
    PlatformFailed,
    RoleCredentials,
    TemplateSpec,
)
from lambent.model.function import FunctionVersion, LoggingConfig
from lambent.model.ids import AccountId, EnvironmentId, Region, RequestId, RevisionId
from lambent.testing.clock import ManualClock

HOUR_S = 3600.0


class RememberingWorker:
    """Implements `Worker`."""

    def __init__(self) -> None:
        self.started: list[EnvironmentId] = []
        self.stopped: list[EnvironmentId] = []
        self.running: dict[EnvironmentId, Done] = {}
        self.spares: dict[str, int] = {}
        self.room = True
        self.room_after = 1000  # environments stopped

    def start_environment(self, spec: EnvironmentSpec, events: WorkerEvents) -> None:
        self.started.append(spec.environment_id)

    def invoke(self, environment_id: EnvironmentId, invocation: Invocation, done: Done) -> None:
        assert environment_id not in self.running
        self.running[environment_id] = done

    def stop_environment(self, environment_id: EnvironmentId, reason: str) -> None:
        self.stopped.append(environment_id)

    def prepare(self, template: TemplateSpec) -> None:
        """It does nothing ahead."""

    def keep_spares(self, template: TemplateSpec, number: int) -> None:
        self.spares[template.name] = number

    def has_capacity(self, memory_mb: int) -> bool:
        return self.room or len(self.stopped) >= self.room_after


class World:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.worker = RememberingWorker()
        self._numbers = count(1)
        self.pools = Pools(self.worker, self._spec, self.clock, idle_timeout_s=600, credentials_margin_s=1200)
        self.answers: dict[str, Completed | ServiceError] = {}

    def _spec(self, version: FunctionVersion) -> EnvironmentSpec:
        credentials = RoleCredentials("A", "S", "T", self.clock.now() + 6 * HOUR_S, "arn", "id")
        return EnvironmentSpec(
            EnvironmentId(f"e{next(self._numbers)}"), "t", version.function, version.version, "python3.11", "a.b", "d",
            128, 3, 512, "x86_64", {}, credentials, "group", "stream",
        )  # fmt: skip

    def submit(
        self,
        request: str,
        version: FunctionVersion | None = None,
        *,
        tenant: str | None = None,
        provisioned: bool = False,
    ) -> None:
        def finished(outcome: Completed | ServiceError) -> None:
            assert request not in self.answers
            self.answers[request] = outcome

        invocation = Invocation(RequestId(request), b"{}", "arn", "Root=1", 3, tenant_id=tenant)
        pending = PendingInvocation(invocation, finished)
        self.pools.submit(version or function_version(), pending, provisioned=provisioned)

    def complete(self, environment: str) -> None:
        """Its invocation is answered, and it asks for the next one."""
        self.worker.running.pop(EnvironmentId(environment))(Completed(b"1"))
        self.pools.environment_ready(EnvironmentId(environment))

    def ready(self, environment: str) -> None:
        self.pools.environment_ready(EnvironmentId(environment))

    def ended(self, environment: str, failure: LaunchFailure | None = None) -> None:
        self.pools.environment_ended(EnvironmentId(environment), failure)

    def running(self) -> list[str]:
        return list(self.worker.running)


def function_version(name: str = "f", revision: str = "1") -> FunctionVersion:
    function = FunctionId(AccountId("0" * 12), Region("us-east-1"), name)
    return FunctionVersion(
        function, "$LATEST", "role", "digest", "sha", 1, RevisionId("r"), revision, "now", LoggingConfig("Text", "g")
    )


@pytest.fixture
def world() -> World:
    return World()


def test_cold_then_warm(world: World) -> None:
    world.submit("a")
    assert (world.worker.started, world.running()) == (["e1"], [])
    world.ready("e1")
    assert world.running() == ["e1"]
    world.complete("e1")
    world.submit("b")
    assert (world.worker.started, world.running()) == (["e1"], ["e1"])
    world.complete("e1")
    assert world.answers == {"a": Completed(b"1"), "b": Completed(b"1")}


def test_an_idle_environment_ends_after_its_time_and_not_before(world: World) -> None:
    world.submit("a")
    world.ready("e1")
    world.complete("e1")
    world.clock.advance(599)
    world.pools.stop_idle()
    assert world.worker.stopped == []
    world.clock.advance(1)
    world.pools.stop_idle()
    assert world.worker.stopped == ["e1"]
    world.submit("b")
    assert world.worker.started == ["e1", "e2"]


def test_an_environment_whose_credentials_expire_soon_gets_no_more_work(world: World) -> None:
    world.submit("a")
    world.ready("e1")
    world.clock.advance(6 * HOUR_S - 1199)
    world.submit("b")
    world.complete("e1")
    assert world.worker.stopped == ["e1"]
    assert world.running() == []
    world.ready("e2")
    assert world.running() == ["e2"]


def test_a_changed_function_gets_new_environments_and_the_running_invocation_finishes(world: World) -> None:
    world.submit("a")
    world.submit("b")
    world.ready("e1")
    world.ready("e2")
    world.complete("e2")
    old = function_version()
    assert world.pools.versions(old.function.key) == [old]
    world.pools.retire({(old.qualified_arn, "1")})
    assert world.worker.stopped == ["e2"]
    world.submit("c", function_version(revision="2"))
    assert world.worker.started[-1] == "e3"
    world.complete("e1")
    assert world.worker.stopped == ["e2", "e1"]
    assert world.answers["a"] == Completed(b"1")
    world.ended("e1")
    world.ended("e2")
    assert world.pools.versions(old.function.key) == [function_version(revision="2")]


def test_before_the_hand_off_another_environment_is_tried_a_few_times(world: World) -> None:
    world.submit("a")
    for attempt in range(1, HAND_OFF_ATTEMPTS + 1):
        assert "a" not in world.answers
        world.ready(f"e{attempt}")
        world.worker.running.pop(EnvironmentId(f"e{attempt}"))(NotHandedOff("it died"))
        world.ended(f"e{attempt}")
    assert isinstance(world.answers["a"], ServiceException)
    assert len(world.worker.started) == HAND_OFF_ATTEMPTS


def test_after_the_hand_off_it_is_not(world: World) -> None:
    world.submit("a")
    world.ready("e1")
    world.worker.running.pop(EnvironmentId("e1"))(PlatformFailed("it died"))
    assert isinstance(world.answers["a"], ServiceException)
    assert world.worker.started == ["e1"]


@pytest.mark.parametrize(
    ("kind", "error", "answered"),
    [
        (LaunchFailureKind.RUNTIME_MISSING, InvalidRuntimeException, 2),
        (LaunchFailureKind.ARCHITECTURE, InvalidRuntimeException, 1),
        (LaunchFailureKind.SANDBOX, ServiceException, 1),
        (LaunchFailureKind.NO_CAPACITY, TooManyRequestsException, 1),
    ],
)
def test_an_environment_that_cannot_be_made(
    world: World, kind: LaunchFailureKind, error: type[ServiceError], answered: int
) -> None:
    world.submit("a")
    world.submit("b")
    world.ended("e1", LaunchFailure(kind, "why"))
    assert len(world.answers) == answered
    assert isinstance(world.answers["a"], error)
    world.ended("e2", LaunchFailure(kind, "why"))
    assert set(world.answers) == {"a", "b"}


@pytest.mark.parametrize("number", [1, 2])
def test_under_memory_pressure_the_longest_idle_environments_give_way(world: World, number: int) -> None:
    for name in ("old", "new"):
        world.submit(name, function_version(name))
        world.ready(world.worker.started[-1])
        world.complete(world.worker.started[-1])
        world.clock.advance(10)
    world.worker.room, world.worker.room_after = False, number
    world.submit("a")
    assert (world.worker.stopped, world.worker.started) == (["e1", "e2"][:number], ["e1", "e2", "e3"])


def test_with_no_room_at_all_callers_are_throttled(world: World) -> None:
    world.worker.room = False
    world.submit("a")
    assert isinstance(world.answers["a"], TooManyRequestsException)
    assert world.worker.started == []


@pytest.mark.parametrize("how", ["waiting", "not handed off", "running", "later"])
def test_at_the_stop_everybody_gets_an_answer_and_nothing_is_started(world: World, how: str) -> None:
    world.submit("a")
    if how in ("running", "not handed off"):
        world.ready("e1")
    if how == "later":
        world.ready("e1")
        world.complete("e1")
    world.pools.stop_all("the server stops")
    actions: dict[str, Callable[[], None]] = {
        "waiting": lambda: None,
        "not handed off": lambda: world.worker.running.pop(EnvironmentId("e1"))(NotHandedOff("stopped")),
        "running": lambda: world.worker.running.pop(EnvironmentId("e1"))(PlatformFailed("stopped")),
        "later": lambda: world.submit("b"),
    }
    actions[how]()
    world.ended("e1")
    assert isinstance(world.answers["b" if how == "later" else "a"], ServiceException)
    assert (world.worker.started, world.worker.stopped) == (["e1"], ["e1"])


def test_code_is_in_use_while_there_are_environments(world: World) -> None:
    assert world.pools.digests_in_use() == set()
    world.submit("a")
    world.ready("e1")
    assert world.pools.digests_in_use() == {"digest"}
    world.complete("e1")
    world.clock.advance(600)
    world.pools.stop_idle()
    assert world.pools.digests_in_use() == {"digest"}
    world.ended("e1")
    assert world.pools.digests_in_use() == set()


def test_an_environment_serves_one_tenant_only(world: World) -> None:
    world.submit("a", tenant="blue")
    world.ready("e1")
    world.complete("e1")
    world.submit("b", tenant="green")
    assert world.worker.started == ["e1", "e2"]
    world.ready("e2")
    world.complete("e2")
    world.submit("c", tenant="blue")
    assert (world.worker.started, world.running()) == (["e1", "e2"], ["e1"])


def test_tenants_have_so_many_environments_and_no_more(world: World) -> None:
    world.pools._tenant_environments_max = 2
    for name in ("a", "b", "c"):
        world.submit(name, tenant=name)
    assert world.worker.started == ["e1", "e2"]
    refused = world.answers["c"]
    assert isinstance(refused, TooManyRequestsException)
    assert refused.message == "Rate exceeded"
    world.submit("d")  # of no tenant
    assert world.worker.started == ["e1", "e2", "e3"]
    world.ready("e1")
    world.complete("e1")
    world.ended("e1")
    world.submit("e", tenant="e")
    assert world.worker.started == ["e1", "e2", "e3", "e4"]


def test_a_function_that_scales_too_fast_is_throttled(world: World) -> None:
    world.pools._may_start = lambda _: not world.worker.started
    world.submit("a")
    world.submit("b")
    assert world.worker.started == ["e1"]
    assert isinstance(world.answers["a"], TooManyRequestsException)
    world.ready("e1")
    assert world.running() == ["e1"]


def test_provisioned_environments_are_kept_replaced_and_given_back(world: World) -> None:
    told: list[str] = []
    world.pools.provisioned_changed = lambda version: told.append(version.version)
    version = function_version()
    world.pools.keep(version, 2)
    assert world.worker.started == ["e1", "e2"]
    world.ready("e1")
    assert world.pools.kept(version) == Kept(2, 1, None)
    world.clock.advance(3600)
    world.pools.stop_idle()
    assert world.worker.stopped == []  # however idle
    world.submit("a", provisioned=True)
    assert world.running() == ["e1"]
    world.complete("e1")
    world.ended("e1")
    assert world.pools.kept(version).environments == 1
    assert told
    world.pools.keep(version, 2)
    assert world.worker.started == ["e1", "e2", "e3"]
    world.ready("e2")
    world.ready("e3")
    world.pools.keep(version, 0)
    assert sorted(world.worker.stopped) == ["e2", "e3"]


def test_provisioned_environments_that_cannot_be_made_leave_nobody_waiting(world: World) -> None:
    version = function_version()
    world.pools.keep(version, 1)
    world.submit("a", provisioned=True)
    failure = LaunchFailure(LaunchFailureKind.INIT, "no")
    world.ended("e1", failure)
    assert world.pools.kept(version) == Kept(0, 0, failure)
    assert world.worker.started == ["e1", "e2"]  # on demand
    world.ready("e2")
    assert world.running() == ["e2"]


def test_provisioned_environments_are_replaced_before_their_credentials_expire(world: World) -> None:
    world.pools.keep(function_version(), 1)
    world.ready("e1")
    world.clock.advance(6 * HOUR_S - 60)
    world.pools.stop_idle()
    assert world.worker.stopped == ["e1"]


class TestSpares:
    """What the worker is to have ready for later environments."""

    @pytest.fixture
    def world(self) -> World:
        world = World()
        world.pools = Pools(
            world.worker, world._spec, world.clock, idle_timeout_s=600, credentials_margin_s=1200, spares_max=16
        )
        return world

    name = f"{function_version().qualified_arn}@1"

    def test_as_many_as_there_were_cold_starts_at_once(self, world: World) -> None:
        world.submit("a")
        assert world.worker.spares == {self.name: 1}
        world.submit("b")
        world.submit("c")
        assert world.worker.spares == {self.name: 3}
        for number in (1, 2, 3):
            world.ready(f"e{number}")
        world.complete("e1")
        world.submit("d")
        assert world.worker.spares == {self.name: 3}  # it was no cold start

    def test_they_are_given_back_when_the_time_has_come(self, world: World) -> None:
        world.submit("a")
        world.submit("b")
        turns = [2]
        while turns[-1]:
            assert 0 < world.pools.next_to_stop_s() <= 100
            world.clock.advance(world.pools.next_to_stop_s() + 0.01)
            world.pools.stop_idle()
            turns.append(world.worker.spares[self.name])
        assert turns == [2, 1, 0]
        assert world.pools.next_to_stop_s() <= 60  # there may be others by then
        assert world.worker.stopped == []

    def test_one_for_what_has_just_been_made_if_it_can_be_run(self, world: World) -> None:
        world.pools.prepare(function_version())
        assert world.worker.spares == {}
        version = replace(function_version(), runtime="python3.11")
        world.pools.prepare(version)
        assert world.worker.spares == {self.name: 1}
        assert world.pools.versions(version.function.key) == [version]

    def test_none_for_what_has_changed(self, world: World) -> None:
        world.submit("a")
        world.submit("b")
        world.pools.retire([(function_version().qualified_arn, "1")])
        assert world.worker.spares == {self.name: 0}
        world.ended("e1")  # those who wait are still served
        world.submit("c", function_version(revision="2"))
        assert world.worker.spares == {self.name: 0, self.name.replace("@1", "@2"): 1}

    def test_none_for_provisioned_concurrency_or_what_is_throttled(self, world: World) -> None:
        world.pools.keep(function_version(), 2)
        world.pools._may_start = lambda _: False
        world.submit("a")
        assert world.worker.spares == {}

    def test_tenants_share_those_of_the_version(self, world: World) -> None:
        world.submit("a", tenant="one")
        world.submit("b", tenant="two")
        assert world.worker.spares == {self.name: 1}


async def test_short_invocations_wait_a_moment_and_long_ones_run_in_parallel() -> None:
    """While the host has no time to spare. Whatever was learnt, who waits for what does not end runs elsewhere."""
    world = World()
    world.pools = Pools(
        world.worker, world._spec, world.clock, idle_timeout_s=600, credentials_margin_s=1200, spare_time=lambda: 0.0
    )
    at_once = (os.cpu_count() or 1) + 1
    for number in range(at_once):
        world.submit(f"first {number}")
        world.ready(f"e{number + 1}")
    for _ in range(20):
        for environment in world.running():
            world.complete(environment)
        for number in range(at_once):
            world.submit(f"short {len(world.answers)} {number}")
    started = len(world.worker.started)
    world.submit("waits")
    world.submit("waits too")
    assert len(world.worker.started) == started
    world.complete(world.running()[0])
    assert len(world.running()) == at_once  # it took one of them
    deadline = asyncio.get_running_loop().time() + 5
    while len(world.worker.started) == started:  # none of those that run ends: the other needs a new one
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.001)
    assert len(world.worker.started) == started + 1
    world.submit("in parallel")
    assert len(world.worker.started) == started + 2
    world.pools.stop_all("the test is over")
