"""What there is to be seen: not attempts at anything, but lists of what a function is shown of the host."""

from __future__ import annotations

import os
from typing import Any

from hostile.attempts import attempt, libc
from hostile.others import secrets_of_others_in_own_memory

_DIRECTORIES = ("/", "/dev", "/etc", "/etc/pki", "/etc/ssl", "/usr", "/usr/local", "/usr/local/share", "/var")
_EMPTY = ("/dev/shm", "/mnt", "/opt", "/run", "/sys", "/tmp", "/var/tmp")
_MADE_UP = ("group", "hosts", "nsswitch.conf", "passwd", "resolv.conf")


@attempt
def directories(event: dict[str, Any]) -> Any:
    return {path: sorted(os.listdir(path)) for path in _DIRECTORIES if os.path.isdir(path)}


@attempt
def empty_directories(event: dict[str, Any]) -> Any:
    return {path: sorted(os.listdir(path)) for path in _EMPTY}


@attempt
def made_up_files(event: dict[str, Any]) -> Any:
    return {name: open(f"/etc/{name}").read() for name in _MADE_UP}


@attempt
def proc(event: dict[str, Any]) -> Any:
    """[name, whether we can read something there], without processes."""
    return sorted([name, _is_readable(f"/proc/{name}")] for name in os.listdir("/proc") if not name.isdigit())


def _is_readable(path: str) -> bool:
    try:
        if os.path.isdir(path):
            return bool(os.listdir(path))
        with open(path, "rb", buffering=0) as file:
            return bool(file.read(1))
    except OSError:
        return False


@attempt
def mounts(event: dict[str, Any]) -> Any:
    """[path in its file system, mount point, options, type]."""
    with open("/proc/self/mountinfo") as file:
        lines = [line.split() for line in file]
    return [[fields[3], fields[4], fields[5].split(","), fields[fields.index("-") + 1]] for fields in lines]


@attempt
def variables(event: dict[str, Any]) -> Any:
    return dict(os.environ)


@attempt
def names_of_the_host(event: dict[str, Any]) -> Any:
    with open("/proc/sys/kernel/domainname") as file:
        return [os.uname().nodename, file.read().strip(), libc.gethostid() & 0xFFFFFFFF]


@attempt
def files_with_a_mark(event: dict[str, Any]) -> Any:
    """Every file that can be read and has the mark in its name."""
    found = []
    for directory, names, files in os.walk("/"):
        if directory == "/":
            names.remove("proc")
        found += [f"{directory}/{name}" for name in files if event["mark"] in name]
    return sorted(path for path in found if _is_readable(path))


@attempt
def secrets_in_own_memory(event: dict[str, Any]) -> Any:
    return secrets_of_others_in_own_memory(event)
