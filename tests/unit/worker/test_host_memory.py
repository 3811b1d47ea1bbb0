"""What is left of memory, by the host and by the cgroups the server runs in."""

from __future__ import annotations

from pathlib import Path

import pytest

from lambent.worker.host_memory import Level, available_mb, for_all_environments, own_levels

MIB = 1 << 20
NO_LIMIT = {1: "9223372036854771712\n", 2: "max\n"}
NAMES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    file = tmp_path / "meminfo"
    file.write_text(f"MemTotal: {16 * 1024 * 1024} kB\nMemFree: 1024 kB\nMemAvailable: {8 * 1024 * 1024} kB\n")
    return file


def level(directory: Path, version: int, limit: int | None, usage: int = 0, inactive: int = 0) -> Level:
    directory.mkdir()
    limit_file, usage_file, field = NAMES[version]
    (directory / limit_file).write_text(NO_LIMIT[version] if limit is None else f"{limit}\n")
    (directory / usage_file).write_text(f"{usage}\n")
    (directory / "memory.stat").write_text(f"anon 5\nactive_file 7\n{field} {inactive}\nslab 3\n")
    return Level(version, directory)


def test_without_cgroups_the_host_decides(meminfo: Path) -> None:
    assert available_mb((), meminfo) == 8 * 1024


@pytest.mark.parametrize("version", [1, 2])
def test_the_tightest_limit_above_decides(version: int, meminfo: Path, tmp_path: Path) -> None:
    levels = [
        level(tmp_path / "own", version, None, usage=900 * MIB),
        level(tmp_path / "container", version, 512 * MIB, usage=400 * MIB, inactive=50 * MIB),
        level(tmp_path / "root", version, 4096 * MIB, usage=500 * MIB),
    ]
    assert available_mb(levels, meminfo) == 162


@pytest.mark.parametrize("version", [1, 2])
def test_limits_that_are_no_limits(version: int, meminfo: Path, tmp_path: Path) -> None:
    gone = Level(version, tmp_path / "gone")
    assert available_mb([level(tmp_path / "own", version, None, usage=900 * MIB), gone], meminfo) == 8 * 1024


def test_it_is_never_negative(meminfo: Path, tmp_path: Path) -> None:
    assert available_mb([level(tmp_path / "own", 2, 100 * MIB, usage=150 * MIB)], meminfo) == 0


def test_no_word_of_available_memory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 5 kB\n")
    with pytest.raises(OSError, match="does not say"):
        available_mb((), tmp_path / "meminfo")


def test_all_environments_together_leave_something_to_the_host(meminfo: Path, tmp_path: Path) -> None:
    assert for_all_environments((), meminfo) == 16 * 1024 * MIB * 19 // 20 + 1
    container = level(tmp_path / "container", 1, 1024 * MIB, usage=900 * MIB)
    assert for_all_environments([container], meminfo) == 768 * MIB


def test_this_host() -> None:
    levels = own_levels()
    assert all(levels[0].directory.is_relative_to(level.directory) for level in levels)
    assert available_mb(levels) > 0
