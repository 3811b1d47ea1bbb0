# pathlib costs too much to import:
# ruff: noqa: PTH110
"""From a freshly cloned process to the program of a sandbox: runs inside the new namespaces.

Standard library only, and little of it; valid for Python 3.8. Everything is set up with the capabilities that the new
user namespace gives; they are all dropped at the end, before the program is executed. A sandbox that is a fork of a
zygote executes none: `run` returns its environment variables there, and the zygote's program goes on with them.
"""

from __future__ import annotations

import os
import resource
import select
import struct
from _signal import NSIG, SIG_DFL, SIG_SETMASK, SIGKILL, SIGSTOP, pthread_sigmask, signal  # type: ignore[import-not-found]
from _socket import AF_INET, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, sethostname, socket
from fcntl import F_DUPFD_CLOEXEC, fcntl, ioctl

from lambent.worker.sandbox.linux import attendant, init, syscalls, wire

TYPE_CHECKING = False  # `typing` costs too much to import
if TYPE_CHECKING:
    from typing import NoReturn

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
_BACKLOG = 1024
_SHM_BYTES = 64 << 20
# A sandbox's user namespace has no root: what only root may read or write in /proc is out of reach anyway. Hidden is
# what everybody may read and is none of a sandbox's business; /proc/sys is read-only to be doubly sure.
_HIDDEN_FILES = ("bootconfig", "cmdline", "interrupts", "kallsyms", "key-users", "keys")
_READ_ONLY = "/proc/sys"
_FIRST_FREE_DESCRIPTOR = 3
# With 0 the kernel would still start a handler of core dumps on the host, as root, if there is one; 1 is its word for
# "not that either" (fs/coredump.c). The seccomp filter keeps programs from changing it.
_NO_CORE_DUMPS = (1, 1)


class Descriptors:
    """Those that a new sandbox starts with, apart from the standard ones."""

    __slots__ = ("channel", "go", "groups", "life", "output", "ready", "status", "telemetry", "tmp")

    def __init__(
        self,
        output: int,
        ready: int,
        telemetry: int | None,
        channel: int | None,
        status: int | None,
        tmp: int | None,
        groups: tuple[int, ...],
        go: int,
        life: int,
    ) -> None:
        self.output = output
        self.ready = ready
        self.telemetry = telemetry
        self.channel = channel
        self.status = status
        self.tmp = tmp
        self.groups = groups  # files by which to join a cgroup
        self.go = go  # one byte of the spawner's: go on
        self.life = life  # hangs up when the spawner dies


class Entry:
    """What a new process needs to know to become a sandbox."""

    __slots__ = ("descriptors", "init", "last_capability", "launch", "template")

    def __init__(
        self,
        template: wire.Template,
        launch: wire.Launch,
        descriptors: Descriptors,
        init_program: init.Init,
        last_capability: int,
    ) -> None:
        self.template = template
        self.launch = launch
        self.descriptors = descriptors
        self.init = init_program
        self.last_capability = last_capability


def run(entry: Entry) -> dict[bytes, bytes]:
    """Set up the sandbox and execute its program. Returns only where there is none to execute: the environment
    variables to go on with. On failure tells the server which step failed, and exits."""
    entering = _Entering(entry)
    env = None
    try:
        env = entering.run()
    except OSError as error:
        about = os.fsdecode(error.filename) if error.filename else ""
        _report_failure(entry.descriptors.ready, f"{entering.step}: {about}".rstrip(": "), error.errno or 0)
    except BaseException as error:  # noqa: BLE001 - supervision point
        _report_failure(entry.descriptors.ready, f"{entering.step}: {error!r}", 0)
    finally:
        if env is None:
            os._exit(127)  # come what may, a cloned process never goes on as a spawner
    return env


def _report_failure(ready: int, step: str, number: int) -> None:
    try:
        wire.send(socket(fileno=ready), ("failed", step, number))
    except OSError:
        return  # the server does not listen any more: the launch was cancelled


