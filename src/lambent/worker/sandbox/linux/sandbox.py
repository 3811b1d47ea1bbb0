"""A running sandbox as the server sees it: a pidfd to kill it by, its cgroups, and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable

from lambent.worker.sandbox.api import SandboxExit
from lambent.worker.sandbox.linux import wire
from lambent.worker.sandbox.linux.cgroups import SandboxCgroup
from lambent.worker.sandbox.linux.tmp_images import TmpImage

logger = logging.getLogger(__name__)


class LinuxSandbox:
    """Made by `SpawnerClient.launch`, which calls `started` once the program runs. `on_end` is called when everything
    it held is released, before `wait` returns."""

    def __init__(
        self,
        sandbox_id: str,
        cgroup: SandboxCgroup,
        tmp: TmpImage | None,
        network: int | None,
        output_fd: int,
        telemetry_fd: int | None,
        channel: socket.socket | None,
        status_fd: int | None,
        on_end: Callable[[LinuxSandbox], None],
    ) -> None:
        self._sandbox_id = sandbox_id
        self._cgroup = cgroup
        self._tmp = tmp
        self._network = network
        self._output_fd = output_fd
        self._telemetry_fd = telemetry_fd
        self._channel = channel
        self._status_fd = status_fd
        self._on_end = on_end
        self._listeners: tuple[socket.socket, ...] = ()
        self._pidfd: int | None = None
        self._kill_wanted = False
        self._ending: asyncio.Task[None] | None = None
        self._peak_bytes = 0
        self._exit: asyncio.Future[SandboxExit] = asyncio.get_running_loop().create_future()

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

    async def wait(self) -> SandboxExit:
        return await asyncio.shield(self._exit)

    def freeze(self) -> None:
        if self._running:
            self._cgroup.freeze()

    def thaw(self) -> None:
        if self._running:
            self._cgroup.thaw()

    def limit_cpus(self, cpus: float) -> None:
        if self._running:
            self._cgroup.limit_cpu(cpus)

    def kill(self) -> None:
        if self._ending is not None:
            return
        self._kill_wanted = True
        if self._pidfd is not None:
            with contextlib.suppress(ProcessLookupError):  # reaped, but we have not been told yet
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            if self._cgroup.thaw_after_kill:
                self._cgroup.thaw()

    def memory_peak_bytes(self) -> int:
        return self._cgroup.memory_peak_bytes() if self._ending is None else self._peak_bytes

    def memory_current_bytes(self) -> int:
        return self._cgroup.memory_current_bytes() if self._running else 0

    @property
    def ending(self) -> bool:
        """Whether its process is gone."""
        return self._ending is not None

    @property
    def _running(self) -> bool:
        return self._ending is None

    def born(self, pidfd: int) -> None:
        """The process exists. `pidfd` is ours from now on."""
        self._pidfd = pidfd
        if self._kill_wanted:
            self.kill()

    def started(self, listeners: tuple[socket.socket, ...], cpus: float) -> None:
        """The program runs."""
        self._listeners = listeners
        if self._running:
            self._cgroup.limit_cpu(cpus)

    def rename(self, sandbox_id: str) -> None:
        """It has got an owner only now."""
        self._sandbox_id = sandbox_id

    def own_tmp(self, tmp: TmpImage | None) -> None:
        """What is at /tmp comes only now."""
        self._tmp = tmp

    def close_handed_out(self) -> None:
        """Close what would have been the caller's: the launch failed."""
        for listener in self._listeners:
            listener.close()
        if self._channel is not None:
            self._channel.close()
        for descriptor in (self._output_fd, self._telemetry_fd):
            if descriptor is not None:
                os.close(descriptor)

    @property
    def pidfd(self) -> int | None:
        return self._pidfd

    def ended(self, wait_status: int | None) -> None:
        """Pid 1 has been reaped with `wait_status`, and with it the whole pid namespace. None: nobody could reap it,
        because its spawner died."""
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._release(wait_status))

    async def _release(self, wait_status: int | None) -> None:
        status = self._program_status(wait_status)
        self._peak_bytes = self._cgroup.memory_peak_bytes()
        oom_killed = self._cgroup.oom_kills() > 0
        await self._cgroup.remove()
        if self._tmp is not None:
            await self._tmp.discard()
        if self._network is not None:
            os.close(self._network)
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        self._on_end(self)
        self._exit.set_result(_exit(status, oom_killed=oom_killed, kill_wanted=self._kill_wanted or status is None))

    def _program_status(self, wait_status: int | None) -> int | None:
        """The program's own wait status: init's word for it, if it has lived to give it, or that of pid 1."""
        if self._status_fd is None:
            return wait_status
        try:
            word = os.read(self._status_fd, wire.STATUS.size)
        except BlockingIOError:  # its spawner died and could not tell us of it: it may be alive until its cgroup goes
            word = b""
        os.close(self._status_fd)
        self._status_fd = None
        return int(wire.STATUS.unpack(word)[0]) if len(word) == wire.STATUS.size else wait_status


def _exit(status: int | None, *, oom_killed: bool, kill_wanted: bool) -> SandboxExit:
    if status is None:
        return SandboxExit(signal=int(signal.SIGKILL), oom_killed=oom_killed, killed=True)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return SandboxExit(signal=number, oom_killed=oom_killed, killed=kill_wanted and number == signal.SIGKILL)
    return SandboxExit(status=os.WEXITSTATUS(status), oom_killed=oom_killed)
