"""Limits on sandboxes by cgroups, of either version or a mixture: cgroup v2 (Documentation/admin-guide/cgroup-v2.rst)
and v1 (cgroup-v1/memory.rst, sched-bwc.rst, freezer-subsystem.rst).

Each hierarchy gets one directory for this server (`lambent-` and 8 hexadecimal digits of its instance id) below the
server's own cgroup, and in it one per sandbox. What a version calls things is in tables; all else is the same.

/dev/shm is a tmpfs and counts as the sandbox's memory; so does /tmp where the host has no loop devices.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import logging
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lambent.worker.sandbox.api import SandboxError, SandboxLimits
from lambent.worker.sandbox.linux.cgroup_delegation import enable_controllers, give_controllers, leave_leaf
from lambent.worker.sandbox.linux.cgroup_hierarchies import Hierarchy

logger = logging.getLogger(__name__)

CPU_PERIOD_US = 20_000  # short, so that a small share stalls often and briefly instead of for 90 ms at a time
_MIN_QUOTA_US = 1_000  # the kernel's
_MAX_PERIOD_US = 1_000_000

_PEAK = {1: "memory.max_usage_in_bytes", 2: "memory.peak"}
_CURRENT = {1: "memory.usage_in_bytes", 2: "memory.current"}
_OOM = {1: "memory.oom_control", 2: "memory.events"}
_FREEZE = {1: ("freezer.state", "FROZEN", "THAWED"), 2: ("cgroup.freeze", "1", "0")}

_REMOVE_ATTEMPTS = 60  # waits 1, 2, 4, … 50 ms: about 2.5 s


def instance_directory(instance_id: str) -> str:
    """The name of a server's directory in each hierarchy."""
    return "lambent-" + hashlib.sha256(instance_id.encode()).hexdigest()[:8]


def limit_files(version: int, uses: frozenset[str], limits: SandboxLimits) -> list[tuple[str, str, bool]]:
    """(file, content, whether it must work) for the limits that hold from the start: memory and processes."""
    files: list[tuple[str, str, bool]] = []
    if "memory" in uses and version == 1:
        amount = str(limits.memory_bytes)
        files += [("memory.limit_in_bytes", amount, True)]
        # Neither is there on every kernel; without swap neither is needed.
        files += [("memory.memsw.limit_in_bytes", amount, False), ("memory.swappiness", "0", False)]
    elif "memory" in uses:
        files += [("memory.max", str(limits.memory_bytes), True)]
        files += [("memory.swap.max", "0", False), ("memory.oom.group", "1", False)]
    if "pids" in uses:
        files += [("pids.max", str(limits.processes), True)]
    return files


def together_files(version: int, memory_bytes: int) -> list[tuple[str, str, bool]]:
    """As `limit_files`, for all sandboxes together: beyond it, the kernel ends one of them instead of the server."""
    if version == 1:
        return [("memory.limit_in_bytes", str(memory_bytes), True)]
    return [("memory.max", str(memory_bytes), True), ("memory.swap.max", "0", False)]


def cpu_files(version: int, cpus: float) -> list[tuple[str, str]]:
    """(file, content) for the share of CPU time; `cpus` 1.0 is one whole CPU."""
    period = CPU_PERIOD_US
    if cpus * period < _MIN_QUOTA_US:
        period = min(_MAX_PERIOD_US, int(_MIN_QUOTA_US / cpus))
    quota = max(_MIN_QUOTA_US, round(cpus * period))
    if version == 1:
        return [("cpu.cfs_period_us", str(period)), ("cpu.cfs_quota_us", str(quota))]
    return [("cpu.max", f"{quota} {period}")]


