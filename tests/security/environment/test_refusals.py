"""What a function asks of the kernel, of the file system and of everybody else, and must not get.

All attempts of a group are made in one invocation; each is a test of its own. An attempt without an expectation here
fails its test, and so does an expectation without an attempt.
"""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.root

_HOSTILE = Path(__file__).parents[1] / "hostile_code"
sys.path.append(str(_HOSTILE))  # only to learn the names of the attempts; nothing is attempted here
from hostile import attempts, files, kernel, others  # noqa: E402

sys.path.remove(str(_HOSTILE))

REFUSED = {"EPERM", "EACCES"}
ABSENT = {"ENOENT", "ENOTDIR", "ENXIO", "ENODEV"}
NO_WAY = {"ECONNREFUSED", "ENETUNREACH", "EADDRNOTAVAIL"}

KERNEL: dict[str, Any] = {
    "clone3": {"ENOSYS"},
    "call_of_the_future": {"ENOSYS"},
    "x32_call": {"ENOSYS", "no such call"},
    "become_root": {"EINVAL"},  # there is no root to become in its user namespace
    "take_capabilities": {"EPERM"},
    "allow_new_privileges": {"EINVAL"},
    "change_memory_map": {"EPERM", "EINVAL"},
    "sync_all_disks": [0, 0],  # and nothing was done
    "setns": ["EPERM"] * 5,
    "call_of_32_bits": (-38, "no such call"),
    "huge_pages": {"ENOMEM"},
    "lock_more_memory_than_allowed": {"ENOMEM", "EPERM"},
    "core_dumps": [1, 1],
    "netlink_audit": {"EPERM", "ECONNREFUSED", "EPROTONOSUPPORT"},
    "netlink_ipsec": {"EPERM", "EPROTONOSUPPORT"},
    "netlink_firewall": {"EPERM", "EPROTONOSUPPORT"},
    "netlink_events_of_processes": {"EPERM", "ECONNREFUSED", "EPROTONOSUPPORT"},
} | {
    f"socket_{name}": {"EAFNOSUPPORT"}
    for name in ("packet", "key", "rds", "can", "tipc", "bluetooth", "alg", "nfc", "vsock", "kcm", "smc", "xdp")
}
FILES: dict[str, Any] = {
    "read /proc/keys": (0, "ENOENT"),  # hidden by an empty file
    "read /proc/key-users": (0, "ENOENT"),
    "read /proc/cmdline": (0, "ENOENT"),
    "read /proc/kallsyms": (0, "ENOENT"),
    "read /proc/interrupts": (0, "ENOENT"),
    "write /proc/self/loginuid": {"EPERM", "EACCES", "EINVAL", "ENOENT"},
    "write /proc/self/attr/current": {"EPERM", "EACCES", "EINVAL", "ENOENT"},
    "kernel_addresses": [],
    "processes_seen": ["lambent-init", "python3.11"],
    "own_environment_cgroup": ["/"],
    "code_by_open_directory": "root",
    "descriptors_inherited": {"/dev/null", "pipe", "socket", "anon_inode"},
    "hard_link_of_a_program": {"EXDEV", "EPERM"},
    "hard_link_of_code": {"EXDEV", "EPERM"},
    "hard_link_into_code": {"EXDEV", "EROFS"},
    "symbolic_link_to_the_host": {"ENOENT"},
    "symbolic_link_up": "root",
    "race_of_links": [],
    "set_uid_programs": [2, 2, ["993"]],  # nosuid
    "file_capabilities": {"EPERM"},
    "trusted_attribute": {"EPERM"},
    "lower_oom_score": {"EACCES", "EPERM"},
    "attributes_of_code": {"EPERM", "EROFS", "EACCES", "ENOTTY", "EOPNOTSUPP"},
    "descriptors_of_init": {"EACCES", "EPERM", "ENOENT"},
    "lease_on_code": {"EPERM"},
    "map_code_to_write": {"EACCES", "PermissionError(13, 'Permission denied')"},
    "files_of_the_server": {"ENOENT", "EACCES"},
    "write_lock_on_code": {"EBADF"},
    "preload_by_environment": "993",
}
OTHERS: dict[str, Any] = {
    "kill_everybody": {"ESRCH"},
    "kill_init": True,  # it lives
    "signal_processes_of_the_host": ["ESRCH", "ESRCH"],
    "open_processes_of_the_host": ["ESRCH", "ESRCH"],
    "group_of_the_host": ["ESRCH", "ESRCH"],
    "resource_limits_of_the_host": ["ESRCH", "ESRCH"],
    "affinity_of_the_host": ["ESRCH", "ESRCH"],
    "asynchronous_signals_to_others": ["ESRCH", "ESRCH"],
    "interfaces": ["lo"],
    "shared_memory_of_a_neighbour": {"ENOENT"},
    "message_queue_of_a_neighbour": {"ENOENT"},
    "semaphores_of_a_neighbour": {"ENOENT"},
    "shared_memory_of_the_host": {"ENOENT"},
    "posix_queue_of_a_neighbour": {"ENOENT"},
    "files_of_a_neighbour": [False, False],
    "environments_of_others": 0,
    "secrets_of_others_in_own_memory": [],
    "pid_of_init_outside": [1],
    "user_outside": {
        "Uid": ["993"] * 4, "Gid": ["990"] * 4, "NoNewPrivs": ["1"], "Seccomp": ["2"],
        **{key: ["0" * 16] for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")},
    },
    "credentials_by_unix_socket": {"EPERM", "EINVAL"},
    "priority_of_everybody": [0, 0],  # all of its own; the neighbour keeps its own
    "disk_priority_of_everybody": (0, "EPERM"),
    "every_process_number": [],
    "further_groups": [],
    "parent_death_signal": 0,  # refused or not: it is no longer what ends it (test_deaths)
    "port_of_the_host_by_its_addresses": {"ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH", "TimeoutError()"},
    "privileged_port": {"EACCES"},
}  # fmt: skip
GROUPS = {"kernel": KERNEL, "files": FILES, "others": OTHERS}


def _default(group: str, name: str) -> set[str]:
    if group == "kernel":
        return {"EPERM"} | (
            {"EACCES"} if name in ("socket_ping", "raise_priority", "raise_priority_of_others") else {"no such call"}
        )
    if group == "others":
        return NO_WAY
    if name.startswith("read "):
        return REFUSED | ABSENT
    return REFUSED | ABSENT | {"EROFS", "EBUSY", "EISDIR"}


def _is_expected(got: Any, expected: Any) -> bool:
    if isinstance(expected, set):
        return set(got if isinstance(got, list) else [got]) <= expected
    return got in expected if isinstance(expected, tuple) else bool(got == expected)


def _names() -> list[tuple[str, str]]:
    modules = {"kernel": kernel, "files": files, "others": others}
    assert all(module.__file__ and ast.parse(Path(module.__file__).read_text()) for module in modules.values())
    return [(group, name) for group in modules for name in attempts.ATTEMPTS[group]]


@pytest.mark.parametrize(("group", "name"), _names(), ids=lambda value: str(value).replace("/", "|"))
def test_attempt(arena: Any, group: str, name: str) -> None:
    got = arena.answers(group)[name]
    expected = GROUPS[group].get(name, _default(group, name))
    assert _is_expected(got, expected), got


def test_priorities_of_the_server_are_as_before(arena: Any) -> None:
    arena.answers("others")
    assert os.getpriority(os.PRIO_PROCESS, arena.server.pid) == os.getpriority(os.PRIO_PROCESS, 0)


def test_every_expectation_is_of_an_attempt() -> None:
    assert {(group, name) for group, expected in GROUPS.items() for name in expected} <= set(_names())
