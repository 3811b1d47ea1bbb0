"""What a server has on this host beside its files: processes, cgroups, mounts, loop devices, network interfaces.

Found by the marks that they carry, not by what the server remembers, so that it also finds what a crash left behind.
For tests: `Inventory.of(data_dir).nothing` after a stop, and `Footprint.of(pid)` to see that a server does not grow.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from lambent.store.data_directory import DataDirectory
from lambent.worker.sandbox.linux.backend import host_ids
from lambent.worker.sandbox.linux.cgroups import instance_directory
from lambent.worker.sandbox.linux.network.slirp import INSTANCE_VARIABLE

_CGROUPS = "/sys/fs/cgroup"


@dataclass(frozen=True)
class Inventory:
    """Each a list of names for people. Namespaces need none of their own: they live as long as a process, a mount or a
    descriptor of the server refers to them."""

    processes: list[str] = field(default_factory=list)
    cgroups: list[str] = field(default_factory=list)
    mounts: list[str] = field(default_factory=list)
    loop_devices: list[str] = field(default_factory=list)
    interfaces: list[str] = field(default_factory=list)

    @property
    def nothing(self) -> bool:
        """Whether there is none of it."""
        return not (self.processes or self.cgroups or self.mounts or self.loop_devices or self.interfaces)

    @classmethod
    def of(cls, data_dir: Path) -> Self:
        """Of the server with this data directory, running or not; the server itself is not listed."""
        return cls.marked(DataDirectory(data_dir).instance_id, data_dir.resolve())

    @classmethod
    def marked(cls, instance_id: str, directory: Path) -> Self:
        """Of the sandbox backend with this instance id, whose files lie in `directory`."""
        group = instance_directory(instance_id)
        return cls(
            [f"{pid} {_name(pid)}" for pid in _pids() if _is_of(pid, group, instance_id, directory)],
            # `os.walk` goes on when a directory has just been removed, which `Path.glob` does not.
            [os.path.join(parent, name) for parent, names, _ in os.walk(_CGROUPS) for name in names if name == group],  # noqa: PTH118
            [line for line in _lines(Path("/proc/self/mountinfo")) if str(directory) in line],
            [f"{path.parents[1].name} {text}" for path in Path("/sys/block").glob("loop*/loop/backing_file")
             if (text := "".join(_lines(path))).startswith(str(directory))],
            [path.name for path in Path("/sys/class/net").iterdir() if instance_id in path.name],
        )  # fmt: skip


@dataclass(frozen=True)
class Footprint:
    """What a process holds: descriptors by kind, memory of its own in bytes, its children."""

    descriptors: Counter[str]
    private_bytes: int
    children: int

    @classmethod
    def of(cls, pid: int) -> Self:
        """Of a running process."""
        kinds: Counter[str] = Counter()
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(entry.readlink())
            except FileNotFoundError:
                continue  # of this very listing
            kinds[target if target.startswith("/") else target.partition(":")[0]] += 1
        private = sum(
            int(line.split()[1]) for line in _lines(Path(f"/proc/{pid}/smaps_rollup")) if line.startswith("Private_")
        )
        children = sum(len("".join(_lines(task / "children")).split()) for task in Path(f"/proc/{pid}/task").iterdir())
        return cls(kinds, private * 1024, children)


def _is_of(pid: int, group: str, instance_id: str, directory: Path) -> bool:
    """By its cgroup, by its user, by its environment (slirp4netns), or, for those that make sandboxes and for an
    ordinary user's sandboxes, by what is mounted in their namespace. One that has ended and waits to be reaped is
    none: it holds nothing; whose child it is, is for `Footprint` to say."""
    if any(line.startswith("State:\tZ") for line in _lines(Path(f"/proc/{pid}/status"))):
        return False
    if any(group in line for line in _lines(Path(f"/proc/{pid}/cgroup"))):
        return True
    if f"{INSTANCE_VARIABLE}={instance_id}\0" in "".join(_lines(Path(f"/proc/{pid}/environ"))):
        return True
    try:
        if os.stat(f"/proc/{pid}").st_uid in host_ids(instance_id):  # noqa: PTH116
            return True
    except FileNotFoundError:
        return False
    return _is_apart(pid) and any(str(directory) in line for line in _lines(Path(f"/proc/{pid}/mountinfo")))


def _is_apart(pid: int) -> bool:
    """Whether it sees other mounts than we do."""
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt")  # noqa: PTH115
    except OSError:
        return False  # it has just ended


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _name(pid: int) -> str:
    return "".join(_lines(Path(f"/proc/{pid}/comm")))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []  # it has just ended
