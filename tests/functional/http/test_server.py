"""The server over real sockets, under both event loops."""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import botocore.awsrequest
import botocore.httpsession
import pytest
import urllib3

from lambent.http import parsing

# Given by conftest.py: a RunningServer (its type cannot be imported from there).
Server = Any
ReadAll = Callable[[socket.socket], bytes]


@pytest.fixture
def client(server: Server) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    yield connection
    connection.close()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "not so within ten seconds"
        time.sleep(0.01)


def exchange(client: http.client.HTTPConnection, method: str, path: str, body: object = None) -> tuple[int, bytes]:
    client.request(method, path, body)  # type: ignore[arg-type]
    response = client.getresponse()
    return response.status, response.read()


# Clients


def test_keep_alive_echo(client: http.client.HTTPConnection) -> None:
    assert exchange(client, "POST", "/echo?a=b", b"hello") == (200, b"hello")
    before = client.sock
    assert exchange(client, "POST", "/echo", b"") == (200, b"")
    assert exchange(client, "PUT", "/echo", b"x" * 100_000) == (200, b"x" * 100_000)
    assert client.sock is before


def test_large_bodies_both_ways(client: http.client.HTTPConnection) -> None:
    body = bytes(range(256)) * 24_000
    assert exchange(client, "POST", "/echo", body) == (200, body)


def test_chunked_request_body(client: http.client.HTTPConnection) -> None:
    assert exchange(client, "POST", "/echo", iter([b"abc", b"d" * 70_000, b"e"])) == (
        200,
        b"abc" + b"d" * 70_000 + b"e",
    )


def test_head_and_statuses_without_body(client: http.client.HTTPConnection) -> None:
    client.request("HEAD", "/bytes/1000")
    response = client.getresponse()
    assert (response.getheader("Content-Length"), response.read()) == ("1000", b"")
    assert exchange(client, "GET", "/status/204") == (204, b"")
    assert exchange(client, "GET", "/status/304") == (304, b"")
    assert exchange(client, "HEAD", "/stream/3") == (200, b"")
    assert exchange(client, "GET", "/status/404") == (404, b"body")


def test_streams(client: http.client.HTTPConnection) -> None:
    assert exchange(client, "GET", "/stream/500") == (200, b"s" * 500_000)
    assert exchange(client, "GET", "/sized-stream/500") == (200, b"s" * 500_000)
    assert exchange(client, "GET", "/stream/0") == (200, b"")


def test_errors_of_handlers(client: http.client.HTTPConnection) -> None:
    assert exchange(client, "GET", "/nowhere") == (500, b"LookupError")
    assert exchange(client, "GET", "/inject") == (500, b"ValueError")
    assert exchange(client, "POST", "/echo", b"still here") == (200, b"still here")


def test_urllib3(server: Server) -> None:
    with urllib3.PoolManager() as pool:
        url = f"http://127.0.0.1:{server.port}"
        for _ in range(3):
            answer = pool.request("POST", f"{url}/echo?x=%20", body=b"abc")
            assert (answer.status, answer.data, answer.headers["x-query"]) == (200, b"abc", "x=%20")
        assert pool.request("GET", f"{url}/stream/10").data == b"s" * 10_000
        (connections,) = [pool.pools[key].num_connections for key in pool.pools.keys()]  # noqa: SIM118
        assert connections == 1


def test_botocores_session_with_expect_continue(server: Server) -> None:
    session = botocore.httpsession.URLLib3Session()
    try:
        for headers in ({}, {"Expect": "100-continue"}):
            request = botocore.awsrequest.AWSRequest(
                "PUT", f"http://127.0.0.1:{server.port}/echo", headers=headers, data=b"payload" * 1000
            )
            answer = session.send(request.prepare())
            assert (answer.status_code, answer.content) == (200, b"payload" * 1000)
    finally:
        session.close()


