"""`linux` sandboxes on hosts that offer less than this one: only cgroup v1, only v2, none. The kernel is the same; the
backend is told of fewer hierarchies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lambent.worker.sandbox.api import SandboxTemplate
from lambent.worker.sandbox.linux import backend as backend_module
from lambent.worker.sandbox.linux.backend import LinuxBackend
from lambent.worker.sandbox.linux.cgroup_hierarchies import Hierarchy, find_hierarchies

pytestmark = [pytest.mark.root, pytest.mark.alone]


def only(kind: str) -> tuple[Hierarchy, ...]:
    wanted = {"v1": " - cgroup ", "v2": " - cgroup2 ", "none": "nothing"}[kind]
    lines = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if wanted in line]
    return find_hierarchies("\n".join(lines), Path("/proc/self/cgroup").read_text())


@pytest.fixture(params=["v1", "v2", "none"])
def kind(request: pytest.FixtureRequest) -> str:
    kind = str(request.param)
    if kind != "none" and not only(kind):
        pytest.skip(f"this host has no cgroup {kind}")
    return kind


@pytest.fixture
async def limited(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, template: SandboxTemplate, open_lab: Any
) -> AsyncIterator[Any]:
    monkeypatch.setattr(backend_module, "_host_hierarchies", lambda: only(kind))
    async with open_lab(LinuxBackend(str(tmp_path), tmp_path / "state"), template) as lab:
        yield lab


COUNT = "import time\nwhile True: print('x', flush=True); time.sleep(0.005)"


async def test_freezing_and_killing(limited: Any, kind: str) -> None:
    sandbox = await limited.launch_python(COUNT)
    await limited.line(sandbox)
    sandbox.freeze()
    await asyncio.sleep(0.1)
    with contextlib.suppress(BlockingIOError):
        os.read(sandbox.output_fd, 1 << 20)  # what it said before it stopped
    await asyncio.sleep(0.1)
    if kind != "none":
        with pytest.raises(BlockingIOError):
            os.read(sandbox.output_fd, 100)
        sandbox.thaw()
        assert b"x" in await limited.line(sandbox)
        sandbox.freeze()
    sandbox.kill()
    ran = await limited.finish(sandbox)
    assert (ran.exit.signal, ran.exit.killed) == (9, True)


async def test_a_killed_spawner_with_a_frozen_sandbox(limited: Any) -> None:
    sandbox = await limited.launch("/bin/sleep", "100")
    sandbox.freeze()
    (spawner,) = limited.spawners()
    os.kill(spawner, signal.SIGKILL)
    assert (await limited.finish(sandbox)).exit.killed


async def test_closing_with_a_frozen_sandbox(limited: Any) -> None:
    sandbox = await limited.launch("/bin/sleep", "100")
    sandbox.freeze()
    await limited.backend.close()
    assert (await limited.finish(sandbox)).exit.killed


async def test_a_fork_bomb_is_contained(limited: Any) -> None:
    """Where there is no pids controller, RLIMIT_NPROC does it."""
    script = """
import os, time
made = 0
try:
    while made < 100:
        if os.fork() == 0:
            time.sleep(100)
        made += 1
except BlockingIOError:
    pass
print(made)
"""
    ran = await limited.run_python(script, processes=20)
    assert 10 <= int(ran.text) <= 20


async def test_exit_and_output(limited: Any) -> None:
    ran = await limited.shell("echo hello; exit 3", listen=(9001,), telemetry_fd=3)
    assert (ran.text, ran.exit.status, ran.exit.oom_killed) == ("hello\n", 3, False)
