"""`zip_directory`: deterministic, complete, and unpacked by our own `CodeStore` to the same tree."""

from __future__ import annotations

import os
import stat
import time
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from lambent.packaging.build import BuildError, zip_directory
from lambent.packaging.code_store import CodeStore


def _names(archive: bytes) -> list[str]:
    return zipfile.ZipFile(BytesIO(archive)).namelist()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "pkg").mkdir(parents=True)
    (root / "pkg" / "mod.py").write_text("x = 1\n")
    (root / "app.py").write_text("def handler(event, context): return 1\n")
    (root / "run").write_text("#!/bin/sh\n")
    (root / "run").chmod(0o700)
    (root / "empty").mkdir()
    return root


def test_the_same_files_make_the_same_bytes(project: Path, tmp_path: Path) -> None:
    first = zip_directory(project)
    other = tmp_path / "elsewhere"
    (other / "empty").mkdir(parents=True)
    (other / "pkg").mkdir()
    for name, mode in (("run", 0o555), ("pkg/mod.py", 0o600), ("app.py", 0o664)):
        (other / name).write_bytes((project / name).read_bytes())
        (other / name).chmod(mode)
        os.utime(other / name, (time.time() + 5000, 1))
    assert zip_directory(other) == first
    assert _names(first) == ["app.py", "empty/", "pkg/", "pkg/mod.py", "run"]


async def test_modes_and_content_arrive(project: Path, tmp_path: Path) -> None:
    (project / "link").symlink_to("pkg/mod.py")
    (project / "pkg" / "up").symlink_to(project / "app.py")  # absolute, but inside
    (project / "data").write_bytes(os.urandom(100_000))
    store = CodeStore(tmp_path / "code")
    await store.start()
    tree = store.tree((await store.add_zip(zip_directory(project))).digest)
    modes = {str(path.relative_to(tree)): oct(stat.S_IMODE(path.stat().st_mode)) for path in tree.rglob("*")}
    assert modes == {
        "app.py": "0o644", "run": "0o755", "empty": "0o755", "pkg": "0o755", "pkg/mod.py": "0o644", "link": "0o644",
        "pkg/up": "0o644", "data": "0o644",
    }  # fmt: skip
    assert (tree / "link").readlink() == Path("pkg/mod.py")
    assert (tree / "pkg" / "up").readlink() == Path("../app.py")
    assert (tree / "data").read_bytes() == (project / "data").read_bytes()


def test_what_no_function_needs_is_left_out(project: Path) -> None:
    for skipped in (
        ".git/config", ".venv/bin/python", "__pycache__/app.pyc", "pkg/__pycache__/mod.pyc", ".DS_Store",
        "node_modules/.cache/x", "sub/node_modules/.cache/x", ".mypy_cache/x",
    ):  # fmt: skip
        (project / skipped).parent.mkdir(parents=True, exist_ok=True)
        (project / skipped).write_text("x")
    (project / "node_modules" / "dep").mkdir()
    (project / "node_modules" / "dep" / "index.js").write_text("x")
    (project / ".env").write_text("x")
    (project / ".cache").write_text("x")
    assert _names(zip_directory(project)) == [
        ".cache", ".env", "app.py", "empty/", "node_modules/", "node_modules/dep/", "node_modules/dep/index.js", "pkg/",
        "pkg/mod.py", "run", "sub/", "sub/node_modules/",
    ]  # fmt: skip


def test_links_that_lead_outside_are_followed(project: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "lib.py").write_text("shared")
    (shared / "alias.py").symlink_to("lib.py")
    (project / "shared").symlink_to(shared)
    (project / "lib.py").symlink_to("../shared/lib.py")
    with zipfile.ZipFile(BytesIO(zip_directory(project))) as archive:
        for name in ("shared/lib.py", "shared/alias.py", "lib.py"):
            assert archive.read(name) == b"shared"
            assert stat.S_ISREG(archive.getinfo(name).external_attr >> 16)


def test_what_cannot_be_packaged_is_named(project: Path, tmp_path: Path) -> None:
    def fails(words: str) -> None:
        with pytest.raises(BuildError, match=words):
            zip_directory(project)

    (project / "odd").symlink_to("nowhere")
    fails("odd is a symbolic link to nothing")
    (project / "odd").unlink()
    (project / "odd").symlink_to("odd")
    fails("odd is a symbolic link to nothing")
    (project / "odd").unlink()
    (project / "odd").symlink_to(tmp_path)
    fails("leads back")
    (project / "odd").unlink()
    os.mkfifo(project / "odd")
    fails("odd is a device, pipe or socket")
    (project / "odd").unlink()
    (project / os.fsdecode(b"\xff")).touch()
    fails("not UTF-8")
    with pytest.raises(BuildError, match="not a directory"):
        zip_directory(project / "app.py")
    with pytest.raises(BuildError, match="holds no files"):
        zip_directory(project / "empty")


def test_sizes_are_checked_before_anything_is_read(project: Path) -> None:
    with (project / "large").open("wb") as file:
        file.truncate(262_144_001)
    with pytest.raises(BuildError, match="Unzipped size must be smaller than 262144000 bytes"):
        zip_directory(project)


def test_a_package_too_large_when_zipped(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lambent.packaging.build.ZIPPED_DIRECT_MAX_BYTES", 1_000_000)
    (project / "noise").write_bytes(os.urandom(1_000_000))
    with pytest.raises(BuildError, match="Zipped size must be smaller than 1000000 bytes"):
        zip_directory(project)
