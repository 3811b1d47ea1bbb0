"""Execution environments with a runtime that does as it likes: every invocation has one outcome, every log its END."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.model.arn import FunctionId
from lambent.model.execution import (
    Completed,
    EnvironmentSpec,
    Invocation,
    LaunchFailure,
    LaunchFailureKind,
    NotHandedOff,
    Outcome,
    PlatformFailed,
    RoleCredentials,
)
from lambent.model.ids import AccountId, EnvironmentId, Region, RequestId
from lambent.observability.logs.events import LogEvent, LogStreamId
from lambent.worker.environment_settings import EnvironmentSettings
from lambent.worker.execution_environment import ExecutionEnvironment
from lambent.worker.output import OutputLog
from lambent.worker.platform_log import RuntimeVersion
from lambent.worker.ports import EnvironmentIdentity
from lambent.worker.sandbox.api import SandboxLimits, SandboxSpec, SandboxTemplate
from lambent.worker.sandbox.fake import FakeBackend, FakeProcess
from lambent.worker.session import SessionPlan

ID = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"


class Sink:
    def __init__(self) -> None:
        self.text = ""

    def append(self, stream: LogStreamId, events: Sequence[LogEvent]) -> None:
        for event in events:  # each event on a line of its own, as it is stored
            self.text += event.message if event.message.endswith("\n") else event.message + "\n"


class NoEndpoint:
    """Nobody answers AWS calls here."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    async def close(self) -> None:
        self._sock.close()


