"""The buffer of a live tail: what it takes, and what it drops when nobody reads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lambent.observability.logs.events import LogEvent
from lambent.observability.logs.filter_pattern import parse_filter_pattern
from lambent.observability.logs.live_tail import UPDATE_EVENTS, LiveTailBuffer, LiveTailQuery

ALL = LiveTailQuery(parse_filter_pattern(""))


def lines(*messages: str) -> list[LogEvent]:
    return [LogEvent(number, message) for number, message in enumerate(messages)]


def test_only_what_matches_is_taken_and_wakes() -> None:
    buffer = LiveTailBuffer(LiveTailQuery(parse_filter_pattern("ERROR"), streams=frozenset({"a"})))
    assert not buffer.take_in("g", "b", lines("ERROR 1"), 7)
    assert not buffer.take_in("g", "a", lines("fine"), 7)
    assert buffer.take_in("g", "a", lines("fine", "ERROR 2"), 7)
    [event], sampled = buffer.update()
    assert (event.group, event.stream, event.timestamp_ms, event.ingestion_ms, event.message) == (
        "g", "a", 1, 7, "ERROR 2",
    )  # fmt: skip
    assert not sampled


def test_streams_by_prefix() -> None:
    query = LiveTailQuery(parse_filter_pattern(""), prefixes=("2026/", "x"))
    assert [query.wants_stream(name) for name in ("2026/11/23", "xy", "y", "")] == [True, True, False, False]


@given(st.lists(st.lists(st.text("ab", max_size=6), max_size=6), max_size=12), st.integers(1, 8), st.integers(1, 30))
def test_the_latest_events_are_kept_within_the_bounds(batches: list[list[str]], events: int, size: int) -> None:
    buffer = LiveTailBuffer(ALL, events_max=events, bytes_max=size)
    for batch in batches:
        buffer.take_in("g", "s", lines(*batch), 0)
        assert len(buffer) <= events
    everything = [message for batch in batches for message in batch]
    shown: list[str] = []
    dropped = False
    while buffer:
        update, sampled = buffer.update()
        dropped |= sampled
        shown += [event.message for event in update]
    assert sum(map(len, shown)) <= size
    assert shown == everything[len(everything) - len(shown) :]
    if shown:
        assert dropped == (len(shown) < len(everything))


def test_updates_are_cut() -> None:
    buffer = LiveTailBuffer(ALL)
    buffer.take_in("g", "s", lines(*["x"] * (UPDATE_EVENTS + 1)), 0)
    assert [len(buffer.update()[0]) for _ in range(3)] == [UPDATE_EVENTS, 1, 0]
    buffer.take_in("g", "s", lines(*["y" * 100] * 5), 0)
    assert [len(buffer.update(bytes_max=150)[0]) for _ in range(4)] == [2, 2, 1, 0]
