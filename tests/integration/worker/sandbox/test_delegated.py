"""`--sandbox rootless` with a delegated cgroup of version 2: the limits of `linux` sandboxes, as an ordinary user.

For `scripts/check-cgroup-v2`, or `systemd-run --user --scope -p Delegate=yes pytest …`; skipped elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lambent.worker.sandbox.api import SandboxTemplate
from lambent.worker.sandbox.linux.backend import LinuxBackend
from lambent.worker.sandbox.linux.cgroup_hierarchies import find_hierarchies

MIB = 1 << 20
COUNT = "import time\nwhile True: print('x', flush=True); time.sleep(0.005)"


def delegated() -> frozenset[str]:
    """The controllers to be had."""
    if os.geteuid() == 0 or not Path("/proc/self/mountinfo").exists():
        return frozenset()
    found = find_hierarchies(Path("/proc/self/mountinfo").read_text(), Path("/proc/self/cgroup").read_text())
    return frozenset(use for h in found if h.version == 2 and os.access(h.own, os.W_OK) for use in h.uses)


pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(not {"memory", "cpu", "pids"} <= delegated(), reason="this user has no delegated cgroup"),
]


@pytest.fixture
async def rootless(tmp_path: Path, template: SandboxTemplate, open_lab: Any) -> AsyncIterator[Any]:
    async with open_lab(LinuxBackend(str(tmp_path), tmp_path / "state", rootless=True), template) as lab:
        yield lab


async def test_what_holds_is_said(rootless: Any) -> None:
    holds = {guarantee.name: guarantee.how for guarantee in rootless.backend.report().guarantees if guarantee.holds}
    assert {"memory limit", "CPU limit", "process limit", "freezing while idle"} <= holds.keys()
    assert holds["process limit"] == "cgroup v2 pids"


async def test_too_much_memory_is_an_out_of_memory_kill(rootless: Any) -> None:
    ran = await rootless.run_python("x = bytearray(200 << 20); print(len(x))", memory_bytes=64 * MIB)
    assert (ran.exit.signal, ran.exit.oom_killed, ran.exit.killed) == (9, True, False)
    assert ran.sandbox.memory_peak_bytes() == pytest.approx(64 * MIB, rel=0.05)


async def test_a_fork_bomb_is_contained(rootless: Any) -> None:
    script = """
import os, time
made = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(100)
        made += 1
except BlockingIOError:
    print(made)
"""
    assert 15 <= int((await rootless.run_python(script, processes=20)).text) < 20


async def test_cpu_share_is_limited(rootless: Any) -> None:
    script = """
import time
end, start = time.monotonic() + 1.0, time.process_time()
while time.monotonic() < end: pass
print(time.process_time() - start)
"""
    assert float((await rootless.run_python(script, cpus=0.25)).text) < 0.40


async def test_a_frozen_sandbox_does_nothing_until_it_is_thawed(rootless: Any) -> None:
    sandbox = await rootless.launch_python(COUNT)
    await rootless.line(sandbox)
    sandbox.freeze()
    await asyncio.sleep(0.1)
    with contextlib.suppress(BlockingIOError):
        os.read(sandbox.output_fd, MIB)  # what it said before it stopped
    await asyncio.sleep(0.1)
    with pytest.raises(BlockingIOError):
        os.read(sandbox.output_fd, 100)
    sandbox.thaw()
    assert await rootless.line(sandbox)
    sandbox.freeze()
    sandbox.kill()
    assert (await rootless.finish(sandbox)).exit.killed
