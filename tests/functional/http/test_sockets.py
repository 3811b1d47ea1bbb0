"""Several sockets for one server, of every kind it takes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from lambent.http.messages import Exchange, RequestHead, Response
from lambent.http.server import HttpServer
from lambent.http.sockets import bind_tcp


class Policy:
    def body_limit(self, head: RequestHead) -> int:
        return 1_000

    def too_large(self, head: RequestHead, limit: int) -> Response:
        return Response(413)

    def malformed(self, status: int, reason: str) -> Response:
        return Response(status)


def hello(exchange: Exchange) -> None:
    exchange.respond(Response(200, body=b"hello"))


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("factory", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_tcp_and_unix_sockets_of_one_server(factory: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve_both(tmp_path))


async def _serve_both(tmp_path: Path) -> None:
    server = HttpServer(hello, Policy())
    tcp = bind_tcp("localhost", 0)
    path = tmp_path / "socket"
    unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    unix.bind(str(path))
    unix.listen()
    await server.start(tcp)
    await server.start(unix)
    address = tcp.getsockname()
    assert (await ask(*await asyncio.open_connection(*address[:2]))).endswith(b"hello")
    assert (await ask(*await asyncio.open_unix_connection(path))).endswith(b"hello")
    await server.close(1)
    await server.close(1)  # again: nothing left to do
    with pytest.raises(RuntimeError):
        await server.start(tcp)


async def test_a_server_never_started_can_be_closed() -> None:
    server = HttpServer(hello, Policy())
    await server.close(1)
    assert server.connection_count == 0


def test_an_address_in_use_is_said() -> None:
    with bind_tcp("127.0.0.1", 0) as first, pytest.raises(OSError, match="in use"):
        bind_tcp("127.0.0.1", first.getsockname()[1])
