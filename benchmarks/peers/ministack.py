"""MiniStack (PyPI): many AWS services in one process; functions in worker processes when there is no Docker."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from functions import FUNCTIONS, first_event
from peers.servers import free_port, program, started
from subject import Peer, Subject, creation_body, invocation_path

# Its executor runs the interpreters it finds on the PATH, whatever version is asked for.
_RUNTIMES = {"python": "python3.11", "node": "nodejs20.x"}
_AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=00"
)


class MiniStack(Peer):
    """Does not look at signatures."""

    name = "MiniStack"
    callers_max = 1_000

    def deploy(self, function: str) -> None:
        self.call(self._create_request(function, function))
        self.call(self.invoke_request(function, first_event(function)))

    def fresh(self, function: str, count: int) -> Sequence[bytes]:
        names = [f"{function}-{number}" for number in range(count)]
        for name in names:
            self.call(self._create_request(function, name))
        return [self.invoke_request(name, first_event(function)) for name in names]

    def creation(self, name: str) -> Sequence[bytes]:
        return self._create_request("python", name), self.invoke_request(name, first_event("python"))

    def invoke_request(self, function: str, event: object) -> bytes:
        return self._request(invocation_path(function), json.dumps(event).encode())

    def _create_request(self, function: str, name: str) -> bytes:
        body = creation_body(name, function, _RUNTIMES[FUNCTIONS[function][0]])
        return self._request("/2015-03-31/functions", body)

    def _request(self, path: str, body: bytes) -> bytes:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAuthorization: {_AUTHORIZATION}\r\n"
            f"X-Amz-Date: 20260101T000000Z\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@contextlib.contextmanager
def running() -> Iterator[Subject]:
    """On a free port, with an empty directory."""
    port = free_port()
    environ = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)}
    with (
        tempfile.TemporaryDirectory() as directory,
        started([program("ministack")], port, environ, Path(directory)) as process,
    ):
        yield MiniStack(port, process)
