"""Environments come and go, and those who make them are killed: the server answers on, and keeps nothing of it.

LAMBENT_CYCLES says how many environments; few by default. With 10000:

    LAMBENT_CYCLES=10000 pytest -s -m alone tests/security/environment/test_life_of_a_server.py
"""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from lambent.packaging.build import zip_directory
from lambent.testing.inventory import Footprint, Inventory
from lambent.testing.server import RunningServer

pytestmark = [pytest.mark.root, pytest.mark.alone]

CYCLES = int(os.environ.get("LAMBENT_CYCLES", "24"))
KILLS = 6 if CYCLES < 1000 else 30
GROWTH_BYTES = 32 << 20
_CODE = Path(__file__).parents[1] / "hostile_code"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    server = RunningServer(tmp_path_factory.mktemp("life") / "data", ("--dev",))
    with server:
        settings = {"Handler": "hostile.attempts.handler", "Timeout": 20, "MemorySize": 512}
        server.deploy("mortal", zip_directory(_CODE), **settings)
        yield server
    assert Inventory.of(server.data_dir).nothing, Inventory.of(server.data_dir)


def invoke(server: RunningServer, attempt: str, **event: Any) -> Any:
    return server.invoke("mortal", {"group": "life", "attempts": [attempt], "sleep_s": "1000", **event})


def give_back_spares(server: RunningServer) -> None:
    """What is kept for environments to come is kept for a while only."""
    deadline = time.monotonic() + 20
    while True:
        server.clock("advance", seconds=600)
        with urllib.request.urlopen(server.url + "/metrics", timeout=10) as response:
            if b"\nlambent_spare_environments 0" in response.read():
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)


NO_SERVER = "no connection"
DISTURBANCES = {NO_SERVER, "ServiceException", "TooManyRequestsException"}


@dataclass
class Tally:
    """What came of invocations whose environments end with them, while their makers are killed."""

    ended: int = 0  # as the function does: its process exits
    disturbed: Counter[str] = field(default_factory=Counter)

    def invoke_once(self, server: RunningServer) -> None:
        """An error is one of AWS's, or that of a connection to a server that was killed; the next one works."""
        try:
            answer = invoke(server, "daemons_then_exit")
        except ClientError as error:
            self.disturbed[error.response["Error"]["Code"]] += 1
        except BotoCoreError:
            self.disturbed[NO_SERVER] += 1
            time.sleep(0.2)
        else:
            self.ended += bool(answer.function_error)


def kernel_objects() -> dict[str, int]:
    """Of the whole host, as the kernel's allocator counts them: namespaces and mounts, also those that nobody sees."""
    wanted = {"net_namespace", "user_namespace", "pid_namespace", "uts_namespace", "mnt_cache"}
    lines = [line.split() for line in Path("/proc/slabinfo").read_text().splitlines()[2:]]
    return {fields[0]: int(fields[1]) for fields in lines if fields[0] in wanted}


def files_of(server: RunningServer) -> list[str]:
    """What the server keeps on disk, but for what grows with what was done (logs, databases) and notes on code."""
    paths = (path.relative_to(server.data_dir) for path in server.data_dir.rglob("*"))
    kept = ("logs", "metrics", "usage", "code")
    return sorted(str(path) for path in paths if path.parts[0] not in kept and ".db" not in path.name)


