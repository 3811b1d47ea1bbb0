"""How near the HTTP server is to what its parser and event loop allow.

One command: `python benchmarks/http_floor.py`. An echo handler (POST, 100 bytes) is asked over 1, 8 and 64 keep-alive
connections by a raw epoll client in another process, next to a bare httptools protocol that checks nothing and keeps
no time: the floor. Server CPU is what the kernel accounts to the server's thread. `--profile` prints a cProfile of
the server instead.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import multiprocessing
import os
import pstats
import select
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

import httptools
import uvloop

from lambent.http.messages import Exchange, RequestHead, Response
from lambent.http.server import HttpServer
from lambent.http.sockets import bind_tcp

_BODY = b"x" * 100
_REQUEST = (
    b"POST /2015-03-31/functions/echo/invocations HTTP/1.1\r\nHost: 127.0.0.1:4566\r\nAccept-Encoding: identity\r\n"
    b"User-Agent: benchmark\r\nX-Amz-Date: 20260101T000000Z\r\nAuthorization: " + b"a" * 200 + b"\r\n"
    b"Content-Length: 100\r\n\r\n" + _BODY
)


class EchoPolicy:
    """Bodies up to 6 MiB."""

    def body_limit(self, head: RequestHead) -> int:
        return 6 * 1024 * 1024

    def too_large(self, head: RequestHead, limit: int) -> Response:
        return Response(413)

    def malformed(self, status: int, reason: str) -> Response:
        return Response(status, body=reason.encode())


def echo(exchange: Exchange) -> None:
    exchange.respond(
        Response(
            200,
            (("Content-Type", "application/json"), ("x-amzn-RequestId", "0d6e3bb8-5b6f-4b8f-9d6a-1c6f6d3b7a10")),
            exchange.request.body,
        )
    )


class FloorProtocol(asyncio.Protocol):
    """The least that answers: every callback the real server needs, and nothing in them."""

    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        pass

    def on_header(self, name: bytes, value: bytes) -> None:
        pass

    def on_headers_complete(self) -> None:
        pass

    def on_body(self, body: bytes) -> None:
        self.body = body

    def on_message_complete(self) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + self.body)


async def _serve(kind: str, pipe: Connection) -> None:
    sock = bind_tcp("127.0.0.1", 0)
    port = sock.getsockname()[1]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    if kind == "floor":
        floor = await asyncio.get_running_loop().create_server(FloorProtocol, sock=sock)
        pipe.send(port)
        await stop.wait()
        floor.close()
        return
    server = HttpServer(echo, EchoPolicy())
    await server.start(sock)
    pipe.send(port)
    await stop.wait()
    await server.close(0.5)


def _server_process(kind: str, loop: str, profile: bool, pipe: Connection) -> None:
    profiler = cProfile.Profile()
    if profile:
        profiler.enable()
    factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(kind, pipe))
    if profile:
        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


def _cpu_ns(pid: int) -> int:
    """Time on a processor of a process's main thread, user and kernel."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one load: `latencies` in seconds, sorted."""

    requests: int
    seconds: float
    latencies: list[float]


def _load(port: int, connections: int, duration_s: float) -> Outcome:
    """Closed loop: each connection sends the next request when it has the whole answer."""
    epoll = select.epoll()
    sockets: dict[int, socket.socket] = {}
    sent: dict[int, float] = {}
    for _ in range(connections):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(_REQUEST)
        answer = b""
        while not answer.endswith(_BODY):
            answer += sock.recv(65536)
        sock.setblocking(False)
        sockets[sock.fileno()] = sock
        epoll.register(sock.fileno(), select.EPOLLIN)
    size = len(answer)
    missing = dict.fromkeys(sockets, size)
    latencies: list[float] = []
    clock = time.perf_counter
    start = clock()
    for fd, sock in sockets.items():
        sent[fd] = clock()
        sock.send(_REQUEST)
    end = start + duration_s
    now = start
    while now < end:
        for fd, _ in epoll.poll():
            sock = sockets[fd]
            missing[fd] -= len(sock.recv(65536))
            if missing[fd] == 0:
                missing[fd] = size
                now = clock()
                latencies.append(now - sent[fd])
                sent[fd] = now
                sock.send(_REQUEST)
    for sock in sockets.values():
        sock.close()
    epoll.close()
    return Outcome(len(latencies), now - start, sorted(latencies))


def measure(
    kind: str, loop: str, duration_s: float, counts: tuple[int, ...], profile: bool = False
) -> Iterator[tuple[Outcome, float]]:
    """For each number of connections what the load saw, and the server's CPU time of a request in µs."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_server_process, args=(kind, loop, profile, theirs))
    process.start()
    pid = process.pid
    assert pid is not None
    port: int = ours.recv()
    for connections in counts:
        _load(port, connections, 0.3)
        before = _cpu_ns(pid)
        outcome = _load(port, connections, duration_s)
        yield outcome, (_cpu_ns(pid) - before) / 1000 / outcome.requests
    os.kill(pid, signal.SIGTERM)
    process.join()


def _print(kind: str, loop: str, arguments: argparse.Namespace) -> None:
    counts = tuple(arguments.connections)
    measured = measure(kind, loop, arguments.seconds, counts, arguments.profile)
    for connections, (outcome, cpu_us) in zip(counts, measured, strict=True):
        rate = outcome.requests / outcome.seconds
        p50, p99 = (outcome.latencies[int(outcome.requests * q)] * 1000 for q in (0.5, 0.99))
        print(f"{kind:8} {loop:8} {connections:5} {rate:10,.0f} {p50:8.3f} {p99:8.3f} {cpu_us:10.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="per row (default 3)")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--loop", choices=["uvloop", "asyncio"], nargs="+", default=["uvloop", "asyncio"])
    parser.add_argument("--server", choices=["floor", "lambent"], nargs="+", default=["floor", "lambent"])
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    print(f"{'server':8} {'loop':8} {'conns':>5} {'req/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'CPU µs/req':>10}")
    for loop in arguments.loop:
        for kind in arguments.server:
            _print(kind, loop, arguments)


if __name__ == "__main__":
    main()
