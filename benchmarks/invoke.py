"""Warm and cold invocations and create-to-result, with real isolation, signatures checked and log lines written.

    python benchmarks/invoke.py [--seconds 5] [--repeat 20] [--json FILE]

Prints one table. Absolute figures are this machine's; the first row (a bare httptools echo in the same run) is there
to compare with. The load generator runs on the same cores.
"""

from __future__ import annotations

import argparse
import base64
import configparser
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
import load
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lambent.testing.packages import zip_of
from lambent.testing.server import RunningServer

PYTHON = "def handler(event, context):\n    print('event', event)\n    return event\n"
PYTHON_BOTO3 = "import boto3\nclient = boto3.client('sqs')\n" + PYTHON
NODE = "export const handler = async (event) => { console.log('event', event); return event; };\n"
SLOW = "import time\ndef handler(event, context):\n    time.sleep(event)\n"
ROLE = "arn:aws:iam::000000000000:role/lambent-default-role"


class Bench:
    """A server with `--auth sigv4` and what sends it signed requests."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        keys = configparser.ConfigParser()
        keys.read(server.data_dir / "credentials")
        section = keys[keys.sections()[0]]
        self.credentials = Credentials(section["aws_access_key_id"], section["aws_secret_access_key"])

    def signed(self, method: str, path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
        """A request as it goes over the wire."""
        host = f"127.0.0.1:{self.server.port}"
        request = AWSRequest(method, f"http://{host}{path}", {"Host": host, **(headers or {})}, body)
        SigV4Auth(self.credentials, "lambda", "us-east-1").add_auth(request)
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers.items())]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
        return head.encode() + body

    def invoke_request(self, name: str, event: object) -> bytes:
        return self.signed("POST", f"/2015-03-31/functions/{name}/invocations", json.dumps(event).encode())

    def client(self, service: str) -> Any:
        return botocore.session.get_session().create_client(
            service, region_name="us-east-1", endpoint_url=self.server.url,
            aws_access_key_id=self.credentials.access_key, aws_secret_access_key=self.credentials.secret_key,
        )  # fmt: skip

    def create_request(self, name: str, files: dict[str, str], runtime: str, handler: str, memory: int) -> bytes:
        body = {
            "FunctionName": name, "Runtime": runtime, "Handler": handler, "Role": ROLE, "MemorySize": memory,
            "Timeout": 60, "Code": {"ZipFile": base64.b64encode(zip_of(files)).decode()},
        }  # fmt: skip
        return self.signed("POST", "/2015-03-31/functions", json.dumps(body).encode())

    def call(self, request: bytes) -> bytes:
        sock = load.connect(self.server.port)
        try:
            answer = load.exchange(sock, request)
        finally:
            sock.close()
        status = int(answer.split(b" ", 2)[1])
        if status >= 300 or b"x-amz-function-error" in answer.lower():
            raise RuntimeError(answer[:2000].decode("utf-8", "replace"))
        return answer

    def change(self, name: str, functions: Any) -> None:
        """Make the next invocation need a first environment."""
        functions.update_function_configuration(FunctionName=name, Description=os.urandom(4).hex(), Timeout=60,
                                                Environment={"Variables": {"RUN": os.urandom(4).hex()}})  # fmt: skip
        functions.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def summary(times_ms: list[float]) -> str:
    ordered = sorted(times_ms)
    return f"p50 {ordered[len(ordered) // 2]:.1f} ms, best {ordered[0]:.1f}, worst {ordered[-1]:.1f} (n={len(ordered)})"


def cpu_ms(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def warm(bench: Bench, name: str, seconds: float) -> list[tuple[str, str]]:
    rows = []
    request = bench.invoke_request(name, {"key": "value"})
    for connections in (1, 8, 64):
        load.run(bench.server.port, request, connections, 1.0)
        before = cpu_ms(bench.server.pid)
        outcome = load.run(bench.server.port, request, connections, seconds)
        cpu_us = (cpu_ms(bench.server.pid) - before) * 1000 / max(1, outcome.requests)
        latency = f"p50 {outcome.percentile(0.5):.2f} ms, p99 {outcome.percentile(0.99):.2f} ms"
        figures = f"{outcome.per_second:,.0f}/s, {latency}, server CPU {cpu_us:.0f} us, {outcome.errors} errors"
        rows.append((f"warm, {name}, {connections} callers", figures))
    return rows


def cold(bench: Bench, name: str, repeat: int) -> tuple[str, str]:
    functions = bench.client("lambda")
    request = bench.invoke_request(name, {"key": "value"})
    times = []
    for _ in range(repeat):
        bench.change(name, functions)
        times.append(timed(lambda: bench.call(request)))
    return f"cold, {name}, first environment of a version", summary(times)


def cold_next(bench: Bench, repeat: int) -> tuple[str, str]:
    """The environment after the first of a version: the others are kept busy."""
    bench.change("slow", bench.client("lambda"))
    busy = []
    times = []
    for _ in range(repeat):
        sock = load.connect(bench.server.port)
        sock.sendall(bench.invoke_request("slow", 20))
        busy.append(sock)
        time.sleep(0.3)
        # This one needs a new environment, and then frees it.
        bench_request = bench.invoke_request("slow", 0)
        times.append(timed(lambda request=bench_request: bench.call(request)))  # type: ignore[misc]
        bench_again = bench.invoke_request("slow", 20)
        sock = load.connect(bench.server.port)
        sock.sendall(bench_again)
        busy.append(sock)
        time.sleep(0.1)
    for sock in busy:
        sock.close()
    return "cold, python, next environment of a version", summary(times)


def create_to_result(bench: Bench, repeat: int) -> tuple[str, str]:
    times = []
    for number in range(repeat):
        name = f"created-{number}"
        create = bench.create_request(name, {"app.py": PYTHON}, "python3.11", "app.handler", 1769)
        invoke = bench.invoke_request(name, {})
        times.append(timed(lambda create=create, invoke=invoke: (bench.call(create), bench.call(invoke))))  # type: ignore[misc]
    return "create (zip upload) to first result, python", summary(times)


def floor() -> tuple[str, str]:
    """The bare echo of `http_floor.py` at 8 connections, in a process of its own."""
    script = Path(__file__).with_name("http_floor.py")
    done = subprocess.run(
        [sys.executable, str(script), "--seconds", "2", "--connections", "8"],
        capture_output=True,
        text=True,
        check=True,
    )
    return "bare httptools echo, 8 connections (http_floor.py)", " | ".join(done.stdout.strip().splitlines()[-2:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        server = RunningServer(Path(directory) / "data", ("--auth", "sigv4"))
        server.start()
        try:
            rows = [floor(), *measure(Bench(server), options.seconds, options.repeat)]
        finally:
            server.stop()
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name.ljust(width)}  {value}")
    if options.json:
        options.json.write_text(json.dumps(dict(rows), indent=2) + "\n")


def measure(bench: Bench, seconds: float, repeat: int) -> list[tuple[str, str]]:
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}  # fmt: skip
    bench.client("iam").create_role(RoleName="lambent-default-role", AssumeRolePolicyDocument=json.dumps(trust))
    runtimes = json.load(_health(bench))["runtimes"]
    node = max((name for name in runtimes if name.startswith("nodejs")), default=None)
    functions = [
        ("python", {"app.py": PYTHON}, "python3.11", "app.handler"),
        ("slow", {"app.py": SLOW}, "python3.11", "app.handler"),
    ]
    functions += [("python-boto3", {"app.py": PYTHON_BOTO3}, "python3.11", "app.handler")]
    if node:
        functions += [("node", {"app.mjs": NODE}, node, "app.handler")]
    for name, files, runtime, handler in functions:
        bench.call(bench.create_request(name, files, runtime, handler, 1769))
    rows = []
    for name in ["python", *(["node"] if node else [])]:
        bench.call(bench.invoke_request(name, {}))
        rows += warm(bench, name, seconds)
    for name in ["python", "python-boto3", *(["node"] if node else [])]:
        try:
            rows.append(cold(bench, name, repeat))
        except RuntimeError as error:
            rows.append((f"cold, {name}", f"not measured: {str(error).splitlines()[-1][:100]}"))
    rows.append(cold_next(bench, max(3, repeat // 4)))
    rows.append(create_to_result(bench, repeat))
    return rows


def _health(bench: Bench) -> Any:
    import urllib.request

    return urllib.request.urlopen(bench.server.url + "/_lambent/health", timeout=5)


if __name__ == "__main__":
    main()
