"""A `linux` sandbox that runs hostile Python and says what it got."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from lambent.worker.sandbox.api import Bind, Sandbox, SandboxLimits, SandboxSpec, SandboxTemplate
from lambent.worker.sandbox.linux.backend import LinuxBackend

MIB = 1 << 20
TOOLS = '''
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
X86 = os.uname().machine == "x86_64"
def call(x86, arm, *arguments):
    """A raw system call: its result, or the name of its error."""
    result = libc.syscall(ctypes.c_long(x86 if X86 else arm), *arguments)
    return result if result >= 0 else errno.errorcode[ctypes.get_errno()]
def attempt(action):
    try:
        return action()
    except OSError as error:
        return errno.errorcode[error.errno]
'''

Hostile = Callable[..., Awaitable[str]]


class Cell:
    """Runs programs in sandboxes of one template."""

    def __init__(self, backend: LinuxBackend, template: SandboxTemplate) -> None:
        self.backend = backend
        self.template = template
        self._count = 0

    async def launch(self, script: str, *, init: bool = True, listen: tuple[int, ...] = (), **env: str) -> Sandbox:
        self._count += 1
        spec = SandboxSpec(
            sandbox_id=f"s{self._count}",
            argv=(f"{sys.base_prefix}/bin/python3", "-I", "-S", "-c", TOOLS + script),
            env=env,
            limits=SandboxLimits(128 * MIB, 1.0, 16 * MIB, processes=64),
            init=init,
            listen=listen,
        )
        return await self.backend.launch(self.template, spec)

    async def finish(self, sandbox: Sandbox) -> str:
        """What it said, once it has ended."""
        await asyncio.wait_for(sandbox.wait(), 20)
        output = os.read(sandbox.output_fd, 65536).decode()
        os.close(sandbox.output_fd)
        for listener in sandbox.listeners:
            listener.close()
        return output.strip()

    async def run(self, script: str, *, init: bool = True, **env: str) -> str:
        return await self.finish(await self.launch(script, init=init, listen=(), **env))

    async def until_it_says(self, sandbox: Sandbox, word: bytes) -> None:
        said = b""
        async with asyncio.timeout(10):
            while word not in said:
                try:
                    said += os.read(sandbox.output_fd, 65536)
                except BlockingIOError:
                    await asyncio.sleep(0.005)


@pytest.fixture
def template() -> SandboxTemplate:
    return SandboxTemplate("hostile", (Bind(Path(sys.base_prefix), sys.base_prefix),))


@pytest.fixture
async def cell(tmp_path: Path, template: SandboxTemplate) -> AsyncIterator[Cell]:
    backend = LinuxBackend(str(tmp_path), tmp_path / "state")
    await backend.start()
    try:
        yield Cell(backend, template)
    finally:
        await backend.close()
