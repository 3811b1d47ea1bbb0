"""Limits as files, and a server's directories in a tree of files that stands in for cgroup v2 (and v1)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.worker.sandbox.api import SandboxError, SandboxLimits
from lambent.worker.sandbox.linux.cgroup_hierarchies import Hierarchy
from lambent.worker.sandbox.linux.cgroups import Cgroups, cpu_files, instance_directory, limit_files

LIMITS = SandboxLimits(memory_bytes=128 << 20, cpus=0.5, tmp_bytes=1 << 20, processes=100)
ALL = frozenset({"memory", "cpu", "pids", "freezer"})


class V2Tree:
    """What the kernel would do on mkdir and rmdir, as far as needed: the directory's files come and go with it."""

    FILES = ("cgroup.subtree_control", "cgroup.procs", "cgroup.freeze", "memory.max", "memory.swap.max",
             "memory.oom.group", "pids.max", "cpu.max")  # fmt: skip

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real_mkdir, real_rmdir = Path.mkdir, Path.rmdir

        def mkdir(path: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
            real_mkdir(path, mode, parents, exist_ok)
            self.populate(path)

        def rmdir(path: Path) -> None:
            for file in path.iterdir() if path.exists() else ():
                if file.is_file():
                    file.unlink()
            real_rmdir(path)

        monkeypatch.setattr(Path, "mkdir", mkdir)
        monkeypatch.setattr(Path, "rmdir", rmdir)

    def populate(self, path: Path) -> None:
        for name in self.FILES:
            (path / name).touch()
        (path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
        (path / "memory.peak").write_text("7000000\n")
        (path / "memory.current").write_text("5000000\n")
        (path / "memory.events").write_text("low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\noom_group_kill 0\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "cgroup"
    root.mkdir()
    (root / "cgroup.subtree_control").touch()
    (root / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    return root


@pytest.fixture
def tree(monkeypatch: pytest.MonkeyPatch) -> V2Tree:
    return V2Tree(monkeypatch)


def v2(root: Path, own: Path | None = None) -> Cgroups:
    return Cgroups("an instance", [Hierarchy(2, root, own or root, ALL)])


def test_v1_limits() -> None:
    assert limit_files(1, ALL, LIMITS) == [
        ("memory.limit_in_bytes", "134217728", True),
        ("memory.memsw.limit_in_bytes", "134217728", False),
        ("memory.swappiness", "0", False),
        ("pids.max", "100", True),
    ]


def test_v2_limits() -> None:
    assert limit_files(2, ALL, LIMITS) == [
        ("memory.max", "134217728", True),
        ("memory.swap.max", "0", False),
        ("memory.oom.group", "1", False),
        ("pids.max", "100", True),
    ]


def test_only_the_limits_of_the_hierarchy() -> None:
    assert limit_files(1, frozenset({"cpu"}), LIMITS) == []
    assert [name for name, _, _ in limit_files(1, frozenset({"pids"}), LIMITS)] == ["pids.max"]


def test_cpu_share() -> None:
    assert cpu_files(1, 0.5) == [("cpu.cfs_period_us", "20000"), ("cpu.cfs_quota_us", "10000")]
    assert cpu_files(2, 1.79) == [("cpu.max", "35800 20000")]
    assert cpu_files(2, 0.01) == [("cpu.max", "1000 100000")]  # the kernel takes no quota below 1 ms


@given(st.floats(min_value=0.001, max_value=64))
def test_cpu_share_is_kept_within_what_the_kernel_takes(cpus: float) -> None:
    quota, period = map(int, cpu_files(2, cpus)[0][1].split())
    assert quota >= 1000
    assert 1000 <= period <= 1_000_000
    assert quota / period == pytest.approx(cpus, rel=0.03)


def test_instance_directories_differ() -> None:
    assert instance_directory("a") != instance_directory("b")
    assert instance_directory("a") == instance_directory("a")


async def test_v2_life(root: Path, tree: V2Tree, tmp_path: Path) -> None:
    cgroups = v2(root)
    cgroups.claim(noted_in=tmp_path / "noted")
    directory = root / cgroups.directory
    assert cgroups.uses == ALL
    assert (root / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert (directory / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    sandbox = cgroups.create("s1", LIMITS)
    place = directory / "s1"
    assert (place / "memory.max").read_text() == "134217728"
    assert (place / "pids.max").read_text() == "100"
    assert (place / "cpu.max").read_text() == ""
    sandbox.limit_cpu(0.5)
    assert (place / "cpu.max").read_text() == "10000 20000"
    sandbox.freeze()
    assert (place / "cgroup.freeze").read_text() == "1"
    sandbox.thaw()
    assert (place / "cgroup.freeze").read_text() == "0"
    assert not sandbox.thaw_after_kill
    assert (sandbox.memory_peak_bytes(), sandbox.memory_current_bytes(), sandbox.oom_kills()) == (7000000, 5000000, 2)
    await sandbox.remove()
    assert not place.exists()
    cgroups.close()
    assert not directory.exists()


def test_the_same_sandbox_twice_is_an_error(root: Path, tree: V2Tree, tmp_path: Path) -> None:
    cgroups = v2(root)
    cgroups.claim(noted_in=tmp_path / "noted")
    cgroups.create("s1", LIMITS)
    with pytest.raises(SandboxError, match="File exists"):
        cgroups.create("s1", LIMITS)
    assert (root / cgroups.directory / "s1").exists()


def test_claim_removes_what_the_same_instance_left_and_nothing_else(root: Path, tree: V2Tree, tmp_path: Path) -> None:
    (root / instance_directory("an instance")).mkdir()
    (root / instance_directory("an instance") / "old").mkdir()
    (root / instance_directory("another") / "kept").mkdir(parents=True)
    v2(root).claim(noted_in=tmp_path / "noted")
    assert not (root / instance_directory("an instance") / "old").exists()
    assert (root / instance_directory("another") / "kept").exists()


def test_claim_removes_what_was_noted_elsewhere(root: Path, tree: V2Tree, tmp_path: Path) -> None:
    elsewhere = root / "old.scope" / instance_directory("an instance")
    (elsewhere / "old").mkdir(parents=True)
    (root / "old.scope" / "somebody").mkdir()
    (tmp_path / "noted").write_text(f"{elsewhere}\n{root / 'old.scope' / 'somebody'}\n/etc\n")
    v2(root).claim(noted_in=tmp_path / "noted")
    assert not elsewhere.exists()
    assert (root / "old.scope" / "somebody").exists()
    assert (tmp_path / "noted").read_text() == f"{root / instance_directory('an instance')}\n"


def refuse_writing(monkeypatch: pytest.MonkeyPatch, refused: Path, until: Path | None = None) -> None:
    """Writing to `refused` fails as the kernel's does for a cgroup with processes in it; until `until` exists."""
    real = Path.write_text

    def write_text(path: Path, data: str, *args: object) -> int:
        if path == refused and not (until and until.exists()):
            raise OSError(16, "Device or resource busy")
        return real(path, data)

    monkeypatch.setattr(Path, "write_text", write_text)


def test_v2_alone_in_its_cgroup_it_moves_into_a_leaf_and_back(
    root: Path, tree: V2Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = root / "lambent.service"
    own.mkdir()
    (own / "cgroup.procs").write_text(f"{os.getpid()}\n")
    refuse_writing(monkeypatch, own / "cgroup.subtree_control", until=own / "lambent-server")
    cgroups = v2(root, own)
    cgroups.claim(noted_in=tmp_path / "noted")
    assert (own / "lambent-server" / "cgroup.procs").read_text() == str(os.getpid())
    assert cgroups.bases == (own,)
    assert cgroups.uses == ALL
    cgroups.close()
    assert (own / "cgroup.procs").read_text() == str(os.getpid())
    assert not (own / "lambent-server").exists()


def test_v2_sharing_its_cgroup_it_goes_below_the_root(
    root: Path, tree: V2Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = root / "session.scope"
    own.mkdir()
    (own / "cgroup.procs").write_text(f"{os.getpid()}\n1\n")
    refuse_writing(monkeypatch, own / "cgroup.subtree_control")
    cgroups = v2(root, own)
    cgroups.claim(noted_in=tmp_path / "noted")
    assert cgroups.bases == (root,)
    assert not (own / "lambent-server").exists()


def test_v2_with_a_controller_missing_in_its_cgroup_it_goes_below_the_root(
    root: Path, tree: V2Tree, tmp_path: Path
) -> None:
    """As systemd leaves it: sessions and services have memory and pids, and no cpu unless some unit asks for it."""
    own = root / "session.scope"
    own.mkdir()
    (own / "cgroup.controllers").write_text("memory pids\n")
    cgroups = v2(root, own)
    cgroups.claim(noted_in=tmp_path / "noted")
    assert (cgroups.bases, cgroups.uses) == ((root,), ALL)


def test_v2_with_a_controller_missing_and_no_right_to_the_root_it_has_what_its_cgroup_has(
    root: Path, tree: V2Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = root / "user.scope"
    own.mkdir()
    (own / "cgroup.controllers").write_text("memory pids\n")
    refuse_writing(monkeypatch, root / "cgroup.subtree_control")
    cgroups = v2(root, own)
    cgroups.claim(noted_in=tmp_path / "noted")
    assert (cgroups.bases, cgroups.uses) == ((own,), ALL - {"cpu"})
    assert (own / "cgroup.subtree_control").read_text() == "+memory +pids"


def test_v2_in_a_container_everything_that_is_to_be_seen_moves_into_a_leaf_and_back(
    root: Path, tree: V2Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.populate(root)
    (root / "cgroup.procs").write_text("1\n17\n0\n")
    moved: list[tuple[str, str]] = []
    refuse_writing(monkeypatch, root / "cgroup.subtree_control", until=root / "lambent-server")
    real = Path.write_text

    def write_text(path: Path, data: str, *args: object) -> int:
        if path.name == "cgroup.procs":
            moved.append((path.parent.name, data))
        return real(path, data)

    monkeypatch.setattr(Path, "write_text", write_text)
    cgroups = v2(root)
    cgroups.claim(noted_in=tmp_path / "noted")
    assert cgroups.uses == ALL
    assert moved == [("lambent-server", "1"), ("lambent-server", "17")]
    cgroups.close()
    assert not (root / "lambent-server").exists()


def test_v2_without_controllers_only_freezes(
    root: Path, tree: V2Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_writing(monkeypatch, root / "cgroup.subtree_control")
    own = root / "session.scope"
    own.mkdir()
    (own / "cgroup.subtree_control").unlink()
    (own / "cgroup.procs").write_text("1\n")
    refuse_writing(monkeypatch, own / "cgroup.subtree_control")
    cgroups = v2(root, own)
    cgroups.claim(noted_in=tmp_path / "noted")
    assert cgroups.uses == {"freezer"}


def test_what_cannot_be_removed_is_an_error(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / instance_directory("an instance")).mkdir()
    monkeypatch.setattr("lambent.worker.sandbox.linux.cgroups._REMOVE_ATTEMPTS", 2)
    monkeypatch.setattr(Path, "rmdir", lambda path: (_ for _ in ()).throw(OSError(16, "Device or resource busy")))
    with pytest.raises(SandboxError, match="stays busy"):
        Cgroups("an instance", [Hierarchy(1, root, root, ALL)]).claim(noted_in=tmp_path / "noted")


async def test_v1_frozen_is_thawed_to_die(root: Path, tmp_path: Path) -> None:
    cgroups = Cgroups("an instance", [Hierarchy(1, root, root, frozenset({"freezer"}))])
    cgroups.claim(noted_in=tmp_path / "noted")
    sandbox = cgroups.create("s1", LIMITS)
    state = root / cgroups.directory / "s1" / "freezer.state"
    state.write_text("THAWED")  # the kernel makes the file with the directory
    sandbox.freeze()
    assert state.read_text() == "FROZEN"
    assert sandbox.thaw_after_kill
    sandbox.thaw()
    assert state.read_text() == "THAWED"
    state.unlink()
    sandbox.freeze()  # it ended meanwhile


async def test_v1_a_share_beyond_what_the_cgroup_above_has_is_left_to_that(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cgroups = Cgroups("an instance", [Hierarchy(1, root, root, frozenset({"cpu"}))])
    cgroups.claim(noted_in=tmp_path / "noted")
    sandbox = cgroups.create("s1", LIMITS)
    sandbox.limit_cpu(0.5)
    quota = root / cgroups.directory / "s1" / "cpu.cfs_quota_us"
    assert quota.read_text() == "10000"
    real = Path.write_text

    def write_text(path: Path, data: str, *args: object) -> int:
        if path == quota:
            raise OSError(22, "Invalid argument")
        return real(path, data)

    monkeypatch.setattr(Path, "write_text", write_text)
    sandbox.limit_cpu(4.0)
    assert quota.read_text() == "10000"


async def test_without_cgroups_nothing_is_limited_or_measured(tmp_path: Path) -> None:
    cgroups = Cgroups("an instance", [])
    cgroups.claim(noted_in=tmp_path / "noted")
    sandbox = cgroups.create("s1", LIMITS)
    sandbox.limit_cpu(0.1)
    sandbox.freeze()
    assert (sandbox.memory_peak_bytes(), sandbox.oom_kills(), cgroups.uses) == (0, 0, frozenset())
    await sandbox.remove()
    cgroups.close()
