"""Verdicts on hosts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lambent.worker.sandbox.linux.cgroup_hierarchies import Hierarchy
from lambent.worker.sandbox.linux.probe import Host, judge

OWN = Path("/sys/fs/cgroup/lambent.service")
GOOD = Host(
    kernel="6.1.0-18-amd64",
    machine="x86_64",
    capabilities=0x1FFFFFFFFFF,
    namespaces=frozenset({"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"}),
    max_user_namespaces=63000,
    seccomp=True,
    hierarchies=(Hierarchy(2, Path("/sys/fs/cgroup"), OWN, frozenset({"memory", "cpu", "pids", "freezer"})),),
    writable=frozenset({OWN}),
)


def test_a_good_host() -> None:
    report = judge(GOOD)
    assert report.usable
    assert all(guarantee.holds and guarantee.how for guarantee in report.guarantees)
    assert "cgroup v2 memory" in {guarantee.how for guarantee in report.guarantees}


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        (replace(GOOD, kernel="5.4.0-42-generic"), "too old"),
        (replace(GOOD, kernel="5.10.0"), "5.12 or newer"),
        (replace(GOOD, machine="riscv64"), "riscv64"),
        (replace(GOOD, capabilities=0), "sudo"),
        (replace(GOOD, capabilities=GOOD.capabilities & ~(1 << 21)), "CAP_SYS_ADMIN: run"),
        (replace(GOOD, namespaces=frozenset({"mnt", "pid"})), "no namespaces of kind cgroup, ipc, net, user, uts"),
        (replace(GOOD, max_user_namespaces=0), "sysctl -w user.max_user_namespaces"),
        (replace(GOOD, seccomp=False), "seccomp"),
    ],
)
def test_unusable_hosts_are_told_why(host: Host, reason: str) -> None:
    report = judge(host)
    assert not report.usable
    assert reason in report.reason


def test_missing_limits_are_listed_with_what_would_help() -> None:
    limits = {guarantee.name: guarantee for guarantee in judge(replace(GOOD, hierarchies=())).guarantees}
    assert not limits["memory limit"].holds
    assert "mount -t cgroup2" in limits["memory limit"].how
    assert limits["process limit"].holds
    assert "RLIMIT_NPROC" in limits["process limit"].how


def test_cgroups_that_cannot_be_written_do_not_hold() -> None:
    limits = {guarantee.name: guarantee for guarantee in judge(replace(GOOD, writable=frozenset())).guarantees}
    assert not limits["CPU limit"].holds
    assert str(OWN) in limits["CPU limit"].how
