"""The server's end of the base and of zygotes (see `base`): what is forked into spawners."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lambent
from lambent.worker.sandbox.api import SandboxError
from lambent.worker.sandbox.linux import wire
from lambent.worker.sandbox.linux.base import LIBRARY
from lambent.worker.sandbox.linux.child_process import ChildProcess, describe

_PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from lambent.worker.sandbox.linux.base import main; main(*map(int, sys.argv[2:]))"
)
_PACKAGE = Path(lambent.__file__).parent
LIBRARY_BIND = (_PACKAGE, f"{LIBRARY}/{_PACKAGE.name}")  # what a zygote imports from there
_OUTPUT_BYTES = 4096


class BaseClient:
    """A base, or a zygote. `start` or `start_zygote` first; `stop` ends it, not what was forked from it."""

    def __init__(self, name: str, *, is_zygote: bool = False) -> None:
        self.is_zygote = is_zygote
        self._process = ChildProcess(name, self._handle, self._ended)
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._output: int | None = None

    @property
    def alive(self) -> bool:
        return self._process.alive

    def start(self, user_namespace: int | None = None) -> None:
        """Start a base. `user_namespace`: the one to be in, as a descriptor, if not a new one. Raises `OSError`."""
        descriptors = [self._process.theirs.fileno()]
        if user_namespace is not None:
            descriptors.append(user_namespace)
        command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _PROGRAM, str(_PACKAGE.parent)]
        process = subprocess.Popen(
            [*command, *map(str, descriptors)], pass_fds=descriptors, env={}, cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        self._process.started(process.pid)
        process.returncode = 0  # it is waited for with the others, by its pid

    async def start_zygote(
        self, base: BaseClient, argv: tuple[bytes, ...], env: dict[bytes, bytes], template: wire.Template
    ) -> None:
        """Have a zygote executed by a fork of `base`; returns when it is ready. Raises `SandboxError`; then it is
        gone."""
        self._output, theirs = os.pipe()
        os.set_blocking(self._output, False)
        try:
            try:
                await base.fork(("zygote", argv, env, *template.fields()), self._process, theirs)
            finally:
                os.close(theirs)
            await asyncio.shield(self._ready)
        except BaseException as error:
            self._ready.cancel()
            await self.stop()
            if isinstance(error, OSError):
                raise SandboxError(f"{self._process.name}: {error}") from error
            raise

    async def fork(self, message: tuple[object, ...], child: ChildProcess, *descriptors: int) -> None:
        """Have a child forked, as `message` says. Raises `OSError`."""
        await self._process.send(message, (child.theirs.fileno(), *descriptors))
        child.started()

    async def stop(self) -> None:
        await self._process.stop()

    def _handle(self, message: tuple[Any, ...], _: tuple[int, ...]) -> None:
        match message:
            case ("ready",):
                self._ready.set_result(None)
            case ("failed", step, number):
                self._fail(f"{self._process.name}: {describe(step, number)}")
            case _:
                raise AssertionError(f"unknown message {message[0]!r} from a base")

    def _ended(self, how: str) -> None:
        said = ""
        if self._output is not None:
            try:
                said = os.read(self._output, _OUTPUT_BYTES).decode("utf-8", "replace").strip()
            except BlockingIOError:
                said = ""  # a fork of it lives
            os.close(self._output)
            self._output = None
        self._fail(f"{how}: {said}" if said else how)

    def _fail(self, reason: str) -> None:
        if not self._ready.done():
            self._ready.set_exception(SandboxError(reason))
            self._ready.exception()  # a base has nobody who waits for it
