"""What cgroup hierarchies this host has, read from /proc/self/mountinfo and /proc/self/cgroup (cgroups(7)). Decides on
texts; the only files it reads itself are `cgroup.controllers` of v2 directories.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

WANTED = frozenset({"memory", "cpu", "pids"})
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One mounted cgroup hierarchy. `own`: the directory of the cgroup that this process is in. `uses`: which of
    memory, cpu, pids and freezer are to be had from it."""

    version: int
    mount_point: Path
    own: Path
    uses: frozenset[str]


def find_hierarchies(mountinfo: str, membership: str) -> tuple[Hierarchy, ...]:
    """The hierarchies that are of use, each controller once. `membership`: text of /proc/self/cgroup.

    On a host with both versions, v1 has the controllers that are mounted there, and v2 freezes and kills.
    """
    paths = _own_paths(membership)
    hierarchies: list[Hierarchy] = []
    for version, root, mount_point, options in _cgroup_mounts(mountinfo):
        names = frozenset() if version == 2 else options & (WANTED | {"freezer"})
        path = paths.get(frozenset({""}) if version == 2 else _key(options, paths))
        if path is None or any(h.mount_point == mount_point for h in hierarchies):
            continue
        own = mount_point / _below(root, path)
        if version == 2:
            names = ((controllers(own) | _to_be_taken(mount_point)) & WANTED) | {"freezer"}
        hierarchies.append(Hierarchy(version, mount_point, own, names))
    has_v2 = any(h.version == 2 for h in hierarchies)
    return tuple(_each_once([h for h in hierarchies if h.version == 2 or h.uses - ({"freezer"} if has_v2 else set())]))


def _each_once(hierarchies: Sequence[Hierarchy]) -> list[Hierarchy]:
    """Version 2 first, and no use twice."""
    taken: frozenset[str] = frozenset()
    kept = []
    for h in sorted(hierarchies, key=lambda h: -h.version):
        if h.uses - taken:
            kept.append(Hierarchy(h.version, h.mount_point, h.own, h.uses - taken))
        taken |= h.uses
    return kept


def _cgroup_mounts(mountinfo: str) -> list[tuple[int, str, Path, frozenset[str]]]:
    """(version, root of the mount, mount point, mount options) of each; proc_pid_mountinfo(5)."""
    mounts = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            _, _, _, root, mount_point = before.split(" ")[:5]
            path = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), mount_point))
            mounts.append((2 if kind == "cgroup2" else 1, root, path, frozenset(options.split(","))))
    return mounts


def _own_paths(membership: str) -> dict[frozenset[str], str]:
    """Own cgroup by the set of controllers of the hierarchy; v2 is the one with none."""
    paths = {}
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        paths[frozenset(controllers.split(","))] = path
    return paths


def _key(options: frozenset[str], paths: Mapping[frozenset[str], str]) -> frozenset[str]:
    return next((controllers for controllers in paths if controllers <= options), frozenset())


def _below(root: str, path: str) -> str:
    """`path` relative to a mount whose root is `root`: they differ in containers without a cgroup namespace."""
    if path.startswith("/.."):  # outside of our cgroup namespace, which the mount point is the root of
        return ""
    if root != "/" and (path == root or path.startswith(root + "/")):
        path = path[len(root) :]
    return path.lstrip("/")


def controllers(directory: Path) -> frozenset[str]:
    """Those that a v2 cgroup has, and could give to its children."""
    try:
        return frozenset((directory / "cgroup.controllers").read_text().split())
    except OSError:
        return frozenset()


def _to_be_taken(mount_point: Path) -> frozenset[str]:
    """Those of the top of the hierarchy, for who may write there: below it, systemd gives only what some unit asked
    for, which is seldom the CPU controller."""
    may = os.access(mount_point / "cgroup.subtree_control", os.W_OK)
    return controllers(mount_point) if may else frozenset()
