"""MiniStack (PyPI): many AWS services in one process; functions in worker processes when there is no Docker."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import botocore.session

from lambent.testing.packages import zip_of
from peers.processes import free_port, program, started
from subject import FILES, FUNCTIONS, MEMORY_MB, ROLE, Subject, call, first_event, invocation_path, process_cpu_ms

# Its executor runs the interpreters it finds on the PATH, whatever version is asked for.
_RUNTIMES = {"python": "python3.11", "node": "nodejs20.x"}
_AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=00"
)


class MiniStack:
    """Does not look at signatures."""

    name = "MiniStack"
    callers_max = 1_000

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self._pid = pid
        self._functions: Any = botocore.session.get_session().create_client(
            "lambda", region_name="us-east-1", endpoint_url=f"http://127.0.0.1:{port}",
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip

    def deploy(self, function: str) -> None:
        language, source = FUNCTIONS[function]
        self._functions.create_function(
            FunctionName=function, Runtime=_RUNTIMES[language], Handler="app.handler", Role=ROLE,
            Code={"ZipFile": zip_of({FILES[language]: source})}, Timeout=60, MemorySize=MEMORY_MB,
        )  # fmt: skip
        call(self.port, self.invoke_request(function, first_event(function)))

    def invoke_request(self, function: str, event: object) -> bytes:
        body = json.dumps(event).encode()
        head = (
            f"POST {invocation_path(function)} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Authorization: {_AUTHORIZATION}\r\nX-Amz-Date: 20260101T000000Z\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def cpu_ms(self) -> float | None:
        return process_cpu_ms(self._pid)

    def runtimes_cpu_ms(self) -> Mapping[int, float]:
        return {}


@contextlib.contextmanager
def running() -> Iterator[Subject]:
    """On a free port, with an empty directory."""
    port = free_port()
    environ = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)}
    with (
        tempfile.TemporaryDirectory() as directory,
        started([program("ministack")], port, environ, Path(directory)) as pid,
    ):
        yield MiniStack(port, pid)
