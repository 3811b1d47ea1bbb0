"""Network namespaces of the calling thread. Descriptors of them are the caller's."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from lambent.worker.sandbox.linux import syscalls

SYSCTL = Path("/proc/sys/net")  # of the namespace that the thread is in


def current() -> int:
    """The one that this thread is in."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def enter(namespace: int) -> None:
    syscalls.setns(namespace, syscalls.CLONE_NEWNET)


def enter_new() -> None:
    syscalls.unshare(syscalls.CLONE_NEWNET)


@contextlib.contextmanager
def back_to(home: int) -> Iterator[None]:
    """In that namespace at the end, whatever happens."""
    try:
        yield
    finally:
        enter(home)


def set_option(name: str, value: str) -> None:
    (SYSCTL / name).write_text(value)
