"""The log store against a list of what was appended, through restarts, crashes and deletions."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.model.ids import AccountId, Region
from lambent.observability.logs.events import LogEvent, LogGroupId, LogStreamId, StoredEvent
from lambent.observability.logs.group import LogStoreSettings
from lambent.observability.logs.reading import EventQuery
from lambent.observability.logs.store import (
    LogGroupExistsError,
    LogGroupNotFoundError,
    LogStore,
    LogStreamExistsError,
    LogStreamNotFoundError,
)
from lambent.testing.clock import ManualClock

ACCOUNT, REGION = AccountId("000000000000"), Region("us-east-1")
SMALL = LogStoreSettings(segment_bytes=600, block_bytes=150, open_files=1, scan_bytes=300)
EVERYTHING = EventQuery(limit=1_000_000, max_bytes=1 << 40)
GROUPS = ("/aws/lambda/one", "/aws/lambda/two")
STREAMS = ("2026/11/23/[$LATEST]a", "2026/11/23/[$LATEST]b", "[1]c")


def stream_id(group: str = GROUPS[0], stream: str = STREAMS[0]) -> LogStreamId:
    return LogStreamId(ACCOUNT, REGION, group, stream)


def group_id(name: str = GROUPS[0]) -> LogGroupId:
    return LogGroupId(ACCOUNT, REGION, name)


async def read_all(store: LogStore, group: LogGroupId, query: EventQuery) -> list[StoredEvent]:
    """Page through a query to its end."""
    found: list[StoredEvent] = []
    while True:
        page = await store.events(group, query)
        assert len(page.events) <= query.limit
        found += page.events
        if page.resume is None:
            return found
        query = replace(query, before=page.resume) if query.descending else replace(query, after=page.resume)


def containing(text: bytes) -> Callable[[bytes], bool]:
    """Matches messages with a text in them."""
    return lambda message: text in message


@dataclass
class Line:
    """What the model remembers of an event."""

    stream: str
    timestamp_ms: int
    message: str


class Model:
    """The store, and lists of what it must hold."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = LogStore(root, ManualClock(), SMALL)
        self.groups: dict[str, list[Line]] = {}
        self.streams: dict[str, set[str]] = {}

    async def start(self) -> None:
        await self.store.start()

    async def append(self, group: str, stream: str, batch: list[tuple[int, str]]) -> None:
        self.store.append(stream_id(group, stream), [LogEvent(*each) for each in batch])
        if batch:
            self.groups.setdefault(group, []).extend(Line(stream, *each) for each in batch)
            self.streams.setdefault(group, set()).add(stream)

    async def create_stream(self, group: str, stream: str) -> None:
        if group not in self.groups:
            with pytest.raises(LogGroupNotFoundError):
                self.store.create_stream(stream_id(group, stream))
        elif stream in self.streams[group]:
            with pytest.raises(LogStreamExistsError):
                self.store.create_stream(stream_id(group, stream))
        else:
            self.store.create_stream(stream_id(group, stream))
            self.streams[group].add(stream)

    async def delete_stream(self, group: str, stream: str) -> None:
        if group not in self.groups:
            with pytest.raises(LogGroupNotFoundError):
                self.store.delete_stream(stream_id(group, stream))
        elif stream not in self.streams[group]:
            with pytest.raises(LogStreamNotFoundError):
                self.store.delete_stream(stream_id(group, stream))
        else:
            self.store.delete_stream(stream_id(group, stream))
            self.streams[group].remove(stream)
            self.groups[group] = [line for line in self.groups[group] if line.stream != stream]

    async def create_group(self, group: str) -> None:
        if group in self.groups:
            with pytest.raises(LogGroupExistsError):
                self.store.create_group(group_id(group))
        else:
            self.store.create_group(group_id(group))
            self.groups[group], self.streams[group] = [], set()

    async def delete_group(self, group: str) -> None:
        if group in self.groups:
            await self.store.delete_group(group_id(group))
            del self.groups[group], self.streams[group]
        else:
            with pytest.raises(LogGroupNotFoundError):
                await self.store.delete_group(group_id(group))

    async def restart(self) -> None:
        await self.store.close()
        await self._again()

    async def crash(self) -> None:
        """Only what is on disk remains: no index of the last block, and half a frame behind it."""
        for group in self.store.groups(ACCOUNT, REGION):
            group.release()
        await self._again()

    async def tear(self, group: str) -> None:
        """As a crash in the middle of a write."""
        for each in self.store.groups(ACCOUNT, REGION):
            each.release()
            if each.id.name == group and each.current.segment:
                with each.segment_path(each.current.segment).open("ab") as file:
                    file.write(b"\x40\0\0\0half a frame")
        await self._again()

    async def lose_notes(self) -> None:
        for path in self.root.rglob("*.idx"):
            path.unlink()
        await self.crash()

    async def _again(self) -> None:
        self.store = LogStore(self.root, ManualClock(), SMALL)
        await self.store.start()

    async def check(self, limit: int, start_ms: int, end_ms: int, stream: str, word: str) -> None:
        assert {group.id.name for group in self.store.groups(ACCOUNT, REGION)} == set(self.groups)
        for name, lines in self.groups.items():
            group = group_id(name)
            ordered = sorted(lines, key=lambda line: line.timestamp_ms)  # stable: arrival decides among equals
            everything = await read_all(self.store, group, EVERYTHING)
            assert [Line(e.stream, e.key.timestamp_ms, e.message) for e in everything] == ordered
            assert len({event.key for event in everything}) == len(everything)
            paged = replace(EVERYTHING, limit=limit)
            assert await read_all(self.store, group, paged) == everything
            assert await read_all(self.store, group, replace(paged, descending=True)) == everything[::-1]
            small = replace(EVERYTHING, max_bytes=60, start_ms=start_ms, end_ms=end_ms)
            timed = [event for event in everything if start_ms <= event.key.timestamp_ms < end_ms]
            assert await read_all(self.store, group, small) == timed
            one = replace(paged, streams=(stream,), descending=True)
            assert await read_all(self.store, group, one) == [e for e in everything if e.stream == stream][::-1]
            text = word.encode()
            filtered = replace(paged, matches=containing(text), required=(text,))
            assert await read_all(self.store, group, filtered) == [e for e in everything if word in e.message]
            self._check_totals(name, everything)

    def _check_totals(self, name: str, everything: list[StoredEvent]) -> None:
        group = self.store.group(group_id(name))
        assert set(group.streams) == self.streams[name]
        for stream in group.streams.values():
            mine = [event for event in everything if event.stream == stream.name]
            if not mine:
                assert stream.total is None
                continue
            assert stream.total is not None
            assert stream.total.events == len(mine)
            assert stream.total.size == sum(len(event.message.encode()) + 26 for event in mine)
            assert stream.total.first_ms == mine[0].key.timestamp_ms
            assert stream.total.last_ms == mine[-1].key.timestamp_ms


