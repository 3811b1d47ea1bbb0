"""Who ends whom when something dies that should not: spawners, the server, both."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lambent.worker.sandbox.api import SandboxError, SandboxLimits, SandboxSpec, SandboxTemplate
from lambent.worker.sandbox.linux.backend import LinuxBackend
from lambent.worker.sandbox.linux.cgroups import instance_directory

pytestmark = [pytest.mark.root, pytest.mark.alone]

SERVER = """
import asyncio, sys
from pathlib import Path
from lambent.worker.sandbox.api import SandboxLimits, SandboxSpec, SandboxTemplate
from lambent.worker.sandbox.linux.backend import LinuxBackend

async def main():
    backend = LinuxBackend(sys.argv[1], Path(sys.argv[1]) / "state")
    await backend.start()
    for number in range(3):
        spec = SandboxSpec(
            f"s{number}", ("/bin/sh", "-c", f"trap '' TERM; exec sleep {sys.argv[2]}"), {"PATH": "/usr/bin:/bin"},
            SandboxLimits(64 << 20, 1.0, 1 << 20), init=number != 1,
        )
        sandbox = await backend.launch(SandboxTemplate(f"t{number % 2}"), spec)
        if number == 2: sandbox.freeze()
    for number in range(3, 6):  # those that have no program yet
        spec = SandboxSpec(f"s{number}", (), {}, SandboxLimits(64 << 20, 1.0, 1 << 20), init=number != 4)
        waiting = await backend.set_up(SandboxTemplate(f"t{number % 2}"), spec)
    print("running", flush=True)
    await asyncio.sleep(100)

asyncio.run(main())
"""


def sleepers(seconds: str) -> list[int]:
    """The programs of `SERVER`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"sleep\0" + seconds.encode()):
                found.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def loop_devices(directory: Path) -> list[Path]:
    return [path for path in Path("/sys/block").glob("loop*/loop/backing_file") if str(directory) in _text(path)]


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""  # not in use any more


def cgroups(instance_id: str) -> list[Path]:
    name = instance_directory(instance_id)
    # `os.walk` goes on when a directory has just been removed, which `Path.glob` does not.
    return [Path(parent, name) for parent, names, _ in os.walk("/sys/fs/cgroup") if name in names]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_killed_spawner_takes_its_sandboxes_along(lab: Any) -> None:
    sandboxes = [await lab.launch("/bin/sleep", "100", init=init) for init in (True, False)]
    sandboxes[0].freeze()
    (spawner,) = lab.spawners()
    os.kill(spawner, signal.SIGKILL)
    for sandbox in sandboxes:
        ran = await lab.finish(sandbox)
        assert (ran.exit.signal, ran.exit.killed) == (9, True)
    ran = await lab.shell("echo again")  # from a new one
    assert ran.text == "again\n"
    assert lab.spawners() != [spawner]


async def test_a_program_cannot_outlive_its_spawner_by_refusing_the_signal(lab: Any) -> None:
    script = """
import ctypes, time
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)  # PR_SET_PDEATHSIG
print("refused", flush=True)
time.sleep(100)
"""
    sandbox = await lab.launch_python(script, init=False)
    assert await lab.line(sandbox) == b"refused\n"
    os.kill(lab.spawners()[0], signal.SIGKILL)
    assert (await lab.finish(sandbox)).exit.killed


async def test_a_spawner_killed_during_launches_fails_them_cleanly(lab: Any) -> None:
    await lab.backend.prepare(lab.template)
    launches = [asyncio.create_task(lab.launch("/bin/sleep", "100")) for _ in range(6)]
    await asyncio.sleep(0.004)
    os.kill(lab.spawners()[0], signal.SIGKILL)
    for outcome in await asyncio.gather(*launches, return_exceptions=True):
        if isinstance(outcome, BaseException):
            assert isinstance(outcome, SandboxError)
        else:
            assert (await lab.finish(outcome)).exit.killed