def test_many_clients_at_once(server: Server) -> None:
    def work(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        with contextlib.closing(connection):
            for i in range(20):
                body = b"%d-%d" % (number, i)
                assert exchange(connection, "POST", "/echo", body) == (200, body)

    with ThreadPoolExecutor(16) as executor:
        list(executor.map(work, range(32)))


# Bytes


def test_pipelining_in_order(server: Server, read_all: ReadAll) -> None:
    with server.connect() as sock:
        sock.sendall(
            b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
            b"GET /stream/1 HTTP/1.1\r\nHost: a\r\n\r\n"
            b"GET /bytes/2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        answers = read_all(sock)
    assert answers.count(b"HTTP/1.1 200 OK") == 4
    places = [answers.index(text) for text in (b"\r\n\r\nslow", b"\r\n\r\nabc", b"3e8\r\nsss", b"\r\n\r\nbb")]
    assert places == sorted(places)


@pytest.mark.parametrize("framing", [b"Content-Length: 7000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
def test_bodies_too_large_to_be_joined_at_once_keep_their_place(
    server: Server, read_all: ReadAll, monkeypatch: pytest.MonkeyPatch, framing: bytes
) -> None:
    monkeypatch.setattr(parsing, "_JOINED_MAX_BYTES", 1_000_000)
    body = bytes(range(256)) * 27_344
    body = body[:7_000_000]
    sent = body
    if b"chunked" in framing:
        sent = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:9], body[9:6_500_000], body[6_500_000:]))
        sent += b"0\r\n\r\n"
    with server.connect() as sock:
        sock.sendall(
            b"GET /bytes/3 HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\n" + framing + sent
            + b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlast"
        )  # fmt: skip
        answers = read_all(sock)
    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert answers.index(b"\r\n\r\nbbb") < answers.index(body) < answers.index(b"\r\n\r\nlast")


def test_a_large_request_is_handled_though_its_client_is_gone(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "_JOINED_MAX_BYTES", 1_000_000)
    with server.connect() as sock:
        sock.sendall(b"POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 7000000\r\n\r\n" + bytes(7_000_000))
    assert server.application.held.wait(10)
    assert server.application.disconnected.wait(10)


def test_pipelining_without_reading_is_not_buffered_without_bounds(server: Server, read_all: ReadAll) -> None:
    request = b"GET /bytes/1000000 HTTP/1.1\r\nHost: a\r\n\r\n"
    with server.connect() as sock:
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):  # the server stops reading
            sock.sendall(request * 1_000_000)


def test_http_1_0(server: Server, read_all: ReadAll) -> None:
    with server.connect() as sock:
        sock.sendall(b"GET /stream/2 HTTP/1.0\r\n\r\n")
        head, _, body = read_all(sock).partition(b"\r\n\r\n")
        assert body == b"s" * 2_000
        assert b"Transfer-Encoding" not in head
    with server.connect() as sock:
        sock.sendall(b"GET /bytes/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert b"Connection: keep-alive\r\n" in sock.recv(1_000)
        sock.sendall(b"GET /bytes/1 HTTP/1.0\r\n\r\n")
        assert read_all(sock).endswith(b"\r\n\r\nb")


def test_half_closed_client_gets_its_answer(server: Server, read_all: ReadAll) -> None:
    for path in (b"/slow", b"/stream/1", b"/bytes/3000000"):
        with server.connect() as sock:
            sock.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            sock.shutdown(socket.SHUT_WR)
            answer = read_all(sock)
            assert answer.startswith(b"HTTP/1.1 200 OK")
            assert answer.endswith((b"slow", b"0\r\n\r\n", b"b" * 3_000_000))


def test_upgrade_is_ignored(server: Server, read_all: ReadAll) -> None:
    with server.connect() as sock:
        sock.sendall(
            b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nContent-Length: 3\r\n\r\n"
        )
        time.sleep(0.05)
        sock.sendall(b"abcPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\nd")
        answers = read_all(sock)
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert b"\r\n\r\nabc" in answers
    assert answers.endswith(b"\r\n\r\nd")


def test_nodelay(server: Server, client: http.client.HTTPConnection) -> None:
    exchange(client, "GET", "/bytes/1")
    (member,) = server._server._roster.members
    accepted = member._transport.get_extra_info("socket")
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


# Refusals


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_client_that_still_sends_too_large_a_body_reads_the_answer(
    server: Server, read_all: ReadAll, framing: str
) -> None:
    with server.connect() as sock:
        if framing == "length":
            sock.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n")
        else:
            sock.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1c9c380\r\n")
        for _ in range(30):
            sock.sendall(b"x" * 1_000_000)
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b"limit 8000000")
    wait_until(lambda: server.connection_count() == 0)


def test_malformed_is_answered_and_closed(server: Server, read_all: ReadAll) -> None:
    with server.connect() as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Connection: close\r\n" in answer