groups = st.sampled_from(GROUPS)
streams = st.sampled_from(STREAMS)
messages = st.one_of(st.sampled_from(["ERROR x", "ok", ""]), st.text(st.characters(exclude_categories=["Cs"])))
batches = st.lists(st.tuples(st.integers(0, 60), messages), max_size=5)
Step = Callable[[Model], Awaitable[None]]
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(lambda g, s, b: lambda m: m.append(g, s, b), groups, streams, batches),
    st.builds(lambda g, s, b: lambda m: m.append(g, s, b), groups, streams, batches),
    st.builds(lambda g, s, b: lambda m: m.append(g, s, b), groups, streams, batches),
    st.builds(lambda g, s: lambda m: m.create_stream(g, s), groups, streams),
    st.builds(lambda g, s: lambda m: m.delete_stream(g, s), groups, streams),
    st.builds(lambda g: lambda m: m.create_group(g), groups),
    st.builds(lambda g: lambda m: m.delete_group(g), groups),
    st.builds(lambda g: lambda m: m.tear(g), groups),
    st.just(Model.restart),
    st.just(Model.crash),
    st.just(Model.lose_notes),
    st.builds(
        lambda n, a, b, s, w: lambda m: m.check(n, a, b, s, w),
        st.integers(1, 20),
        st.integers(0, 60),
        st.integers(0, 70),
        streams,
        st.sampled_from(["ERROR", "k", "é"]),
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=25))
def test_it_holds_what_was_appended(script: list[Step]) -> None:
    async def run(root: Path) -> None:
        model = Model(root)
        await model.start()
        for step in script:
            await step(model)
        await model.check(3, 10, 40, STREAMS[0], "ERROR")
        await model.restart()
        await model.check(3, 10, 40, STREAMS[0], "ERROR")
        await model.store.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