class SandboxCgroup:
    """The cgroups of one sandbox, one per hierarchy; with no hierarchies, it limits and measures nothing."""

    def __init__(self, sandbox_id: str, places: Sequence[tuple[Hierarchy, Path]]) -> None:
        self._sandbox_id = sandbox_id
        self._places = {use: (h.version, path) for h, path in places for use in h.uses}
        self._directories = [path for _, path in places]
        self._peak_fd: int | None = None  # kept open: it is read after every invocation

    def limit_cpu(self, cpus: float) -> None:
        """Not there while the sandbox is set up: at a small share, that alone would use up several periods."""
        if "cpu" in self._places:
            version, path = self._places["cpu"]
            try:
                for name, content in cpu_files(version, cpus):
                    (path / name).write_text(content)
            except OSError as error:
                # v1 takes no more than the cgroup above has itself; that one's limit holds then.
                if version != 1 or error.errno != errno.EINVAL:
                    raise

    @property
    def thaw_after_kill(self) -> bool:
        """Whether frozen processes must be thawed to die."""
        return "freezer" in self._places and self._places["freezer"][0] == 1

    def freeze(self) -> None:
        self._set_frozen(1)

    def thaw(self) -> None:
        self._set_frozen(2)

    def _set_frozen(self, word: int) -> None:
        if "freezer" in self._places:
            version, path = self._places["freezer"]
            try:
                fd = os.open(path / _FREEZE[version][0], os.O_WRONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return  # just ended
            try:
                with contextlib.suppress(OSError):  # just ended, too
                    os.write(fd, _FREEZE[version][word].encode())
            finally:
                os.close(fd)

    def memory_peak_bytes(self) -> int:
        try:
            if self._peak_fd is None:
                if "memory" not in self._places:
                    return 0
                version, path = self._places["memory"]
                self._peak_fd = os.open(path / _PEAK[version], os.O_RDONLY | os.O_CLOEXEC)
            return int(os.pread(self._peak_fd, 32, 0))
        except FileNotFoundError:  # memory.peak is there from Linux 5.19 on
            return 0

    def memory_current_bytes(self) -> int:
        if "memory" not in self._places:
            return 0
        version, path = self._places["memory"]
        return int((path / _CURRENT[version]).read_text())

    def oom_kills(self) -> int:
        """How many processes the kernel killed here for want of memory."""
        if "memory" not in self._places:
            return 0
        version, path = self._places["memory"]
        lines = (path / _OOM[version]).read_text().splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)

    async def remove(self) -> None:
        """Remove the directories; processes that are still inside are killed. A process that has just been reaped may
        keep them busy for a moment."""
        if self._peak_fd is not None:
            os.close(self._peak_fd)
            self._peak_fd = None
        for attempt in range(_REMOVE_ATTEMPTS):
            self._directories = [path for path in self._directories if not _try_remove(path)]
            if not self._directories:
                return
            for path in self._directories:
                kill_all(path)
            await asyncio.sleep(min(0.05, 0.001 * 2**attempt))
        logger.error("cgroup not removed", extra={"sandbox_id": self._sandbox_id, "directories": self._directories})


