"""All that a function is shown of the host, held against lists of what it may be shown.

Something new is not taken for harmless: it is put on a list here, with a reason, or it is hidden.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

pytestmark = pytest.mark.root

DIRECTORIES: dict[str, set[str]] = {
    "/": {
        "bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "mnt", "opt", "proc", "run", "sbin", "sys", "tmp",
        "usr", "var",
    },
    "/dev": {"fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"},
    "/etc": {
        "alternatives", "ca-certificates", "crypto-policies", "group", "hosts", "ld.so.cache", "localtime",
        "mime.types", "mtab", "nsswitch.conf", "os-release", "passwd", "pki", "protocols", "resolv.conf", "services",
        "ssl",
    },
    "/etc/pki": {"ca-trust", "java", "tls"},
    "/etc/ssl": {"cert.pem", "certs", "openssl.cnf"},
    "/usr": {  # what else there is is covered
        "bin", "etc", "games", "include", "lib", "lib32", "lib64", "libexec", "libx32", "local", "sbin", "share",
    },
    "/usr/local": {"lib", "lib64", "share"},
    "/usr/local/share": {"ca-certificates"},
    "/var": {"lang", "lib", "node_modules", "runtime", "task", "tmp"},
}  # fmt: skip
MADE_UP = {
    "passwd": "root:x:0:0:root:/:/sbin/nologin\nsbx_user1051:x:993:990::/home/sbx_user1051:/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/:/sbin/nologin\n",
    "group": "root:x:0:\nsbx_user1051:x:990:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost localhost.localdomain\n::1 localhost localhost.localdomain\n",
    "resolv.conf": "nameserver 169.254.78.1\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
}
# Of the environment's own namespaces, not the host's.
PROC_OWN = {"mounts", "net", "self", "sysvipc", "thread-self"}
# What the kernel is, the same on every host with that kernel and hardware.
PROC_KERNEL = {
    "acpi", "asound", "bus", "cgroups", "config.gz", "consoles", "cpuinfo", "crypto", "device-tree", "devices", "dma",
    "driver", "dynamic_debug", "execdomains", "fb", "filesystems", "iomem", "ioports", "irq", "mdstat", "misc",
    "modules", "mtrr", "partitions", "scsi", "sys", "tty", "version", "version_signature",
}  # fmt: skip
# How busy the host is: docs/discussion/threat-model.md says so.
PROC_LOAD = {
    "buddyinfo", "diskstats", "fs", "latency_stats", "loadavg", "locks", "meminfo", "pressure", "schedstat", "softirqs",
    "stat", "swaps", "uptime", "vmstat", "zoneinfo",
}  # fmt: skip
# Listed, but closed: hidden by us, or for root only.
PROC_CLOSED = {
    "allocinfo", "bootconfig", "cmdline", "interrupts", "kallsyms", "kcore", "key-users", "keys", "kmsg", "kpagecgroup",
    "kpagecount", "kpageflags", "lock_stat", "pagetypeinfo", "profile", "sched_debug", "slabinfo", "sysrq-trigger",
    "timer_list", "vmallocinfo", "vmcore",
}  # fmt: skip
# Where mountinfo tells a path of the host: of code, runtime and SDK.
PATHS_TOLD = re.compile(r"/var/(task|runtime|lang|node_modules)(/.*)?|/opt")
WRITABLE = {"/tmp", "/dev/shm", "/proc"}
VARIABLES = {
    "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API", "AWS_REGION", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AWS_XRAY_CONTEXT_MISSING", "AWS_XRAY_DAEMON_ADDRESS", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT", "LANG",
    "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "PWD", "PYTHONPATH", "SHLVL", "TZ", "_AWS_XRAY_DAEMON_ADDRESS",
    "_AWS_XRAY_DAEMON_PORT", "_HANDLER", "_X_AMZN_TRACE_ID",
}  # fmt: skip


LISTS = ("directories", "empty_directories", "made_up_files", "proc", "mounts", "variables", "names_of_the_host")


@pytest.fixture
def seen(arena: Any) -> dict[str, Any]:
    """By a function that has left nothing anywhere."""
    invoked = arena.attack(arena.deploy("looker"), "seen", *LISTS)
    assert invoked.function_error is None, invoked
    answers: dict[str, Any] = invoked.payload
    return answers


def test_directories(seen: dict[str, Any]) -> None:
    covered = {point for root, point, _, _ in seen["mounts"] if root in ("/mnt", "/null")}  # nothing is inside
    unexpected = {
        f"{path}/{name}"
        for path, names in seen["directories"].items()
        for name in names
        if name not in DIRECTORIES[path] and f"{path}/{name}" not in covered
    }
    assert {path for path in unexpected if not re.fullmatch(r"/etc/java(-.*)?", path)} == set()
    assert set(seen["directories"]) >= {"/", "/dev", "/etc", "/usr", "/var"}


def test_what_has_nothing_of_the_host_is_empty(seen: dict[str, Any]) -> None:
    assert {path: names for path, names in seen["empty_directories"].items() if names} == {}


def test_made_up_files_are_the_same_on_every_host(seen: dict[str, Any]) -> None:
    assert seen["made_up_files"] == MADE_UP


def test_proc(seen: dict[str, Any]) -> None:
    names = {name for name, _ in seen["proc"]}
    assert names - PROC_OWN - PROC_KERNEL - PROC_LOAD - PROC_CLOSED == set()
    assert {name for name, readable in seen["proc"] if readable} & PROC_CLOSED == set()
    assert "meminfo" in names  # it was looked at


def _is_in_place(root: str, point: str, kind: str) -> bool:
    """Whether a mount's root, which is a path of the host, is told by its mount point already; or is none."""
    if root in ("/", "/mnt", "/null") or (kind == "proc" and root == "/sys"):
        return True
    return root.endswith(point) or (point.startswith("/dev/") and root == point.removeprefix("/dev"))


def test_mounts(seen: dict[str, Any]) -> None:
    told = {point for root, point, _, kind in seen["mounts"] if not _is_in_place(root, point, kind)}
    assert {point for point in told if not PATHS_TOLD.fullmatch(point)} == set()
    assert "/var/task" in told  # such paths are looked for where they are
    for _, point, options, _ in seen["mounts"]:
        assert "nosuid" in options, point
        assert "ro" in options or point in WRITABLE, point


def test_variables(arena: Any, seen: dict[str, Any]) -> None:
    variables = seen["variables"]
    assert set(variables) - VARIABLES == set()
    assert [name for name, value in variables.items() if str(arena.server.data_dir.parent) in value] == []


def test_names_of_the_host_are_not_told(seen: dict[str, Any]) -> None:
    node, domain, host_id = seen["names_of_the_host"]
    assert node == "localhost"
    assert domain == ""
    assert host_id in (0, 0x007F0100, 0x7F000001)  # what libc makes of 127.0.0.1
