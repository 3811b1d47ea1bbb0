"""The server's end of a spawner: has it forked, asks it for sandboxes, hears of their ends and of its own."""

from __future__ import annotations

import asyncio
from typing import Any

from lambent.worker.sandbox.api import SandboxError
from lambent.worker.sandbox.linux import wire
from lambent.worker.sandbox.linux.base_client import BaseClient
from lambent.worker.sandbox.linux.child_process import ChildProcess, describe
from lambent.worker.sandbox.linux.sandbox import LinuxSandbox


class SpawnerClient:
    """One spawner process. `start` first; `stop` ends it and every sandbox it started."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._process = ChildProcess(f"the spawner of template {name}", self._handle, self._ended)
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._births: dict[str, asyncio.Future[None]] = {}
        self._sandboxes: dict[str, LinuxSandbox] = {}  # by the id that they were started with

    @property
    def alive(self) -> bool:
        return self._process.alive

    async def start(self, base: BaseClient, template: wire.Template, hierarchies: tuple[int, ...]) -> None:
        """Have it forked from `base` and build the template. Raises `SandboxError`; then the process is gone."""
        try:
            await base.fork(("spawner",), self._process)
            await self._process.send(("template", *template.fields()), hierarchies)
            await asyncio.shield(self._ready)
        except OSError as error:
            await self.stop()
            raise SandboxError(f"template {self._name}: {error}") from error
        except BaseException:
            await self.stop()
            raise

    def add(self, sandbox: LinuxSandbox) -> None:
        """Hear of the end of `sandbox` from now on."""
        self._sandboxes[sandbox.sandbox_id] = sandbox

    async def launch(self, launch: wire.Launch, descriptors: tuple[int, ...]) -> None:
        """Have the sandbox started that was `add`ed before. Raises `SandboxError` when no process was made; when one
        was, its end is reported to the sandbox, whatever happens here."""
        birth = self._births[launch.sandbox_id] = self._loop.create_future()
        try:
            await self._process.send(("launch", *launch.fields()), descriptors)
        except OSError as error:
            del self._births[launch.sandbox_id]
            if sandbox := self._sandboxes.pop(launch.sandbox_id, None):
                sandbox.ended(None)
            raise SandboxError(f"cannot ask the spawner of template {self._name}: {error}") from error
        try:
            await birth
        finally:
            self._births.pop(launch.sandbox_id, None)

    async def stop(self) -> None:
        """End the spawner and its sandboxes; returns when all of them are gone."""
        sandboxes = list(self._sandboxes.values())
        for sandbox in sandboxes:
            sandbox.kill()
        await self._process.stop()
        for sandbox in sandboxes:
            await sandbox.wait()

    def _handle(self, message: tuple[Any, ...], descriptors: tuple[int, ...]) -> None:
        match message:
            case ("template_ready",):
                self._ready.set_result(None)
            case ("failed", step, number):
                self._ready.set_exception(SandboxError(f"template {self._name}: {describe(step, number)}"))
            case ("launched", sandbox_id, _):
                self._sandboxes[sandbox_id].born(descriptors[0])
                if (birth := self._births.get(sandbox_id)) and not birth.done():
                    birth.set_result(None)
            case ("launch_failed", sandbox_id, step, number):
                self._sandboxes.pop(sandbox_id).ended(None)
                if (birth := self._births.get(sandbox_id)) and not birth.done():
                    birth.set_exception(SandboxError(describe(step, number)))
            case ("exit", sandbox_id, status):
                self._sandboxes.pop(sandbox_id).ended(status)
            case _:
                raise AssertionError(f"unknown message {message[0]!r} from a spawner")

    def _ended(self, how: str) -> None:
        failure = SandboxError(how)
        for waiting in (self._ready, *self._births.values()):
            if not waiting.done():
                waiting.set_exception(failure)
        self._ready.exception()  # there may be nobody who waits for it
        sandboxes = list(self._sandboxes.values())
        self._sandboxes.clear()
        for sandbox in sandboxes:
            self._end_orphan(sandbox)

    def _end_orphan(self, sandbox: LinuxSandbox) -> None:
        """Nobody can tell us when it ends but its pidfd. Without one, what there may be of it is in its cgroup only."""
        pidfd = sandbox.pidfd
        if pidfd is None:
            sandbox.ended(None)
            return
        sandbox.kill()

        def gone() -> None:
            self._loop.remove_reader(pidfd)
            sandbox.ended(None)

        self._loop.add_reader(pidfd, gone)
