"""A full disk: the commit is refused whole, reads go on, and commits work again once there is room."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

from lambent.store.api import FUNCTIONS, ROLES, Put, StoreFullError
from lambent.store.sqlite import SqliteStore

pytestmark = pytest.mark.root


def _fill(ballast: Path) -> None:
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    assert os.statvfs(ballast).f_bfree == 0


async def _commit_until_full(store: SqliteStore) -> None:
    for i in range(200):  # 0.6 MB: what the log's last page had left is soon used
        await store.commit([Put(FUNCTIONS, f"small{i}", {"v": "x" * 3000}), Put(ROLES, f"small{i}", {})])


async def test_a_full_disk_and_its_recovery(tiny_filesystem: Path) -> None:
    store = await SqliteStore.open(tiny_filesystem / "store.db")
    await store.commit([Put(FUNCTIONS, "kept", {"v": 1})])
    ballast = tiny_filesystem / "ballast"
    _fill(ballast)
    with pytest.raises(StoreFullError, match="full"):
        await _commit_until_full(store)
    before = await store.scan(FUNCTIONS, "")
    with pytest.raises(StoreFullError):
        await store.commit([Put(FUNCTIONS, "kept", {"v": 2}), Put(FUNCTIONS, "large", {"v": "x" * 20_000})])
    assert await store.scan(FUNCTIONS, "") == before
    assert len(before) == len(await store.scan(ROLES, "")) + 1
    ballast.unlink()
    await store.commit([Put(FUNCTIONS, "kept", {"v": 3})])
    await store.close()

    store = await SqliteStore.open(tiny_filesystem / "store.db")
    record = await store.get(FUNCTIONS, "kept")
    assert record is not None
    assert record.value == {"v": 3}
    assert await store.get(FUNCTIONS, "large") is None
    await store.close()


async def test_a_commit_too_large_does_not_fail_its_companions(tiny_filesystem: Path) -> None:
    store = await SqliteStore.open(tiny_filesystem / "store.db")
    sizes = [100, 100, 2_000_000, 100, 3_000_000, 100]
    commits = [store.commit([Put(FUNCTIONS, f"{i}", {"v": "x" * size})]) for i, size in enumerate(sizes)]
    outcomes = await asyncio.gather(*commits, return_exceptions=True)
    assert [isinstance(outcome, StoreFullError) for outcome in outcomes] == [size > 100 for size in sizes]
    assert [record.key for record in await store.scan(FUNCTIONS, "")] == ["0", "1", "3", "5"]
    await store.close()


async def test_opening_on_a_full_disk_says_so(tiny_filesystem: Path) -> None:
    ballast = tiny_filesystem / "ballast"
    _fill(ballast)
    with pytest.raises(StoreFullError, match="full"):
        await SqliteStore.open(tiny_filesystem / "store.db")
    ballast.unlink()
    store = await SqliteStore.open(tiny_filesystem / "store.db")
    await store.commit([Put(FUNCTIONS, "a", {})])
    await store.close()
