"""AWS's Runtime Interface Emulator (of the aws-sam-cli wheel) with AWS's Python runtime client: one function, one
caller at a time. Two callers at once crash it, so it is asked by one only."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from functions import FILES, FUNCTIONS, MEMORY_MB, first_event
from peers.servers import free_port, program, started
from subject import Peer, Subject, UnsupportedError


class RuntimeInterfaceEmulator(Peer):
    """Takes no signature; writes log lines to its standard output."""

    name = "aws-lambda-rie"
    callers_max = 1

    def deploy(self, function: str) -> None:
        if function != "python":
            raise UnsupportedError("runs one function, in Python here")
        self.call(self.invoke_request(function, first_event(function)))

    def fresh(self, function: str, count: int) -> Sequence[bytes]:
        if function != "python":
            raise UnsupportedError("runs one function, in Python here")
        return [self.invoke_request(function, first_event(function))]

    def invoke_request(self, function: str, event: object) -> bytes:
        body = json.dumps(event).encode()
        head = (
            f"POST /2015-03-31/functions/function/invocations HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@contextlib.contextmanager
def running() -> Iterator[Subject]:
    """With the function `python`."""
    port, api_port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / FILES["python"]).write_text(FUNCTIONS["python"][1])
        environ = {
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(MEMORY_MB), "AWS_LAMBDA_FUNCTION_TIMEOUT": "60",
            "AWS_REGION": "us-east-1", "LAMBDA_TASK_ROOT": directory,
        }  # fmt: skip
        command = [
            program("aws-lambda-rie"), "--log-level", "error",
            "--runtime-interface-emulator-address", f"127.0.0.1:{port}",
            "--runtime-api-address", f"127.0.0.1:{api_port}",
            program("python"), "-m", "awslambdaric", "app.handler",
        ]  # fmt: skip
        with started(command, port, environ, Path(directory)) as process:
            yield RuntimeInterfaceEmulator(port, process)
