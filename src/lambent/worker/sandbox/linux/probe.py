"""What this host gives to sandboxes: for `lambent doctor` and the line at start-up. Looks, and changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lambent.worker.sandbox.api import BackendReport, Guarantee
from lambent.worker.sandbox.linux.cgroup_hierarchies import Hierarchy

OLDEST_KERNEL = (5, 12)  # mount_setattr; clone3, pidfds and close_range are older
_MACHINES = ("aarch64", "x86_64")
_CAP_SYS_ADMIN = 21
_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
_CAPABILITIES = {6: "CAP_SETGID", 7: "CAP_SETUID", 12: "CAP_NET_ADMIN", _CAP_SYS_ADMIN: "CAP_SYS_ADMIN"}
_NO_USER_NAMESPACES = (
    "this user may not make user namespaces: sysctl -w kernel.unprivileged_userns_clone=1 or, on Ubuntu, "
    "kernel.apparmor_restrict_unprivileged_userns=0"
)
_PRIVILEGED = "run outside the container, or give it cgroups (--privileged)"
_DELEGATE = "on cgroup v2, start the server by systemd-run --user --scope -p Delegate=yes"
_CONTROLLERS = {
    "memory": ("memory limit", "memory"),
    "cpu": ("CPU limit", "cpu"),
    "pids": ("process limit", "pids"),
    "freezer": ("freezing while idle", "freezer"),
}


@dataclass(frozen=True, slots=True)
class Host:
    """What the verdict is made from. `capabilities`: the effective set as a bit mask; `max_user_namespaces`: None
    where the kernel has no such sysctl."""

    kernel: str
    machine: str
    capabilities: int
    namespaces: frozenset[str]
    max_user_namespaces: int | None
    seccomp: bool
    hierarchies: Sequence[Hierarchy]
    writable: frozenset[Path]  # which of the hierarchies' own directories
    why_no_images: str = ""  # what keeps /tmp from being on disk
    rootless: bool = False
    is_root: bool = False
    user_namespaces: bool = True  # whether this user may make them


def look(hierarchies: Sequence[Hierarchy], why_no_images: str = "", *, rootless: bool = False) -> Host:
    """The facts about this host. `why_no_images`: see `disk_image.why_not`. `rootless`: for an ordinary user."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    limit = Path("/proc/sys/user/max_user_namespaces")
    return Host(
        kernel=os.uname().release,
        machine=os.uname().machine,
        capabilities=int(status["CapEff"], 16),
        namespaces=frozenset(name for name in _NAMESPACES if Path(f"/proc/self/ns/{name}").exists()),
        max_user_namespaces=int(limit.read_text()) if limit.exists() else None,
        seccomp="Seccomp" in status,
        hierarchies=hierarchies,
        writable=frozenset(h.own for h in hierarchies if os.access(h.own, os.W_OK)),
        why_no_images=why_no_images,
        rootless=rootless,
        is_root=os.geteuid() == 0,
        user_namespaces=not rootless or _may_make_user_namespaces(),
    )


def judge(host: Host) -> BackendReport:
    """The verdict. Without namespaces or seccomp there are no sandboxes; limits may be missing, and are then listed."""
    reasons = [reason for reason in (_kernel(host), _capabilities(host), _namespaces(host), _seccomp(host)) if reason]
    name = "rootless" if host.rootless else "linux"
    if reasons:
        return BackendReport(name, usable=False, reason="; ".join(reasons))
    return BackendReport(name, usable=True, guarantees=(*_isolation(host), *_limits(host)))


def _kernel(host: Host) -> str:
    if host.machine not in _MACHINES:
        return f"there is no list of system calls for {host.machine} (there is for {' and '.join(_MACHINES)})"
    major, minor = (int(part) for part in host.kernel.replace("-", ".").split(".")[:2])
    if (major, minor) < OLDEST_KERNEL:
        return f"Linux {host.kernel} is too old: Linux {'.'.join(map(str, OLDEST_KERNEL))} or newer is needed"
    return ""


