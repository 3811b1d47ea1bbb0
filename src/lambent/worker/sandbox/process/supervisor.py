"""Starts one program, ends with it, and ends everything that it started. A script of its own, for the standard library
only: `python -I -S supervisor.py READY_FD STATUS_FD`, with its orders on standard input (one marshalled dict, then
end of file when the server dies or wants it to end).

READY_FD: "+" and end of file when the program was executed; anything else when it was not, at the end why.
STATUS_FD: the program's wait status, 4 bytes.
"""

from __future__ import annotations

import ctypes
import marshal
import os
import resource
import select
import signal
import struct
import sys
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def main(ready: int, status_fd: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C at the server's terminal is the server's business
    with os.fdopen(os.dup(0), "rb", buffering=0) as orders_pipe:
        size = struct.unpack("I", _read_exactly(orders_pipe.fileno(), 4))[0]
        orders: dict[str, Any] = marshal.loads(_read_exactly(orders_pipe.fileno(), size))  # noqa: S302 - the server's
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child_signals, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    program = os.fork()
    if program == 0:
        _execute(orders, ready, status_fd)
    for descriptor in (ready, orders["output"], *(descriptor for descriptor, _ in orders["placed"])):
        os.close(descriptor)
    os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
    os.dup2(1, 2)
    _watch(program, child_signals, status_fd)


def _read_exactly(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = os.read(descriptor, size - len(data))
        if not part:
            sys.exit(1)  # the server died before it had said what to do
        data += part
    return data


def _watch(program: int, child_signals: int, status_fd: int) -> None:
    """Reap until the program has ended or standard input has; then kill what is left."""
    running = True
    while running:
        readable, _, _ = select.select([0, child_signals], [], [])
        if child_signals in readable:
            os.read(child_signals, 4096)
        running = 0 not in readable
        for pid, status in _reap():
            if pid == program:
                os.write(status_fd, struct.pack("i", status))
                running = False
                program = 0
    while descendants := _descendants(os.getpid()):
        for pid in descendants:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for pid, status in _reap(blocking=True):
            if pid == program:
                os.write(status_fd, struct.pack("i", status))


def _reap(blocking: bool = False) -> list[tuple[int, int]]:
    reaped: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, 0 if blocking and not reaped else os.WNOHANG)
        except ChildProcessError:
            return reaped
        if pid == 0:
            return reaped
        reaped.append((pid, status))


def _descendants(of: int) -> list[int]:
    try:
        with open(f"/proc/{of}/task/{of}/children") as file:
            children = [int(pid) for pid in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return children + [pid for child in children for pid in _descendants(child)]


def _execute(orders: dict[str, Any], ready: int, status_fd: int) -> NoReturn:
    try:
        supervisor = os.getppid()
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != supervisor:
            os._exit(127)
        signal.set_wakeup_fd(-1)
        for number in range(1, signal.NSIG):
            if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
                signal.signal(number, signal.SIG_DFL)
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        descriptors = min(orders["descriptors"], resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(orders["output"], 1)
        os.dup2(orders["output"], 2)
        ready = _arrange(orders, ready)
        os.chdir(orders["cwd"])
        os.write(ready, b"+")
        os.execve(orders["argv"][0], orders["argv"], orders["env"])  # noqa: S606 - that is the point
    except OSError as error:
        os.write(ready, f"execute {os.fsdecode(orders['argv'][0])}: {error.strerror}".encode())
    os._exit(127)


def _arrange(orders: dict[str, Any], ready: int) -> int:
    """Put what has a place there; nothing else from 3 on survives execution. Returns where `ready` is now."""
    above = max([3, *(place + 1 for _, place in orders["placed"])])
    moved_ready = _above(ready, above)
    moved = [(_above(descriptor, above), place) for descriptor, place in orders["placed"]]
    os.closerange(3, above)
    for descriptor, place in moved:
        os.dup2(descriptor, place)
        os.close(descriptor)
    os.closerange(above, moved_ready)
    os.closerange(moved_ready + 1, moved_ready + 1024)
    return moved_ready


def _above(descriptor: int, lowest: int) -> int:
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, lowest)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
