"""A full disk: a clear error, nothing left, and the same package can be added once there is room."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lambent.packaging.code_store import CodeStorageFullError, CodeStore

pytestmark = pytest.mark.root


@pytest.fixture
def tiny_filesystem(tmp_path: Path) -> Iterator[Path]:
    """A directory that holds 1 MiB. Needs root."""
    directory = tmp_path / "tiny"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=60", "tmpfs", str(directory)], check=True)
    yield directory
    subprocess.run(["umount", str(directory)], check=True)


def _zip(*sizes: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for i, size in enumerate(sizes):
            archive.writestr(f"{i}", os.urandom(size))
    return made.getvalue()


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.parent != root]


async def test_a_full_disk_and_its_recovery(tiny_filesystem: Path) -> None:
    root = tiny_filesystem / "code"
    store = CodeStore(root, pending_grace_s=0)
    await store.start()
    sizes = {
        "the tree does not fit": _zip(800_000, 800_000),
        "the archive does not fit beside it": _zip(400_000, 200_000),
        "too many files": _zip(*[10] * 100),
    }
    for archive in sizes.values():
        with pytest.raises(CodeStorageFullError, match="No space left"):
            await store.add_zip(archive)
        assert _files(root) == []

    first, second = _zip(300_000), _zip(310_000)
    stored = await store.add_zip(first)
    with pytest.raises(CodeStorageFullError):
        await store.add_zip(second)
    assert (store.tree(stored.digest) / "0").stat().st_size == 300_000
    assert await store.collect([]) == [stored.digest]
    again = await store.add_zip(second)
    assert (store.tree(again.digest) / "0").stat().st_size == 310_000
    await store.close()


async def test_a_full_disk_does_not_cost_the_archive_of_a_package_in_use(tiny_filesystem: Path) -> None:
    root = tiny_filesystem / "code"
    archive = _zip(300_000)
    store = CodeStore(root)
    await store.start()
    stored = await store.add_zip(archive)
    shutil.rmtree(store.tree(stored.digest))
    (tiny_filesystem / "ballast").write_bytes(bytes(650_000))
    with pytest.raises(CodeStorageFullError):
        await store.add_zip(archive)
    assert store.archive(stored.digest).read_bytes() == archive


async def test_a_tree_that_cannot_be_made_again_does_not_keep_the_store_from_starting(
    tiny_filesystem: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tiny_filesystem / "code"
    store = CodeStore(root)
    await store.start()
    stored = await store.add_zip(_zip(300_000))
    ballast = tiny_filesystem / "ballast"
    ballast.write_bytes(bytes(350_000))
    again = CodeStore(root)
    await again.start()
    assert not again.tree(stored.digest).exists()
    assert "cannot be unpacked" in caplog.text
    ballast.unlink()
    once_more = CodeStore(root)
    await once_more.start()
    assert (once_more.tree(stored.digest) / "0").stat().st_size == 300_000
    await once_more.close()