class _Entering:
    def __init__(self, entry: Entry) -> None:
        self.template = entry.template
        self.launch = entry.launch
        self.descriptors = entry.descriptors
        self.init = entry.init
        self.init_file = entry.init.descriptor
        self.last_capability = entry.last_capability
        self.program: tuple[tuple[bytes, ...], dict[bytes, bytes]] | None = None
        self.step = ""
        places = ((self.launch.telemetry_fd, entry.descriptors.telemetry),
                  (self.launch.channel_fd, entry.descriptors.channel))  # fmt: skip
        self.places = {place: fd for place, fd in places if place is not None and fd is not None}

    def run(self) -> dict[bytes, bytes]:
        self.step = "prepare the process"
        _become_ordinary_process()
        self.step = "join the cgroups"
        for group in self.descriptors.groups:
            os.write(group, b"0")
        self.step = "set up the network"
        sethostname(self.launch.hostname)
        listeners = self._network()
        self.step = "wait for the spawner"
        if os.read(self.descriptors.go, 1) != b"g":
            os._exit(127)  # the spawner is gone, and with it everybody who would want to know
        self.step = "set up the file system"
        syscalls.unshare(syscalls.CLONE_NEWCGROUP)  # only now are we where the new namespace's root shall be
        self._mounts()
        self.step = "hand out the listening sockets"
        ready = socket(fileno=self.descriptors.ready)
        wire.send(ready, ("listening",), tuple(listener.fileno() for listener in listeners))
        ready.detach()
        for listener in listeners:
            listener.close()  # else a fork would close what has its number by then
        if self.launch.ahead is not None:
            self._leave_attendant_behind(self.launch.ahead)
        self.step = "drop privileges"
        self._drop_privileges()
        self.step = "arrange descriptors"
        if _has_hung_up(self.descriptors.life):
            os._exit(127)  # the spawner died too early for its death to have sent us a signal
        self._descriptors()
        self.step = f"enter directory {self.launch.cwd}"
        os.chdir(self.launch.cwd)
        self.step = "install the seccomp filter"
        syscalls.install_seccomp_filter(self.template.seccomp)
        return self._fork() if self.launch.fork else self._execute()

    def _execute(self) -> NoReturn:
        self._leave_init_behind()
        argv, env = self._program()
        self.step = "execute"
        os.execve(argv[0], argv, env)  # noqa: S606 - that is the point

    def _fork(self) -> dict[bytes, bytes]:
        """Go on as a fork of the zygote, with the name and the descriptors of an executed program."""
        self._leave_init_behind()
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)  # as executing a program makes it
        argv, env = self._program()
        syscalls.set_process_name(argv[0].rpartition(b"/")[2])
        self.step = "close descriptors"
        first = _FIRST_FREE_DESCRIPTOR
        for place in sorted(self.places):
            syscalls.close_descriptors(first, place - 1)
            os.set_inheritable(place, True)
            first = place + 1
        syscalls.close_descriptors(first)  # among them `ready`: it runs
        return env

    def _leave_init_behind(self) -> None:
        """Go on as a child of pid 1, which stays as init. Without one, this process is pid 1."""
        if self.launch.init:
            self.step = "leave init behind"
            status = self.descriptors.status
            assert status is not None  # noqa: S101 - the server sends one whenever it asks for an init
            self.init.leave_behind(self.init_file, status)
            os.setsid()

    def _program(self) -> tuple[tuple[bytes, ...], dict[bytes, bytes]]:
        """What to run, from the server. It may come long after the sandbox was made."""
        if self.program is not None:
            return self.program
        self.step = "wait for the program"
        ready = socket(fileno=self.descriptors.ready)
        message, _ = wire.receive(ready)
        ready.detach()
        if message is None:
            os._exit(127)  # the server is gone, or does not want this sandbox any more
        _, argv, env = message
        return argv, env  # type: ignore[return-value]

    def _leave_attendant_behind(self, variables_fd: int) -> None:
        """Go on, though it is not known yet whose the program will be: who is left behind waits for that."""
        self.program = self._program()
        self.step = "leave an attendant behind"
        self.places[variables_fd], told = os.pipe()
        pid, pidfd = syscalls.clone3(0, None, attendant.PID)
        if pid == 0:
            self.step = "take up the owner's files"
            attendant.attend(self.descriptors.ready, told, self._mount_tmpfs, self._drop_privileges)
        os.close(pidfd)
        os.close(told)

    def _network(self) -> list[socket]:
        if not self.launch.network:
            _bring_loopback_up()
        listeners = []
        for port in self.launch.listen:
            self.step = f"listen on port {port}"
            listener = socket(AF_INET, SOCK_STREAM)
            listener.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen(_BACKLOG)
            listeners.append(listener)
        return listeners

    def _mounts(self) -> None:
        flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
        syscalls.mount("proc", "/proc", "proc", flags | syscalls.MS_NOEXEC)
        _cover_proc()
        if self.descriptors.tmp is not None:
            syscalls.attach_tree(self.descriptors.tmp, "/tmp")  # noqa: S108 - the sandbox's own
            os.close(self.descriptors.tmp)
        elif self.launch.tmp_bytes:
            self._mount_tmpfs(self.launch.tmp_bytes)
        shm = f"mode=1777,uid={self.template.user},gid={self.template.group},size={_SHM_BYTES}"
        syscalls.mount("tmpfs", "/dev/shm", "tmpfs", flags | syscalls.MS_NOEXEC, shm)  # noqa: S108 - the same

    def _mount_tmpfs(self, size: int) -> None:
        tmp = f"mode=700,uid={self.template.user},gid={self.template.group},size={size}"
        flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
        syscalls.mount("tmpfs", "/tmp", "tmpfs", flags, tmp)  # noqa: S108 - the sandbox's own

    def _descriptors(self) -> None:
        """0: /dev/null, 1 and 2: output, what has a place there; all others are closed on execution."""
        wanted = self.descriptors
        above = max([_FIRST_FREE_DESCRIPTOR, *[place + 1 for place in self.places]])
        output, wanted.ready = _move_above(wanted.output, above), _move_above(wanted.ready, above)
        placed = [(_move_above(descriptor, above), place) for place, descriptor in self.places.items()]
        wanted.status = None if wanted.status is None else _move_above(wanted.status, above)
        self.init_file = _move_above(self.init_file, above)
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        syscalls.close_on_exec(_FIRST_FREE_DESCRIPTOR)
        for descriptor, place in placed:
            os.dup2(descriptor, place)

    def _drop_privileges(self) -> None:
        launch, template = self.launch, self.template
        resource.setrlimit(resource.RLIMIT_CORE, _NO_CORE_DUMPS)
        resource.setrlimit(resource.RLIMIT_NOFILE, (launch.descriptors, launch.descriptors))
        if launch.processes is not None:
            resource.setrlimit(resource.RLIMIT_NPROC, (launch.processes, launch.processes))
        os.setresgid(template.group, template.group, template.group)
        syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 1)
        os.setresuid(template.user, template.user, template.user)
        if not template.rootless:  # where all are one user, and share that of the base
            self.step = "leave the server's keyring"
            syscalls.join_new_session_keyring()
            self.step = "drop privileges"
        syscalls.drop_capabilities(self.last_capability)
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)  # until it is a program's: execution makes it so, or `_fork`
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, SIGKILL)  # the change of user has cleared it


def _become_ordinary_process() -> None:
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, SIGKILL)
    for number in range(1, NSIG):
        if number not in (SIGKILL, SIGSTOP, 32, 33):  # 32 and 33 are libc's own
            signal(number, SIG_DFL)
    pthread_sigmask(SIG_SETMASK, ())
    os.umask(0o022)
    os.setsid()


def _bring_loopback_up() -> None:
    any_socket = socket(AF_INET, SOCK_STREAM)
    request = struct.pack("16sh22x", b"lo", 0)
    flags = struct.unpack_from("h", ioctl(any_socket, _SIOCGIFFLAGS, request), 16)[0]
    ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))
    any_socket.close()


def _has_hung_up(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _cover_proc() -> None:
    for name in _HIDDEN_FILES:
        if os.path.exists(f"/proc/{name}"):
            syscalls.mount("/dev/null", f"/proc/{name}", None, syscalls.MS_BIND)
    syscalls.mount(_READ_ONLY, _READ_ONLY, None, syscalls.MS_BIND)
    syscalls.set_mount_flags(_READ_ONLY, syscalls.MOUNT_ATTR_RDONLY)


def _move_above(descriptor: int, lowest: int) -> int:
    return fcntl(descriptor, F_DUPFD_CLOEXEC, lowest)
