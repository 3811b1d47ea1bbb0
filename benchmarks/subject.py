"""What is measured: something that runs functions and answers Invoke, Lambent or a peer.

A topic asks a `Subject` to deploy one of the functions in `functions` and for the bytes of a request; the load
generator sends them. `Lambent` is a server as a process, with `--auth sigv4`, log lines written and the sandbox of the
command line.
"""

from __future__ import annotations

import base64
import configparser
import json
import os
import urllib.request
from collections.abc import Sequence
from typing import Any, Protocol

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import load
import processes
from functions import FILES, FUNCTIONS, MEMORY_MB, ROLE, SMALL, first_event
from lambent.store.data_directory import DataDirectory
from lambent.testing.packages import zip_of
from lambent.testing.server import RunningServer
from lambent.worker.sandbox.linux.backend import host_ids
from table import OURS

SOON = {"Delay": 0.02, "MaxAttempts": 2000}
"""For waiters of botocore, which look once in some seconds otherwise."""


class Subject(Protocol):
    """Runs functions. Every request is a whole HTTP request, as bytes."""

    @property
    def pid(self) -> int:
        """Its server's process."""
        ...

    @property
    def ready_s(self) -> float:
        """From its start until it answered."""
        ...

    @property
    def name(self) -> str: ...

    @property
    def port(self) -> int: ...

    @property
    def callers_max(self) -> int:
        """How many callers at once it stands."""
        ...

    def deploy(self, function: str) -> None:
        """Make one of FUNCTIONS ready to be invoked, and invoke it once. Raises UnsupportedError."""
        ...

    def fresh(self, function: str, count: int) -> Sequence[bytes]:
        """Requests of functions like one of FUNCTIONS, each deployed and never invoked: as many as it can have, `count`
        at most. Raises UnsupportedError."""
        ...

    def creation(self, name: str) -> Sequence[bytes]:
        """Requests that make the function `python` under that name, and invoke it. Raises UnsupportedError."""
        ...

    def invoke_request(self, function: str, event: object) -> bytes: ...

    def function_processes(self) -> list[int]:
        """Those that run functions."""
        ...

    def call(self, request: bytes) -> bytes:
        """See `call`."""
        ...


class Peer:
    """What peers have in common: a server's process, whose children run functions."""

    def __init__(self, port: int, started: processes.Started) -> None:
        self.port = port
        self.pid = started.pid
        self.ready_s = started.ready_s

    def call(self, request: bytes) -> bytes:
        """See `call`."""
        return call(self.port, request)

    def function_processes(self) -> list[int]:
        """All that it started."""
        return processes.descendants(self.pid)

    def creation(self, name: str) -> Sequence[bytes]:
        """See `Subject`."""
        raise UnsupportedError("takes no new function while it runs")


class UnsupportedError(Exception):
    """The subject cannot do that; the message says why."""


def invocation_path(function: str) -> str:
    return f"/2015-03-31/functions/{function}/invocations"


def creation_body(name: str, function: str, runtime: str) -> bytes:
    """Of CreateFunction, for one of FUNCTIONS under a name."""
    language, source = FUNCTIONS[function]
    archive = zip_of({FILES[language]: source})
    document = {
        "FunctionName": name, "Runtime": runtime, "Handler": "app.handler", "Role": ROLE, "Timeout": 60,
        "MemorySize": SMALL.get(function, MEMORY_MB), "Code": {"ZipFile": base64.b64encode(archive).decode()},
    }  # fmt: skip
    return json.dumps(document).encode()


def call(port: int, request: bytes) -> bytes:
    """One request over a connection of its own. Raises RuntimeError for an error of the function or the server."""
    sock = load.connect(port)
    try:
        answer = load.exchange(sock, request)
    finally:
        sock.close()
    status = int(answer.split(b" ", 2)[1])
    if status >= 300 or b"x-amz-function-error" in answer.lower():
        raise RuntimeError(answer[:2000].decode("utf-8", "replace"))
    return answer


