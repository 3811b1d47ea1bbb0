"""The base: a small single-threaded process that is forked into spawners, and a zygote, which is one too.

Starting an interpreter takes 20 ms and more; a fork takes one. So the server starts one base, of its own interpreter,
and every spawner is a fork of it. A *zygote* is the base of one runtime: the runtime's own interpreter, executed in a
root file system like that of its sandboxes, with what sandboxes need loaded already. Spawners that are forked from it
start sandboxes that go on as its forks, without executing anything.

Neither ever holds anything of a function: a spawner gets the function's files after it was forked, a sandbox its
environment variables after it was forked, too. Standard library only, and little of it; valid for Python 3.8.
"""

from __future__ import annotations

import gc
import os
from _signal import SIG_IGN, SIGHUP, SIGINT, SIGTERM, signal  # type: ignore[import-not-found]
from _socket import socket

from lambent.worker.sandbox.linux import enter, memory, rootfs, spawner, syscalls, wire

TYPE_CHECKING = False  # `typing` costs too much to import
if TYPE_CHECKING:
    from typing import Any, NoReturn

# Tells a zygote that it is one, and how to serve: a directory to import from, a module there with `serve_zygote`, and
# its argument. The directory is there before the zygote is ready, not in sandboxes.
ZYGOTE_VARIABLE = b"_LAMBENT_ZYGOTE"
LIBRARY = "/.lambent"


def main(control_fd: int, user_namespace: int | None = None) -> None:
    """Serve until the server closes the socket or dies. `user_namespace`: an ordinary user's, made by a base before,
    if it is still in use."""
    syscalls.set_process_title(b"lambent-base")
    _quieten()
    if os.geteuid():
        _enter_user_namespace(user_namespace)
        syscalls.join_new_session_keyring()  # one for all sandboxes: the kernel allows a user too few for one each
    else:
        os.setgroups([])
    gc.disable()  # a collection would touch, and so copy, every page that forks share with us; we make no cycles
    gc.freeze()
    entry = _serve(socket(fileno=control_fd), None)
    if entry is not None:
        enter.run(entry)


def serve_zygote(argument: str) -> dict[bytes, bytes] | None:
    """Called by a zygote once it has loaded what it wants to. Returns the environment variables of a sandbox, in that
    sandbox; or None: it is no longer needed and shall end."""
    control_fd, host_mounts = map(int, argument.split(","))
    syscalls.set_process_name(b"lambent-zygote")
    _quieten()
    control = socket(fileno=control_fd)
    memory.use_huge_pages()
    wire.send(control, ("ready",))
    entry = _serve(control, host_mounts)
    del control
    return None if entry is None else enter.run(entry)


def _quieten() -> None:
    for number in (SIGINT, SIGHUP, SIGTERM):  # a Ctrl-C at the server's terminal is the server's business
        signal(number, SIG_IGN)
    os.umask(0o022)


def _enter_user_namespace(there: int | None) -> None:
    """Where an ordinary user is root, of nothing but that namespace, and the only user; and on to a network of its own,
    that spawners can come back to."""
    if there is None:
        user, group = os.geteuid(), os.getegid()
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        for name, content in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
            os.write(descriptor, content.encode())
            os.close(descriptor)
    else:
        syscalls.setns(there, syscalls.CLONE_NEWUSER)
        os.close(there)
    syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET)


def _serve(control: socket, host_mounts: int | None) -> enter.Entry | None:
    """Fork when asked to. Returns None at the end, and in the process of a new sandbox what it needs to enter."""
    while True:
        try:
            message, descriptors = wire.receive(control)
        except ConnectionResetError:
            message = None
        if message is None:
            return None
        try:
            # A child of the server, which has to be told and to wait for its end.
            pid, pidfd = syscalls.clone3(syscalls.CLONE_PARENT, None)
        except OSError as error:
            _tell(descriptors[0], ("failed", "fork", error.errno or 0))
        else:
            if pid == 0:
                os.close(control.detach())
                if message[0] == "spawner":
                    return spawner.run(descriptors[0], host_mounts)
                if message[0] == "router":
                    from lambent.worker.sandbox.linux.network import router_process  # few need it

                    router_process.run(descriptors[0])
                    os._exit(0)
                _execute_zygote(descriptors[0], descriptors[1], message[1:])
            os.close(pidfd)
            _tell(descriptors[0], ("forked", pid))
        for descriptor in descriptors:
            os.close(descriptor)


def _tell(descriptor: int, message: tuple[object, ...]) -> None:
    channel = socket(fileno=descriptor)
    try:
        wire.send(channel, message)
    except OSError:
        pass  # nobody listens any more: it will end by itself
    finally:
        channel.detach()


def _execute_zygote(channel: int, output: int, message: tuple[Any, ...]) -> NoReturn:
    try:
        argv, env, *fields = message
        host_mounts = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        rootfs.build(wire.Template(*fields))
        rootfs.Step.now = "execute the zygote"
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        for descriptor in (channel, host_mounts):
            os.set_inheritable(descriptor, True)
        how = f"{LIBRARY} {__name__} {channel},{host_mounts}"
        env[ZYGOTE_VARIABLE] = how.encode()
        os.execve(argv[0], argv, env)  # noqa: S606 - that is the point
    except OSError as error:
        _tell(channel, ("failed", rootfs.Step.now, error.errno or 0))
    finally:
        os._exit(127)
