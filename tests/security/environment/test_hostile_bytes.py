"""Bytes that are almost requests: the server takes them for what they are, and goes on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lambent.http.limits import HttpLimits
from lambent.http.server import HttpServer
from lambent.model.execution import Invocation
from lambent.model.ids import RequestId
from lambent.worker.runtime_api import frames
from lambent.worker.runtime_api.calls import Poll
from lambent.worker.runtime_api.channel import RuntimeChannel
from lambent.worker.runtime_api.machine import RuntimeMachine
from lambent.worker.runtime_api.server import RuntimeApi

PREFIX = b"/2018-06-01/runtime/"
REQUEST_ID = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
EVENT = Invocation(RequestId(REQUEST_ID), b"{}", "arn:aws:lambda:us-east-1:123456789012:function:f", "Root=1", 3)


@pytest.mark.root
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_mutilated_requests_of_a_function(arena: Any, seed: int) -> None:
    arena.deploy("mutilator", Timeout=30, MemorySize=1024)
    before = arena.server.log.read_text()
    invoked = arena.attack("mutilator", "calls", "random_requests", seed=seed, count=150)
    assert invoked.function_error is None
    assert invoked.payload["random_requests"] > 20
    new = arena.server.log.read_text()[len(before) :]
    assert not [line for line in new.splitlines() if "Traceback" in line or "failed" in line]
    arena.check_neighbour()


class Calls:
    """The rules of one environment, and what was accepted by them."""

    def __init__(self) -> None:
        self.machine = RuntimeMachine()
        self.accepted: list[tuple[str, bytes]] = []
        self.handed_out = 0

    def wait_for_event(self, poll: Poll) -> None:
        self.machine.next()
        self.machine.hand_out(RequestId(REQUEST_ID))
        self.handed_out += 1
        poll.hand_out(EVENT, 1542409706888)

    def poll_lost(self, poll: Poll) -> None:
        raise AssertionError("no poll waits here")

    def response(self, request_id: str, payload: bytes) -> None:
        self.machine.response(request_id)
        self.accepted.append(("response", payload))

    def error(self, request_id: str, payload: bytes, error_type: str | None) -> None:
        self.machine.error(request_id)
        self.accepted.append(("error", payload))

    def init_error(self, payload: bytes, error_type: str | None) -> None:
        self.machine.init_error()
        self.accepted.append(("init", payload))

    def response_too_large(self, request_id: str) -> None:
        self.machine.response(request_id)
        self.accepted.append(("too large", b""))


def _post(what: bytes, body: bytes) -> bytes:
    return b"POST %b%b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (PREFIX, what, len(body), body)


BODIES = st.binary(max_size=40)
IDS = st.sampled_from([REQUEST_ID, "other", REQUEST_ID.upper(), "", "%38" + REQUEST_ID[1:]])
REQUESTS = st.one_of(
    st.just(b"GET " + PREFIX + b"invocation/next HTTP/1.1\r\nHost: a\r\n\r\n"),
    st.builds(lambda i, b: _post(f"invocation/{i}/response".encode(), b), IDS, BODIES),
    st.builds(lambda i, b: _post(f"invocation/{i}/error".encode(), b), IDS, BODIES),
    st.builds(lambda b: _post(b"init/error", b), BODIES),
    st.binary(min_size=1, max_size=30),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(REQUESTS, min_size=1, max_size=8), st.lists(st.integers(0, 2000), max_size=5))
def test_any_sequence_of_requests_in_any_pieces(
    caplog: pytest.LogCaptureFixture, requests: list[bytes], cuts: list[int]
) -> None:
    """An event is answered once at most, by its own id, with the bytes that were sent; nothing fails."""
    caplog.clear()
    calls = asyncio.run(_exchange(b"".join(requests), sorted(cuts)))
    answers = [kind for kind, _ in calls.accepted if kind != "init"]
    assert len(answers) <= sum(request.startswith(b"GET") for request in requests)
    for kind, payload in calls.accepted:
        assert any(payload in request for request in requests), kind
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def _exchange(data: bytes, cuts: list[int]) -> Calls:
    calls = Calls()
    api = RuntimeApi(calls)
    server = HttpServer(api.handle, api, HttpLimits(), "runtime api")
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    await server.start(listener)
    reader, writer = await asyncio.open_connection(*address)
    try:
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            writer.write(data[start:end])
            await asyncio.sleep(0)
        with contextlib.suppress(OSError):
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        await server.close(0)
    return calls


def _frame(kind: int, request_id: str, error_type: bytes, body: bytes, claimed: int = 0) -> bytes:
    """`claimed`: how many bytes more than it has the body says it has."""
    own_id = request_id.encode()
    return frames.HEAD.pack(kind, len(own_id), len(error_type), len(body) + claimed) + own_id + error_type + body


FRAMES = st.one_of(
    st.just(_frame(frames.AND_NEXT, "", b"", b"")),
    st.builds(_frame, st.sampled_from(sorted(frames.KINDS)), IDS, st.binary(max_size=9), BODIES),
    st.builds(_frame, st.integers(0, 255), IDS, st.just(b""), BODIES, st.sampled_from([0, 1, 7_000_000, 1 << 40])),
    st.binary(min_size=1, max_size=30),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FRAMES, min_size=1, max_size=8), st.lists(st.integers(0, 400), max_size=5))
def test_any_sequence_of_frames_in_any_pieces(
    caplog: pytest.LogCaptureFixture, sent: list[bytes], cuts: list[int]
) -> None:
    """The same on a channel."""
    caplog.clear()
    calls = asyncio.run(_send_frames(b"".join(sent), sorted(cuts)))
    answers = [kind for kind, _ in calls.accepted if kind != "init"]
    assert len(answers) <= calls.handed_out
    for kind, payload in calls.accepted:
        assert payload in b"".join(sent), kind
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def _send_frames(data: bytes, cuts: list[int]) -> Calls:
    calls = Calls()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    channel = RuntimeChannel(calls, ours)
    await channel.open()
    reader, writer = await asyncio.open_connection(sock=theirs)
    try:
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            writer.write(data[start:end])
            await asyncio.sleep(0)
        with contextlib.suppress(OSError):
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        await channel.close()
    return calls
