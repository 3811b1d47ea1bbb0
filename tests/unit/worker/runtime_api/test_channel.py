"""A channel keeps the Runtime API's rules, whatever comes in which pieces."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from lambent.model import limits
from lambent.model.execution import Invocation
from lambent.model.ids import RequestId
from lambent.worker.runtime_api.calls import Poll
from lambent.worker.runtime_api.channel import RuntimeChannel
from lambent.worker.runtime_api.machine import Phase, RuntimeMachine

ID = RequestId("8476a536-e9f4-11e8-9739-2dfe598c3fcd")
ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"
EVENT = Invocation(ID, b'{"a": 1}', ARN, "Root=1-5bef4de7;\u00e9", 3)
NOTHING, RESPONSE, ERROR, INIT_ERROR, AND_NEXT = 0, 1, 2, 3, 16
TOO_LARGE = limits.SYNC_RESPONSE_MAX_BYTES + 1


class Environment:
    """Behind the channel: the rules, and what was let through."""

    def __init__(self) -> None:
        self.machine = RuntimeMachine()
        self.poll: Poll | None = None
        self.taken: list[tuple[object, ...]] = []
        self.failure: Exception | None = None

    def wait_for_event(self, poll: Poll) -> None:
        self.machine.next()
        self.poll = poll

    def poll_lost(self, poll: Poll) -> None:
        assert poll is self.poll
        self.machine.poll_lost()

    def response(self, request_id: str, payload: bytes) -> None:
        if self.failure is not None:
            raise self.failure
        self.machine.response(request_id)
        self.taken.append(("response", payload))

    def error(self, request_id: str, payload: bytes, error_type: str | None) -> None:
        self.machine.error(request_id)
        self.taken.append(("error", payload, error_type))

    def init_error(self, payload: bytes, error_type: str | None) -> None:
        self.machine.init_error()
        self.taken.append(("init", payload, error_type))

    def response_too_large(self, request_id: str) -> None:
        self.machine.response(request_id)
        self.taken.append(("too large",))


class Runtime:
    """In front of it."""

    def __init__(self, environment: Environment, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.environment = environment
        self.reader = reader
        self.writer = writer

    def send(self, kind: int, request_id: str = "", error_type: bytes = b"", body: bytes = b"") -> None:
        self.writer.write(post(kind, request_id, error_type, body))

    async def receive(self) -> tuple[object, bytes]:
        head, length = struct.unpack(">II", await self.reader.readexactly(8))
        return json.loads(await self.reader.readexactly(head)), await self.reader.readexactly(length)

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0.001)

    async def be_invoked(self) -> tuple[object, bytes]:
        await self.settle()
        assert self.environment.poll is not None
        self.environment.machine.hand_out(ID)
        self.environment.poll.hand_out(EVENT, 1542409706888)
        return await self.receive()


def post(kind: int, request_id: str = "", error_type: bytes = b"", body: bytes = b"") -> bytes:
    head = struct.pack(">BBHQ", kind, len(request_id), len(error_type), len(body))
    return head + request_id.encode() + error_type + body


@pytest.fixture
async def runtime() -> AsyncIterator[Runtime]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    environment = Environment()
    channel = RuntimeChannel(environment, ours)
    await channel.open()
    reader, writer = await asyncio.open_connection(sock=theirs)
    yield Runtime(environment, reader, writer)
    writer.close()
    await channel.close()
    assert channel.closed


async def test_events_and_answers(runtime: Runtime) -> None:
    runtime.send(AND_NEXT)
    first, body = await runtime.be_invoked()
    assert first == [202, [ID, 1542409706888, ARN, "Root=1-5bef4de7;\u00e9", None, None, None]]
    assert body == EVENT.payload
    runtime.send(RESPONSE | AND_NEXT, ID, body=b"{}")
    await runtime.be_invoked()
    runtime.send(ERROR | AND_NEXT, ID, b"Type", b'{"errorType": "Type"}')
    await runtime.be_invoked()
    assert runtime.environment.taken == [("response", b"{}"), ("error", b'{"errorType": "Type"}', "Type")]


async def test_frames_come_in_any_pieces(runtime: Runtime) -> None:
    runtime.send(AND_NEXT)
    await runtime.be_invoked()
    frame = post(RESPONSE | AND_NEXT, ID, body=b"0123456789" * 50)
    for start in range(0, len(frame), 7):
        runtime.writer.write(frame[start : start + 7])
        await asyncio.sleep(0)
    await runtime.be_invoked()
    assert runtime.environment.taken == [("response", b"0123456789" * 50)]


async def test_an_answer_without_asking_for_more(runtime: Runtime) -> None:
    runtime.send(AND_NEXT)
    await runtime.be_invoked()
    runtime.send(ERROR, ID, b"T", b"{}")
    runtime.send(AND_NEXT)  # in the same read
    assert await runtime.receive() == ([202, None], b"")
    assert (await runtime.be_invoked())[0][0] == 202  # type: ignore[index]


async def test_a_failed_init(runtime: Runtime) -> None:
    runtime.send(INIT_ERROR, "", b"Runtime.ImportModuleError", b"{}")
    assert await runtime.receive() == ([202, None], b"")
    runtime.send(AND_NEXT)
    head, body = await runtime.receive()
    assert head == [403, None]
    assert json.loads(body)["errorType"] == "InvalidStateTransition"
    assert runtime.environment.taken == [("init", b"{}", "Runtime.ImportModuleError")]


@pytest.mark.parametrize("request_id", ["", "other", ID.upper()])
async def test_answers_to_other_events_are_refused(runtime: Runtime, request_id: str) -> None:
    runtime.send(AND_NEXT)
    await runtime.be_invoked()
    runtime.send(RESPONSE, request_id, body=b"{}")
    assert await runtime.receive() == ([400, None], b"")
    assert runtime.environment.taken == []
    assert runtime.environment.machine.phase is Phase.INVOKING


async def test_a_second_answer_is_refused_and_told_with_the_next_event(runtime: Runtime) -> None:
    runtime.send(AND_NEXT)
    await runtime.be_invoked()
    runtime.send(RESPONSE, ID, body=b"1")
    assert await runtime.receive() == ([202, None], b"")
    runtime.send(RESPONSE | AND_NEXT, ID, body=b"2")
    assert (await runtime.be_invoked())[0][0] == 403  # type: ignore[index]
    runtime.send(RESPONSE | AND_NEXT, ID, body=b"3")
    assert (await runtime.be_invoked())[0][0] == 202  # type: ignore[index]
    assert runtime.environment.taken == [("response", b"1"), ("response", b"3")]


async def test_a_body_that_is_too_large_is_thrown_away(runtime: Runtime) -> None:
    runtime.send(AND_NEXT)
    await runtime.be_invoked()
    frame = post(RESPONSE | AND_NEXT, ID, body=b"x" * TOO_LARGE)
    runtime.writer.write(frame[:100])
    await runtime.settle()
    assert runtime.environment.taken == [("too large",)]  # it is known before it has come
    runtime.writer.write(frame[100:])
    await runtime.writer.drain()
    assert (await runtime.be_invoked())[0][0] == 413  # type: ignore[index]
    runtime.send(RESPONSE | AND_NEXT, ID, body=b"{}")
    await runtime.be_invoked()
    assert runtime.environment.taken == [("too large",), ("response", b"{}")]


async def test_an_error_that_is_too_large_does_not_end_the_invocation(runtime: Runtime) -> None:
    runtime.send(AND_NEXT)
    await runtime.be_invoked()
    runtime.send(ERROR, ID, b"T", b"x" * TOO_LARGE)
    await runtime.writer.drain()
    assert await runtime.receive() == ([413, None], b"")
    assert runtime.environment.machine.phase is Phase.INVOKING


@pytest.mark.parametrize("frame", [post(NOTHING), post(4), post(32 | RESPONSE, ID), b"GET /2018-06-01/runtime/"])
async def test_what_is_no_frame_ends_the_channel(runtime: Runtime, frame: bytes) -> None:
    runtime.writer.write(frame)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await runtime.receive()
    assert runtime.environment.taken == []


async def test_so_does_speaking_while_an_event_is_awaited(runtime: Runtime) -> None:
    runtime.send(AND_NEXT)
    runtime.send(RESPONSE, ID, body=b"{}")
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await runtime.receive()
    await runtime.settle()
    assert runtime.environment.machine.phase is Phase.ANSWERED  # the poll is lost, and known to be
    assert runtime.environment.poll is not None
    assert runtime.environment.poll.closed


async def test_so_does_a_failure_of_ours(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    runtime.send(AND_NEXT)
    await runtime.be_invoked()
    runtime.environment.failure = RuntimeError("a bug")
    runtime.send(RESPONSE | AND_NEXT, ID, body=b"{}")
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await runtime.receive()
    assert "a bug" in caplog.text


async def test_who_does_not_read_is_not_read_from(runtime: Runtime) -> None:
    """Answers must not pile up in the server's memory."""
    runtime.send(AND_NEXT)
    await runtime.be_invoked()
    frame = post(RESPONSE, "other", body=b"{}")
    transport = runtime.writer.transport
    transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(400):
        runtime.writer.write(frame * 500)
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    left = transport.get_write_buffer_size()
    assert left > 1_000_000  # of 10 MB: it stays with its sender
    transport.abort()


async def test_a_channel_that_never_opened_is_closed() -> None:
    ours, theirs = socket.socketpair()
    channel = RuntimeChannel(Environment(), ours)
    await channel.close()
    assert theirs.recv(1) == b""
    theirs.close()
