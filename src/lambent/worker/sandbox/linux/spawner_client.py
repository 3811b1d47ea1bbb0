"""The server's end of a spawner: starts it, asks it for sandboxes, hears of their ends and of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import lambent
from lambent.worker.sandbox.api import SandboxError
from lambent.worker.sandbox.linux import wire
from lambent.worker.sandbox.linux.sandbox import LinuxSandbox

logger = logging.getLogger(__name__)

_SOCKET_BUFFER_BYTES = 2 * wire.MAX_MESSAGE_BYTES
_SO_SNDBUFFORCE = 32  # root may go beyond net.core.wmem_max; `socket` lacks the name
_PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from lambent.worker.sandbox.linux.spawner import main; main(int(sys.argv[2]))"
)
_PACKAGE_ROOT = str(Path(lambent.__file__).parent.parent)


class SpawnerClient:
    """One spawner process. `start` first; `stop` ends it and every sandbox it started."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._channel, self._spawner_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.setblocking(False)
        self._channel.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _SOCKET_BUFFER_BYTES)
        self._sending = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._births: dict[str, asyncio.Future[None]] = {}
        self._sandboxes: dict[str, LinuxSandbox] = {}
        self._gone: asyncio.Future[None] = self._loop.create_future()

    @property
    def alive(self) -> bool:
        return not self._gone.done()

    async def start(self, template: wire.Template, hierarchies: tuple[int, ...]) -> None:
        """Start the process and have it build the template. Raises `SandboxError`; then the process is gone."""
        self._start_process()
        self._loop.add_reader(self._channel, self._readable)
        try:
            await self._send(("template", *template.fields()), hierarchies)
            await asyncio.shield(self._ready)
        except OSError as error:
            await self.stop()
            raise SandboxError(f"template {self._name}: {error}") from error
        except BaseException:
            await self.stop()
            raise

    def _start_process(self) -> None:
        child_end = self._spawner_end
        command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _PROGRAM, _PACKAGE_ROOT, str(child_end.fileno())]
        with child_end:
            self._process = subprocess.Popen(
                command,
                pass_fds=[child_end.fileno()],
                env={},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def add(self, sandbox: LinuxSandbox) -> None:
        """Hear of the end of `sandbox` from now on."""
        self._sandboxes[sandbox.sandbox_id] = sandbox

    async def launch(self, launch: wire.Launch, descriptors: tuple[int, ...]) -> None:
        """Have the sandbox started that was `add`ed before. Raises `SandboxError` when no process was made; when one
        was, its end is reported to the sandbox, whatever happens here."""
        birth = self._births[launch.sandbox_id] = self._loop.create_future()
        try:
            await self._send(("launch", *launch.fields()), descriptors)
        except OSError as error:
            del self._births[launch.sandbox_id]
            if sandbox := self._sandboxes.pop(launch.sandbox_id, None):
                sandbox.ended(None)
            raise SandboxError(f"cannot ask the spawner of template {self._name}: {error}") from error
        try:
            await birth
        finally:
            self._births.pop(launch.sandbox_id, None)

    async def _send(self, message: tuple[object, ...], descriptors: tuple[int, ...]) -> None:
        async with self._sending:
            while True:
                if not self.alive:
                    raise BrokenPipeError("it died")
                try:
                    return wire.send(self._channel, message, descriptors)
                except BlockingIOError:
                    await self._writable()

    async def _writable(self) -> None:
        """Wait until the spawner has taken some messages off its queue."""
        writable = asyncio.Event()
        waiter = self._loop.create_task(writable.wait())
        self._loop.add_writer(self._channel, writable.set)
        try:
            await asyncio.wait((waiter, self._gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
            if self.alive:
                self._loop.remove_writer(self._channel)

    async def stop(self) -> None:
        """End the spawner and its sandboxes; returns when all of them are gone."""
        if self._process is None:
            self._channel.close()
            self._spawner_end.close()
            return
        sandboxes = list(self._sandboxes.values())
        for sandbox in sandboxes:
            sandbox.kill()
        if self.alive:
            self._channel.shutdown(socket.SHUT_WR)
        await asyncio.shield(self._gone)
        for sandbox in sandboxes:
            await sandbox.wait()

    def _readable(self) -> None:
        while True:
            try:
                message, descriptors = wire.receive(self._channel)
            except BlockingIOError:
                return
            except ConnectionResetError:
                message, descriptors = None, ()
            if message is None:
                self._ended()
                return
            self._handle(message, descriptors)

    def _handle(self, message: tuple[Any, ...], descriptors: tuple[int, ...]) -> None:
        match message:
            case ("template_ready",):
                self._ready.set_result(None)
            case ("template_failed", step, number):
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

    def _ended(self) -> None:
        """End of the socket: the spawner has ended, or is about to."""
        self._loop.remove_reader(self._channel)
        self._loop.remove_writer(self._channel)
        self._channel.close()
        status = self._process.wait() if self._process else 0  # its socket is closed by its end, or a moment before it
        if status != 0:
            logger.error("spawner died", extra={"template": self._name, "status": status})
        failure = SandboxError(f"the spawner of template {self._name} died ({_describe_status(status)})")
        for waiting in (self._ready, *self._births.values()):
            if not waiting.done():
                waiting.set_exception(failure)
        for sandbox in list(self._sandboxes.values()):
            self._end_orphan(sandbox)
        self._gone.set_result(None)

    def _end_orphan(self, sandbox: LinuxSandbox) -> None:
        """Nobody can tell us when it ends but its pidfd. Without one, what there may be of it is in its cgroup only."""
        del self._sandboxes[sandbox.sandbox_id]
        pidfd = sandbox.pidfd
        if pidfd is None:
            sandbox.ended(None)
            return
        sandbox.kill()

        def gone() -> None:
            self._loop.remove_reader(pidfd)
            sandbox.ended(None)

        self._loop.add_reader(pidfd, gone)


class ReadyChannel:
    """The server's end of the socket on which a new sandbox reports."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setblocking(False)
        self._outcome: asyncio.Future[tuple[socket.socket, ...]] = self._loop.create_future()
        self._listeners: tuple[socket.socket, ...] | None = None

    async def started(self) -> tuple[socket.socket, ...]:
        """The listening sockets, once the program was executed. Raises `SandboxError` with the step that failed."""
        self._loop.add_reader(self._ours, self._readable)
        try:
            return await self._outcome
        except BaseException:
            for listener in self._listeners or ():
                listener.close()
            raise
        finally:
            self._loop.remove_reader(self._ours)

    def close(self) -> None:
        self._ours.close()
        self.theirs.close()

    def _readable(self) -> None:
        while not self._outcome.done():
            try:
                message, descriptors = wire.receive(self._ours)
            except BlockingIOError:
                return
            self._handle(message, descriptors)

    def _handle(self, message: tuple[Any, ...] | None, descriptors: tuple[int, ...]) -> None:
        match message:
            case ("listening",):
                self._listeners = tuple(socket.socket(fileno=descriptor) for descriptor in descriptors)
                for listener in self._listeners:
                    listener.setblocking(False)
            case ("failed", step, number):
                self._outcome.set_exception(SandboxError(describe(step, number)))
            case None if self._listeners is None:
                self._outcome.set_exception(SandboxError("it died while it was being set up"))
            case None:
                self._outcome.set_result(self._listeners or ())
            case _:
                raise AssertionError(f"unknown message {message[0]!r} from a sandbox")


def describe(step: str, number: int) -> str:
    """A failing step for an operator."""
    return f"{step}: {os.strerror(number)}" if number else step


def _describe_status(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
