"""Environments are made as memory allows: beyond that callers are throttled, and nothing dies."""

from __future__ import annotations

import os
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from lambent.testing.server import RunningServer
from lambent.worker.host_memory import own_levels

pytestmark = [pytest.mark.root, pytest.mark.alone]

MIB = 1 << 20
HOLD = """
import time
held = bytearray(100 << 20)
def handler(event, context):
    time.sleep(event)
    return len(held)
"""


@pytest.fixture
def small_cgroup() -> Iterator[Path]:
    """A memory cgroup of 700 MB, as that of a small container."""
    own = own_levels()
    if not own or own[0].version != 1:
        pytest.skip("needs cgroup v1")  # version 2 gives limits to cgroups without processes only
    directory = own[0].directory / f"small-{os.getpid()}"
    directory.mkdir()
    (directory / "memory.limit_in_bytes").write_text(str(700 * MIB))
    yield directory
    directory.rmdir()


def spares(server: RunningServer) -> int:
    with urllib.request.urlopen(server.url + "/metrics", timeout=10) as response:
        found = re.search(r"^lambent_spare_environments (\d+)", response.read().decode(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def test_a_burst_in_a_small_container_is_throttled(
    small_cgroup: Path, make_server: Callable[..., RunningServer]
) -> None:
    (small_cgroup / "cgroup.procs").write_text(str(os.getpid()))
    try:
        server = make_server()
    finally:
        (small_cgroup.parent / "cgroup.procs").write_text(str(os.getpid()))
    server.deploy("hold", {"app.py": HOLD}, MemorySize=256, Timeout=30)
    server.deploy("light", {"app.py": "import time\ndef handler(event, context): time.sleep(0.3)"}, MemorySize=128)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: server.invoke("light"), range(4)))
    deadline = time.monotonic() + 15
    while spares(server) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    def invoke(seconds: float) -> str:
        try:
            return str(server.invoke("hold", seconds).payload)
        except ClientError as error:
            return str(error.response["Error"]["Code"])

    assert invoke(0) == str(100 * MIB)  # from now on it is known what one of these uses
    with ThreadPoolExecutor(12) as threads:
        answers = Counter(threads.map(invoke, [1.5] * 12))
    assert set(answers) == {str(100 * MIB), "TooManyRequestsException"}, answers
    assert spares(server) == 0  # they went before anybody was refused
    assert invoke(0) == str(100 * MIB)
    assert server.stop() == 0