def _may_make_user_namespaces() -> bool:
    """By trying it: what forbids it differs between distributions."""
    program = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x10020000) != 0)"  # CLONE_NEWUSER, CLONE_NEWNS
    return subprocess.run([sys.executable, "-I", "-S", "-c", program], env={}, check=False).returncode == 0


def _capabilities(host: Host) -> str:
    if host.rootless and host.is_root:
        return "rootless is for ordinary users; root has --sandbox linux"
    if host.rootless:
        return "" if host.user_namespaces else _NO_USER_NAMESPACES
    missing = [name for number, name in _CAPABILITIES.items() if not host.capabilities >> number & 1]
    if not missing:
        return ""
    instead = "run it with sudo, in a container with --privileged, or by --sandbox rootless"
    return f"it needs root with {', '.join(missing)}: {instead}"


def _namespaces(host: Host) -> str:
    missing = [name for name in _NAMESPACES if name not in host.namespaces]
    if missing:
        return f"this kernel has no namespaces of kind {', '.join(missing)}"
    if host.max_user_namespaces == 0:
        return "user namespaces are switched off: sysctl -w user.max_user_namespaces=65536"
    return ""


def _seccomp(host: Host) -> str:
    return "" if host.seccomp else "this kernel has no seccomp (CONFIG_SECCOMP_FILTER)"


def _isolation(host: Host) -> tuple[Guarantee, ...]:
    return (
        Guarantee("separate processes, users and files", holds=True, how="pid, user, mount, ipc and uts namespaces"),
        Guarantee(
            "separate network",
            holds=True,
            how="a network namespace for each, without a way out or with that of --network",
        ),
        Guarantee("few system calls", holds=True, how=f"seccomp allow-list for {host.machine}"),
        *_privileges(host),
        *_temporary_files(host),
    )


def _privileges(host: Host) -> tuple[Guarantee, ...]:
    if not host.rootless:
        how = "a host user per sandbox, no capabilities, no_new_privs"
        return (Guarantee("no privileges", holds=True, how=how),)
    return (
        Guarantee("no privileges", holds=True, how="no capabilities, no_new_privs"),
        Guarantee(
            "a host user for each sandbox",
            holds=False,
            how="all are the user that runs the server: --sandbox linux, as root",
        ),
    )


def _temporary_files(host: Host) -> tuple[Guarantee, ...]:
    if host.why_no_images:
        return (
            Guarantee("limit on temporary files", holds=True, how="tmpfs"),
            Guarantee("temporary files apart from memory", holds=False, how=host.why_no_images),
        )
    how = "ext4 in a file of its own, by a loop device"
    return (
        Guarantee("limit on temporary files", holds=True, how=how),
        Guarantee("temporary files apart from memory", holds=True, how=how),
    )


def _limits(host: Host) -> list[Guarantee]:
    limits = []
    for controller, (name, word) in _CONTROLLERS.items():
        hierarchy = next((h for h in host.hierarchies if controller in h.uses), None)
        if hierarchy is None:
            limits.append(Guarantee(name, holds=controller == "pids", how=_instead(controller, word)))
        elif hierarchy.own not in host.writable and controller == "pids":
            limits.append(Guarantee(name, holds=True, how=_instead(controller, word)))
        elif hierarchy.own not in host.writable:
            how = f"{hierarchy.own} is not writable: " + (_DELEGATE if host.rootless else _PRIVILEGED)
            limits.append(Guarantee(name, holds=False, how=how))
        else:
            limits.append(Guarantee(name, holds=True, how=f"cgroup v{hierarchy.version} {word}"))
    return limits


def _instead(controller: str, word: str) -> str:
    if controller == "pids":
        return "RLIMIT_NPROC in the sandbox's own user namespace, for want of the pids controller"
    return (
        f"no cgroup {word} controller here: mount -t cgroup2 none /sys/fs/cgroup, or boot with "
        "systemd.unified_cgroup_hierarchy=1 and, for memory, cgroup_enable=memory"
    )