@pytest.mark.timeout(7200)
def test_a_life_with_violent_ends_leaves_nothing(tmp_path: Path) -> None:
    """Environments by the thousand; meanwhile now a spawner, now a zygote, now the server is killed."""
    server = RunningServer(tmp_path / "data")
    tally, victims = Tally(), itertools.cycle(("lambent-spawner", "lambent-zygote", "server"))
    objects = kernel_objects()
    with server:
        server.deploy("mortal", zip_directory(_CODE), Handler="hostile.attempts.handler", Timeout=20, MemorySize=512)
        tally.invoke_once(server)
        files = files_of(server)

        def work(count: int) -> None:
            for _ in range(count):
                tally.invoke_once(server)

        for _ in range(KILLS):
            threads = [threading.Thread(target=work, args=(max(1, CYCLES // KILLS // 4),)) for _ in range(4)]
            for thread in threads:
                thread.start()
            time.sleep(0.3)
            victim = next(victims)
            if victim == "server":
                server.stop(signal.SIGKILL)
                server.start()
            else:
                for pid in processes(server, victim):
                    os.kill(pid, signal.SIGKILL)
            for thread in threads:
                thread.join()
        retried(lambda: invoke(server, "leave_something"))
        footprint = Footprint.of(server.pid)
        assert set(files_of(server)) - set(files) == set()
    print(f"{tally.ended} environments ended, {dict(tally.disturbed)}; {KILLS} kills; "
          f"server: {footprint.private_bytes >> 20} MiB, {footprint.descriptors.total()} descriptors")  # fmt: skip
    after = kernel_objects()
    print("kernel objects", {name: (count, after[name]) for name, count in objects.items()})
    assert set(tally.disturbed) <= DISTURBANCES
    assert tally.ended > CYCLES // 2
    assert footprint.private_bytes < 2 * GROWTH_BYTES + (64 << 20)
    assert footprint.descriptors.total() < 200
    deadline = time.monotonic() + 20
    while not (left := Inventory.of(server.data_dir)).nothing and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left.nothing, left
    grown = {name: after[name] - count for name, count in objects.items()}
    assert max(grown.values()) < 1000 + CYCLES // 4, grown  # each environment had one of each, and 30 mounts


def processes(server: RunningServer, name: str) -> list[int]:
    """Those of the server that are called so, as far as they live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            parent = int((path.parent / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if path.read_text().startswith(name) and parent in _family(server.pid):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def _family(pid: int) -> set[int]:
    family, new = set[int](), {pid}
    while new:
        family |= new
        children: set[int] = set()
        for one in new:
            try:
                children |= set(map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split()))
            except OSError:
                continue
        new = children
    return family


@pytest.mark.timeout(1800)
def test_environments_leave_nothing_with_the_server(server: RunningServer) -> None:
    for _ in range(4):
        invoke(server, "daemons_then_exit")
    give_back_spares(server)
    before = Footprint.of(server.pid)
    numbers = iter(range(CYCLES))
    ends: list[str] = []

    def work() -> None:
        for _ in numbers:
            ends.append(invoke(server, "daemons_then_exit").payload["errorType"])

    threads = [threading.Thread(target=work) for _ in range(4)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s = time.monotonic() - began
    give_back_spares(server)
    deadline = time.monotonic() + 10
    while (left := Inventory.of(server.data_dir)).cgroups and time.monotonic() < deadline:
        if not any("sleep" in process or "python" in process for process in left.processes):
            break
        time.sleep(0.05)
    after = Footprint.of(server.pid)
    grown = after.private_bytes - before.private_bytes
    print(f"{CYCLES} environments in {took_s:.1f} s; the server grew by {grown >> 10} KiB, "
          f"descriptors {before.descriptors.total()} -> {after.descriptors.total()}")  # fmt: skip
    assert ends == ["Runtime.ExitError"] * CYCLES
    assert not any("sleep" in process for process in left.processes)
    assert after.descriptors.total() <= before.descriptors.total() + 40  # a log file and images are kept open
    assert grown < GROWTH_BYTES


@pytest.mark.parametrize("victim", ["lambent-spawner", "lambent-zygote"])
@pytest.mark.parametrize("delay_s", [0.0, 0.01, 0.03])
def test_who_makes_environments_is_killed_and_replaced(server: RunningServer, victim: str, delay_s: float) -> None:
    """At different moments of an invocation that starts one. The call is answered, by a result or an error of AWS's
    kind, and the next one works."""
    invoke(server, "kill_itself")
    outcomes: list[Any] = []

    def call() -> None:
        try:
            outcomes.append(invoke(server, "leave_something"))
        except Exception as error:  # noqa: BLE001 - looked at below
            outcomes.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    time.sleep(delay_s)
    for pid in processes(server, victim):
        os.kill(pid, signal.SIGKILL)
    thread.join(30)
    assert len(outcomes) == 1
    code = getattr(outcomes[0], "response", {}).get("Error", {}).get("Code", "")
    assert not isinstance(outcomes[0], Exception) or code in ("ServiceException", "TooManyRequestsException"), outcomes
    again = retried(lambda: invoke(server, "leave_something"))
    if again.function_error:  # it was handed to the environment that was just dying
        assert again.payload["errorType"] == "Runtime.ExitError"
        again = retried(lambda: invoke(server, "leave_something"))
    assert again.function_error is None
    assert "leave_something" in again.payload


def test_killed_while_it_works(server: RunningServer) -> None:
    """The spawner's death takes its environments along: the invocation fails as that of a killed runtime does."""
    retried(lambda: invoke(server, "leave_something"))
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(invoke(server, "ignore_signals_and_go_on")))
    thread.start()
    time.sleep(0.4)
    for pid in processes(server, "lambent-spawner"):
        os.kill(pid, signal.SIGKILL)
    thread.join(30)
    assert results[0].function_error == "Unhandled"
    assert results[0].payload["errorType"] in ("Runtime.ExitError", "Sandbox.Timedout")
    assert retried(lambda: invoke(server, "leave_something")).function_error is None


def retried(call: Callable[[], Any]) -> Any:
    """As SDKs do: an error of the service is tried again."""
    for _ in range(5):
        try:
            return call()
        except Exception as error:
            if getattr(error, "response", {}).get("Error", {}).get("Code", "") != "ServiceException":
                raise
            time.sleep(0.05)
    return call()