async def test_one_append_is_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    store = LogStore(tmp_path, ManualClock())
    await store.start()
    store.append(stream_id(), [LogEvent(1, "a\n")])
    written: list[int] = []
    real = os.write

    def counting(fd: int, data: bytes) -> int:
        written.append(len(data))
        return real(fd, data)

    monkeypatch.setattr(os, "write", counting)
    store.append(stream_id(), [LogEvent(1, "b\n"), LogEvent(2, "c\n"), LogEvent(3, "d\n")])
    store.append(stream_id(stream=STREAMS[1]), [LogEvent(4, "e\n")])  # a new stream, declared in the same write
    assert len(written) == 2
    await store.close()


async def test_readers_go_on_while_a_writer_writes(tmp_path: Path) -> None:
    store = LogStore(tmp_path, ManualClock(), SMALL)
    await store.start()
    woken = asyncio.Event()
    end = store.follow(group_id(), lambda stream, events, ingestion_ms: woken.set())
    seen: list[str] = []

    async def follow() -> None:
        query = EVERYTHING
        while len(seen) < 300:
            await woken.wait()
            woken.clear()
            for event in await read_all(store, group_id(), query):
                seen.append(event.message)
                query = replace(query, after=event.key)

    follower = asyncio.create_task(follow())
    for number in range(300):
        store.append(stream_id(stream=STREAMS[number % 3]), [LogEvent(number, f"line {number}")])
        if number % 7 == 0:
            await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await follower
    assert seen == [f"line {number}" for number in range(300)]
    end()
    woken.clear()
    store.append(stream_id(), [LogEvent(1000, "unheard")])
    assert not woken.is_set()
    await store.close()


async def test_a_deleted_group_is_gone_at_once_and_can_come_back(tmp_path: Path) -> None:
    store = LogStore(tmp_path, ManualClock())
    await store.start()
    store.append(stream_id(), [LogEvent(1, "old")])
    deletion = asyncio.create_task(store.delete_group(group_id()))
    await asyncio.sleep(0)
    with pytest.raises(LogGroupNotFoundError):
        await store.events(group_id(), EVERYTHING)
    store.append(stream_id(), [LogEvent(2, "new")])
    await deletion
    assert [event.message for event in (await store.events(group_id(), EVERYTHING)).events] == ["new"]
    assert [path for path in tmp_path.rglob("*.log") if "old" in path.read_text(errors="replace")] == []
    await store.close()


async def test_a_group_deleted_under_a_query_is_reported(tmp_path: Path) -> None:
    store = LogStore(tmp_path, ManualClock(), SMALL)
    await store.start()
    for number in range(100):
        store.append(stream_id(), [LogEvent(number, f"line {number}")])
    query = asyncio.create_task(store.events(group_id(), EVERYTHING))
    await asyncio.sleep(0)
    await store.delete_group(group_id())
    with pytest.raises(LogGroupNotFoundError):
        await query
    await store.close()


async def test_names_are_no_paths(tmp_path: Path) -> None:
    root = tmp_path / "logs"
    names = ["..", ".", "/", "a/../../b", "#", "A", "a", "x" * 512, "x" * 511 + "y", "%2F"]
    store = LogStore(root, ManualClock())
    await store.start()
    for name in names:
        store.append(stream_id(name), [LogEvent(1, name)])
    await store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]
    store = LogStore(root, ManualClock())
    await store.start()
    assert [group.id.name for group in store.groups(ACCOUNT, REGION)] == sorted(names)
    for name in names:
        assert (await store.events(group_id(name), EVERYTHING)).events[0].message == name
    await store.close()


async def test_open_files_are_bounded(tmp_path: Path) -> None:
    clock = ManualClock()
    store = LogStore(tmp_path, clock, LogStoreSettings(open_files=3))
    await store.start()
    for number in range(30):
        store.append(stream_id(f"group-{number % 10}"), [LogEvent(number, str(number))])
        clock.advance(1)
        assert sum(group.fd >= 0 for group in store.groups(ACCOUNT, REGION)) <= 3
    for number in range(10):
        page = await store.events(group_id(f"group-{number}"), EVERYTHING)
        assert [event.message for event in page.events] == [str(number), str(number + 10), str(number + 20)]
    await store.close()


