"""A server with everything on, in a thread of its own, under each event loop."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import uvloop

from lambent.http.messages import Exchange, RequestHead, Response
from lambent.http.server import HttpLimits, HttpServer, coroutine_handler
from lambent.http.sockets import bind_tcp

BODY_LIMIT = 8_000_000
LIMITS = HttpLimits(
    header_timeout_s=0.4,
    body_timeout_s=0.4,
    keep_alive_timeout_s=1.5,
    write_timeout_s=0.6,
    linger_timeout_s=2.0,
    max_connections=80,
    max_held_bytes=20_000_000,
)


class Policy:
    def body_limit(self, head: RequestHead) -> int:
        return BODY_LIMIT

    def too_large(self, head: RequestHead, limit: int) -> Response:
        return Response(413, body=b"limit %d" % limit)

    def malformed(self, status: int, reason: str) -> Response:
        return Response(status, body=reason.encode())


class Application:
    """What the test server answers, by path."""

    def __init__(self) -> None:
        self.disconnected = threading.Event()
        self.held = threading.Event()
        self.stream_ended = threading.Event()

    async def __call__(self, exchange: Exchange) -> Response:
        request = exchange.request
        path = request.path
        if path == "/echo":
            return Response(200, (("x-method", request.method), ("x-query", request.query)), request.body)
        if path.startswith("/bytes/"):
            return Response(200, body=b"b" * int(path.rpartition("/")[2]))
        if path.startswith("/stream/"):
            return Response(200, body=self._stream(int(path.rpartition("/")[2])))
        if path.startswith("/sized-stream/"):
            count = int(path.rpartition("/")[2])
            return Response(200, (("Content-Length", str(count * 1000)),), self._stream(count))
        if path == "/endless":
            return Response(200, body=self._endless())
        if path.startswith("/status/"):
            return Response(int(path.rpartition("/")[2]), body=b"body")
        if path == "/slow":
            await asyncio.sleep(0.3)
            return Response(200, body=b"slow")
        if path == "/hold":
            exchange.on_disconnect(self.disconnected.set)
            self.held.set()
            await asyncio.sleep(30)
        if path == "/parting":
            exchange.on_disconnect(lambda: exchange.respond(Response(200, body=b"farewell")))
            await asyncio.sleep(30)
        if path == "/inject":
            return Response(200, (("X", "a\r\nSet-Cookie: b"),))
        raise LookupError(path)

    async def _stream(self, count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"s" * 1000
            await asyncio.sleep(0)

    async def _endless(self) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"e" * 100_000
        finally:
            self.stream_ended.set()


class RunningServer:
    """The server's side of a test."""

    def __init__(self, factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self.application = Application()
        self.sock = bind_tcp("127.0.0.1", 0)
        self.port: int = self.sock.getsockname()[1]
        self._factory = factory
        self._grace_s = 0.0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self, grace_s: float = 0.0) -> None:
        if self._thread.is_alive():
            self._grace_s = grace_s
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(20)
            assert not self._thread.is_alive()

    def stop_soon(self, grace_s: float) -> None:
        """Begin to stop; `stop` waits for it."""
        self._grace_s = grace_s
        self._loop.call_soon_threadsafe(self._stop.set)

    def join(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()

    def connect(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def connection_count(self) -> int:
        return self._server.connection_count

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self._factory) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        handler = coroutine_handler(
            self.application, lambda exchange, error: Response(500, body=type(error).__name__.encode())
        )
        self._server = HttpServer(handler, Policy(), LIMITS, "test")
        await self._server.start(self.sock)
        self._ready.set()
        await self._stop.wait()
        await self._server.close(self._grace_s)
        await handler.close()
        assert self._server.connection_count == 0
        assert handler.task_count == 0


@pytest.fixture(params=["uvloop", "asyncio"])
def server(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    running = RunningServer(uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def read_all() -> Callable[[socket.socket], bytes]:
    """Everything until the server closes (a reset raises)."""

    def read(sock: socket.socket) -> bytes:
        parts = []
        while data := sock.recv(1_000_000):
            parts.append(data)
        return b"".join(parts)

    return read