class Cgroups:
    """The cgroups of one server. `claim` first; `close` last."""

    def __init__(self, instance_id: str, hierarchies: Sequence[Hierarchy], memory_bytes: int | None = None) -> None:
        """`memory_bytes`: what all sandboxes may use together."""
        self.directory = instance_directory(instance_id)
        self._memory_bytes = memory_bytes
        self._found = tuple(hierarchies)
        self.hierarchies: tuple[Hierarchy, ...] = ()
        self._bases: tuple[Path, ...] = ()

    @property
    def uses(self) -> frozenset[str]:
        """Which of memory, cpu, pids and freezer hold."""
        return frozenset(use for h in self.hierarchies for use in h.uses)

    @property
    def bases(self) -> tuple[Path, ...]:
        """The directories in which this server's directory lies, one per hierarchy."""
        return self._bases

    def claim(self, noted_in: Path) -> None:
        """Make this server's directory in every hierarchy; what an earlier run left in it is killed and removed.
        Hierarchies that cannot be written to are left out (`probe` says so). Raises `SandboxError` when something else
        is in the way. Blocks for a moment only if there is something left.

        `noted_in`: the file where the directories are noted, for the next run: that one may be started elsewhere in
        the hierarchies.
        """
        try:
            self._remove_noted(noted_in)
            claimed = [self._claim_one(h) for h in self._found if os.access(h.own, os.W_OK)]
        except OSError as error:
            raise SandboxError(f"cgroups: {error}") from error
        self.hierarchies = tuple(hierarchy for hierarchy, _ in claimed)
        self._bases = tuple(base for _, base in claimed)
        noted_in.write_text("".join(f"{base / self.directory}\n" for base in self._bases))

    def _claim_one(self, hierarchy: Hierarchy) -> tuple[Hierarchy, Path]:
        base, uses = enable_controllers(hierarchy)
        _remove_tree(base / self.directory)
        (base / self.directory).mkdir(exist_ok=True)
        if hierarchy.version == 2:
            give_controllers(base / self.directory, uses)
        if self._memory_bytes is not None and "memory" in uses:
            _write_limits(base / self.directory, together_files(hierarchy.version, self._memory_bytes))
        return Hierarchy(hierarchy.version, hierarchy.mount_point, hierarchy.own, uses), base

    def _remove_noted(self, noted_in: Path) -> None:
        for line in noted_in.read_text().splitlines() if noted_in.exists() else ():
            path = Path(line)
            # Only what is certainly ours: the name, in a hierarchy that is mounted here.
            if path.name == self.directory and any(path.is_relative_to(h.mount_point) for h in self._found):
                _remove_tree(path)

    def create(self, sandbox_id: str, limits: SandboxLimits) -> SandboxCgroup:
        """Raises `SandboxError`; then nothing is left behind."""
        places: list[tuple[Hierarchy, Path]] = []
        try:
            for hierarchy, base in zip(self.hierarchies, self._bases, strict=True):
                path = base / self.directory / sandbox_id
                path.mkdir()
                places.append((hierarchy, path))
                _write_limits(path, limit_files(hierarchy.version, hierarchy.uses, limits))
        except OSError as error:
            for _, path in places:
                path.rmdir()
            raise SandboxError(f"cgroup: {error}") from error
        return SandboxCgroup(sandbox_id, places)

    def close(self) -> None:
        """Remove this server's directories, and whatever is still in them."""
        for hierarchy, base in zip(self.hierarchies, self._bases, strict=True):
            _remove_tree(base / self.directory)
            if hierarchy.version == 2:
                leave_leaf(base)
        self.hierarchies, self._bases = (), ()


def _write_limits(path: Path, files: list[tuple[str, str, bool]]) -> None:
    for name, content, required in files:
        try:
            (path / name).write_text(content)
        except OSError:
            if required:
                raise


def _remove_tree(path: Path) -> None:
    """Kill what is in `path` and below, and remove it. Raises `OSError` if it stays."""
    if not path.exists():
        return
    for attempt in range(_REMOVE_ATTEMPTS):
        remaining = [child for child in [*_children(path), path] if not _try_remove(child)]
        if not remaining:
            return
        for child in remaining:
            kill_all(child)
        time.sleep(min(0.05, 0.001 * 2**attempt))
    raise OSError(errno.EBUSY, "cgroup stays busy", str(path))


def _children(path: Path) -> Iterator[Path]:
    return (child for child in path.iterdir() if child.is_dir())


def _try_remove(path: Path) -> bool:
    try:
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
            raise
        return False
    return True


def kill_all(path: Path) -> None:
    """SIGKILL every process in the cgroup at `path`, thawing it if need be. It may be gone."""
    with contextlib.suppress(FileNotFoundError):
        if (path / "cgroup.kill").exists():
            (path / "cgroup.kill").write_text("1")
            return
        for pid in map(int, (path / "cgroup.procs").read_text().split()):
            with contextlib.suppress(ProcessLookupError):
                if pid != 0:  # 0: a process that our pid namespace does not show
                    os.kill(pid, signal.SIGKILL)
        if (path / "freezer.state").exists():
            (path / "freezer.state").write_text("THAWED")
