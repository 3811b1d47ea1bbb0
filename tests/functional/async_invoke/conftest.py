"""Events from acceptance to their end: the real queues, frontend and outbox, on a clock that is moved by hand.

Functions are Python callables: what they return or raise is what the worker answers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from lambent.async_invoke.accepting import Acceptance
from lambent.async_invoke.dispatch import Dispatcher
from lambent.async_invoke.settings import SettingsView
from lambent.aws_client.errors import AwsCallError
from lambent.delivery.outbox import Delivery, Outbox
from lambent.invoke.counting import Counting
from lambent.invoke.directory import FunctionDirectory
from lambent.invoke.frontend import Frontend
from lambent.invoke.pools import Pools
from lambent.invoke.ports import Done, WorkerEvents
from lambent.invoke.recursion import LoopSwitches
from lambent.invoke.reservations import Reservations
from lambent.invoke.tracing import Tracing
from lambent.model.arn import FunctionId, FunctionReference
from lambent.model.execution import (
    Completed,
    EnvironmentSpec,
    FunctionError,
    Invocation,
    PlatformFailed,
    RoleCredentials,
    TemplateSpec,
)
from lambent.model.function import FunctionRecord, FunctionVersion, LoggingConfig, version_key
from lambent.model.ids import AccountId, EnvironmentId, Region, RevisionId, new_environment_id, new_request_id
from lambent.observability.metrics.asynchronous import AsynchronousMetrics
from lambent.observability.metrics.invocations import InvocationMetrics
from lambent.queues.sqlite import SqliteQueues
from lambent.store.api import EVENT_INVOKE_CONFIGS, FUNCTION_CONCURRENCY, FUNCTIONS, VERSIONS, Delete, Put
from lambent.store.memory import MemoryStore
from lambent.testing.clock import ManualClock

ACCOUNT, REGION = AccountId("000000000000"), Region("us-east-1")
Handler = Callable[[Any, Invocation], Any]


class PlatformBreaks(Exception):
    """Raised by a function to have the platform fail."""


class Held:
    """Returned by a function that goes on until it is told to end."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()


