"""Attempts by name, and the handler that makes them."""

from __future__ import annotations

import ctypes
import errno
import importlib
import os
from collections.abc import Callable
from typing import Any

Attempt = Callable[[dict[str, Any]], Any]

ATTEMPTS: dict[str, dict[str, Attempt]] = {}
X86_64 = os.uname().machine == "x86_64"
libc = ctypes.CDLL(None, use_errno=True)
INHERITED = [
    os.readlink(f"/proc/self/fd/{name}")
    for name in os.listdir("/proc/self/fd")
    if int(name) < 1000 and os.path.islink(f"/proc/self/fd/{name}")
]


def attempt(function: Attempt) -> Attempt:
    """Register `function` in the group named after its module."""
    group = function.__module__.rpartition(".")[2]
    ATTEMPTS.setdefault(group, {})[function.__name__] = function
    return function


def outcome(action: Callable[[], Any]) -> Any:
    """What `action` returns, or the name of the error that the kernel answers."""
    try:
        return action()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, repr(error))
    except Exception as error:  # noqa: BLE001 - whatever happens is reported
        return repr(error)


def call(x86_64: int, aarch64: int, *arguments: Any) -> int | str:
    """A raw system call: its result, or the name of its error. Negative numbers: there is no such call here."""
    number = x86_64 if X86_64 else aarch64
    if number < 0:
        return "no such call"
    result = int(libc.syscall(ctypes.c_long(number), *arguments))
    return result if result >= 0 else errno.errorcode[ctypes.get_errno()]


def until_refused(action: Callable[[], Any], most: int) -> list[Any]:
    """[how often `action` succeeded, what ended it]."""
    for count in range(most):
        try:
            result = action()
        except OSError as error:
            return [count, errno.errorcode.get(error.errno or 0, repr(error))]
        except (RuntimeError, MemoryError, ValueError) as error:
            return [count, type(error).__name__]
        if isinstance(result, str):
            return [count, result]
    return [most, "no end"]


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Make the attempts of a group, or only those named."""
    group = str(event["group"])
    importlib.import_module(f"hostile.{group}")
    event["request_id"] = context.aws_request_id
    chosen = event.get("attempts") or list(ATTEMPTS[group])
    return {name: outcome(lambda name=name: ATTEMPTS[group][name](event)) for name in chosen}  # type: ignore[misc]
