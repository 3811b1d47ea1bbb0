"""Getting cgroup v2 to give its controllers to our sandboxes ("no internal process constraint" and "delegation" in
Documentation/admin-guide/cgroup-v2.rst).

v2 gives controllers only to children of cgroups that have no processes of their own, the root of the host excepted.
What is tried, in this order:

1. the server's own cgroup, if it has all that is wanted and can give it as it is
2. the same, after moving its processes into a leaf: if the server is alone in it (a service), or if it is all that is
   to be seen of the hierarchy (a container)
3. the root of the hierarchy, as container runtimes do: for servers that share their cgroup with others' processes, for
   example the shell they were started from; and for those whose own cgroup lacks a controller that the root has
4. the server's own cgroup with what it has, if it lacks some and the root is not to be had
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from pathlib import Path

from lambent.worker.sandbox.linux.cgroup_hierarchies import WANTED, Hierarchy, controllers

logger = logging.getLogger(__name__)

_LEAF = "lambent-server"
_REFUSALS = (errno.EBUSY, errno.EACCES, errno.EPERM, errno.ENOENT, errno.EROFS)


def enable_controllers(hierarchy: Hierarchy) -> tuple[Path, frozenset[str]]:
    """Below which directory sandboxes' cgroups can be made, and which of the hierarchy's uses hold there."""
    wanted = hierarchy.uses & WANTED
    if hierarchy.version == 1 or not wanted:
        return hierarchy.own, hierarchy.uses
    offered = wanted & controllers(hierarchy.own)
    if offered == wanted and _give_below_own(hierarchy, wanted):
        return hierarchy.own, hierarchy.uses
    if give_controllers(hierarchy.mount_point, wanted):
        return hierarchy.mount_point, hierarchy.uses
    if offered and offered != wanted and _give_below_own(hierarchy, offered):
        logger.warning("%s lacks %s", hierarchy.own, ", ".join(sorted(wanted - offered)))
        return hierarchy.own, offered | {"freezer"}
    logger.warning("cgroup controllers not to be had: no limits from %s", hierarchy.own)
    return hierarchy.own, frozenset({"freezer"})


def _give_below_own(hierarchy: Hierarchy, names: frozenset[str]) -> bool:
    return give_controllers(hierarchy.own, names) or (
        _move_to_leaf(hierarchy) and give_controllers(hierarchy.own, names)
    )


def give_controllers(directory: Path, names: frozenset[str]) -> bool:
    """To the children of `directory`; whether that was possible."""
    content = " ".join(f"+{name}" for name in sorted(names & WANTED))
    if not content:
        return True
    try:
        (directory / "cgroup.subtree_control").write_text(content)
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        return False
    return True


def leave_leaf(own: Path) -> None:
    """Undo what `enable_controllers` may have done."""
    if not (own / _LEAF).exists():
        return
    try:
        (own / "cgroup.subtree_control").write_text(" ".join(f"-{name}" for name in sorted(WANTED)))
        _move(_processes(own / _LEAF), own)
        (own / _LEAF).rmdir()
    except OSError as error:
        logger.warning("cgroup not left: %s", error)


def _move_to_leaf(hierarchy: Hierarchy) -> bool:
    own = hierarchy.own
    try:
        processes = _processes(own)
        if processes != [os.getpid()] and own != hierarchy.mount_point:
            return False
        (own / _LEAF).mkdir(exist_ok=True)
        _move(processes, own / _LEAF)
    except OSError as error:
        logger.warning("cgroup cannot be prepared: %s", error)
        return False
    return True


def _processes(directory: Path) -> list[int]:
    """Those in the cgroup itself; without those that our pid namespace does not show."""
    return [pid for pid in map(int, (directory / "cgroup.procs").read_text().split()) if pid != 0]


def _move(processes: list[int], to: Path) -> None:
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            (to / "cgroup.procs").write_text(str(pid))
