"""What is measured: something that runs functions and answers Invoke, Lambent or a peer.

A topic asks a `Subject` to deploy one of the functions below and for the bytes of a request; the load generator sends
them. `Lambent` is a server as a process, with `--auth sigv4`, log lines written and the sandbox of the command line.
"""

from __future__ import annotations

import base64
import configparser
import contextlib
import json
import os
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import load
from lambent.testing.packages import zip_of
from lambent.testing.server import RunningServer
from table import OURS

ROLE = "arn:aws:iam::000000000000:role/lambent-default-role"
MEMORY_MB = 1769

_ECHO = "def handler(event, context):\n    print('event', event)\n    return event\n"

_RECEIVED = """
import time
def handler(event, context):
    for record in event.get('Records', ()):
        print('late', time.time() - float(record['body']))
"""

# Functions, by name: language, and the source of its handler (`app.handler`).
FUNCTIONS: Mapping[str, tuple[str, str]] = {
    "python": ("python", _ECHO),
    "python-boto3": (
        "python",
        "import boto3\nclient = boto3.client('sqs')\n" + _ECHO,
    ),
    "node": (
        "node",
        "export const handler = async (event) => { console.log('event', event); return event; };\n",
    ),
    "slow": ("python", "import time\ndef handler(event, context):\n    time.sleep(event)\n"),
    "late": (
        "python",
        "import time\ndef handler(event, context):\n    print('late', time.time() - (event or time.time()))\n",
    ),
    "received": ("python", _RECEIVED),
    "slept": ("python", "import time\ndef handler(event, context):\n    time.sleep(0.001)\n"),
    "size": ("python", "def handler(event, context):\n    return len(event['data'])\n"),
}
FILES = {"python": "app.py", "node": "app.mjs"}
"""The name of the source file, by language."""


class Subject(Protocol):
    """Runs functions. Every request is a whole HTTP request, as bytes."""

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

    def invoke_request(self, function: str, event: object) -> bytes: ...

    def cpu_ms(self) -> float | None:
        """Processor time the server itself took so far; None if that cannot be told from its functions'."""
        ...

    def runtimes_cpu_ms(self) -> Mapping[int, float]:
        """The same for each process that runs functions, where they can be told."""
        ...


class UnsupportedError(Exception):
    """The subject cannot do that; the message says why."""


def first_event(function: str) -> object:
    """An event that costs one of FUNCTIONS nothing."""
    return 0 if function in ("slow", "late") else {"data": ""}


def invocation_path(function: str) -> str:
    return f"/2015-03-31/functions/{function}/invocations"


def process_cpu_ms(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def children_of(pid: int) -> list[int]:
    """Processes started by a process (by its main thread, that is), as far as they are still there."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


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

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.port = server.port
        keys = configparser.ConfigParser()
        keys.read(server.data_dir / "credentials")
        section = keys[keys.sections()[0]]
        self.credentials = Credentials(section["aws_access_key_id"], section["aws_secret_access_key"])
        self._clients: dict[str, Any] = {}
        self._make_role()
        self.runtimes = self._runtimes()

    def signed(
        self, method: str, path: str, body: bytes, headers: dict[str, str] | None = None, service: str = "lambda"
    ) -> bytes:
        """A request as it goes over the wire."""
        host = f"127.0.0.1:{self.port}"
        request = AWSRequest(method, f"http://{host}{path}", {"Host": host, **(headers or {})}, body)
        SigV4Auth(self.credentials, service, "us-east-1").add_auth(request)
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers.items())]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
        return head.encode() + body

    def invoke_request(self, function: str, event: object) -> bytes:
        return self.signed("POST", invocation_path(function), json.dumps(event).encode())

    def create_request(self, function: str, name: str | None = None, memory_mb: int = MEMORY_MB) -> bytes:
        """CreateFunction for one of FUNCTIONS, under its own or another name."""
        language, source = FUNCTIONS[function]
        if language not in self.runtimes:
            raise UnsupportedError(f"no runtime for {language} on this host")
        body = {
            "FunctionName": name or function, "Runtime": self.runtimes[language], "Handler": "app.handler",
            "Role": ROLE, "MemorySize": memory_mb, "Timeout": 60,
            "Code": {"ZipFile": base64.b64encode(zip_of({FILES[language]: source})).decode()},
        }  # fmt: skip
        return self.signed("POST", "/2015-03-31/functions", json.dumps(body).encode())

    def deploy(self, function: str) -> None:
        call(self.port, self.create_request(function))
        call(self.port, self.invoke_request(function, first_event(function)))

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
        functions.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})

    def cpu_ms(self) -> float | None:
        return process_cpu_ms(self.server.pid)

    def runtimes_cpu_ms(self) -> Mapping[int, float]:
        """See `Subject`."""
        found: dict[int, float] = {}
        below = [self.server.pid]
        while below:
            for pid in children_of(below.pop()):
                below.append(pid)
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    if not Path(f"/proc/{pid}/comm").read_text().startswith("lambent-"):
                        found[pid] = process_cpu_ms(pid)
        return found

    def server_memory_mb(self) -> float:
        """What the server's own process has in memory (RSS)."""
        pages = int(Path(f"/proc/{self.server.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024

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
