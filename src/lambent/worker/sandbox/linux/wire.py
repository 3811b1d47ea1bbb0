"""Messages between server, spawner and new sandboxes: one packet of a SOCK_SEQPACKET socket each, with descriptors.

Standard library only, and little of it (`_socket` instead of `socket`: the latter's imports cost more than all else),
and valid for Python 3.8, the oldest interpreter that is a zygote.
A message is a tuple of plain values, its first item says what it is. They are coded by `marshal`, in a format that all
these interpreters know, and both ends are ours. Nothing a sandboxed program can write to is ever decoded.

server → base
    ("spawner",)                                fds: the spawner's end of its socket
    ("zygote", argv, env, Template fields …)    fds: the zygote's end of its socket, output
    ("router",)                                 fds: the router's end of its socket, see network/router_process
base → server, on the new process's socket
    ("forked", pid) | ("failed", step, errno)
zygote → server
    ("ready",) | ("failed", step, errno)
server → spawner
    ("template", Template fields …)             fds: one directory per cgroup hierarchy
    ("launch", Launch fields …)                 fds: output, ready [, telemetry] [, status]
                                                     [, tmp] [, network]
spawner → server
    ("template_ready",) | ("failed", step, errno)
    ("launched", sandbox_id, pid)               fds: pidfd
    ("launch_failed", sandbox_id, step, errno)
    ("exit", sandbox_id, wait status of pid 1)
server → sandbox, on its `ready` socket
    ("program", argv, env)                      not by way of the spawner: it must not know a sandbox's secrets
    ("owner", env, targets, tmp bytes)          fds: what to mount, one for each target
                                                only to a sandbox whose program was started ahead, after that
sandbox → server, on its `ready` socket
    ("listening",)                              fds: the listening sockets
    ("failed", step, errno)
    end of file: the program was executed, or goes on as a fork of the zygote, or was told its owner's variables
init → server, on its `status` pipe: the program's wait status, 4 bytes
"""

from __future__ import annotations

import errno
import marshal
import os
import struct
from _socket import CMSG_SPACE, MSG_CMSG_CLOEXEC, MSG_CTRUNC, MSG_TRUNC, SCM_RIGHTS, SOL_SOCKET, socket

MAX_MESSAGE_BYTES = 1 << 20
MAX_DESCRIPTORS = 64
_FORMAT = 4  # marshal's, since Python 3.4
STATUS = struct.Struct("i")


class Record:
    """A plain record that travels as a tuple (`dataclasses` and `typing` cost 15 ms to import)."""

    __slots__: tuple[str, ...] = ()

    def fields(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)


class Template(Record):
    """What a spawner needs to know to build its root file system and start sandboxes from it.

    `binds`: (source on the host, target inside). `user`, `group`: as seen inside. `instance_directory`: the name of
    this server's directory in every cgroup hierarchy. `born_in`: the hierarchy that sandboxes are born in (cgroup v2),
    and `attached_to`: those they are moved to (v1), as indexes into the message's descriptors. `rootless`: it is made
    by an ordinary user, who is root of a user namespace only.
    """

    __slots__ = (
        "attached_to", "binds", "born_in", "directories", "group", "instance_directory", "rootless", "seccomp", "user",
        "user_name",
    )  # fmt: skip

    def __init__(
        self,
        attached_to: tuple[int, ...],
        binds: tuple[tuple[str, str], ...],
        born_in: int | None,
        directories: tuple[str, ...],
        group: int,
        instance_directory: str,
        rootless: bool,
        seccomp: bytes,
        user: int,
        user_name: str,
    ) -> None:
        self.attached_to = attached_to
        self.binds = binds
        self.born_in = born_in
        self.directories = directories
        self.group = group
        self.instance_directory = instance_directory
        self.rootless = rootless
        self.seccomp = seccomp
        self.user = user
        self.user_name = user_name


class Launch(Record):
    """What a spawner needs to know to start one sandbox. `host_id`: its user and group id on the host. `processes`:
    the RLIMIT_NPROC to set where no cgroup limits the processes. `tmp_bytes`: the size of a tmpfs for /tmp; None:
    the file system to mount there comes along; 0: later. `fork`: go on as a fork of the spawner, which is a zygote,
    instead of executing the program. `ahead`: start the program before it is known whose it is; it reads its
    variables there. `network`: a network namespace comes along, to be used instead of a new one without a way
    out."""

    __slots__ = (
        "ahead", "channel_fd", "cwd", "descriptors", "fork", "host_id", "hostname", "init", "listen", "network",
        "processes",
        "sandbox_id", "telemetry_fd", "tmp_bytes",
    )  # fmt: skip

    def __init__(
        self,
        ahead: int | None,
        channel_fd: int | None,
        cwd: str,
        descriptors: int,
        fork: bool,
        host_id: int,
        hostname: str,
        init: bool,
        listen: tuple[int, ...],
        network: bool,
        processes: int | None,
        sandbox_id: str,
        telemetry_fd: int | None,
        tmp_bytes: int | None,
    ) -> None:
        self.ahead = ahead
        self.channel_fd = channel_fd
        self.cwd = cwd
        self.descriptors = descriptors
        self.fork = fork
        self.host_id = host_id
        self.hostname = hostname
        self.init = init
        self.listen = listen
        self.network = network
        self.processes = processes
        self.sandbox_id = sandbox_id
        self.telemetry_fd = telemetry_fd
        self.tmp_bytes = tmp_bytes


def send(channel: socket, message: tuple[object, ...], descriptors: tuple[int, ...] = ()) -> None:
    """Raises `OSError`; EMSGSIZE when the message is larger than the socket takes."""
    rights = [(SOL_SOCKET, SCM_RIGHTS, struct.pack(f"{len(descriptors)}i", *descriptors))] if descriptors else []
    data = marshal.dumps(message, _FORMAT)  # type: ignore[arg-type] # a record's fields are what they are
    if len(data) > MAX_MESSAGE_BYTES:
        raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
    channel.sendmsg([data], rights)


def receive(channel: socket) -> tuple[tuple[object, ...] | None, tuple[int, ...]]:
    """The next message and its descriptors; (None, ()) at end of file."""
    data, ancillary, flags, _ = channel.recvmsg(MAX_MESSAGE_BYTES, CMSG_SPACE(MAX_DESCRIPTORS * 4), MSG_CMSG_CLOEXEC)
    descriptors: list[int] = []
    for level, kind, rights in ancillary:
        if level == SOL_SOCKET and kind == SCM_RIGHTS:
            descriptors += struct.unpack(f"{len(rights) // 4}i", rights[: len(rights) // 4 * 4])
    if not data:
        return None, ()
    if flags & (MSG_TRUNC | MSG_CTRUNC):
        for descriptor in descriptors:
            os.close(descriptor)
        raise OSError(errno.EMSGSIZE, "message cut short")
    message: tuple[object, ...] = marshal.loads(data)  # noqa: S302 - from our own processes only, see above
    return message, tuple(descriptors)