class Lambent:
    """A running server. `runtimes`: the newest one found of each language."""

    name = OURS
    callers_max = 1_000

    def __init__(self, server: RunningServer, ready_s: float = 0.0) -> None:
        self.server = server
        self.ready_s = ready_s
        self.port = server.port
        keys = configparser.ConfigParser()
        keys.read(server.data_dir / "credentials")
        section = keys[keys.sections()[0]]
        self.credentials = Credentials(section["aws_access_key_id"], section["aws_secret_access_key"])
        self._clients: dict[str, Any] = {}
        self._make_role()
        self.runtimes = self._runtimes()

    @property
    def pid(self) -> int:
        return self.server.pid

    def signed(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: dict[str, str] | None = None,
        service: str = "lambda",
        credentials: Credentials | None = None,
    ) -> bytes:
        """A request as it goes over the wire."""
        host = f"127.0.0.1:{self.port}"
        request = AWSRequest(method, f"http://{host}{path}", {"Host": host, **(headers or {})}, body)
        SigV4Auth(credentials or self.credentials, service, "us-east-1").add_auth(request)
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers.items())]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
        return head.encode() + body

    def invoke_request(self, function: str, event: object, key: tuple[str, str] | None = None) -> bytes:
        """`key`: id and secret of another caller's than the root's."""
        credentials = Credentials(*key) if key else self.credentials
        return self.signed("POST", invocation_path(function), json.dumps(event).encode(), credentials=credentials)

    def create_request(self, function: str, name: str | None = None) -> bytes:
        """CreateFunction for one of FUNCTIONS, under its own or another name."""
        language = FUNCTIONS[function][0]
        if language not in self.runtimes:
            raise UnsupportedError(f"no runtime for {language} on this host")
        body = creation_body(name or function, function, self.runtimes[language])
        return self.signed("POST", "/2015-03-31/functions", body)

    def deploy(self, function: str) -> None:
        call(self.port, self.create_request(function))
        call(self.port, self.invoke_request(function, first_event(function)))

    def fresh(self, function: str, count: int) -> Sequence[bytes]:
        names = [f"{function}-{number}" for number in range(count)]
        for name in names:
            self.call(self.create_request(function, name))
        return [self.invoke_request(name, first_event(function)) for name in names]

    def creation(self, name: str) -> Sequence[bytes]:
        return self.create_request("python", name), self.invoke_request(name, first_event("python"))

    def call(self, request: bytes) -> bytes:
        """See `call`."""
        return call(self.port, request)

    def client(self, service: str) -> Any:
        """A botocore client."""
        if service not in self._clients:
            self._clients[service] = botocore.session.get_session().create_client(
                service, region_name="us-east-1", endpoint_url=self.server.url,
                aws_access_key_id=self.credentials.access_key, aws_secret_access_key=self.credentials.secret_key,
            )  # fmt: skip
        return self._clients[service]

    def change(self, name: str) -> None:
        """Make the next invocation need a first environment."""
        functions = self.client("lambda")
        functions.update_function_configuration(FunctionName=name, Description=os.urandom(4).hex(), Timeout=60,
                                                Environment={"Variables": {"RUN": os.urandom(4).hex()}})  # fmt: skip
        functions.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig=SOON)

    def cpu_ms(self) -> float:
        """Processor time the server itself took so far."""
        return processes.cpu_ms([self.pid])

    def function_processes(self) -> list[int]:
        """Those in sandboxes, their inits among them."""
        return processes.of_users(host_ids(DataDirectory(self.server.data_dir).instance_id))

    def _make_role(self) -> None:
        service = {"Service": "lambda.amazonaws.com"}
        statement = {"Effect": "Allow", "Principal": service, "Action": "sts:AssumeRole"}
        trust = {"Version": "2012-10-17", "Statement": [statement]}
        name = ROLE.rpartition("/")[2]
        self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))

    def _runtimes(self) -> dict[str, str]:
        with urllib.request.urlopen(self.server.url + "/_lambent/health", timeout=5) as answer:
            found: list[str] = json.load(answer)["runtimes"] or []
        chosen = {"python": "python3.11", "node": max((n for n in found if n.startswith("nodejs")), default="")}
        return {language: runtime for language, runtime in chosen.items() if runtime in found}