class NoEndpoints:
    async def serve_endpoint(self, sock: socket.socket, identity: EnvironmentIdentity) -> NoEndpoint:
        return NoEndpoint(sock)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Api:
    """A runtime's side of the Runtime API: one keep-alive connection, made again when it is lost."""

    def __init__(self, process: FakeProcess) -> None:
        self.process = process
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self.process.address(9001))
        reader, writer = self._streams
        fields = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = f"{method} {path} HTTP/1.1\r\nHost: runtime\r\nContent-Length: {len(body)}\r\n{fields}\r\n"
        writer.write(head.encode("latin-1") + body)
        status = int((await reader.readline()).split()[1])
        answered: dict[str, str] = {}
        while line := (await reader.readline()).strip():
            name, _, value = line.decode().partition(":")
            answered[name.lower()] = value.strip()
        return Answer(status, answered, await reader.readexactly(int(answered.get("content-length", "0"))))

    async def next(self) -> str:
        answer = await self.call("GET", "/2018-06-01/runtime/invocation/next")
        return answer.headers["lambda-runtime-aws-request-id"]

    async def respond(self, request_id: str, body: bytes = b"{}") -> Answer:
        return await self.call("POST", f"/2018-06-01/runtime/invocation/{request_id}/response", body)

    async def disconnect(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def __aenter__(self) -> Api:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()


@dataclass
class World:
    """An environment, and everything it told."""

    environment: ExecutionEnvironment
    sink: Sink
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    ends: list[LaunchFailure | None] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    async def invoke(self, payload: bytes = b"{}", timeout_s: int = 5) -> Outcome:
        """Wait until it is ready, invoke, and return the outcome."""
        waiting = [asyncio.ensure_future(self.ready.wait()), asyncio.ensure_future(self.ended.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=10)
        for task in waiting:
            task.cancel()
        if self.ended.is_set():
            return NotHandedOff("ended")
        self.ready.clear()
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def finished(outcome: Outcome) -> None:
            self.outcomes.append(outcome)
            done.set_result(outcome)  # a second outcome would raise here

        invocation = Invocation(RequestId(ID), payload, "arn", "Root=1", timeout_s, log_tail=True)
        self.environment.invoke(invocation, finished)
        async with asyncio.timeout(10):
            return await done


async def with_environment(
    program: Callable[[FakeProcess], Awaitable[int | None]],
    test: Callable[[World], Awaitable[None]],
    logging: Mapping[str, Any] | None = None,
    **settings: Any,
) -> World:
    backend = FakeBackend({"run": program})
    await backend.start()
    sink = Sink()
    function = FunctionId(AccountId("0" * 12), Region("us-east-1"), "f")
    credentials = RoleCredentials("ASIA", "secret", "token", 1e12, "arn", "id")
    spec = EnvironmentSpec(EnvironmentId("e"), "t", function, "$LATEST", "python3.11", "app.handler", "digest", 128, 5,
                           512, "x86_64", {}, credentials, "/aws/lambda/f", "stream", **(logging or {}))  # fmt: skip
    plan = SessionPlan(
        SandboxTemplate("t"),
        SandboxSpec("e", ("run",), {}, SandboxLimits(2**27, 1, 2**29), listen=(9001, 4566), telemetry_fd=3),
        EnvironmentIdentity(spec.environment_id, function, credentials),
    )
    world: World

    def ended(failure: LaunchFailure | None) -> None:
        world.ends.append(failure)
        world.ended.set()

    environment = ExecutionEnvironment(
        spec, plan, RuntimeVersion("python:3.11.v1", "arn"), backend,
        OutputLog(sink, LogStreamId(function.account, function.region, spec.log_group, spec.log_stream),
                  spec.application_log_level),
        NoEndpoints(), EnvironmentSettings(**settings), ready=lambda: world.ready.set(), ended=ended,
    )  # fmt: skip
    world = World(environment, sink)
    environment.start()
    try:
        await test(world)
    finally:
        environment.stop("the test is over")
        async with asyncio.timeout(10):
            await world.ended.wait()
        await backend.close()
    await asyncio.sleep(0)
    assert len(world.ends) == 1
    return world


async def echo(process: FakeProcess) -> int:
    async with Api(process) as api:
        while True:
            request_id = await api.next()
            process.write(b"working\n")
            await api.respond(request_id, b'"done"')


async def test_an_invocation_and_its_log() -> None:
    async def test(world: World) -> None:
        outcome = await world.invoke()
        assert isinstance(outcome, Completed)
        assert outcome.payload == b'"done"'
        assert outcome.log_tail is not None
        assert re.fullmatch(rf"START .*\nworking\nEND RequestId: {ID}\nREPORT .*\n".encode(), outcome.log_tail)

    await with_environment(echo, test)


def json_lines(text: str) -> list[Any]:
    return [json.loads(line) if line.startswith("{") else line for line in text.splitlines()]


async def test_the_platform_speaks_json() -> None:
    async def program(process: FakeProcess) -> int:
        async with Api(process) as api:
            process.write(b'plain\n{"level": "INFO", "timestamp": "2026-11-23T10:00:00Z"}\n')
            await api.respond(await api.next(), b'"done"')
            request_id = await api.next()
            path = f"/2018-06-01/runtime/invocation/{request_id}/error"
            await api.call(
                "POST", path, b'{"errorMessage": "no"}', {"Lambda-Runtime-Function-Error-Type": "Runtime.No"}
            )
            await api.next()
        return 0

    async def test(world: World) -> None:
        outcome = await world.invoke()
        assert isinstance(outcome, Completed)
        assert outcome.log_tail is not None
        assert [line["type"] for line in json_lines(outcome.log_tail.decode())] == [
            "platform.start", "platform.runtimeDone", "platform.report",
        ]  # fmt: skip
        await world.invoke()

    logging = {"log_format": "JSON", "system_log_level": "DEBUG", "application_log_level": "WARN"}
    world = await with_environment(program, test, logging)
    events = json_lines(world.sink.text)
    assert events.pop(1) == "plain"
    types = [event["type"] for event in events]
    invocation = ["platform.start", "platform.runtimeDone", "platform.report"]
    assert types == ["platform.initStart", "platform.initRuntimeDone", "platform.initReport", *invocation, *invocation]
    records = [event["record"] for event in events]
    start, done, init, _, _, report, _, failed, failure = records
    on_demand = {"initializationType": "on-demand", "phase": "init"}
    version = {"runtimeVersion": "python:3.11.v1", "runtimeVersionArn": "arn"}
    assert start == on_demand | version | {"functionName": "f", "functionVersion": "$LATEST"}
    assert done == on_demand | {"status": "success"}
    assert init == on_demand | {"status": "success", "metrics": init["metrics"]}
    assert report["status"] == "success"
    assert set(report["metrics"]) == {
        "durationMs", "billedDurationMs", "memorySizeMB", "maxMemoryUsedMB", "initDurationMs",
    }  # fmt: skip
    assert report["metrics"]["initDurationMs"] == init["metrics"]["durationMs"]
    assert (failed["status"], failed["errorType"], failed["metrics"]["producedBytes"]) == ("error", "Runtime.No", 22)
    assert (failure["status"], failure["errorType"]) == ("error", "Runtime.No")
    assert "initDurationMs" not in failure["metrics"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["time"]) for event in events)


@pytest.mark.parametrize(
    ("level", "types"),
    [("INFO", ["platform.initStart", "platform.start", "platform.report"]), ("WARN", [])],
)
async def test_the_system_log_level_leaves_events_out(level: str, types: list[str]) -> None:
    async def test(world: World) -> None:
        await world.invoke()

    world = await with_environment(echo, test, {"log_format": "JSON", "system_log_level": level})
    assert [line["type"] for line in json_lines(world.sink.text) if isinstance(line, dict)] == types


async def test_at_warn_only_failures_are_said() -> None:
    async def program(process: FakeProcess) -> int:
        async with Api(process) as api:
            await api.next()
            await asyncio.sleep(60)
        return 0

    async def test(world: World) -> None:
        await world.invoke(timeout_s=1)

    world = await with_environment(program, test, {"log_format": "JSON", "system_log_level": "WARN"})
    events = [line for line in json_lines(world.sink.text) if isinstance(line, dict)]
    assert [event["type"] for event in events] == ["platform.runtimeDone", "platform.report"]
    assert {event["record"]["status"] for event in events} == {"timeout"}


async def test_a_second_answer_and_a_foreign_id_change_nothing() -> None:
    answers: list[int] = []

    async def program(process: FakeProcess) -> int:
        async with Api(process) as api:
            request_id = await api.next()
            answers.append((await api.respond("another", b"1")).status)
            answers.append((await api.respond(request_id, b"2")).status)
            answers.append((await api.respond(request_id, b"3")).status)
            answers.append((await api.call("POST", "/2018-06-01/runtime/init/error", b"{}")).status)
            await api.next()
        return 0

    async def test(world: World) -> None:
        outcome = await world.invoke()
        assert outcome == Completed(b"2", None, outcome.log_tail)  # type: ignore[union-attr]
        await world.ready.wait()
        assert answers == [400, 202, 403, 403]

    await with_environment(program, test)


async def test_a_poll_that_is_lost_and_made_again() -> None:
    async def program(process: FakeProcess) -> int:
        async with Api(process) as api:
            asking = asyncio.ensure_future(api.next())
            await asyncio.sleep(0.05)
            asking.cancel()
            await api.disconnect()
            await asyncio.sleep(0.2)
            await api.respond(await api.next(), b'"late"')
            await api.next()
        return 0

    async def test(world: World) -> None:
        await asyncio.sleep(0.1)  # the poll is lost, and not yet made again
        outcome = await world.invoke()
        assert isinstance(outcome, Completed)
        assert outcome.payload == b'"late"'

    await with_environment(program, test)


async def test_an_answer_over_the_limit_is_refused_and_the_runtime_lives_on() -> None:
    statuses: list[int] = []

    async def program(process: FakeProcess) -> int:
        async with Api(process) as api:
            answer = await api.respond(await api.next(), b"x" * 6_291_557)
            statuses.append(answer.status)
            assert json.loads(answer.body)["errorType"] == "RequestEntityTooLarge"
            await api.disconnect()
            await api.respond(await api.next(), b"x" * 6_291_556)
            await api.next()
        return 0

    async def test(world: World) -> None:
        first, second = await world.invoke(), await world.invoke()
        assert isinstance(first, Completed)
        assert json.loads(first.payload)["errorType"] == "Function.ResponseSizeTooLarge"
        assert isinstance(second, Completed)
        assert len(second.payload) == 6_291_556
        assert statuses == [413]

    await with_environment(program, test)


async def test_a_runtime_that_answers_and_never_asks_again_is_ended_at_the_timeout() -> None:
    async def program(process: FakeProcess) -> int:
        async with Api(process) as api:
            await api.respond(await api.next())
            await asyncio.sleep(60)
        return 0

    async def test(world: World) -> None:
        assert isinstance(await world.invoke(timeout_s=1), Completed)
        async with asyncio.timeout(5):
            await world.ended.wait()

    await with_environment(program, test)


async def test_an_init_that_takes_too_long_is_tried_again_with_the_invocation() -> None:
    starts: list[int] = []

    async def program(process: FakeProcess) -> int:
        starts.append(1)
        if len(starts) == 1:
            await asyncio.sleep(60)
        return await echo(process)

    async def test(world: World) -> None:
        outcome = await world.invoke()
        assert isinstance(outcome, Completed)
        assert outcome.payload == b'"done"'

    world = await with_environment(program, test, init_timeout_s=0.1)
    assert "Phase: init\tStatus: timeout\n" in world.sink.text


PROVISIONED = {"initialization_type": "provisioned-concurrency"}


async def test_a_provisioned_environment_may_take_longer_to_init_and_its_report_leaves_that_out() -> None:
    async def program(process: FakeProcess) -> int:
        await asyncio.sleep(0.3)
        return await echo(process)

    async def test(world: World) -> None:
        outcome = await world.invoke()
        assert isinstance(outcome, Completed)
        assert outcome.billed_duration_ms < 300

    world = await with_environment(program, test, PROVISIONED, init_timeout_s=0.05)
    assert "Init Duration" not in world.sink.text
    assert "Status: timeout" not in world.sink.text


async def test_a_provisioned_environment_whose_init_fails_ends_and_says_so() -> None:
    async def program(process: FakeProcess) -> int:
        return 1

    async def test(world: World) -> None:
        async with asyncio.timeout(10):
            await world.ended.wait()

    world = await with_environment(program, test, PROVISIONED)
    assert world.ends[0] is not None
    assert world.ends[0].kind is LaunchFailureKind.INIT
    assert "Phase: init\tStatus: error" in world.sink.text


async def test_frozen_while_idle_and_thawed_for_an_invocation() -> None:
    processes: list[FakeProcess] = []

    async def program(process: FakeProcess) -> int:
        processes.append(process)
        return await echo(process)

    async def test(world: World) -> None:
        await world.invoke()
        await world.ready.wait()
        await asyncio.sleep(0.1)
        assert processes[0].frozen
        assert isinstance(await world.invoke(), Completed)
        assert not processes[0].frozen

    await with_environment(program, test, freeze_after_s=0.02)


STEPS = st.one_of(
    st.just(("next",)),
    st.tuples(st.just("respond"), st.sampled_from(["right", "wrong"]), st.binary(max_size=20)),
    st.tuples(st.just("error"), st.sampled_from(["right", "wrong"]), st.binary(max_size=20)),
    st.tuples(st.just("init-error"), st.binary(max_size=20)),
    st.tuples(st.just("call"), st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
              st.from_regex(r"/[!-~]{0,40}", fullmatch=True)),
    st.tuples(st.just("raw"), st.binary(min_size=1, max_size=60)),
    st.tuples(st.just("print"), st.binary(max_size=200)),
    st.tuples(st.just("frame"), st.binary(max_size=200)),
    st.just(("disconnect",)),
    st.tuples(st.just("exit"), st.integers(0, 3)),
)  # fmt: skip


async def play(process: FakeProcess, steps: list[tuple[Any, ...]]) -> int:
    async with Api(process) as api:
        request_id = "none"
        for step in steps:
            try:
                async with asyncio.timeout(0.3):
                    match step:
                        case ("next",):
                            request_id = await api.next()
                        case ("exit", status):
                            return int(status)
                        case _:
                            await do(process, api, request_id, step)
            except (TimeoutError, OSError, IndexError, ValueError, KeyError, asyncio.IncompleteReadError):
                await api.disconnect()
    return 0


async def do(process: FakeProcess, api: Api, request_id: str, step: tuple[Any, ...]) -> None:
    match step:
        case ("respond", which, body):
            await api.respond(request_id if which == "right" else "wrong", body)
        case ("error", which, body):
            path = f"/2018-06-01/runtime/invocation/{request_id if which == 'right' else 'x'}/error"
            await api.call("POST", path, body, {"Lambda-Runtime-Function-Error-Type": "Function.Own"})
        case ("init-error", body):
            await api.call("POST", "/2018-06-01/runtime/init/error", body)
        case ("call", method, path):
            assert (await api.call(method, path)).status < 500
        case ("raw", data):
            reader, writer = await asyncio.open_connection(*process.address(9001))
            try:
                writer.write(data)
                writer.write_eof()
                answer = await reader.read(100)
                assert not answer.startswith(b"HTTP/1.1 500")
            finally:
                writer.close()
        case ("print", data):
            process.write(data)
        case ("frame", data):
            process.write_telemetry(data)
        case ("disconnect",):
            await api.disconnect()


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=12))
def test_whatever_a_runtime_does_each_invocation_has_one_outcome(steps: list[tuple[Any, ...]]) -> None:
    async def test(world: World) -> None:
        for _ in range(2):
            outcome = await world.invoke(timeout_s=1)
            assert isinstance(outcome, (Completed, NotHandedOff, PlatformFailed))
            if world.ended.is_set():
                return

    world = asyncio.run(with_environment(lambda process: play(process, steps), test, init_timeout_s=0.5))
    text = world.sink.text
    completed = sum(isinstance(outcome, Completed) for outcome in world.outcomes)
    assert len(re.findall(rf"^END RequestId: {ID}$", text, re.MULTILINE)) == completed
    assert len(re.findall(rf"REPORT RequestId: {ID}\t", text)) == completed


@pytest.mark.parametrize(
    "bad", ["/2018-06-01/runtime/invocation/next/", "/", "/2018-06-01/runtime/invocation//response"]
)
async def test_unknown_paths_are_not_found_or_refused(bad: str) -> None:
    statuses: list[int] = []

    async def program(process: FakeProcess) -> int:
        async with Api(process) as api:
            statuses.append((await api.call("POST", bad)).status)
            await api.next()
        return 0

    async def test(world: World) -> None:
        await world.ready.wait()

    await with_environment(program, test)
    assert statuses[0] in (400, 404)
