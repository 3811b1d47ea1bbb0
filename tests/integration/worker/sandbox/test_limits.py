"""The limits of `linux` sandboxes, against programs that want more."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from lambent.worker.sandbox.api import SandboxTemplate
from lambent.worker.sandbox.linux.backend import LinuxBackend

pytestmark = [pytest.mark.root, pytest.mark.alone]

MIB = 1 << 20
COUNT = """
import time
n = 0
while True:
    n += 1
    print(n, flush=True)
    time.sleep(0.005)
"""


@pytest.mark.parametrize("init", [True, False])
async def test_too_much_memory_is_an_out_of_memory_kill(lab: Any, init: bool) -> None:
    ran = await lab.run_python("x = bytearray(200 << 20); print(len(x))", memory_bytes=64 * MIB, init=init)
    assert (ran.exit.signal, ran.exit.oom_killed, ran.exit.killed) == (9, True, False)
    assert ran.sandbox.memory_peak_bytes() == pytest.approx(64 * MIB, rel=0.05)


async def test_memory_within_the_limit_is_measured(lab: Any) -> None:
    script = "x = bytearray(40 << 20); print('have', flush=True); import time; time.sleep(100)"
    sandbox = await lab.launch_python(script, memory_bytes=128 * MIB)
    assert b"have" in await lab.line(sandbox)
    assert 40 * MIB < sandbox.memory_current_bytes() < 128 * MIB
    sandbox.kill()
    ran = await lab.finish(sandbox)
    assert not ran.exit.oom_killed
    assert 40 * MIB < sandbox.memory_peak_bytes() < 128 * MIB
    assert sandbox.memory_current_bytes() == 0


async def test_a_child_killed_for_memory_is_told_with_the_exit(lab: Any) -> None:
    script = f"{lab.python} -I -S -c 'x = bytearray(200 << 20)'; echo child $?"
    ran = await lab.shell(script, memory_bytes=64 * MIB)
    assert ran.exit.oom_killed
    assert "child 137" in ran.text or ran.exit.signal == 9  # cgroup v2 kills the whole sandbox


async def test_files_in_shared_memory_are_memory_and_limited(lab: Any) -> None:
    script = "head -c 100M /dev/zero 2>&1 > /dev/shm/file; stat -c %s /dev/shm/file"
    assert (await lab.shell(script, memory_bytes=48 * MIB)).exit.oom_killed
    assert (await lab.shell(script, memory_bytes=256 * MIB)).text.endswith(f"No space left on device\n{64 * MIB}\n")


async def test_all_together_end_at_the_limit_for_all(tmp_path: Path, template: SandboxTemplate, open_lab: Any) -> None:
    script = "x = bytearray(80 << 20); print('have', flush=True); import time; time.sleep(100)"
    async with open_lab(LinuxBackend(str(tmp_path), tmp_path / "state", 150 * MIB), template) as lab:
        first = await lab.launch_python(script, memory_bytes=128 * MIB)
        assert await lab.line(first) == b"have\n"
        second = await lab.launch_python(script, memory_bytes=128 * MIB)
        done, _ = await asyncio.wait(
            [asyncio.create_task(lab.finish(sandbox)) for sandbox in (first, second)],
            return_when=asyncio.FIRST_COMPLETED,
        )
        assert [(ran.exit.signal, ran.exit.killed) for ran in (task.result() for task in done)] == [(9, False)]
        assert (await lab.shell("echo goes on")).text == "goes on\n"
        first.kill()
        second.kill()


async def test_a_sandbox_out_of_memory_leaves_its_neighbours_alone(lab: Any) -> None:
    neighbour = await lab.launch_python(COUNT, memory_bytes=64 * MIB)
    await lab.line(neighbour)
    script = "import os\nos.fork()\nos.fork()\nx = bytearray(200 << 20)"
    assert (await lab.run_python(script, memory_bytes=64 * MIB)).exit.oom_killed
    await lab.line(neighbour)
    assert await lab.line(neighbour)
    neighbour.kill()
    assert not (await lab.finish(neighbour)).exit.oom_killed


async def test_a_fork_bomb_is_contained(lab: Any) -> None:
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
    ran = await lab.run_python(script, processes=20)
    assert ran.exit.status == 0
    assert 15 <= int(ran.text) < 20


async def test_cpu_share_is_limited(lab: Any) -> None:
    script = """
import time
end, start = time.monotonic() + 1.0, time.process_time()
while time.monotonic() < end: pass
print(time.process_time() - start)
"""
    ran = await lab.run_python(script, cpus=0.25)
    assert float(ran.text) < 0.40  # of one second; what the host leaves of it is no concern here


async def test_cpu_share_can_be_changed(lab: Any) -> None:
    script = """
import time
while True:
    end, start = time.monotonic() + 0.4, time.process_time()
    while time.monotonic() < end: pass
    print(time.process_time() - start, flush=True)
"""
    sandbox = await lab.launch_python(script, cpus=2.0)
    await lab.line(sandbox)
    sandbox.limit_cpus(0.1)
    await lab.line(sandbox)  # partly before, partly after
    assert float(await lab.line(sandbox)) < 0.15
    sandbox.kill()
    await lab.finish(sandbox)
    sandbox.limit_cpus(1.0)


async def test_a_frozen_sandbox_does_nothing_until_it_is_thawed(lab: Any) -> None:
    sandbox = await lab.launch_python(COUNT)
    await lab.line(sandbox)
    sandbox.freeze()
    await asyncio.sleep(0.1)
    await _drain(lab, sandbox)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(lab.line(sandbox), 0.3)
    asyncio.get_running_loop().remove_reader(sandbox.output_fd)
    sandbox.thaw()
    assert await lab.line(sandbox)
    sandbox.freeze()
    sandbox.kill()
    assert (await lab.finish(sandbox)).exit.killed


async def _drain(lab: Any, sandbox: Any) -> None:
    """Take what it said before it was frozen."""
    try:
        while True:
            await asyncio.wait_for(lab.line(sandbox), 0.05)
    except TimeoutError:
        asyncio.get_running_loop().remove_reader(sandbox.output_fd)


async def test_descriptors_are_limited(lab: Any) -> None:
    script = """
import os
count = 0
try:
    while True:
        os.dup(0); count += 1
except OSError as error:
    print(count, error.strerror)
"""
    ran = await lab.run_python(script)
    assert ran.text.strip() == "1021 Too many open files"