async def test_long_messages_are_split_at_256_kib(tmp_path: Path) -> None:
    store = LogStore(tmp_path, ManualClock())
    await store.start()
    store.append(stream_id(), [LogEvent(1, "é" * 200_000 + "\n")])
    events = (await store.events(group_id(), EVERYTHING)).events
    assert [len(event.message.encode()) for event in events] == [262_144, 137_857]
    assert "".join(event.message for event in events) == "é" * 200_000 + "\n"
    await store.close()


async def test_what_expired_is_removed_and_nothing_else(tmp_path: Path) -> None:
    store = LogStore(tmp_path, ManualClock(), SMALL)
    await store.start()
    for number in range(200):
        store.append(stream_id(stream=STREAMS[number % 2]), [LogEvent(number, f"line {number}")])
    files = len(list(tmp_path.rglob("*.log")))
    store.create_stream(stream_id(stream="empty"))
    assert store.expire(group_id(), 100) > 0
    assert len(list(tmp_path.rglob("*.log"))) < files
    for _ in range(2):
        kept = [event.key.timestamp_ms for event in await read_all(store, group_id(), EVERYTHING)]
        assert kept == list(range(kept[0], 200))
        assert 80 < kept[0] <= 100
        first = store.group(group_id()).streams[STREAMS[0]].total
        assert first is not None
        assert first.first_ms == next(number for number in kept if number % 2 == 0)
        await store.close()
        store = LogStore(tmp_path, ManualClock(), SMALL)
        await store.start()
    assert store.expire(group_id(), 1000) > 0
    assert await read_all(store, group_id(), EVERYTHING) == []
    assert set(store.group(group_id()).streams) == {STREAMS[0], STREAMS[1], "empty"}
    await store.close()
    store = LogStore(tmp_path, ManualClock(), SMALL)
    await store.start()
    assert set(store.group(group_id()).streams) == {STREAMS[0], STREAMS[1], "empty"}
    await store.close()


async def test_what_is_not_a_group_or_segment_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = LogStore(tmp_path, ManualClock())
    await store.start()
    store.append(stream_id(), [LogEvent(1, "first")])
    path = store.group(group_id()).path
    await store.close()
    (path / "0000000002.log").write_bytes(b"something else")
    (tmp_path / ACCOUNT / REGION / "empty").mkdir()
    store = LogStore(tmp_path, ManualClock())
    await store.start()
    assert "left out" in caplog.text
    store.append(stream_id(), [LogEvent(2, "second")])
    await store.close()
    store = LogStore(tmp_path, ManualClock())
    await store.start()
    assert [event.message for event in await read_all(store, group_id(), EVERYTHING)] == ["first", "second"]
    assert (path / "0000000002.log").read_bytes() == b"something else"
    await store.close()


async def test_bytes_damaged_later_cost_no_more_than_their_block(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = LogStore(tmp_path, ManualClock(), LogStoreSettings(block_bytes=200))
    await store.start()
    for number in range(100):
        store.append(stream_id(), [LogEvent(number, f"line {number}")])
    group = store.group(group_id())
    damaged = group.finished[3]
    with group.segment_path(1).open("r+b") as file:
        file.seek(damaged.start)
        file.write(b"\xff\xff\xff\xff")
    found = [event.key.timestamp_ms for event in await read_all(store, group_id(), EVERYTHING)]
    lost = sorted(set(range(100)) - set(found))
    assert lost == list(range(damaged.first_ms, damaged.last_ms + 1))
    assert "damaged" in caplog.text
    await store.close()


async def test_each_segment_can_be_read_alone(tmp_path: Path) -> None:
    store = LogStore(tmp_path, ManualClock(), SMALL)
    await store.start()
    for number in range(60):
        store.append(stream_id(), [LogEvent(number, f"line {number}")])
    first = store.group(group_id()).segment_path(1)
    await store.close()
    first.unlink()
    first.with_suffix(".idx").unlink()
    store = LogStore(tmp_path, ManualClock(), SMALL)
    await store.start()
    events = await read_all(store, group_id(), EVERYTHING)
    assert [event.message for event in events] == [f"line {number}" for number in range(60 - len(events), 60)]
    assert 0 < len(events) < 60
    await store.close()
