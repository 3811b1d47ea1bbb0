"""The HTTP client against sockets that answer byte by byte what a test says."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from lambent.aws_client.errors import AwsUnreachableError
from lambent.aws_client.http_transport import HttpTransport
from lambent.http import tls
from lambent.http.messages import Headers, Request, RequestHead

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


def request(method: str = "GET", body: bytes = b"", target: str = "/path?a=b") -> Request:
    path, _, query = target.partition("?")
    return Request(RequestHead(method, target, path, query, Headers((("host", "x"), ("x-one", "1")))), body)


class Server:
    """What connects is talked to by `talk`; `connections` counts, `heads` are the requests' first lines."""

    def __init__(self) -> None:
        self.connections = 0
        self.heads: list[bytes] = []
        self.url = ""

    async def read_request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        lines = head.lower().split(b"\r\n")
        length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length")), 0)
        return await reader.readexactly(length)


@contextlib.asynccontextmanager
async def serving(
    talk: Callable[[Server, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[Server]:
    server = Server()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            await talk(server, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    server.url = f"{'https' if context else 'http'}://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listening.close()
        await asyncio.sleep(0.01)


def answering(*pieces: bytes) -> Callable[[Server, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Answer every request with the same bytes, piece by piece."""

    async def talk(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await server.read_request(reader)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)

    return talk


@contextlib.asynccontextmanager
async def client(server: Server, context: ssl.SSLContext | None = None) -> AsyncIterator[HttpTransport]:
    transport = HttpTransport(server.url, tls=context)
    try:
        yield transport
    finally:
        await transport.close()


@pytest.mark.parametrize(
    "pieces",
    [
        (OK,),
        tuple(OK[at : at + 1] for at in range(len(OK))),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n",),
        (b"HTTP/1.1 100 Continue\r\n\r\n", OK),
    ],
    ids=["whole", "byte by byte", "chunked", "after an interim answer"],
)
async def test_answers_are_read_however_they_come_and_connections_are_kept(pieces: tuple[bytes, ...]) -> None:
    async with serving(answering(*pieces)) as server, client(server) as transport:
        for _ in range(3):
            answer = await transport.send(request("POST", b"body"), 5)
            assert (answer.status, answer.body) == (200, b"hi")
        assert server.connections == 1
    assert b"POST /path?a=b HTTP/1.1" in server.heads[0]
    assert b"x-one: 1" in server.heads[0]
    assert b"content-length: 4" in server.heads[0]


async def test_requests_at_once_have_a_connection_each() -> None:
    async with serving(answering(OK)) as server, client(server) as transport:
        answers = await asyncio.gather(*[transport.send(request(), 5) for _ in range(5)])
        assert [answer.body for answer in answers] == [b"hi"] * 5
        assert server.connections == 5


async def test_a_body_may_end_with_the_connection() -> None:
    async def talk(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")

    async with serving(talk) as server, client(server) as transport:
        assert (await transport.send(request(), 5)).body == b"all of it"


async def test_an_answer_to_head_has_no_body() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n"
    async with serving(answering(head)) as server, client(server) as transport:
        answer = await transport.send(request("HEAD"), 5)
        assert (answer.headers.get("content-length"), answer.body) == ("7", b"")


async def test_a_kept_connection_that_was_closed_is_replaced() -> None:
    async def talk(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(OK)
        if server.connections == 1:
            await server.read_request(reader)  # and closes instead of answering
            return
        await reader.read()

    async with serving(talk) as server, client(server) as transport:
        await transport.send(request(), 5)
        assert (await transport.send(request(), 5)).body == b"hi"
        assert server.connections == 2


async def test_a_new_connection_that_is_closed_unanswered_is_not_tried_again() -> None:
    async def talk(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)

    async with serving(talk) as server, client(server) as transport:
        with pytest.raises(AwsUnreachableError, match="closed"):
            await transport.send(request(), 5)
        assert server.connections == 1


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", "middle of the answer"),
        (b"SSH-2.0-OpenSSH\r\n", "not HTTP"),
    ],
)
async def test_what_is_no_answer_is_said_to_be_none(sent: bytes, told: str) -> None:
    async def talk(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(sent)

    async with serving(talk) as server, client(server) as transport:
        with pytest.raises(AwsUnreachableError, match=told):
            await transport.send(request(), 5)


async def test_who_says_nothing_is_given_up() -> None:
    async def talk(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        await reader.read()

    async with serving(talk) as server, client(server) as transport:
        with pytest.raises(AwsUnreachableError, match="nothing came"):
            await transport.send(request(), 0.05)


async def test_a_caller_that_gives_up_closes_its_connection() -> None:
    gone = asyncio.Event()

    async def talk(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        gone.set()

    async with serving(talk) as server, client(server) as transport:
        call = asyncio.create_task(transport.send(request(), 60))
        while not server.heads:
            await asyncio.sleep(0.001)
        call.cancel()
        await asyncio.wait([call])
        async with asyncio.timeout(5):
            await gone.wait()


async def test_nobody_there() -> None:
    transport = HttpTransport("http://127.0.0.1:1")
    with pytest.raises(AwsUnreachableError, match="takes no connection"):
        await transport.send(request(), 5)
    await transport.close()


async def test_closing_fails_what_is_under_way() -> None:
    async def talk(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        await reader.read()

    async with serving(talk) as server:
        transport = HttpTransport(server.url)
        call = asyncio.create_task(transport.send(request(), 60))
        while not server.heads:
            await asyncio.sleep(0.001)
        await transport.close()
        with pytest.raises(AwsUnreachableError):
            await call
        with pytest.raises(AwsUnreachableError, match="not used any more"):
            await transport.send(request(), 5)


async def test_tls_trusts_only_whom_it_is_told_to(tmp_path: Path) -> None:
    authority, certificate, key = tls.self_made(tmp_path, ["127.0.0.1"])
    async with serving(answering(OK), tls.server_context(certificate, key)) as server:
        async with client(server, ssl.create_default_context(cafile=authority)) as transport:
            assert (await transport.send(request(), 5)).body == b"hi"
        async with client(server) as transport:
            with pytest.raises(AwsUnreachableError, match="certificate"):
                await transport.send(request(), 5)


@pytest.mark.parametrize("url", ["ftp://host", "host:80", "http://"])
def test_what_is_no_endpoint(url: str) -> None:
    with pytest.raises(ValueError, match="not the URL"):
        HttpTransport(url)


async def test_a_head_cannot_be_split() -> None:
    bad = Request(RequestHead("GET", "/", "/", "", Headers((("host", "x\r\nevil: 1"),))), b"")
    async with serving(answering(OK)) as server, client(server) as transport:
        with pytest.raises(ValueError, match="CR, LF"):
            await transport.send(bad, 5)
