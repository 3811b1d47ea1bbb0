"""A sandbox before its program runs: told its program at once, or only when it is wanted. For the server."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

from lambent.worker.sandbox.api import Sandbox, SandboxError, SandboxSpec, check_program
from lambent.worker.sandbox.linux.ready_channel import ReadyChannel
from lambent.worker.sandbox.linux.sandbox import LinuxSandbox

Program = tuple[tuple[bytes, ...], dict[bytes, bytes]]  # arguments and environment


def program(spec: SandboxSpec) -> Program:
    """As it is sent."""
    argv = tuple(os.fsencode(argument) for argument in spec.argv)
    return argv, {os.fsencode(name): os.fsencode(value) for name, value in spec.env.items()}


class WaitingLinuxSandbox:
    """`WaitingSandbox` whose process has been asked for."""

    def __init__(self, spec: SandboxSpec, sandbox: LinuxSandbox, ready: ReadyChannel, *, ahead: bool = False) -> None:
        """`ahead`: the program of `spec` is started already, and waits for its variables."""
        self._ahead = ahead
        self._spec = spec
        self._sandbox = sandbox
        self._ready = ready
        self._is_over = False

    @property
    def ended(self) -> bool:
        return self._is_over or self._ready.failed or self._sandbox.ending

    @property
    def sandbox(self) -> LinuxSandbox:
        return self._sandbox

    async def run(self, argv: tuple[str, ...], env: Mapping[str, str]) -> Sandbox:
        spec = replace(self._spec, argv=argv, env=env)
        try:
            check_program(spec)
            if not self._ahead:
                self._ready.send_program(*program(spec))
            elif argv == self._spec.argv:
                self.give_to(spec, {}, None)
            else:
                raise SandboxError(f"sandbox {spec.sandbox_id}: another program was started")
        except SandboxError:
            await self.discard()
            raise
        return await self.started()

    def give_to(self, spec: SandboxSpec, mounts: dict[str, int], tmp_bytes: int | None) -> None:
        """Make it the sandbox of `spec`, whose program was started ahead here. `mounts`: what to mount, by target.
        `tmp_bytes`: the size of a tmpfs for /tmp. Raises `SandboxError`."""
        self._spec = spec
        self._ready.send_owner(program(spec)[1], mounts, tmp_bytes)

    async def discard(self) -> None:
        if not self._is_over:
            self._give_up()
            await self._sandbox.wait()

    def memory_current_bytes(self) -> int:
        return self._sandbox.memory_current_bytes()

    async def until_it_waits(self) -> None:
        """Return when it is ready to be told its program. Raises `SandboxError`; then it is gone."""
        async with self.or_gone():
            await self._ready.waits()

    async def started(self) -> LinuxSandbox:
        """The sandbox, once its program was executed. Raises `SandboxError`; then it is gone."""
        async with self.or_gone():
            self._sandbox.started(await self._ready.started(), self._spec.limits.cpus)
        self._is_over = True
        self._ready.close()
        return self._sandbox

    @contextlib.asynccontextmanager
    async def or_gone(self) -> AsyncIterator[None]:
        """When the body fails nothing is left of it; why is told in the words of a `SandboxError`."""
        try:
            yield
        except BaseException as error:
            self._give_up()
            if not isinstance(error, SandboxError):
                raise
            exit_ = await self._sandbox.wait()
            why = " (out of memory)" if exit_.oom_killed else ""
            raise SandboxError(f"sandbox {self._spec.sandbox_id}: {error}{why}") from error

    def _give_up(self) -> None:
        self._is_over = True
        self._sandbox.kill()
        self._sandbox.close_handed_out()
        self._ready.close()
