"""Spares: what is there of an environment before anybody wants it, and what is not."""

from __future__ import annotations

import concurrent.futures
import os
import re
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

# How long its process has been there at the time of the init phase, and what it was given.
PYTHON = """
import os, time
TICKS = int(open("/proc/self/stat").read().rpartition(")")[2].split()[19])
AGE_S = time.clock_gettime(time.CLOCK_BOOTTIME) - TICKS / os.sysconf("SC_CLK_TCK")

def handler(event, context):
    time.sleep(event or 0)
    return [AGE_S, context.log_stream_name, os.environ["AWS_ACCESS_KEY_ID"], os.environ.get("GREETING")]
"""
# Node.js itself is started with the function, but pid 1, which waits for it, was there before.
NODE = """
import { readFileSync } from "node:fs";
const ticks = Number(readFileSync("/proc/1/stat", "utf8").split(")").pop().split(" ")[20]);
const age = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) - ticks / 100;
export const handler = async (event, context) => {
  await new Promise((resolve) => setTimeout(resolve, (event ?? 0) * 1000));
  return [age, context.logStreamName, process.env.AWS_ACCESS_KEY_ID, process.env.GREETING ?? null];
};
"""
OLD_S = 0.8  # older than what is launched for an invocation
MADE_WITHIN_S = 3.0  # of the change, on a busy machine


@pytest.fixture(scope="module")
def own(make_server: Callable[..., RunningServer]) -> RunningServer:
    return make_server("--dev")


@pytest.fixture
def deployed(own: RunningServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """A function of Python whose spare is ready."""
    name = re.sub(r"\W+", "-", request.node.name)[:60]
    own.deploy(name, {"app.py": PYTHON}, Environment={"Variables": {"GREETING": "hello"}})
    until(lambda: spares(own) >= 1)
    yield name
    own.client("lambda").delete_function(FunctionName=name)
    until(lambda: spares(own) == 0)


def spares(server: RunningServer) -> int:
    with urllib.request.urlopen(server.url + "/metrics", timeout=10) as response:
        found = re.search(r"^lambent_spare_environments (\d+)", response.read().decode(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def until(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def at_once(server: RunningServer, name: str, number: int) -> list[list[Any]]:
    def one(_: int) -> Any:
        return server.invoke(name, 0.5).payload

    with concurrent.futures.ThreadPoolExecutor(number) as threads:
        return list(threads.map(one, range(number)))


def test_the_next_environments_are_spares_that_become_their_own(own: RunningServer, deployed: str) -> None:
    time.sleep(OLD_S)
    age_s, _, _, greeting = own.invoke(deployed).payload
    assert age_s >= OLD_S
    assert greeting == "hello"
    assert len(at_once(own, deployed, 3)) == 3  # two environments more
    until(lambda: spares(own) >= 3)
    time.sleep(OLD_S)
    ran = at_once(own, deployed, 5)
    assert len([one for one in ran if one[0] >= OLD_S]) >= 3  # the first, and these
    assert len({one[1] for one in ran}) == len({one[2] for one in ran}) == 5  # log streams, access keys
    logs = own.logs(deployed)
    assert len([line for line in logs if line.startswith("INIT_START")]) == 5  # nothing is said of those unused
    assert len([line for line in logs if "Init Duration" in line]) == 5


def test_a_changed_function_has_no_old_spares(own: RunningServer, deployed: str) -> None:
    functions = own.client("lambda")
    functions.update_function_configuration(FunctionName=deployed, Environment={"Variables": {"GREETING": "good day"}})
    functions.get_waiter("function_updated_v2").wait(FunctionName=deployed)
    time.sleep(OLD_S + MADE_WITHIN_S)
    age_s, _, _, greeting = own.invoke(deployed).payload
    assert greeting == "good day"
    assert age_s >= OLD_S  # in one that was made since


def test_they_are_given_back_by_the_clock(own: RunningServer, deployed: str) -> None:
    own.clock("freeze")
    at_once(own, deployed, 4)
    until(lambda: spares(own) == 4)
    own.clock("advance", seconds=70)
    until(lambda: spares(own) == 2)
    own.clock("advance", seconds=130)
    until(lambda: spares(own) == 0)
    own.clock("real")


def test_reserved_concurrency_does_not_count_them(own: RunningServer, deployed: str) -> None:
    own.client("lambda").put_function_concurrency(FunctionName=deployed, ReservedConcurrentExecutions=2)
    assert len(at_once(own, deployed, 2)) == 2
    until(lambda: spares(own) >= 2)
    assert len(at_once(own, deployed, 2)) == 2


def test_node(own: RunningServer, newest: Callable[[str], str]) -> None:
    own.deploy("node-spares", {"app.mjs": NODE}, Runtime=newest("nodejs"))
    until(lambda: spares(own) >= 1)
    time.sleep(OLD_S)
    assert own.invoke("node-spares").payload[0] >= OLD_S
    assert len({one[1] for one in at_once(own, "node-spares", 3)}) == 3
    own.client("lambda").delete_function(FunctionName="node-spares")
    until(lambda: spares(own) == 0)


def test_there_are_none_where_none_are_wanted(make_server: Callable[..., RunningServer]) -> None:
    server = make_server("--spare-environments", "0")
    server.deploy("plain", {"app.py": PYTHON})
    time.sleep(OLD_S)
    assert server.invoke("plain").payload[0] < OLD_S
    at_once(server, "plain", 2)
    time.sleep(0.3)
    assert spares(server) == 0
    server.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_of_them_outlives_the_server(make_server: Callable[..., RunningServer], number: int) -> None:
    server = make_server()
    server.deploy("left", {"app.py": PYTHON})
    at_once(server, "left", 3)
    until(lambda: spares(server) >= 3)
    family = [server.pid]
    for pid in family:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            family += map(int, children.read_text().split())
    assert len(family) >= 1 + 2 * (3 + 3)  # of each sandbox, its init and its runtime
    server.stop(number)
    until(lambda: not any(_lives(pid) for pid in family))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
