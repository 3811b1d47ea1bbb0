"""Real sandboxes for tests: every fixture checks afterwards that nothing is left of them on the host."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest

from lambent.worker.sandbox.api import (
    Bind,
    Sandbox,
    SandboxBackend,
    SandboxExit,
    SandboxLimits,
    SandboxSpec,
    SandboxTemplate,
    WaitingSandbox,
)
from lambent.worker.sandbox.linux.backend import LinuxBackend

PYTHON = f"{sys.base_prefix}/bin/python3"
MIB = 1 << 20


@dataclass
class Leftovers:
    """What sandboxes leave on a host if somebody is careless."""

    descriptors: set[str] = field(default_factory=set)
    mounts: set[str] = field(default_factory=set)
    cgroups: set[str] = field(default_factory=set)
    children: set[str] = field(default_factory=set)
    loops: set[str] = field(default_factory=set)

    @classmethod
    def now(cls, backend: SandboxBackend) -> Leftovers:
        descriptors = set()
        for entry in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                descriptors.add(f"{entry.name} {entry.readlink()}")
        children = set[str]()
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
                children |= set((task / "children").read_text().split())
        if isinstance(backend, LinuxBackend) and backend._tmp_images is not None:
            # What is on the shelf, or on its way to it, comes and goes by itself.
            passing = (" /", "fscontext]", str(backend._state_dir))
            descriptors -= {d for d in descriptors if d.endswith(passing[:2]) or passing[2] in d or "/dev/loop" in d}
        ours, place = "no such", "no such"
        if isinstance(backend, LinuxBackend):
            ours, place = backend._cgroups.directory, str(backend._state_dir.parent)
        # `os.walk` goes on when a directory has just been removed, which `Path.glob` does not.
        cgroups = {parent for parent, _, _ in os.walk("/sys/fs/cgroup") if f"/{ours}" in parent}
        mounts = set(Path("/proc/self/mountinfo").read_text().splitlines())
        # Made by tests in other processes: test_network's, and small disks that are to be full.
        mounts = {line for line in mounts if "/run/netns/lt" not in line}
        mounts = {line for line in mounts if place in line or "/pytest-of-" not in line.split()[4]}
        descriptors = {d for d in descriptors if "/proc/" not in d}
        return cls(descriptors, mounts, cgroups, children, loop_devices(backend))

    def beyond(self, before: Leftovers) -> list[str]:
        """What there is now and was not before. What has gone meanwhile is nobody's fault here: a client that an
        earlier test made lets go of its sockets whenever the garbage collector comes by."""
        return [
            f"{kind.name}: {thing}"
            for kind in fields(self)
            for thing in sorted(getattr(self, kind.name) - getattr(before, kind.name))
        ]


def loop_devices(backend: SandboxBackend) -> set[str]:
    """Those that hold files of this backend's."""
    if not isinstance(backend, LinuxBackend) or backend._tmp_images is not None:
        return set()
    files = {}
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            files[str(path)] = path.read_text()
    return {path for path, file in files.items() if str(backend._state_dir) in file}


@dataclass
class Ran:
    """A sandbox and what became of it."""

    sandbox: Sandbox
    output: bytes
    exit: SandboxExit

    @property
    def text(self) -> str:
        return self.output.decode()


