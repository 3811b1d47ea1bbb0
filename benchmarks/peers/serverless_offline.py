"""serverless-offline (npm) under osls, the open fork of the Serverless Framework 3: functions in worker threads
(Node.js) and child processes (Python), which are known when it starts."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from functions import FILES, FUNCTIONS, MEMORY_MB, first_event
from peers.servers import HOME, free_port, program, started
from subject import Peer, Subject, UnsupportedError

_FRESH = 8
_RUNTIMES = {"python": "python3.11", "node": "nodejs20.x"}


class ServerlessOffline(Peer):
    """Takes no signature; writes log lines to its standard output."""

    name = "serverless-offline"
    callers_max = 1_000

    def deploy(self, function: str) -> None:
        if function not in FUNCTIONS:
            raise UnsupportedError("functions are known when it starts")
        self.call(self.invoke_request(function, first_event(function)))

    def fresh(self, function: str, count: int) -> Sequence[bytes]:
        numbers = range(min(count, _FRESH))
        return [self.invoke_request(f"{function}-{number}", first_event(function)) for number in numbers]

    def invoke_request(self, function: str, event: object) -> bytes:
        body = json.dumps(event).encode()
        head = (
            f"POST /2015-03-31/functions/bench-dev-{function}/invocations HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@contextlib.contextmanager
def running() -> Iterator[Subject]:
    """With every function, and some more like each."""
    port, http_port, socket_port = free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        described: dict[str, object] = {}
        for function, (language, source) in FUNCTIONS.items():
            (directory / function).mkdir()
            (directory / function / FILES[language]).write_text(source)
            about = {"handler": f"{function}/app.handler", "runtime": _RUNTIMES[language], "memorySize": MEMORY_MB}
            described |= dict.fromkeys((function, *(f"{function}-{number}" for number in range(_FRESH))), about)
        settings = {
            "service": "bench", "frameworkVersion": "*", "plugins": ["serverless-offline"],
            "provider": {"name": "aws", "region": "us-east-1", "timeout": 60},
            "custom": {"serverless-offline": {
                "host": "127.0.0.1", "lambdaPort": port, "httpPort": http_port, "websocketPort": socket_port}},
            "functions": described,
        }  # fmt: skip
        (directory / "serverless.yml").write_text(json.dumps(settings))  # JSON is YAML
        (directory / "node_modules").symlink_to(HOME / "node" / "node_modules")
        environ = {"SLS_TELEMETRY_DISABLED": "1", "SLS_NOTIFICATIONS_MODE": "off"}
        with started([program("osls"), "offline"], port, environ, directory) as process:
            yield ServerlessOffline(port, process)