@pytest.mark.parametrize("too", ["server only", "spawners too"])
async def test_a_killed_server_leaves_nothing(tmp_path: Path, too: str) -> None:
    instance_id = str(tmp_path)
    seconds = str(100_000_000 + os.getpid())  # tells the programs of this test from all others
    with subprocess.Popen([sys.executable, "-c", SERVER, instance_id, seconds], stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == b"running\n"
            children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
            assert len(children) == 3  # the base, and two spawners
            await until(lambda: len(sleepers(seconds)) >= 2)  # the frozen one may not have come so far
        finally:
            server.kill()
        if too == "spawners too":
            for pid in children:
                os.kill(int(pid), signal.SIGKILL)
    if too == "server only":
        await until(lambda: not sleepers(seconds) and not cgroups(instance_id))
        await until(lambda: not loop_devices(tmp_path))
        return
    backend = LinuxBackend(instance_id, tmp_path / "state")
    await backend.start()  # removes what is left, frozen or not
    await until(lambda: not sleepers(seconds))
    await backend.close()
    assert cgroups(instance_id) == []


async def test_a_killed_server_takes_its_unisolated_processes_along(tmp_path: Path) -> None:
    seconds = str(200_000_000 + os.getpid())
    script = SERVER.replace("linux.backend import LinuxBackend", "process.backend import ProcessBackend")
    script = script.replace("LinuxBackend(sys.argv[1], ", "ProcessBackend(")
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path), seconds], stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == b"running\n"
            await until(lambda: len(sleepers(seconds)) == 3)
        finally:
            server.kill()
    await until(lambda: not sleepers(seconds))


async def test_closing_during_launches_fails_them_cleanly(lab: Any) -> None:
    await lab.backend.prepare(lab.template)
    launches = [asyncio.create_task(lab.launch("/bin/sleep", "100")) for _ in range(6)]
    await asyncio.sleep(0.003)
    await lab.backend.close()
    for outcome in await asyncio.gather(*launches, return_exceptions=True):
        if isinstance(outcome, BaseException):
            assert isinstance(outcome, SandboxError)
        else:
            assert (await lab.finish(outcome)).exit.killed


async def test_start_leaves_other_instances_alone(tmp_path: Path) -> None:
    first = LinuxBackend(str(tmp_path / "a"), tmp_path / "a")
    second = LinuxBackend(str(tmp_path / "b"), tmp_path / "b")
    await first.start()
    spec = SandboxSpec("s", ("/bin/sleep", "100"), {}, SandboxLimits(64 << 20, 1.0, 1 << 20))
    sandbox = await first.launch(SandboxTemplate("t"), spec)
    await second.start()
    await second.close()
    assert sandbox.memory_current_bytes() > 0
    sandbox.kill()
    assert (await sandbox.wait()).killed
    os.close(sandbox.output_fd)
    await first.close()


async def test_fifty_launches_at_once(lab: Any) -> None:
    sandboxes = await asyncio.gather(
        *(lab.launch("/bin/sh", "-c", "read x < /dev/null; echo up; exec sleep 100", listen=(9001,)) for _ in range(50))
    )
    assert {await lab.line(sandbox) for sandbox in sandboxes} == {b"up\n"}
    for sandbox in sandboxes:
        sandbox.kill()
    assert [(await lab.finish(sandbox)).exit.killed for sandbox in sandboxes] == [True] * 50


async def test_oversized_environment_is_refused(lab: Any) -> None:
    with pytest.raises(SandboxError, match="Argument list too long"):
        await lab.run("/bin/true", env={"BIG": "x" * 200_000})
    with pytest.raises(SandboxError, match="Message too long"):
        await lab.run("/bin/true", env={f"BIG{n}": "x" * 100_000 for n in range(20)})


@pytest.mark.parametrize(
    "changes",
    [{"sandbox_id": "../x"}, {"sandbox_id": ""}, {"env": {"A=B": "c"}}, {"env": {"A": "\0"}}, {"telemetry_fd": 1}],
)
async def test_what_cannot_be_is_refused(lab: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(SandboxError):
        await lab.run("/bin/true", **changes)


async def test_too_little_memory_to_start_in_says_so(lab: Any) -> None:
    with pytest.raises(SandboxError, match="out of memory"):
        await lab.run("/bin/true", memory_bytes=64 << 10)
