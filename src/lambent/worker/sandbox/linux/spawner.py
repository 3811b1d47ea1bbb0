"""The spawner: a small single-threaded process per template that starts sandboxes and reaps them.

A fork of the base or of a zygote (see `base`). It lives until its socket to the server ends; then it kills what it
started. Standard library only, and little of it; valid for Python 3.8.
"""

from __future__ import annotations

import errno
import os
import select
from _signal import SIGKILL  # type: ignore[import-not-found]
from _socket import socket

from lambent.worker.sandbox.linux import enter, init, rootfs, syscalls, wire

TYPE_CHECKING = False  # `typing` costs too much to import
if TYPE_CHECKING:
    from typing import Any

_NAMESPACES = (
    syscalls.CLONE_NEWUSER
    | syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWPID
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWUTS
)
# When the host runs out of memory, sandboxes go before the server. Written with CAP_SYS_RESOURCE, they cannot lower it.
_OOM_SCORE_ADJUSTMENT = "500"
# What a server that dies may have been told of without having removed its cgroups: sandboxes that end when it does.
_ENDED_KEPT = 64
_GONE = (errno.ENOENT, errno.EPIPE, errno.ECONNRESET)


class _InSandbox(BaseException):
    """Raised in the process of a new sandbox: it leaves everything that was the spawner's behind."""

    def __init__(self, entry: enter.Entry) -> None:
        super().__init__()
        self.entry = entry


def run(control_fd: int, host_mounts: int | None) -> enter.Entry | None:
    """Build the template, then serve until the server closes the socket or dies. Returns in the process of a new
    sandbox, with what it needs to enter; and None at the end. `host_mounts`: the host's mount namespace, if this
    process is in another one."""
    if host_mounts is None:
        syscalls.set_process_title(b"lambent-spawner")
    else:  # its arguments stay: they are those of the runtime that it may be forked into
        syscalls.set_process_name(b"lambent-spawner")
        syscalls.setns(host_mounts, syscalls.CLONE_NEWNS)
        os.close(host_mounts)
    control = socket(fileno=control_fd)
    message, hierarchies = wire.receive(control)
    if message is None:
        return None
    fields: Any = message[1:]
    template = wire.Template(*fields)
    try:
        init_program = init.Init(rootfs.build(template))
    except OSError as error:
        wire.send(control, ("failed", rootfs.Step.now, error.errno or 0))
        return None
    wire.send(control, ("template_ready",))
    try:
        _Spawner(control, template, hierarchies, init_program).serve()
    except _InSandbox as inside:
        return inside.entry
    return None


