"""The contract of `lambent.store.api`, over every implementation."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from lambent.store.api import FUNCTIONS, ROLES, ConflictError, Delete, Expect, Put, Store
from lambent.store.errors import StoreClosedError


async def _keys(store: Store, prefix: str = "", **options: Any) -> list[str]:
    return [record.key for record in await store.scan(FUNCTIONS, prefix, **options)]


async def test_an_absent_document_is_none(store: Store) -> None:
    assert await store.get(FUNCTIONS, "a") is None


async def test_what_was_put_is_read_back(store: Store) -> None:
    value = {"text": "Grüße \U0001f389 \x00", "n": -(2**63), "f": 0.1, "none": None, "list": [1, [True, {}]]}
    await store.commit([Put(FUNCTIONS, "a", value)])
    record = await store.get(FUNCTIONS, "a")
    assert record is not None
    assert record.value == value
    assert record.key == "a"
    assert record.revision >= 1


async def test_tables_are_apart(store: Store) -> None:
    await store.commit([Put(FUNCTIONS, "a", {"in": "functions"})])
    assert await store.get(ROLES, "a") is None
    assert await store.scan(ROLES, "") == []


async def test_revisions_grow_even_over_a_deletion(store: Store) -> None:
    seen = []
    for _ in range(3):
        await store.commit([Put(FUNCTIONS, "a", {})])
        record = await store.get(FUNCTIONS, "a")
        assert record is not None
        seen.append(record.revision)
        await store.commit([Delete(FUNCTIONS, "a")])
    assert seen == sorted(set(seen))


async def test_the_values_returned_and_given_are_copies(store: Store) -> None:
    given: dict[str, Any] = {"list": [1]}
    committing = asyncio.create_task(store.commit([Put(FUNCTIONS, "a", given)]))
    await asyncio.sleep(0)
    given["list"].append(2)
    await committing
    first = await store.get(FUNCTIONS, "a")
    assert first is not None
    assert first.value == {"list": [1]}
    first.value["list"].append(3)
    second = await store.get(FUNCTIONS, "a")
    assert second is not None
    assert second.value == {"list": [1]}


async def test_delete_removes_and_tolerates_absence(store: Store) -> None:
    await store.commit([Put(FUNCTIONS, "a", {})])
    await store.commit([Delete(FUNCTIONS, "a")])
    await store.commit([Delete(FUNCTIONS, "a")])
    assert await store.get(FUNCTIONS, "a") is None


async def test_preconditions_that_hold(store: Store) -> None:
    await store.commit([Put(FUNCTIONS, "a", {"v": 1}, expect=0), Expect(FUNCTIONS, "b", 0)])
    record = await store.get(FUNCTIONS, "a")
    assert record is not None
    await store.commit([Expect(FUNCTIONS, "a", record.revision), Put(FUNCTIONS, "a", {"v": 2}, expect=record.revision)])
    record = await store.get(FUNCTIONS, "a")
    assert record is not None
    await store.commit([Delete(FUNCTIONS, "a", expect=record.revision)])
    assert await store.get(FUNCTIONS, "a") is None


@pytest.mark.parametrize(
    "failing",
    [
        Put(FUNCTIONS, "there", {"v": 2}, expect=0),
        Put(FUNCTIONS, "there", {"v": 2}, expect=999),
        Put(FUNCTIONS, "absent", {"v": 2}, expect=1),
        Delete(FUNCTIONS, "there", expect=0),
        Delete(FUNCTIONS, "absent", expect=1),
        Expect(FUNCTIONS, "there", 0),
        Expect(FUNCTIONS, "absent", 1),
    ],
)
@pytest.mark.parametrize("first", [True, False])
async def test_a_conflict_leaves_everything_as_it_was(
    store: Store, failing: Put | Delete | Expect, *, first: bool
) -> None:
    await store.commit([Put(FUNCTIONS, "there", {"v": 1})])
    before = await store.scan(FUNCTIONS, "")
    other = Put(FUNCTIONS, "other", {})
    with pytest.raises(ConflictError, match="revision"):
        await store.commit([failing, other] if first else [other, failing])
    assert await store.scan(FUNCTIONS, "") == before


async def test_preconditions_refer_to_the_state_before_the_commit(store: Store) -> None:
    await store.commit([Put(FUNCTIONS, "a", {"v": 1}), Put(FUNCTIONS, "a", {"v": 2}, expect=0)])
    record = await store.get(FUNCTIONS, "a")
    assert record is not None
    assert record.value == {"v": 2}


async def test_concurrent_commits_are_judged_each_for_itself(store: Store) -> None:
    async def create(owner: int, key: str) -> bool:
        try:
            await store.commit([Put(FUNCTIONS, key, {"owner": owner}, expect=0), Put(ROLES, f"{owner}", {"won": key})])
        except ConflictError:
            return False
        return True

    outcomes = await asyncio.gather(*(create(i, f"key{i % 20}") for i in range(600)))
    assert sum(outcomes) == 20
    winners = {record.value["owner"] for record in await store.scan(FUNCTIONS, "")}
    assert winners == {i for i, won in enumerate(outcomes) if won}
    assert {int(record.key) for record in await store.scan(ROLES, "")} == winners


async def test_a_counter_under_contention_loses_nothing(store: Store) -> None:
    await store.commit([Put(FUNCTIONS, "n", {"n": 0})])

    async def add_one() -> None:
        while True:
            record = await store.get(FUNCTIONS, "n")
            assert record is not None
            with contextlib.suppress(ConflictError):
                await store.commit([Put(FUNCTIONS, "n", {"n": record.value["n"] + 1}, expect=record.revision)])
                return

    await asyncio.gather(*(add_one() for _ in range(30)))
    record = await store.get(FUNCTIONS, "n")
    assert record is not None
    assert record.value == {"n": 30}


async def test_scan_is_exact_ordered_and_paged(store: Store) -> None:
    # Order of code points is not the order of UTF-16 units: U+E000 comes before U+1F389.
    ordered = [
        "", "\x00", "a", "a\x00", "a\x00b", "a/", "a/b", "a/b\U0010ffff", "a/b\U0010ffff\U0010ffffz", "a/c", "a0", "aé",
        "b", "\ud7ff", "\ud7ffx", "\ue000", "\uffff", "\U0001f389", "\U0010ffff", "\U0010ffffa",
    ]  # fmt: skip
    await store.commit([Put(FUNCTIONS, key, {"key": key}) for key in reversed(ordered)])
    assert await _keys(store) == ordered
    for prefix in [*ordered, "a/b/", "a/b\U0010ffff\U0010ffff", "z"]:
        assert await _keys(store, prefix) == [key for key in ordered if key.startswith(prefix)]
    assert await _keys(store, "a/", after="a/b") == ["a/b\U0010ffff", "a/b\U0010ffff\U0010ffffz", "a/c"]
    assert await _keys(store, "a/", after="a", limit=1) == ["a/"]
    assert await _keys(store, "a/", after="b") == []
    assert await _keys(store, "", after="") == ordered[1:]
    assert await _keys(store, "", limit=0) == []
    pages: list[str] = [""]
    while page := await _keys(store, "", after=pages[-1], limit=3):
        assert len(page) <= 3
        pages += page
    assert pages == ordered


async def test_wildcards_of_sql_are_plain_characters(store: Store) -> None:
    await store.commit([Put(FUNCTIONS, key, {}) for key in ("a%b", "a_b", "axb", "A_b", "a*b", "a'b")])
    assert await _keys(store, "a_") == ["a_b"]
    assert await _keys(store, "a%") == ["a%b"]
    assert await _keys(store, "a'") == ["a'b"]


async def test_watchers_hear_of_changes_before_commit_returns(store: Store) -> None:
    heard: list[str] = []
    end = store.watch(FUNCTIONS, heard.append)
    await store.commit([Put(FUNCTIONS, "a", {}), Put(FUNCTIONS, "b", {}), Put(ROLES, "r", {})])
    assert heard == ["a", "b"]
    await store.commit([Put(FUNCTIONS, "a", {}), Put(FUNCTIONS, "a", {}), Expect(FUNCTIONS, "c", 0)])
    assert heard == ["a", "b", "a"]
    await store.commit([Delete(FUNCTIONS, "b"), Delete(FUNCTIONS, "never there")])
    assert heard == ["a", "b", "a", "b"]
    with pytest.raises(ConflictError):
        await store.commit([Put(FUNCTIONS, "a", {}, expect=0)])
    assert heard == ["a", "b", "a", "b"]
    end()
    end()
    await store.commit([Put(FUNCTIONS, "a", {})])
    assert heard == ["a", "b", "a", "b"]


async def test_two_watchers_are_ended_one_by_one(store: Store) -> None:
    heard: list[str] = []
    first = store.watch(FUNCTIONS, heard.append)
    store.watch(FUNCTIONS, heard.append)
    await store.commit([Put(FUNCTIONS, "a", {})])
    first()
    await store.commit([Put(FUNCTIONS, "b", {})])
    assert heard == ["a", "a", "b"]


async def test_a_watcher_that_raises_harms_no_commit(store: Store) -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    heard: list[str] = []

    def broken(key: str) -> None:
        raise LookupError(key)

    store.watch(FUNCTIONS, broken)
    store.watch(FUNCTIONS, heard.append)
    await store.commit([Put(FUNCTIONS, "a", {})])
    assert heard == ["a"]
    assert [type(context["exception"]) for context in reported] == [LookupError]


async def test_a_watcher_may_read_what_changed(store: Store) -> None:
    seen: list[Any] = []
    reads: list[asyncio.Task[None]] = []

    async def read(key: str) -> None:
        record = await store.get(FUNCTIONS, key)
        seen.append(record and record.value)

    store.watch(FUNCTIONS, lambda key: reads.append(asyncio.ensure_future(read(key))))
    await store.commit([Put(FUNCTIONS, "a", {"v": 1})])
    await asyncio.gather(*reads)
    assert seen == [{"v": 1}]


async def test_a_cancelled_caller_harms_no_other(store: Store) -> None:
    tasks = [asyncio.create_task(store.commit([Put(FUNCTIONS, f"{i:02}", {})])) for i in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[1::2] == [None] * 10
    assert set(await _keys(store)) >= {f"{i:02}" for i in range(1, 20, 2)}


async def test_an_empty_commit_does_nothing(store: Store) -> None:
    await store.commit([])
    assert await _keys(store) == []


@pytest.mark.parametrize("value", [{"x": object()}, {1: "x"}, {"x": 2**70}, {"x": "\ud800"}])
async def test_values_that_are_not_json_are_refused(store: Store, value: Any) -> None:
    with pytest.raises(TypeError):
        await store.commit([Put(FUNCTIONS, "ok", {}), Put(FUNCTIONS, "a", value)])
    assert await _keys(store) == []


async def test_what_is_not_text_and_not_declared_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="surrogate"):
        await store.commit([Put(FUNCTIONS, "\udc00", {})])
    with pytest.raises(ValueError, match="surrogate"):
        await store.get(FUNCTIONS, "a\ud800b")
    with pytest.raises(ValueError, match="surrogate"):
        await store.scan(FUNCTIONS, "", after="\ud800")
    with pytest.raises(ValueError, match="table"):
        await store.commit([Expect("no such", "a", 0)])
    with pytest.raises(ValueError, match="table"):
        await store.get("no such", "a")
    with pytest.raises(ValueError, match="table"):
        store.watch("no such", print)
    with pytest.raises(ValueError, match="limit"):
        await store.scan(FUNCTIONS, "", limit=-1)


async def test_a_closed_store_refuses(store: Store) -> None:
    await store.close()
    await store.close()
    with pytest.raises(StoreClosedError):
        await store.commit([Put(FUNCTIONS, "a", {})])
    with pytest.raises(StoreClosedError):
        await store.get(FUNCTIONS, "a")


async def test_close_finishes_what_was_asked_before(store: Store) -> None:
    tasks = [asyncio.create_task(store.commit([Put(FUNCTIONS, f"{i}", {})])) for i in range(50)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*tasks) == [None] * 50
