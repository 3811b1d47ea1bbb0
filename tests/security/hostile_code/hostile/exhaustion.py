"""Attempts to use up what there is of something."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

from hostile.attempts import attempt, call, until_refused


def _open_descriptors() -> set[int]:
    return {int(name) for name in os.listdir("/proc/self/fd")}


def _close_new(before: set[int]) -> None:
    """Without a listing, for which there is no descriptor left."""
    for number in set(range(3, 1024)) - before:
        with contextlib.suppress(OSError):
            os.close(number)


@attempt
def kernel_objects(event: dict[str, Any]) -> Any:
    """As many as there are of everything, held for a while."""
    before = _open_descriptors()
    signal.pthread_sigmask(signal.SIG_BLOCK, [40])
    information = bytes([40, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]) + bytes(116)
    queues = iter(range(10_000))
    found = {
        "inotify": until_refused(lambda: call(294, 26, 0), 1000),
        "message queues": until_refused(lambda: call(240, 180, b"h%d" % next(queues), 0o102, 0o600, 0), 10_000),
        "asynchronous contexts": until_refused(lambda: call(206, 0, 4000, ctypes.byref(ctypes.c_ulong())), 100),
        "timers": until_refused(lambda: call(222, 107, 1, 0, ctypes.byref(ctypes.c_int())), 20_000),
        "signals": until_refused(lambda: call(129, 138, os.getpid(), 40, information), 200_000),
        "epoll": until_refused(lambda: call(291, 20, 0), 300),
        "timer descriptors": until_refused(lambda: call(283, 85, 1, 0), 300),
        "descriptors": until_refused(os.pipe, 1000),
    }
    area = mmap.mmap(-1, resource.getrlimit(resource.RLIMIT_MEMLOCK)[0])
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    found["locked memory"] = [call(149, 228, ctypes.c_void_p(address), ctypes.c_size_t(len(area))), ""]
    time.sleep(event.get("hold_s", 0))
    _close_new(before)
    for number in range(20):
        call(241, 181, b"h%d" % number)
    return found


@attempt
def descriptors(event: dict[str, Any]) -> Any:
    before = _open_descriptors()
    count = until_refused(lambda: os.open("/dev/null", 0), 100_000)
    _close_new(before)
    return count


@attempt
def sockets(event: dict[str, Any]) -> Any:
    kept: list[socket.socket] = []
    count = until_refused(lambda: kept.append(socket.socket()), 100_000)
    for sock in kept:
        sock.close()
    return count


@attempt
def system_v_segments(event: dict[str, Any]) -> Any:
    kept: list[int] = []

    def make() -> Any:
        segment = call(29, 194, 0, 4096, 0o600)
        if isinstance(segment, int):
            kept.append(segment)
        return segment

    count = until_refused(make, 100_000)
    for segment in kept:
        call(31, 195, segment, 0, 0)
    return count


@attempt
def threads(event: dict[str, Any]) -> Any:
    stop = threading.Event()
    started: list[threading.Thread] = []

    def start() -> None:
        thread = threading.Thread(target=stop.wait)
        thread.start()
        started.append(thread)

    threading.stack_size(32768 * 2)
    count = until_refused(start, 5000)
    stop.set()
    for thread in started:
        thread.join()
    return count


@attempt
def processes(event: dict[str, Any]) -> Any:
    """A fork bomb; the children do nothing, so that there are as many as there can be."""
    children: list[int] = []
    count = until_refused(lambda: children.append(os.posix_spawn("/bin/sleep", ["sleep", "100"], {})), 5000)
    for pid in children:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    return count


@attempt
def orphans(event: dict[str, Any]) -> Any:
    """Processes whose parents are gone at once: somebody must reap them, or they count for ever."""
    script = "number=0; while [ $number -lt 1500 ]; do (: &); number=$((number + 1)); done; echo $number"
    return int(subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True).stdout)


@attempt
def disk(event: dict[str, Any]) -> Any:
    """As much as /tmp holds, and more."""
    descriptor = os.open("/tmp/filler", os.O_CREAT | os.O_WRONLY)
    places = iter(range(0, 2 << 30, 16 << 20))
    try:
        return until_refused(lambda: os.posix_fallocate(descriptor, next(places), 16 << 20), 128)
    finally:
        os.close(descriptor)
        os.unlink("/tmp/filler")


@attempt
def shared_memory(event: dict[str, Any]) -> Any:
    try:
        with open("/dev/shm/filler", "wb", buffering=0) as file:
            return until_refused(lambda: file.write(bytes(1 << 20)), 1000)
    finally:
        os.unlink("/dev/shm/filler")


@attempt
def inodes(event: dict[str, Any]) -> Any:
    os.mkdir("/tmp/many")
    numbers = iter(range(8_000))
    count = until_refused(lambda: os.close(os.open(f"/tmp/many/{next(numbers)}", os.O_CREAT | os.O_WRONLY)), 8_000)
    subprocess.run(["/bin/rm", "-rf", "/tmp/many"], check=True)
    return count


@attempt
def memory(event: dict[str, Any]) -> Any:
    kept = []
    while True:
        kept.append(b"x" * (8 << 20))


@attempt
def memory_of_a_child(event: dict[str, Any]) -> Any:
    script = "kept = []\nwhile True: kept.append(b'x' * (8 << 20))"
    return subprocess.run([sys.executable, "-I", "-S", "-c", script], check=False).returncode


@attempt
def memory_without_a_process(event: dict[str, Any]) -> Any:
    """Files in memory count too."""
    descriptor = os.memfd_create("filler")
    while True:
        os.write(descriptor, bytes(8 << 20))


@attempt
def processor(event: dict[str, Any]) -> Any:
    """Of 8 busy processes, together: seconds of processor time in a second."""
    began = os.times()
    script = "import time\nend = time.monotonic() + 1\nwhile time.monotonic() < end: pass"
    running = [subprocess.Popen([sys.executable, "-I", "-S", "-c", script]) for _ in range(8)]
    for process in running:
        process.wait()
    ended = os.times()
    return ended.children_user - began.children_user + ended.children_system - began.children_system
