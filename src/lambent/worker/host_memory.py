"""How much memory this host has left for environments: what the kernel says is available, and what the cgroups that the
server itself runs in (a container, a service with MemoryMax) still allow. The smallest counts.

https://docs.kernel.org/filesystems/proc.html#meminfo, admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lambent.worker.sandbox.linux.cgroup_hierarchies import find_hierarchies

_MEMINFO = Path("/proc/meminfo")
_LIMIT = {1: "memory.limit_in_bytes", 2: "memory.max"}
_USAGE = {1: "memory.usage_in_bytes", 2: "memory.current"}
# Pages of files that nobody used lately are given up at once when memory is wanted.
_RECLAIMABLE = {1: "total_inactive_file", 2: "inactive_file"}
_NO_LIMIT = 1 << 60  # v1's word for none is the largest number of pages
_MIB = 1 << 20
_RESERVE_BYTES = 256 * _MIB
_RESERVE_SHARE = 20


@dataclass(frozen=True, slots=True)
class Level:
    """A cgroup directory with a limit that may hold for us."""

    version: int
    directory: Path


def own_levels() -> tuple[Level, ...]:
    """The server's own memory cgroup, and those above it as far as they can be seen."""
    hierarchies = find_hierarchies(Path("/proc/self/mountinfo").read_text(), Path("/proc/self/cgroup").read_text())
    for hierarchy in hierarchies:
        if "memory" in hierarchy.uses:
            above = [d for d in hierarchy.own.parents if d.is_relative_to(hierarchy.mount_point)]
            return tuple(Level(hierarchy.version, directory) for directory in (hierarchy.own, *above))
    return ()


def available_mb(levels: Sequence[Level] = (), meminfo: Path = _MEMINFO) -> int:
    """What can be used without swapping or killing anything. Raises `OSError` where there is no /proc."""
    room = [_available_on_host(meminfo.read_text())]
    for level in levels:
        if (left := _left_at(level)) is not None:
            room.append(left)
    return max(0, min(room)) // _MIB


def for_all_environments(levels: Sequence[Level] = (), meminfo: Path = _MEMINFO) -> int:
    """How many bytes all environments together may use, so that the server and the rest of the host go on."""
    limits = [_meminfo(meminfo.read_text(), "MemTotal") * 1024]
    limits += [limit for level in levels if (limit := _limit(level)) is not None]
    return min(limits) - max(_RESERVE_BYTES, min(limits) // _RESERVE_SHARE)


def _available_on_host(meminfo: str) -> int:
    return _meminfo(meminfo, "MemAvailable") * 1024


def _meminfo(text: str, name: str) -> int:
    for line in text.splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise OSError(f"/proc/meminfo does not say {name}")


def _left_at(level: Level) -> int | None:
    """None: no limit here, or the cgroup is gone (the server was moved)."""
    limit = _limit(level)
    if limit is None:
        return None
    try:
        usage = int((level.directory / _USAGE[level.version]).read_text())
        stat = (level.directory / "memory.stat").read_text()
    except FileNotFoundError:
        return None
    return limit - usage + _field(stat, _RECLAIMABLE[level.version])


def _limit(level: Level) -> int | None:
    try:
        text = (level.directory / _LIMIT[level.version]).read_text().strip()
    except FileNotFoundError:
        return None
    return None if text == "max" or int(text) >= _NO_LIMIT else int(text)


def _field(stat: str, name: str) -> int:
    return next((int(line.split()[1]) for line in stat.splitlines() if line.startswith(name + " ")), 0)