class _Spawner:
    def __init__(
        self, control: socket, template: wire.Template, hierarchies: tuple[int, ...], init_program: init.Init
    ) -> None:
        self._control = control
        self._init = init_program
        self._template = template
        self._hierarchies = hierarchies
        self._last_capability = syscalls.last_capability()
        self._capabilities = syscalls.capabilities()
        self._pid = os.getpid()
        self._network = os.open("/proc/self/ns/net", os.O_RDONLY)
        self._sandboxes: dict[int, tuple[int, str]] = {}  # pidfd: (pid, sandbox id)
        self._ended: list[str] = []  # the last ones
        self._poll = select.poll()
        self._life_read, self._life_write = os.pipe()  # nothing is ever written to it

    def serve(self) -> None:
        self._poll.register(self._control.fileno(), select.POLLIN)
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor != self._control.fileno():
                    self._reap(descriptor)
                    del self._ended[:-_ENDED_KEPT]
                elif not self._serve_one():
                    self._end()
                    return

    def _serve_one(self) -> bool:
        """Handle one message; False at the end of the socket."""
        try:
            message, descriptors = wire.receive(self._control)
        except ConnectionResetError:
            return False
        if message is None:
            return False
        fields: Any = message[1:]
        launch = wire.Launch(*fields)
        try:
            pid, pidfd = self._launch(launch, descriptors)
        except OSError as error:
            self._tell(("launch_failed", launch.sandbox_id, str(error.filename), error.errno or 0))
        else:
            self._sandboxes[pidfd] = (pid, launch.sandbox_id)
            self._poll.register(pidfd, select.POLLIN)
            self._tell(("launched", launch.sandbox_id, pid), (pidfd,))
        for descriptor in descriptors:
            os.close(descriptor)
        return True

    def _launch(self, launch: wire.Launch, received: tuple[int, ...]) -> tuple[int, int]:
        rest = list(received[2:])
        telemetry = None if launch.telemetry_fd is None else rest.pop(0)
        channel = None if launch.channel_fd is None else rest.pop(0)
        status = rest.pop(0) if launch.init else None
        tmp = rest.pop(0) if launch.tmp_bytes is None else None
        network = rest.pop(0) if launch.network else None
        groups = self._open_groups(launch.sandbox_id)
        go_read, go_write = os.pipe()
        try:
            pid, pidfd = self._clone_into(network, launch)
        except OSError:
            for descriptor in (go_read, go_write, *groups):
                os.close(descriptor)
            raise
        if pid == 0:
            os.close(go_write)
            os.close(self._life_write)
            os.close(self._control.detach())
            descriptors = enter.Descriptors(
                received[0], received[1], telemetry, channel, status, tmp, groups, go_read, self._life_read
            )
            raise _InSandbox(enter.Entry(self._template, launch, descriptors, self._init, self._last_capability))
        for descriptor in (go_read, *groups):
            os.close(descriptor)
        try:
            self._admit(pid, launch)
            os.write(go_write, b"g")
        except OSError:
            syscalls.pidfd_send_signal(pidfd, SIGKILL)
            os.waitpid(pid, 0)
            os.close(pidfd)
            raise
        finally:
            os.close(go_write)
        return pid, pidfd

    def _clone_into(self, network: int | None, launch: wire.Launch) -> tuple[int, int]:
        if network is None:
            return self._clone_as(launch.host_id, launch.sandbox_id, syscalls.CLONE_NEWNET)
        syscalls.setns(network, syscalls.CLONE_NEWNET)
        try:
            return self._clone_as(launch.host_id, launch.sandbox_id, 0)
        finally:
            if os.getpid() == self._pid:
                syscalls.setns(self._network, syscalls.CLONE_NEWNET)

    def _clone_as(self, host_id: int, sandbox_id: str, more_namespaces: int) -> tuple[int, int]:
        """Clone as the host's user `host_id`, whose the new user namespace is then: what the kernel counts by user,
        over all namespaces that a user has made (queued signals, timers, message queues, inotify), each sandbox
        has for itself. Made by root, one sandbox could use up all of them for every other, and for root."""
        os.seteuid(host_id)
        try:
            syscalls.set_capabilities(self._capabilities)  # some hosts let only root make user namespaces
            return self._clone(sandbox_id, _NAMESPACES | more_namespaces)
        finally:
            if os.getpid() == self._pid:
                os.seteuid(0)

    def _clone(self, sandbox_id: str, namespaces: int) -> tuple[int, int]:
        if self._template.born_in is None:
            return syscalls.clone3(namespaces, None)
        directory = os.open(
            self._group(sandbox_id), os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._hierarchies[self._template.born_in]
        )
        try:
            return syscalls.clone3(namespaces, directory)
        finally:
            os.close(directory)

    def _admit(self, pid: int, launch: wire.Launch) -> None:
        """Give the new process its ids."""
        template = self._template
        _write(f"/proc/{pid}/oom_score_adj", _OOM_SCORE_ADJUSTMENT)
        _write(f"/proc/{pid}/setgroups", "deny")
        _write(f"/proc/{pid}/uid_map", f"{template.user} {launch.host_id} 1")
        _write(f"/proc/{pid}/gid_map", f"{template.group} {launch.host_id} 1")

    def _open_groups(self, sandbox_id: str) -> tuple[int, ...]:
        """The files by which a process joins the groups it is not born in. It does that itself: for one thread that
        moves itself the kernel does not wait until no process is being made anywhere, which takes it 10 ms."""
        return tuple(
            os.open(f"{self._group(sandbox_id)}/tasks", os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._hierarchies[index])
            for index in self._template.attached_to
        )

    def _group(self, sandbox_id: str) -> str:
        return f"{self._template.instance_directory}/{sandbox_id}"

    def _reap(self, pidfd: int) -> None:
        """Wait for the process, which has ended or is about to."""
        pid, sandbox_id = self._sandboxes.pop(pidfd)
        self._poll.unregister(pidfd)
        _, status = os.waitpid(pid, 0)
        os.close(pidfd)
        self._ended.append(sandbox_id)
        self._tell(("exit", sandbox_id, status))

    def _tell(self, message: tuple[object, ...], descriptors: tuple[int, ...] = ()) -> None:
        try:
            wire.send(self._control, message, descriptors)
        except OSError as error:
            if error.errno not in _GONE:
                raise  # else the server is gone; the end of the socket, which comes next, ends us

    def _end(self) -> None:
        """Kill every sandbox. The server removes their cgroups; when it is gone, we do."""
        for pidfd, (_, sandbox_id) in self._sandboxes.items():
            syscalls.pidfd_send_signal(pidfd, SIGKILL)
            self._thaw(sandbox_id)
        for pidfd in list(self._sandboxes):
            self._reap(pidfd)
        if self._server_is_gone():
            for sandbox_id in self._ended:
                self._remove_group(sandbox_id)

    def _server_is_gone(self) -> bool:
        """It died, that is; otherwise it has only said that it will send no more."""
        poll = select.poll()
        poll.register(self._control.fileno(), 0)
        return any(event & select.POLLHUP for _, event in poll.poll(0))

    def _thaw(self, sandbox_id: str) -> None:
        """A process frozen by the v1 freezer dies only once it is thawed."""
        for hierarchy in self._hierarchies:
            try:
                _write(f"{self._group(sandbox_id)}/freezer.state", "THAWED", hierarchy)
            except FileNotFoundError:
                continue

    def _remove_group(self, sandbox_id: str) -> None:
        for hierarchy in self._hierarchies:
            for name in (self._group(sandbox_id), self._template.instance_directory):
                try:
                    os.rmdir(name, dir_fd=hierarchy)
                except OSError as error:
                    # Busy: other spawners' sandboxes. Whatever stays, the server's next start removes.
                    if error.errno not in (errno.ENOENT, errno.EBUSY, errno.ENOTEMPTY):
                        raise


def _write(path: str, text: str, directory: int | None = None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.write(descriptor, text.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"write {text} to {path}") from None
    finally:
        os.close(descriptor)
