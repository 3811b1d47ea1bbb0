"""Ten thousand lives of sandboxes leave a host as it was.

LAMBENT_CYCLES says how many there are; few by default, so that the gate stays short.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lambent.testing.inventory import Footprint, Inventory
from lambent.worker.sandbox.api import SandboxError, SandboxLimits, SandboxSpec, SandboxTemplate
from lambent.worker.sandbox.linux import disk_image
from lambent.worker.sandbox.linux.backend import LinuxBackend
from lambent.worker.sandbox.linux.shelf import READY

pytestmark = [pytest.mark.root, pytest.mark.alone]

CYCLES = int(os.environ.get("LAMBENT_CYCLES", "200"))
WARM_UP = CYCLES // 2  # until allocators have what they will keep
AT_ONCE = 4
IMAGES = 0 if disk_image.why_not() else 2 * READY  # kept for those to come: of this size, and of the usual one
GROWTH_BYTES = 2 << 20  # half a kilobyte for each of 5,000 sandboxes would be more


async def one_life(backend: LinuxBackend, template: SandboxTemplate, number: int) -> None:
    """Launched, listening; ended by itself, killed, or killed while frozen."""
    argv = ("/bin/true",) if number % 3 else ("/bin/sleep", "1000")
    limits = SandboxLimits(64 << 20, 1.0, 1 << 20, processes=16)
    spec = SandboxSpec(f"s{number}", argv, {}, limits, listen=(9001, 4566), telemetry_fd=3, init=number % 2 == 0)
    sandbox = await backend.launch(template, spec)
    if number % 3 == 0:
        if number % 2:
            sandbox.freeze()
        sandbox.kill()
    await sandbox.wait()
    for listener in sandbox.listeners:
        listener.close()
    os.close(sandbox.output_fd)
    assert sandbox.telemetry_fd is not None
    os.close(sandbox.telemetry_fd)


async def lives(backend: LinuxBackend, template: SandboxTemplate, numbers: range) -> None:
    queue = iter(numbers)

    async def worker() -> None:
        for number in queue:
            await one_life(backend, template, number)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


def spawner_of(pid: int) -> int:
    """The one spawner among the children of a process."""
    children = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    [found] = [child for child in children if Path(f"/proc/{child}/comm").read_text() == "lambent-spawner\n"]
    return found


async def settled(instance: str, directory: Path, condition: Callable[[Inventory], bool]) -> Inventory:
    """What there is, once the kernel has done what it does later; at the latest after some seconds."""
    for _ in range(100):
        found = Inventory.marked(instance, directory)
        if condition(found):
            break
        await asyncio.sleep(0.05)
    return found


async def gone(instance: str, directory: Path) -> Inventory:
    return await settled(instance, directory, lambda found: found.nothing)


@pytest.mark.timeout(900)
async def test_lives_leave_nothing(tmp_path: Path) -> None:
    instance = str(tmp_path)
    backend, template = LinuxBackend(instance, tmp_path / "state"), SandboxTemplate("t")
    assert Inventory.marked(instance, tmp_path).nothing
    await backend.start()
    await lives(backend, template, range(WARM_UP))
    idle = await settled(instance, tmp_path, lambda found: len(found.loop_devices) == IMAGES)
    gc.collect()
    spawner = spawner_of(os.getpid())
    own, its = Footprint.of(os.getpid()), Footprint.of(spawner)
    began = time.monotonic()
    await lives(backend, template, range(WARM_UP, CYCLES))
    took_s = time.monotonic() - began
    after = await settled(
        instance,
        tmp_path,
        lambda found: len(found.processes) == len(idle.processes) and len(found.loop_devices) == IMAGES,
    )
    gc.collect()
    own_after, its_after = Footprint.of(os.getpid()), Footprint.of(spawner)
    grown = own_after.private_bytes - own.private_bytes, its_after.private_bytes - its.private_bytes
    print(f"{CYCLES - WARM_UP} of {CYCLES} lives in {took_s:.1f} s")
    print(f"the server grew by {grown[0] >> 10} KiB, the spawner by {grown[1] >> 10} KiB")
    assert its_after.descriptors == its.descriptors
    assert own_after.descriptors.total() <= own.descriptors.total()
    assert (own_after.children, its_after.children) == (own.children, 0)
    assert max(grown) < GROWTH_BYTES
    assert len(after.mounts) == len(idle.mounts)
    assert (len(after.processes), after.cgroups) == (len(idle.processes), idle.cgroups)
    assert len(after.loop_devices) == len(idle.loop_devices) == IMAGES
    await backend.close()
    left = await gone(instance, tmp_path)
    assert left.nothing, left


async def test_a_start_on_a_dirty_host_removes_its_own_and_nothing_else(tmp_path: Path) -> None:
    """Two servers whose processes are killed at once, all of them; one comes back."""
    script = Path(__file__).parent / "abandoned.py"
    children: list[tuple[Path, asyncio.subprocess.Process]] = []
    for name in ("a", "b"):
        directory = tmp_path / name
        directory.mkdir()
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(script), str(directory), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"running\n"
        children.append((directory, process))
    for _, process in children:
        spawners = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for pid in (process.pid, *map(int, spawners)):
            os.kill(pid, signal.SIGKILL)
        await process.wait()
    left = {directory.name: Inventory.marked(str(directory), directory) for directory, _ in children}
    assert left["a"].cgroups
    assert left["b"].cgroups
    backend = LinuxBackend(str(tmp_path / "a"), tmp_path / "a" / "state")
    await backend.start()
    assert Inventory.marked(str(tmp_path / "b"), tmp_path / "b") == left["b"]
    await backend.close()
    assert (await gone(str(tmp_path / "a"), tmp_path / "a")).nothing
    other = LinuxBackend(str(tmp_path / "b"), tmp_path / "b" / "state")
    await other.start()
    await other.close()
    assert (await gone(str(tmp_path / "b"), tmp_path / "b")).nothing


@pytest.mark.parametrize("delay_ms", [0, 1, 2, 3, 5, 8, 13])
async def test_a_spawner_killed_at_any_moment_of_a_launch_is_replaced(tmp_path: Path, delay_ms: int) -> None:
    instance = str(tmp_path)
    gc.collect()  # clients of earlier tests let go of their sockets now, not in the middle of this one
    before = Footprint.of(os.getpid()).descriptors
    backend, template = LinuxBackend(instance, tmp_path / "state"), SandboxTemplate("t")
    await backend.start()
    await backend.prepare(template)
    spawner = spawner_of(os.getpid())
    limits = SandboxLimits(64 << 20, 1.0, 1 << 20)
    spec = SandboxSpec("s", ("/bin/sleep", "1000"), {}, limits, listen=(9001,))
    launch = asyncio.create_task(backend.launch(template, spec))
    await asyncio.sleep(delay_ms / 1000)
    os.kill(spawner, signal.SIGKILL)
    try:
        sandbox = await launch
    except SandboxError:
        pass
    else:
        assert (await asyncio.wait_for(sandbox.wait(), 10)).killed
        os.close(sandbox.output_fd)
        sandbox.listeners[0].close()
    await one_life(backend, template, 2)  # by another spawner
    await backend.close()
    assert Footprint.of(os.getpid()).descriptors <= before
    left = await gone(instance, tmp_path)
    assert left.nothing, left
