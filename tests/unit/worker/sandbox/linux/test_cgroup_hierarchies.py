"""Finding the cgroup hierarchies of hosts of all kinds."""

from __future__ import annotations

from pathlib import Path

from lambent.worker.sandbox.linux.cgroup_hierarchies import find_hierarchies

V1 = """\
25 30 0:23 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755
30 25 0:26 / /sys/fs/cgroup/systemd rw shared:11 - cgroup cgroup rw,xattr,name=systemd
31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:12 - cgroup cgroup rw,cpu,cpuacct
32 25 0:28 / /sys/fs/cgroup/memory rw shared:13 - cgroup cgroup rw,memory
33 25 0:29 / /sys/fs/cgroup/pids rw shared:14 - cgroup cgroup rw,pids
34 25 0:30 / /sys/fs/cgroup/freezer rw shared:15 - cgroup cgroup rw,freezer
"""
V1_MEMBERSHIP = """\
12:cpu,cpuacct:/user.slice
11:memory:/user.slice/session-1.scope
10:pids:/user.slice
9:freezer:/
1:name=systemd:/user.slice
"""


def by_use(mountinfo: str, membership: str) -> dict[str, tuple[int, str]]:
    return {use: (h.version, str(h.own)) for h in find_hierarchies(mountinfo, membership) for use in h.uses}


def test_v1() -> None:
    assert by_use(V1, V1_MEMBERSHIP) == {
        "cpu": (1, "/sys/fs/cgroup/cpu,cpuacct/user.slice"),
        "memory": (1, "/sys/fs/cgroup/memory/user.slice/session-1.scope"),
        "pids": (1, "/sys/fs/cgroup/pids/user.slice"),
        "freezer": (1, "/sys/fs/cgroup/freezer"),
    }


def test_v2(tmp_path: Path) -> None:
    own = tmp_path / "system.slice" / "lambent.service"
    own.mkdir(parents=True)
    (own / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    mountinfo = f"30 24 0:26 / {tmp_path} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
    assert by_use(mountinfo, "0::/system.slice/lambent.service\n") == {
        use: (2, str(own)) for use in ("cpu", "memory", "pids", "freezer")
    }


def test_hybrid_takes_controllers_from_v1_and_the_freezer_from_v2(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("hugetlb\n")
    mountinfo = V1 + f"35 25 0:31 / {tmp_path} rw shared:5 - cgroup2 cgroup2 rw\n"
    uses = by_use(mountinfo, V1_MEMBERSHIP + "0::/\n")
    assert uses["freezer"] == (2, str(tmp_path))
    assert {use: version for use, (version, _) in uses.items()} == {"cpu": 1, "memory": 1, "pids": 1, "freezer": 2}
    assert "/sys/fs/cgroup/freezer" not in {str(h.own) for h in find_hierarchies(mountinfo, V1_MEMBERSHIP + "0::/\n")}


def test_in_a_container_paths_are_relative_to_the_mounts_root() -> None:
    mountinfo = "40 30 0:28 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
    assert by_use(mountinfo, "5:memory:/docker/abc\n") == {"memory": (1, "/sys/fs/cgroup/memory")}
    assert by_use(mountinfo, "5:memory:/docker/abc/below\n") == {"memory": (1, "/sys/fs/cgroup/memory/below")}


def test_outside_of_the_cgroup_namespace_the_mount_point_is_used() -> None:
    mountinfo = "40 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    assert by_use(mountinfo, "5:memory:/../other\n") == {"memory": (1, "/sys/fs/cgroup/memory")}


def test_mount_points_with_spaces() -> None:
    assert by_use("40 30 0:28 / /odd\\040place rw - cgroup cgroup rw,pids\n", "5:pids:/\n") == {
        "pids": (1, "/odd place")
    }


def test_no_cgroups() -> None:
    assert find_hierarchies("1 1 0:1 / / rw - ext4 /dev/vda rw\n", "") == ()


def test_a_hierarchy_mounted_twice_is_used_once() -> None:
    twice = V1 + "50 25 0:28 / /elsewhere/memory rw shared:13 - cgroup cgroup rw,memory\n"
    assert by_use(twice, V1_MEMBERSHIP)["memory"] == (1, "/sys/fs/cgroup/memory/user.slice/session-1.scope")


def test_v2_controllers_of_the_root_count_for_who_may_take_them(tmp_path: Path) -> None:
    own = tmp_path / "session.scope"
    own.mkdir()
    (own / "cgroup.controllers").write_text("memory pids\n")
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    mountinfo = f"40 30 0:28 / {tmp_path} rw - cgroup2 cgroup2 rw\n"
    assert set(by_use(mountinfo, "0::/session.scope\n")) == {"memory", "pids", "freezer"}
    (tmp_path / "cgroup.subtree_control").touch()
    assert set(by_use(mountinfo, "0::/session.scope\n")) == {"cpu", "memory", "pids", "freezer"}
