"""A program without isolation as the server sees it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

from lambent.worker.sandbox.api import SandboxExit


class ProcessSandbox:
    """A supervisor that was started, and its program. `on_end` is called when it is gone, before `wait` returns."""

    def __init__(
        self,
        sandbox_id: str,
        supervisor: subprocess.Popen[bytes],
        control_fd: int,
        listeners: tuple[socket.socket, ...],
        output_fd: int,
        telemetry_fd: int | None,
        channel: socket.socket | None,
        status_fd: int,
        tmp: Path,
        on_end: Callable[[ProcessSandbox], None],
    ) -> None:
        self._sandbox_id = sandbox_id
        self._supervisor = supervisor
        self._control_fd: int | None = control_fd  # write end of the supervisor's standard input
        self._listeners = listeners
        self._output_fd = output_fd
        self._telemetry_fd = telemetry_fd
        self._channel = channel
        self._status_fd = status_fd
        self._tmp = tmp
        self._on_end = on_end
        self._kill_wanted = False
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[SandboxExit] = self._loop.create_future()
        self._pidfd = os.pidfd_open(supervisor.pid)
        self._loop.add_reader(self._pidfd, self._ended)

    @property
    def sandbox_id(self) -> str:
        return self._sandbox_id

    @property
    def listeners(self) -> tuple[socket.socket, ...]:
        return self._listeners

    @property
    def output_fd(self) -> int:
        return self._output_fd

    @property
    def telemetry_fd(self) -> int | None:
        return self._telemetry_fd

    @property
    def channel(self) -> socket.socket | None:
        return self._channel

    @property
    def ended(self) -> bool:
        return self._exit.done()

    async def wait(self) -> SandboxExit:
        return await asyncio.shield(self._exit)

    def freeze(self) -> None:
        """This backend cannot: nothing holds all the processes together."""

    def thaw(self) -> None:
        """See `freeze`."""

    def limit_cpus(self, cpus: float) -> None:
        """CPU time is not limited here."""

    def kill(self) -> None:
        if not self._exit.done() and not self._kill_wanted:
            self._kill_wanted = True
            self._close_control()  # the supervisor kills everything below it, and exits

    def memory_peak_bytes(self) -> int:
        return 0

    def memory_current_bytes(self) -> int:
        return 0

    def close_handed_out(self) -> None:
        """Close what would have been the caller's: the launch failed."""
        for listener in self._listeners:
            listener.close()
        if self._channel is not None:
            self._channel.close()
        for descriptor in (self._output_fd, self._telemetry_fd):
            if descriptor is not None:
                os.close(descriptor)

    def _close_control(self) -> None:
        if self._control_fd is not None:
            os.close(self._control_fd)
            self._control_fd = None

    def _ended(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._supervisor.wait()
        self._close_control()
        word = os.read(self._status_fd, 4)
        os.close(self._status_fd)
        shutil.rmtree(self._tmp, ignore_errors=True)
        self._on_end(self)
        self._exit.set_result(self._describe(struct.unpack("i", word)[0] if len(word) == 4 else None))

    def _describe(self, status: int | None) -> SandboxExit:
        if status is None:  # the supervisor was killed; the program, its child, got its parent-death signal
            return SandboxExit(signal=int(signal.SIGKILL), killed=True)
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            return SandboxExit(signal=number, killed=self._kill_wanted and number == signal.SIGKILL)
        return SandboxExit(status=os.WEXITSTATUS(status))
