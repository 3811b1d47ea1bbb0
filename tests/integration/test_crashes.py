"""`kill -9` of the server at any moment: what was answered is there after a restart, and nothing else is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from lambent.store.data_directory import DataDirectory
from lambent.testing.packages import zip_of
from lambent.testing.server import ROLE, RunningServer

pytestmark = pytest.mark.root


def descendants(pid: int) -> list[int]:
    """Process ids of the living descendants of a process."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found, new = set[int](), {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return sorted(found)


def alive(pids: list[int]) -> list[int]:
    living = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if state != "Z":
            living.append(pid)
    return living


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def leftovers(server: RunningServer) -> list[str]:
    """Cgroups and mounts of this server's instance."""
    instance = DataDirectory(server.data_dir).instance_id
    found = subprocess.run(
        ["find", "/sys/fs/cgroup", "-type", "d", "-name", f"*{instance}*"], capture_output=True, text=True, check=False
    ).stdout.split()
    mounts = Path("/proc/self/mountinfo").read_text()
    return found + [line for line in mounts.splitlines() if str(server.data_dir) in line]


def test_a_stop_leaves_nothing(make_server: Callable[..., RunningServer]) -> None:
    server = make_server()
    server.deploy("f", {"app.py": "def handler(e, c): return e"})
    server.invoke("f")
    children = descendants(server.pid)
    assert children
    assert server.stop() == 0
    wait_until(lambda: not alive(children), "processes outlived the server")
    assert leftovers(server) == []
    server.start()


def test_kill_during_invocations_and_log_writing(make_server: Callable[..., RunningServer]) -> None:
    server = make_server()
    source = "def handler(event, context):\n    for n in range(20): print('line', event, n)\n    return event"
    server.deploy("printer", {"app.py": source}, Timeout=30)
    server.invoke("printer", "warm-up")
    answered: list[tuple[int, str]] = []
    lock = threading.Lock()
    stop = threading.Event()

    def call(worker: int) -> None:
        number = worker
        while not stop.is_set():
            number += 1000
            try:
                invoked = server.invoke("printer", number)
            except (BotoCoreError, ClientError, OSError):
                return
            with lock:
                answered.append((number, invoked.request_id))

    threads = [threading.Thread(target=call, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(answered) >= 60, "too few invocations", 60)
    children = descendants(server.pid)
    server.stop(signal.SIGKILL)
    stop.set()
    for thread in threads:
        thread.join()
    wait_until(lambda: not alive(children), "sandboxes outlived the killed server")

    server.start()
    assert server.invoke("printer", "again").function_error is None
    pages = server.client("logs").get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/printer")
    log = "".join(event["message"] for page in pages for event in page["events"])
    for number, request_id in answered:
        assert f"REPORT RequestId: {request_id}\t" in log
        for line in range(20):
            assert f"line {number} {line}\n" in log
    children = descendants(server.pid)
    server.stop()
    wait_until(lambda: not alive(children), "processes outlived the server")
    assert leftovers(server) == []
    server.start()


@pytest.mark.parametrize("delay_s", [0.0, 0.01, 0.03, 0.08, 0.2])
def test_kill_during_create_and_update(make_server: Callable[..., RunningServer], delay_s: float) -> None:
    server = make_server()
    code: dict[str, str | bytes] = {"app.py": "def handler(e, c): return 'one'", "filler": os.urandom(2_000_000)}
    acknowledged: list[str] = []
    begun = threading.Event()

    def create() -> None:
        functions = server.client("lambda")
        for number in range(10_000):
            name = f"f{number}"
            begun.set()
            try:
                functions.create_function(FunctionName=name, Runtime="python3.11", Handler="app.handler", Role=ROLE,
                                          Code={"ZipFile": zip_of(code | {"n": str(number)})})  # fmt: skip
            except (BotoCoreError, ClientError):
                return
            acknowledged.append(name)

    thread = threading.Thread(target=create)
    thread.start()
    begun.wait()
    time.sleep(0.3 + delay_s)
    server.stop(signal.SIGKILL)
    thread.join()
    server.start()
    functions = server.client("lambda")
    pages = functions.get_paginator("list_functions").paginate()
    names = {function["FunctionName"] for page in pages for function in page["Functions"]}
    assert set(acknowledged) <= names  # what was answered is there; the one under way may be, and is then whole
    assert len(names - set(acknowledged)) <= 1
    for name in sorted(names)[-3:]:
        functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    assert server.invoke(max(names)).payload == "one"
    server.stop()
    strays = [path for path in (server.data_dir / "code").rglob("*") if re.search(r"tmp|temp|part", path.name)]
    assert strays == []


def test_a_data_directory_has_one_server(make_server: Callable[..., RunningServer]) -> None:
    server = make_server()
    second: dict[str, Any] = {}
    command = [sys.executable, "-m", "lambent.cli.main", "serve", "--data-dir", str(server.data_dir), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    second["status"], second["stderr"] = done.returncode, done.stderr
    assert second["status"] == 1
    assert f"is in use by another server (process {server.pid})" in second["stderr"]
    assert server.client("lambda").list_functions()["Functions"] == []


def test_running_invocations_get_a_grace_at_the_stop(make_server: Callable[..., RunningServer]) -> None:
    server = make_server("--shutdown-grace", "5")
    server.deploy(
        "slow", {"app.py": "import time\ndef handler(e, c):\n    time.sleep(e)\n    return 'done'"}, Timeout=30
    )
    server.invoke("slow", 0)
    results: list[Any] = []
    caller = threading.Thread(target=lambda: results.append(server.invoke("slow", 1.5).payload))
    caller.start()
    time.sleep(0.5)
    assert server.stop() == 0
    caller.join()
    assert results == ["done"]
    server.start()
    begun = time.monotonic()
    refused: list[Exception] = []

    def call() -> None:
        try:
            server.invoke("slow", 25)
        except (ClientError, BotoCoreError) as error:
            refused.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    time.sleep(0.7)
    assert server.stop() == 0
    assert time.monotonic() - begun < 20  # the grace is bounded
    caller.join()
    assert refused
    server.start()