class CallingWorker:
    """Implements `invoke.ports.Worker`: calls the function of an environment's spec."""

    def __init__(self, handlers: dict[str, Handler]) -> None:
        self._handlers = handlers
        self._functions: dict[EnvironmentId, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.runs: list[tuple[float, str, Invocation]] = []
        self.now: Callable[[], float] = float

    def start_environment(self, spec: EnvironmentSpec, events: WorkerEvents) -> None:
        self._events = events
        self._functions[spec.environment_id] = spec.function.name
        asyncio.get_running_loop().call_soon(events.environment_ready, spec.environment_id)

    def invoke(self, environment_id: EnvironmentId, invocation: Invocation, done: Done) -> None:
        task = asyncio.create_task(self._run(environment_id, invocation, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop_environment(self, environment_id: EnvironmentId, reason: str) -> None:
        self._functions.pop(environment_id, None)
        asyncio.get_running_loop().call_soon(self._events.environment_ended, environment_id, None)

    def prepare(self, template: TemplateSpec) -> None:
        """It does nothing ahead."""

    def keep_spares(self, template: TemplateSpec, number: int) -> None:
        """It has none."""

    def has_capacity(self, memory_mb: int) -> bool:
        return True

    async def _run(self, environment_id: EnvironmentId, invocation: Invocation, done: Done) -> None:
        name = self._functions[environment_id]
        self.runs.append((self.now(), name, invocation))
        try:
            result = self._handlers[name](json.loads(invocation.payload), invocation)
            if isinstance(result, Held):
                await result.ended.wait()
                result = None
            done(Completed(json.dumps(result).encode()))
        except PlatformBreaks as broken:
            done(PlatformFailed(str(broken)))
        except ValueError as error:
            payload = json.dumps({"errorMessage": str(error), "errorType": "ValueError"}).encode()
            done(Completed(payload, FunctionError.UNHANDLED))
        if environment_id in self._functions:
            self._events.environment_ready(environment_id)


class World:
    """Everything between an event and its end. `restart` is what a killed process leaves to the next one."""

    Held = Held
    PlatformBreaks = PlatformBreaks

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.handlers: dict[str, Handler] = {}
        self.worker = CallingWorker(self.handlers)
        self.worker.now = self.clock.now
        self.sent: list[Delivery] = []
        self.refusals: list[AwsCallError] = []  # of the deliveries to come
        self.metrics = AsynchronousMetrics(self.clock)

    async def start(self, account_limit: int = 1_000) -> None:
        self.queues = await SqliteQueues.open(self.path, self.clock)
        self.directory = FunctionDirectory(self.store, lambda: 0.5)
        self.counting = Counting(account_limit)
        self.reservations = Reservations(self.store, self.counting)
        self.pools = Pools(self.worker, _spec, self.clock, idle_timeout_s=3600, credentials_margin_s=0)
        self.switches = LoopSwitches(self.store)
        tracing = Tracing(self.switches, self.clock)
        self.invocations = InvocationMetrics(self.clock, self.counting)
        self.frontend = Frontend(
            self.directory, self.counting, self.pools, self.reservations, tracing, self.invocations
        )
        self.settings = SettingsView(self.store)
        self.outbox = Outbox(self.queues, self._send, self.clock, self.metrics)
        self.dispatcher = Dispatcher(
            self.queues, self.frontend, self.directory, tracing, self.settings, self.outbox, self.clock, self.metrics
        )
        self.acceptance = Acceptance(
            self.directory, tracing, self.queues, self.dispatcher.consumers.ensure, self.metrics
        )
        await self.outbox.consumers.begin()
        await self.dispatcher.consumers.begin()

    async def stop(self) -> None:
        await self.dispatcher.consumers.close()
        await self.outbox.consumers.close()
        await self.queues.close()
        for part in (self.directory, self.reservations, self.switches, self.settings):
            part.close()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def _send(self, delivery: Delivery) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.sent.append(delivery)

    # ---- what a user does

    async def create(self, name: str, handler: Handler | None = None, **given: Any) -> FunctionVersion:
        self.handlers[name] = handler or (lambda event, _: event)
        version = _version(name, "$LATEST", **given)
        await self.store.commit([Put(FUNCTIONS, version.function.key, FunctionRecord(version).to_document())])
        return version

    async def publish(self, name: str, number: str, **given: Any) -> None:
        version = _version(name, number, **given)
        await self.store.commit([Put(VERSIONS, version_key(version.function, number), version.to_document())])

    async def delete(self, name: str) -> None:
        await self.store.commit([Delete(FUNCTIONS, function(name).key)])

    async def configure(self, name: str, qualifier: str = "$LATEST", **given: Any) -> None:
        """PutFunctionEventInvokeConfig, as it is stored."""
        destinations = {
            side: {"Destination": given.pop(side)} if side in given else {} for side in ("OnSuccess", "OnFailure")
        }
        document = {"destinations": destinations, "modified": 0.0, **given}
        await self.store.commit([Put(EVENT_INVOKE_CONFIGS, f"{function(name).key}/{qualifier}", document)])

    async def reserve(self, **reserved: int) -> None:
        document = {"reserved": reserved}
        await self.store.commit([Put(FUNCTION_CONCURRENCY, f"{ACCOUNT}/{REGION}", document)])

    async def send(
        self, name: str, event: Any = None, qualifier: str | None = None, trace_header: str | None = None
    ) -> str:
        """An asynchronous invocation; its request id."""
        request_id = new_request_id()
        payload = json.dumps(event).encode()
        await self.acceptance.accept(FunctionReference(function(name), qualifier), payload, request_id, trace_header)
        return request_id

    # ---- time

    async def settle(self) -> None:
        """Until nothing is left to do at this time."""
        async with asyncio.timeout(20):
            while not (self.dispatcher.consumers.is_idle() and self.outbox.consumers.is_idle()):
                await asyncio.sleep(0.001)

    async def run_for(self, seconds: float) -> None:
        """Go from deadline to deadline, settling at each."""
        end = self.clock.now() + seconds
        await self.settle()
        while (deadline := self.clock.next_deadline) is not None and deadline <= end:
            self.clock.advance(max(0.0, deadline - self.clock.now()))
            for _ in range(20):  # whoever was woken says that it is busy
                await asyncio.sleep(0)
            await self.settle()
        self.clock.advance(max(0.0, end - self.clock.now()))
        await self.settle()

    # ---- what came of it

    def times(self, name: str, since: float | None = None) -> list[float]:
        """When a function ran, in seconds since the start."""
        begun = since if since is not None else ManualClock().now()
        return [at - begun for at, who, _ in self.worker.runs if who == name]

    def records(self) -> list[Any]:
        return [json.loads(delivery.body) for delivery in self.sent if not delivery.is_dead_letter]

    def counted(self, name: str) -> int:
        return sum(counts.get(name, 0) for counts in self.metrics.totals.values())

    @property
    def is_empty(self) -> bool:
        return self.dispatcher.consumers.is_empty and self.outbox.consumers.is_empty


def function(name: str) -> FunctionId:
    return FunctionId(ACCOUNT, REGION, name)


def _version(name: str, number: str, **given: Any) -> FunctionVersion:
    return FunctionVersion(
        *(function(name), number, "arn:aws:iam::000000000000:role/r", "digest", "sha256", 1, RevisionId("r"), "e"),
        last_modified="2026-11-23T10:00:00.000+0000",
        logging=LoggingConfig("Text", f"/aws/lambda/{name}"),
        **given,
    )


def _spec(version: FunctionVersion) -> EnvironmentSpec:
    return EnvironmentSpec(
        environment_id=new_environment_id(),
        template=version.qualified_arn,
        function=version.function,
        version=version.version,
        runtime="python3.12",
        handler="index.handler",
        code_digest="digest",
        memory_mb=128,
        timeout_s=3,
        ephemeral_storage_mb=512,
        architecture="x86_64",
        environment={},
        credentials=RoleCredentials("ASIA", "secret", "token", 9e9, version.role, "AROA:x"),
        log_group="group",
        log_stream="stream",
    )


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path / "queues.db")
    await made.start()
    yield made
    await made.stop()
