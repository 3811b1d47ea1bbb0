"""Attempts at the Runtime API and at the AWS endpoint inside, spoken by hand."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import os
import random
import socket
import struct
import time
from typing import Any

from hostile.attempts import attempt, outcome, until_refused

_RUNTIME = "/2018-06-01/runtime/"
_ENDPOINT = ("127.0.0.1", int(os.environ["AWS_ENDPOINT_URL"].rsplit(":", 1)[1]))
_API = ("127.0.0.1", 9001)


def _say(address: tuple[str, int], data: bytes, wait_s: float = 5.0) -> bytes:
    """The first piece of the answer."""
    with socket.create_connection(address, timeout=wait_s) as sock:
        outcome(lambda: sock.sendall(data))
        got = outcome(lambda: sock.recv(65536))
        return got if isinstance(got, bytes) else str(got).encode()


def _status(answer: bytes) -> str:
    return answer.split(b" ")[1].decode() if answer.startswith(b"HTTP/") else answer.decode("latin-1")[:60]


def _runtime(method: str, path: str, body: bytes = b"", *headers: str) -> str:
    lines = [f"{method} {_RUNTIME}{path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
    return _status(_say(_API, "\r\n".join(lines).encode() + b"\r\n\r\n" + body))


@attempt
def next_while_working(event: dict[str, Any]) -> Any:
    return _runtime("GET", "invocation/next")


@attempt
def answer_for_another_request(event: dict[str, Any]) -> Any:
    return _runtime("POST", "invocation/00000000-0000-4000-8000-000000000000/response", b'"mine"')


@attempt
def error_for_another_request(event: dict[str, Any]) -> Any:
    return _runtime("POST", "invocation/00000000-0000-4000-8000-000000000000/error", b"{}")


@attempt
def request_ids_that_are_none(event: dict[str, Any]) -> Any:
    own = event["request_id"]
    ids = ("", "..", "../" + own, own.upper() + "x", own + "%00", "%2e%2e%2f" + own, own + "/response", "*", "x" * 9000)
    return sorted({_runtime("POST", f"invocation/{name}/response", b'"mine"') for name in ids})


@attempt
def init_error_while_working(event: dict[str, Any]) -> Any:
    return _runtime("POST", "init/error", b'{"errorType": "x"}')


@attempt
def other_paths(event: dict[str, Any]) -> Any:
    paths = ("../../_lambent/health", "../../metrics", "exit", "extension/register", "../2020-01-01/extension/register")
    return sorted({_runtime("GET", path) for path in paths})


@attempt
def huge_headers(event: dict[str, Any]) -> Any:
    return [
        _runtime("GET", "invocation/next", b"", "X: " + "x" * 2_000_000),
        _runtime("GET", "x", b"", *["A: b"] * 5000),
    ]


@attempt
def header_without_end(event: dict[str, Any]) -> Any:
    with socket.create_connection(_API, timeout=5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nX: ")
        until_refused(lambda: sock.send(b"x" * 10_000), 500)
        return _status(sock.recv(1000))


@attempt
def two_lengths(event: dict[str, Any]) -> Any:
    return [
        _status(_say(_API, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 30\r\n\r\nabc")),
        _status(
            _say(
                _API, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            )
        ),
        _status(_say(_API, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n")),
    ]


@attempt
def bad_chunks(event: dict[str, Any]) -> Any:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    bodies = (b"zz\r\n", b"ffffffffffffffffff\r\n", b"-1\r\n", b"1\r\nab\r\n0\r\n\r\n")
    return [_status(_say(_API, head + body)) for body in bodies]


@attempt
def response_too_large(event: dict[str, Any]) -> Any:
    """By its announced length; for a request that is not ours, or it would end the invocation."""
    return _runtime("POST", "invocation/x/response", b"", "Content-Length: 99999999")


@attempt
def response_too_large_in_chunks(event: dict[str, Any]) -> Any:
    with socket.create_connection(_API, timeout=5) as sock:
        sock.sendall(
            f"POST {_RUNTIME}invocation/x/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        piece = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        outcome(lambda: sock.sendall(piece * 120))
        got = outcome(lambda: sock.recv(100))
        return _status(got) if isinstance(got, bytes) else got


@attempt
def pipelined_without_reading(event: dict[str, Any]) -> Any:
    request = f"GET {_RUNTIME}nothing HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with socket.create_connection(_API, timeout=0.5) as sock:
        return until_refused(lambda: sock.sendall(request * 1000), 2000)[0] < 2000


@attempt
def connections_to_the_runtime_api(event: dict[str, Any]) -> Any:
    return _flood(_API, event["limit"])


@attempt
def connections_to_the_endpoint(event: dict[str, Any]) -> Any:
    return _flood(_ENDPOINT, event["limit"])


def _flood(address: tuple[str, int], limit: int) -> list[Any]:
    """[connections that could be opened, of them not closed or refused again]."""
    kept: list[socket.socket] = []

    def connect() -> None:
        kept.append(socket.create_connection(address, timeout=1))

    opened = until_refused(connect, 900)[0]
    for sock in kept:
        sock.setblocking(False)
    deadline = time.monotonic() + 10
    while (alive := sum(map(_is_open, kept))) > limit and time.monotonic() < deadline:
        time.sleep(0.05)  # they are accepted one after the other
    for sock in kept:
        sock.close()
    return [opened, alive]


def _is_open(sock: socket.socket) -> bool:
    return bool(outcome(lambda: sock.recv(10, socket.MSG_PEEK)) == "EAGAIN")


@attempt
def bodies_held_open(event: dict[str, Any]) -> Any:
    """Almost 6 MB on each of 40 connections: how much is taken of it."""
    head = f"POST {_RUNTIME}invocation/x/response HTTP/1.1\r\nHost: x\r\nContent-Length: 6000000\r\n\r\n".encode()
    kept = [socket.create_connection(_API, timeout=1) for _ in range(40)]
    block = bytes(500_000)
    for sock in kept:
        outcome(lambda sock=sock: sock.sendall(head))  # type: ignore[misc]
        until_refused(lambda sock=sock: sock.sendall(block), 11)  # type: ignore[misc]
    time.sleep(0.3)
    refused = 0
    for sock in kept:
        sock.setblocking(False)
        refused += not _is_open(sock)
        sock.close()
    return refused


@attempt
def redirect_the_runtime(event: dict[str, Any]) -> Any:
    """Its variables are read once, before any code of ours."""
    os.environ["AWS_LAMBDA_RUNTIME_API"] = "127.0.0.1:1"
    os.environ["_HANDLER"] = "elsewhere.handler"
    os.environ["AWS_LAMBDA_FUNCTION_NAME"] = "somebody-else"
    return "done"


def _channel() -> socket.socket:
    """The runtime's own socket to the server, which nothing hides from the code that shares its process."""
    for name in os.listdir("/proc/self/fd"):
        if os.path.lexists(f"/proc/self/fd/{name}") and os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
            found = socket.socket(fileno=os.dup(int(name)))
            if found.family == socket.AF_UNIX:
                return found
            found.close()
    raise FileNotFoundError("no channel")