async def read_to_end(descriptor: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while True:
        try:
            part = os.read(descriptor, 65536)
        except BlockingIOError:
            readable = asyncio.Event()
            loop.add_reader(descriptor, readable.set)
            await readable.wait()
            loop.remove_reader(descriptor)
            continue
        if not part:
            os.close(descriptor)
            return data
        data += part


class Lab:
    """A backend and one template, and short ways to run programs. Closes what sandboxes hand out."""

    python = PYTHON

    def __init__(self, backend: SandboxBackend, template: SandboxTemplate) -> None:
        self.backend = backend
        self.template = template
        self._count = 0
        self._handed_out: list[Callable[[], object]] = []

    def spec(self, argv: tuple[str, ...], **changes: Any) -> SandboxSpec:
        self._count += 1
        limits = SandboxLimits(
            memory_bytes=changes.pop("memory_bytes", 256 * MIB),
            cpus=changes.pop("cpus", 1.0),
            tmp_bytes=changes.pop("tmp_bytes", 64 * MIB),
            processes=changes.pop("processes", 256),
        )
        values: dict[str, Any] = {"sandbox_id": f"s{self._count}", "env": {"PATH": "/usr/bin:/bin"}, "limits": limits}
        return SandboxSpec(argv=argv, **(values | changes))

    async def launch(self, *argv: str, **changes: Any) -> Sandbox:
        """Start a program. Its sockets and telemetry pipe are closed at the end of the test, its output is not."""
        return await self.handed_out(self.backend.launch(self.template, self.spec(argv, **changes)))

    async def set_up(self, **changes: Any) -> WaitingSandbox:
        """One that has no program yet."""
        return await self.backend.set_up(self.template, self.spec((), env={}, **changes))

    async def run_in(self, waiting: WaitingSandbox, script: str, env: dict[str, str]) -> Sandbox:
        """Start a program of Python in one that waited. What it hands out is closed as with `launch`."""
        return await self.handed_out(waiting.run((PYTHON, "-I", "-S", "-c", script), env))

    async def handed_out(self, running: Awaitable[Sandbox]) -> Sandbox:
        sandbox = await running
        self._handed_out += [listener.close for listener in sandbox.listeners]
        if (telemetry := sandbox.telemetry_fd) is not None:
            self._handed_out.append(lambda: os.close(telemetry))
        if sandbox.channel is not None:
            self._handed_out.append(sandbox.channel.close)
        return sandbox

    async def finish(self, sandbox: Sandbox) -> Ran:
        """Everything it says, and how it ends."""
        output = await read_to_end(sandbox.output_fd)
        return Ran(sandbox, output, await sandbox.wait())

    async def run(self, *argv: str, **changes: Any) -> Ran:
        return await self.finish(await self.launch(*argv, **changes))

    async def shell(self, script: str, **changes: Any) -> Ran:
        return await self.run("/bin/sh", "-c", script, **changes)

    async def run_python(self, script: str, **changes: Any) -> Ran:
        return await self.run(PYTHON, "-I", "-S", "-c", script, **changes)

    async def launch_python(self, script: str, **changes: Any) -> Sandbox:
        return await self.launch(PYTHON, "-I", "-S", "-c", script, **changes)

    async def line(self, sandbox: Sandbox) -> bytes:
        """The next bytes it says."""
        readable = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(sandbox.output_fd, readable.set)
        await asyncio.wait_for(readable.wait(), 10)
        loop.remove_reader(sandbox.output_fd)
        return os.read(sandbox.output_fd, 65536)

    @staticmethod
    def spawners() -> list[int]:
        """The spawners this process started; not its other children, such as servers that tests share."""
        found = []
        for pid in map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if b"spawner" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found

    @classmethod
    def in_sandboxes(cls) -> list[int]:
        """The first processes of the sandboxes that those started."""
        return [
            int(pid)
            for spawner in cls.spawners()
            for pid in Path(f"/proc/{spawner}/task/{spawner}/children").read_text().split()
        ]

    def close(self) -> None:
        for close in self._handed_out:
            close()


@pytest.fixture
def template() -> SandboxTemplate:
    """With this interpreter, which may lie below a directory that only root may enter."""
    return SandboxTemplate("test", binds=(Bind(Path(sys.base_prefix), sys.base_prefix),), directories=("/var/task",))


@pytest.fixture
def linux_backend(tmp_path: Path) -> LinuxBackend:
    return LinuxBackend(instance_id=str(tmp_path), state_dir=tmp_path / "state")


@contextlib.asynccontextmanager
async def lab_with(backend: SandboxBackend, template: SandboxTemplate) -> AsyncIterator[Lab]:
    before = Leftovers.now(backend)
    lab = Lab(backend, template)
    await backend.start()
    try:
        yield lab
    finally:
        await backend.close()
        lab.close()
    assert not Leftovers.now(backend).beyond(before)


@pytest.fixture
def open_lab() -> Callable[[SandboxBackend, SandboxTemplate], contextlib.AbstractAsyncContextManager[Lab]]:
    return lab_with


@pytest.fixture
async def lab(linux_backend: LinuxBackend, template: SandboxTemplate) -> AsyncIterator[Lab]:
    """The `linux` backend."""
    async with lab_with(linux_backend, template) as lab:
        yield lab


@pytest.fixture
def leftovers() -> Callable[[SandboxBackend], Leftovers]:
    return Leftovers.now


@pytest.fixture
def accept() -> Callable[[socket.socket], Any]:
    """Accept one connection of a listening socket and read all that comes."""

    async def accept(listener: socket.socket) -> bytes:
        loop = asyncio.get_running_loop()
        connection, _ = await asyncio.wait_for(loop.sock_accept(listener), 10)
        data = b""
        with connection:
            connection.setblocking(False)
            while part := await loop.sock_recv(connection, 65536):
                data += part
        return data

    return accept
