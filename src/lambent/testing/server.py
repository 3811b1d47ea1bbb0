"""A server for tests: `lambent serve` as a process of its own, on a free port, and clients of it.

with RunningServer(tmp_path / "data") as server:
    server.deploy("greet", {"app.py": "def handler(event, context): return 'hello'"})
    assert server.invoke("greet").payload == "hello"
"""

from __future__ import annotations

import base64
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import botocore.session
from botocore.config import Config

from lambent.testing.packages import zip_of

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 60.0
_WAIT = {"Delay": 0.02, "MaxAttempts": 2000}
ROLE = "arn:aws:iam::000000000000:role/test"


class ServerFailedError(Exception):
    """The server did not start; the message is its log."""


class ClockError(Exception):
    """The server's clock was not moved; the message says why."""


@dataclass(frozen=True, slots=True)
class Invoked:
    """The answer of a function: its payload (decoded JSON), the function error if any, and the log tail."""

    payload: Any
    function_error: str | None
    log: str
    request_id: str


@dataclass
class RunningServer:
    """A server process on `data_dir`. `arguments` are further ones of `lambent serve`, `environ` further variables;
    `python` runs it, as `user` (with the group of the same number, and no other) if there is one: needs root.

    The port is chosen at the first start and stays, so that clients go on working over a restart.
    """

    data_dir: Path
    arguments: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    python: str = sys.executable
    user: int | None = None
    _process: subprocess.Popen[bytes] | None = None
    _clients: dict[str, Any] = field(default_factory=dict)
    _making_clients: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"{'https' if '--tls' in self.arguments else 'http'}://127.0.0.1:{self.port}"

    @property
    def authority(self) -> Path | None:
        """The certificate to trust, with `--tls auto` among the arguments."""
        return self.data_dir / "tls" / "ca.pem" if "--tls" in self.arguments else None

    @property
    def pid(self) -> int:
        """Of the running server."""
        if self._process is None:
            raise ServerFailedError("the server does not run")
        return self._process.pid

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.data_dir.parent / f"{self.data_dir.name}.log"

    def start(self) -> None:
        """Start it and wait until it is ready. Raises ServerFailedError."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            before = log.tell()
            command = [self.python, "-m", "lambent.cli.main", "serve", *self.arguments]
            self._process = subprocess.Popen(
                [*command, "--data-dir", str(self.data_dir), "--port", str(self.port)],
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environ},
                cwd="/",
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else [],
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._ready(before):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                raise ServerFailedError(self.log.read_text()[before:])
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal (SIGKILL: as a crash) and wait for its end. Returns its exit status."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        return process.wait(timeout=STOP_TIMEOUT_S)

    def client(self, service: str, **config: Any) -> Any:
        """A botocore client of it (any key); the same one for every call without `config`. Threads may share it."""
        if config:
            return self._new_client(service, config)
        with self._making_clients:
            if service not in self._clients:
                self._clients[service] = self._new_client(service, {})
            return self._clients[service]

    def _new_client(self, service: str, config: Mapping[str, Any]) -> Any:
        settings: dict[str, Any] = {
            "retries": {"total_max_attempts": 1},
            "read_timeout": 960,  # longer than the longest function
            "max_pool_connections": 300,
            **config,
        }
        return botocore.session.get_session().create_client(
            service,
            region_name="us-east-1",
            endpoint_url=self.url,
            verify=str(self.authority) if self.authority is not None else None,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - any key is taken
            config=Config(**settings),
        )

    def deploy(self, name: str, files: Mapping[str, str | bytes] | bytes, **settings: Any) -> dict[str, Any]:
        """Create a function (of Python 3.11, handler app.handler, unless `settings` say otherwise) and wait for it."""
        archive = files if isinstance(files, bytes) else zip_of(files)
        request = {"Runtime": "python3.11", "Handler": "app.handler", "Role": ROLE, "MemorySize": 256} | settings
        functions = self.client("lambda")
        created: dict[str, Any] = functions.create_function(FunctionName=name, Code={"ZipFile": archive}, **request)
        functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=_WAIT)
        return created

    def invoke(self, name: str, event: object = None, **parameters: Any) -> Invoked:
        """Invoke a function and decode what it answered."""
        request = {"FunctionName": name, "Payload": json.dumps(event), "LogType": "Tail"} | parameters
        answer = self.client("lambda").invoke(**request)
        payload = answer["Payload"].read()
        return Invoked(
            json.loads(payload) if payload else None,
            answer.get("FunctionError"),
            base64.b64decode(answer.get("LogResult", "")).decode(),
            answer["ResponseMetadata"]["RequestId"],
        )

    def clock(self, action: str | None = None, **parameters: float) -> dict[str, Any]:
        """Its clock, which `--dev` lets one move: what it shows, after doing `action` (see docs/reference/clock.md).

        Raises ClockError when the server refuses.
        """
        body = None if action is None else json.dumps({"action": action, **parameters}).encode()
        request = urllib.request.Request(self.url + "/_lambent/clock", body)  # noqa: S310 - our own
        try:
            with urllib.request.urlopen(request, timeout=600, context=self._trusted()) as response:  # noqa: S310
                document: dict[str, Any] = json.load(response)
                return document
        except urllib.error.HTTPError as error:
            with error:
                raise ClockError(f"{error.code}: {error.read().decode('utf-8', 'replace')}") from None

    def logs(self, name: str) -> list[str]:
        """The messages in a function's default log group, in their order; none if it never ran."""
        logs = self.client("logs")
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
        try:
            return [event["message"] for page in pages for event in page["events"]]
        except logs.exceptions.ResourceNotFoundException:
            return []

    def health(self) -> dict[str, Any]:
        """What it says of itself, once it has looked for runtimes."""
        while True:
            document = self._ask_health(5)
            if document["runtimes"] is not None:
                return document
            time.sleep(0.05)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _ready(self, log_position: int) -> bool:
        if not self.port:
            for line in self.log.read_text()[log_position:].splitlines():
                if line.startswith("endpoint "):
                    self.port = int(line.rsplit(":", 1)[1])
            if not self.port:
                return False
        try:
            return bool(self._ask_health(2)["ready"])
        except OSError:
            return False

    def _ask_health(self, timeout_s: float) -> dict[str, Any]:
        url = self.url + "/_lambent/health"
        with urllib.request.urlopen(url, timeout=timeout_s, context=self._trusted()) as response:  # noqa: S310
            document: dict[str, Any] = json.load(response)
        return document

    def _trusted(self) -> ssl.SSLContext | None:
        return ssl.create_default_context(cafile=self.authority) if self.authority is not None else None
