"""What processes take: processor time, memory of their own, memory of the host. From /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Started:
    """A server's process, and how long it took until it answered."""

    pid: int
    ready_s: float


def cpu_ms(pids: Iterable[int]) -> float:
    """User and system time of processes that live."""
    total = 0
    for pid in pids:
        fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        if fields:
            total += int(fields[11]) + int(fields[12])
    return total * _TICK_MS


def private_mb(pids: Iterable[int]) -> float:
    """Memory that nobody else has, of all of them together."""
    lines = (line.split() for pid in pids for line in _read(f"/proc/{pid}/smaps_rollup").splitlines())
    return sum(int(fields[1]) for fields in lines if fields[0].startswith("Private_")) / 1024


def rss_mb(pid: int) -> float:
    """What a process has in memory, shared or not."""
    return int(_read(f"/proc/{pid}/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def available_mb() -> float:
    """What the host has left."""
    [line] = [line for line in _read("/proc/meminfo").splitlines() if line.startswith("MemAvailable:")]
    return int(line.split()[1]) / 1024


def descendants(pid: int) -> list[int]:
    """Children of a process, theirs, and so on."""
    found: list[int] = []
    new = [pid]
    while new:
        tasks = [task for one in new for task in _tasks(one)]
        new = [int(child) for task in tasks for child in _read(f"{task}/children").split()]
        found += new
    return found


def of_users(users: range) -> list[int]:
    """Processes whose user is one of those."""
    return [pid for pid in _pids() if _user(pid) in users]


def name(pid: int) -> str:
    return _read(f"/proc/{pid}/comm").strip()


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdecimal()]


def _user(pid: int) -> int:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return -1  # it has just ended


def _tasks(pid: int) -> list[str]:
    try:
        return [f"/proc/{pid}/task/{task}" for task in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