def _on_channel(kind: int, request_id: str = "", body: bytes = b"") -> str:
    with _channel() as channel:
        channel.sendall(struct.pack(">BBHQ", kind, len(request_id), 0, len(body)) + request_id.encode() + body)
        head, length = struct.unpack(">II", channel.recv(8))
        answer = channel.recv(head + length)
        return str(json.loads(answer[:head])[0])


@attempt
def next_on_the_channel(event: dict[str, Any]) -> Any:
    return _on_channel(16)


@attempt
def answer_on_the_channel_for_another_request(event: dict[str, Any]) -> Any:
    return [_on_channel(kind, "00000000-0000-4000-8000-000000000000", b'"mine"') for kind in (1, 2)]


@attempt
def init_error_on_the_channel(event: dict[str, Any]) -> Any:
    return _on_channel(3, "", b'{"errorType": "x"}')


@attempt
def descriptors_on_the_channel(event: dict[str, Any]) -> Any:
    """Whoever is sent descriptors may end up holding them."""
    frame = struct.pack(">BBHQ", 3, 0, 0, 2) + b"{}"
    answers = []
    with _channel() as channel, open("/dev/null", "rb") as file:
        rights = struct.pack("16i", *[file.fileno()] * 16)
        for _ in range(40):
            channel.sendmsg([frame], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            head, length = struct.unpack(">II", channel.recv(8))
            answers.append(str(json.loads(channel.recv(head + length)[:head])[0]))
    return answers


@attempt
def answer_on_the_channel_twice(event: dict[str, Any]) -> Any:
    """The handler's is the third."""
    return [_on_channel(1, event["request_id"], body) for body in (b'"by hand"', b'"again"')]


@attempt
def noise_on_the_channel(event: dict[str, Any]) -> Any:
    with _channel() as channel:
        channel.sendall(random.randbytes(4000).replace(b"\x10", b"\xff"))
        return "sent"


@attempt
def answer_twice(event: dict[str, Any]) -> Any:
    """First by hand; what the handler returns comes second."""
    return _runtime("POST", f"invocation/{event['request_id']}/response", b'"by hand"')


@attempt
def answer_and_ask_for_the_next(event: dict[str, Any]) -> Any:
    """Steal the next event from the runtime proper."""
    _runtime("POST", f"invocation/{event['request_id']}/response", b'"by hand"')
    sock = socket.create_connection(_API, timeout=5)
    sock.sendall(f"GET {_RUNTIME}invocation/next HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    time.sleep(0.3)
    return "stolen"


@attempt
def error_type_of_any_kind(event: dict[str, Any]) -> Any:
    kind = "X\tBilled Duration: 0 ms\tInit Duration: 0 ms"
    return _runtime(
        "POST", f"invocation/{event['request_id']}/error", b"not json", f"Lambda-Runtime-Function-Error-Type: {kind}"
    )


def _signed(credentials: dict[str, str], service: str, body: bytes, target: str) -> bytes:
    now = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{now[:8]}/us-east-1/{service}/aws4_request"
    headers = {
        "host": "x",
        "x-amz-date": now,
        "x-amz-security-token": credentials["AWS_SESSION_TOKEN"],
        "x-amz-target": target,
    }
    names = ";".join(sorted(headers))
    fields = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = f"POST\n/\n\n{fields}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = ("AWS4" + credentials["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in (now[:8], "us-east-1", service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    given = f"AWS4-HMAC-SHA256 Credential={credentials['AWS_ACCESS_KEY_ID']}/{scope}, SignedHeaders={names}, "
    given += f"Signature={signature}"
    lines = ["POST / HTTP/1.1", f"Authorization: {given}", *(f"{name}: {value}" for name, value in headers.items())]
    lines += ["Content-Type: application/x-amz-json-1.1", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _describe_groups(credentials: dict[str, str]) -> str:
    return _status(_say(_ENDPOINT, _signed(credentials, "logs", b"{}", "Logs_20140328.DescribeLogGroups")))


@attempt
def own_credentials(event: dict[str, Any]) -> Any:
    """Not an attack: that these work shows that the ones below are refused for what they are."""
    return _describe_groups(dict(os.environ))


@attempt
def credentials_of_a_neighbour(event: dict[str, Any]) -> Any:
    return _describe_groups(event["neighbour_credentials"])


@attempt
def token_of_a_neighbour_with_own_key(event: dict[str, Any]) -> Any:
    return _describe_groups(
        dict(os.environ) | {"AWS_SESSION_TOKEN": event["neighbour_credentials"]["AWS_SESSION_TOKEN"]}
    )


@attempt
def invented_credentials(event: dict[str, Any]) -> Any:
    invented = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": "x"}
    return _describe_groups(invented)


@attempt
def changed_token(event: dict[str, Any]) -> Any:
    token = os.environ["AWS_SESSION_TOKEN"]
    changed = token[: len(token) // 2] + ("A" if token[len(token) // 2] != "A" else "B") + token[len(token) // 2 + 1 :]
    return _describe_groups(dict(os.environ) | {"AWS_SESSION_TOKEN": changed})


@attempt
def no_credentials(event: dict[str, Any]) -> Any:
    return _status(_say(_ENDPOINT, b"GET /2015-03-31/functions HTTP/1.1\r\nHost: x\r\n\r\n"))


@attempt
def pages_of_the_server(event: dict[str, Any]) -> Any:
    """Health, metrics of all functions, costs, code: nothing of it is served inside."""
    paths = ("/_lambent/health", "/_localstack/health", "/metrics", "/_lambent/cost", "/_lambent/code/x/y.zip")
    return sorted(
        {_status(_say(_ENDPOINT, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())) for path in paths}
    )


@attempt
def slow_request_to_the_endpoint(event: dict[str, Any]) -> Any:
    """Left unfinished; whoever comes after is served."""
    socket.create_connection(_ENDPOINT).sendall(b"POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\nx")
    return _describe_groups(dict(os.environ))


@attempt
def random_requests(event: dict[str, Any]) -> Any:
    """Valid requests with bytes changed, cut out, doubled and put elsewhere; in pieces; to both listeners. Returns how
    many were answered, which is for the record: that nothing else comes of it is what counts."""
    dice = random.Random(event["seed"])
    own = dict(os.environ)
    valid = [
        (_API, f"GET {_RUNTIME}invocation/next HTTP/1.1\r\nHost: 127.0.0.1:9001\r\n\r\n".encode()),
        (_API, f"POST {_RUNTIME}invocation/x/response HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n{{}} ".encode()),
        (
            _API,
            f"POST {_RUNTIME}init/error HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
            + b"2\r\n{}\r\n0\r\n\r\n",
        ),
        (_ENDPOINT, _signed(own, "logs", b'{"limit": 5}', "Logs_20140328.DescribeLogGroups")),
        (
            _ENDPOINT,
            b"GET /2015-03-31/functions/?MaxItems=1 HTTP/1.1\r\nHost: x\r\nAuthorization: AWS4-HMAC-SHA256 x\r\n\r\n",
        ),
        (
            _ENDPOINT,
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 43\r\n\r\nAction=GetCallerIdentity&Version=2011-06-15",
        ),
    ]
    answered = 0
    for _ in range(event["count"]):
        address, request = dice.choice(valid)
        data = bytearray(request)
        for _ in range(dice.randrange(6)):
            at = dice.randrange(len(data) or 1)
            match dice.randrange(4):
                case 0:
                    data[at : at + 1] = bytes([dice.randrange(256)])
                case 1:
                    del data[at : at + dice.randrange(20)]
                case 2:
                    data[at:at] = data[at : at + dice.randrange(40)] * dice.randrange(1, 4)
                case _:
                    data[at:at] = dice.choice([b"\r\n", b"\0", b"%00", b"\xff\xfe", b"../", b'{"a":' * 50, b": ", b" "])
        with socket.create_connection(address, timeout=5) as sock:
            cut = dice.randrange(len(data) or 1)
            outcome(lambda sock=sock, data=data, cut=cut: sock.sendall(data[:cut]) or sock.sendall(data[cut:]))  # type: ignore[misc]
            outcome(lambda sock=sock: sock.shutdown(socket.SHUT_WR))  # type: ignore[misc]
            answered += outcome(lambda sock=sock: sock.recv(5)) == b"HTTP/"  # type: ignore[misc]
    return answered