def test_slow_heads_and_bodies(server: Server, read_all: ReadAll) -> None:
    for start in (b"GET / HT", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"):
        with server.connect() as sock:
            sock.sendall(start)
            assert read_all(sock).startswith(b"HTTP/1.1 408 ")
    wait_until(lambda: server.connection_count() == 0)


def test_idle_connections_are_closed(server: Server, read_all: ReadAll) -> None:
    with server.connect() as unused, server.connect() as used:
        used.sendall(b"GET /bytes/1 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert read_all(used).endswith(b"\r\n\r\nb")
        assert read_all(unused) == b""
    wait_until(lambda: server.connection_count() == 0)


def test_a_client_that_does_not_read_is_dropped(server: Server) -> None:
    for path in (b"/endless", b"/bytes/50000000"):
        with server.connect() as sock:
            sock.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            wait_until(lambda: server.connection_count() == 1)
            wait_until(lambda: server.connection_count() == 0)
    assert server.application.stream_ended.wait(10)


def test_too_many_connections(server: Server, read_all: ReadAll) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(80):
            sock = stack.enter_context(server.connect())
            sock.sendall(b"GET /bytes/1 HTTP/1.1\r\nHost: a\r\n\r\n")
            assert sock.recv(1_000)
        extra = stack.enter_context(server.connect())
        assert read_all(extra).startswith(b"HTTP/1.1 503 ")
    wait_until(lambda: server.connection_count() == 0)
    with server.connect() as sock:
        sock.sendall(b"GET /bytes/1 HTTP/1.0\r\n\r\n")
        assert read_all(sock).startswith(b"HTTP/1.1 200 ")


def test_too_large_bodies_at_once(server: Server, read_all: ReadAll) -> None:
    """Each is small enough; what is held of all together is limited, until it is answered or given up."""
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 7500000\r\n\r\n"
    with contextlib.ExitStack() as stack:
        unfinished = [stack.enter_context(server.connect()) for _ in range(2)]
        for sock in unfinished:
            sock.sendall(head + bytes(7_400_000))
        third = stack.enter_context(server.connect())
        third.sendall(head)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            third.sendall(bytes(7_400_000))
        assert third.recv(100).startswith((b"HTTP/1.1 503 ", b"HTTP/1.1 408 "))
    wait_until(lambda: server.connection_count() == 0)
    for _ in range(4):  # nothing is counted for ever
        with server.connect() as sock:
            sock.sendall(head + bytes(7_500_000))
            assert sock.recv(12) == b"HTTP/1.1 200"


# Vanishing clients


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_vanished_client_is_noticed(server: Server, how: str) -> None:
    with server.connect() as sock:
        sock.sendall(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        assert server.application.held.wait(10)
        if how == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert server.application.disconnected.wait(10)


def test_an_answer_at_the_end_of_input(server: Server, read_all: ReadAll) -> None:
    with server.connect() as sock:
        sock.sendall(b"GET /parting HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.05)
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock).endswith(b"farewell")


def test_clients_that_vanish_anywhere_leave_nothing_behind(server: Server) -> None:
    request = b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    for cut in (0, 3, 20, len(request) - 1, len(request)):
        for reset in (False, True):
            with server.connect() as sock:
                sock.sendall(request[:cut])
                if reset:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: server.connection_count() == 0)


# Closing


def test_close_waits_for_exchanges_in_flight_and_closes_idle_ones(server: Server, read_all: ReadAll) -> None:
    with server.connect() as idle, server.connect() as busy:
        idle.sendall(b"GET /bytes/1 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert idle.recv(1_000)
        busy.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: server.connection_count() == 2)
        time.sleep(0.1)
        server.stop_soon(10)
        assert read_all(idle) == b""
        answer = read_all(busy)
        assert answer.endswith(b"slow")
        assert b"Connection: close" in answer
    server.join()
    with pytest.raises(ConnectionRefusedError):
        server.connect()


def test_close_aborts_after_the_grace(server: Server, read_all: ReadAll) -> None:
    with server.connect() as holding, server.connect() as streaming:
        holding.sendall(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        assert server.application.held.wait(10)
        streaming.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        assert streaming.recv(1_000)
        server.stop(0.1)
        with pytest.raises(ConnectionResetError):
            read_all(streaming)
    assert server.application.stream_ended.is_set()
