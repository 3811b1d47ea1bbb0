"""Changing what others change at the same time: nobody's change is lost."""

from __future__ import annotations

import pytest

from lambent.iam.changes import change_record
from lambent.model.errors import ServiceError
from lambent.store.api import POLICIES, Change, Put, Record
from lambent.store.memory import MemoryStore


async def test_a_change_that_came_in_between_is_kept() -> None:
    store = MemoryStore()
    await store.commit([Put(POLICIES, "k", {"by": []})])
    reads = 0

    async def read() -> Record:
        nonlocal reads
        reads += 1
        record = await store.get(POLICIES, "k")
        assert record is not None
        if reads == 1:
            await store.commit([Put(POLICIES, "k", {"by": ["others"]})])
        return record

    def change(record: Record) -> tuple[int, Change]:
        return reads, Put(POLICIES, record.key, {"by": [*record.value["by"], "us"]}, expect=record.revision)

    assert await change_record(store, read, change, "It") == 2
    record = await store.get(POLICIES, "k")
    assert record is not None
    assert record.value == {"by": ["others", "us"]}


async def test_who_always_comes_too_late_is_told_so() -> None:
    store = MemoryStore()

    async def read() -> Record:
        await store.commit([Put(POLICIES, "k", {})])
        record = await store.get(POLICIES, "k")
        assert record is not None
        await store.commit([Put(POLICIES, "k", {"by": "others"})])
        return record

    def change(record: Record) -> tuple[None, Change]:
        return None, Put(POLICIES, record.key, {"by": "us"}, expect=record.revision)

    with pytest.raises(ServiceError, match="It was changed by many requests at once") as refused:
        await change_record(store, read, change, "It")
    assert (refused.value.code, refused.value.status) == ("ConcurrentModification", 409)
    record = await store.get(POLICIES, "k")
    assert record is not None
    assert record.value == {"by": "others"}
