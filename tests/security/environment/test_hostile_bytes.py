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
from lambent.http.messages import Exchange, Response
from lambent.http.server import HttpServer
from lambent.model.ids import RequestId
from lambent.worker.runtime_api.connection import RuntimeConnection
from lambent.worker.runtime_api.machine import RuntimeMachine
from lambent.worker.runtime_api.server import RuntimeApi

PREFIX = b"/2018-06-01/runtime/"
REQUEST_ID = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"


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

    @property
    def running(self) -> RequestId | None:
        return self.machine.request_id if self.machine.invoking else None

    def next(self, exchange: Exchange) -> None:
        self.machine.next()
        self.machine.hand_out(RequestId(REQUEST_ID))
        exchange.respond(Response(200, (), b"{}"))

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
    server = HttpServer(api.handle, api, HttpLimits(), "runtime api", lambda roster: RuntimeConnection(roster, calls))
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
