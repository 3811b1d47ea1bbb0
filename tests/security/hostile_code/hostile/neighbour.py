"""A function that must not notice anything: it keeps things that are its own, and says what it still has of them."""

from __future__ import annotations

import ctypes
import hashlib
import os
import socket
import threading
import uuid
from typing import Any

from hostile.attempts import call, libc, until_refused

IDENTITY = uuid.uuid4().hex
SECRET = f"neighbour-{IDENTITY}".encode()
_memory = bytearray(SECRET * 10_000)
_digest = hashlib.sha256(_memory).hexdigest()
for _path in ("/tmp/neighbour", "/dev/shm/neighbour"):
    with open(_path, "wb") as _file:
        _file.write(SECRET)
_abstract = socket.socket(socket.AF_UNIX)
_abstract.bind("\0neighbour")
_abstract.listen()
_listener = socket.create_server(("127.0.0.1", 7777))
_connections: list[Any] = []
_shared = libc.shmget(0x6C616D62, 4096, 0o1666)
_queue = libc.msgget(0x6C616D62, 0o1666)
_semaphores = libc.semget(0x6C616D62, 1, 0o1666)
_posix_queue = call(240, 180, b"neighbour", 0o102, 0o666, 0)


def _accept() -> None:
    while True:
        _connections.append(_listener.accept())


threading.Thread(target=_accept, daemon=True).start()


def kernel_objects() -> dict[str, list[Any]]:
    """How many it can have of what the kernel counts; it lets go of them again."""
    before = set(os.listdir("/proc/self/fd"))
    found: dict[str, list[Any]] = {
        "inotify": until_refused(lambda: call(294, 26, 0), 50),
        "epoll": until_refused(lambda: call(291, 20, 0), 50),
        "timer descriptors": until_refused(lambda: call(283, 85, 1, 0), 50),
        "memory descriptors": until_refused(lambda: call(319, 279, b"x", 0), 50),
        "pipes": until_refused(os.pipe, 50),
        "sockets": until_refused(lambda: socket.socket().detach(), 50),
    }
    timers = [ctypes.c_int() for _ in range(50)]
    remaining = iter(timers)
    found["timers"] = until_refused(lambda: call(222, 107, 1, 0, ctypes.byref(next(remaining))), 50)
    for timer in timers:
        call(226, 111, timer)
    names = iter(range(5))
    found["message queues"] = until_refused(lambda: call(240, 180, b"n%d" % next(names), 0o102, 0o600, 0), 5)
    for number in range(5):
        call(241, 181, b"n%d" % number)
    for name in set(os.listdir("/proc/self/fd")) - before:
        try:
            os.close(int(name))
        except OSError:
            continue  # of the listing itself
    threads = [threading.Thread(target=threading.Event().wait, args=(0.01,)) for _ in range(20)]
    found["threads"] = until_refused(iter([thread.start for thread in threads]).__next__, 20)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """What there is. With `credentials`, also those that it was given."""
    answer = {
        "identity": IDENTITY,
        "memory": hashlib.sha256(_memory).hexdigest() == _digest,
        "files": [open(path, "rb").read() == SECRET for path in ("/tmp/neighbour", "/dev/shm/neighbour")],
        "tmp": sorted(os.listdir("/tmp")),
        "shm": sorted(os.listdir("/dev/shm")),
        "visitors": len(_connections),
        "processes": sorted(pid for pid in os.listdir("/proc") if pid.isdigit()),
        "system_v": [libc.shmget(0x6C616D62, 4096, 0) == _shared, libc.msgget(0x6C616D62, 0) == _queue],
        "priorities": [os.getpriority(os.PRIO_PROCESS, 0), call(252, 31, 1, 0)],
        "stopped": "T" in open("/proc/self/stat").read().rsplit(")", 1)[1].split()[0],
    }
    if event.get("kernel_objects"):
        answer["kernel_objects"] = kernel_objects()
    if event.get("credentials"):
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_LOG_STREAM_NAME")
        answer["credentials"] = {name: os.environ[name] for name in names}
        answer["secret"] = SECRET.decode()
    return answer
