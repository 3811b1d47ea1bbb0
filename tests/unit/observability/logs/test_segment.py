"""The framing: what was written is read; what is torn or damaged is noticed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.observability.logs import blocks, segment
from lambent.observability.logs.events import LogEvent
from lambent.observability.logs.segment import DamagedSegmentError, Declaration, Row

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
batches = st.lists(st.builds(LogEvent, st.integers(0, 1 << 45), texts), min_size=1, max_size=4)


def _file(parts: list[list[LogEvent]]) -> tuple[bytes, list[int]]:
    data = segment.MAGIC + segment.declare(Declaration(7, "a/stream", 5))
    ends = [len(segment.MAGIC), len(data)]
    for batch in parts:
        data += segment.events(7, 99, batch, 1000)[0]
        ends.append(len(data))
    return data, ends


@given(st.lists(batches, max_size=4), st.data())
def test_a_cut_file_gives_back_every_whole_frame(parts: list[list[LogEvent]], data: st.DataObject) -> None:
    whole, ends = _file(parts)
    cut = data.draw(st.integers(len(segment.MAGIC), len(whole)))
    found, damage = blocks.scan(whole[:cut], 1, len(segment.MAGIC), 50)
    assert damage is None
    assert (found[-1].end if found else len(segment.MAGIC)) == max(end for end in ends if end <= cut)
    kept = sum(end <= cut for end in ends[2:])
    rows: list[Row] = []
    for block in found:
        segment.collect(rows, whole[block.start : block.end], block.sequence, (7,))
    expected = [(event.timestamp_ms, event.message) for batch in parts[:kept] for event in batch]
    assert [(row[0], row[3].decode()) for row in rows] == expected
    assert [row[1] for row in rows] == sorted({row[1] for row in rows})
    assert sum(block.spans[7].events for block in found if 7 in block.spans) == len(expected)


@given(st.lists(batches, min_size=1, max_size=3), st.data())
def test_a_flipped_bit_is_noticed_and_nothing_behind_it_is_believed(
    parts: list[list[LogEvent]], data: st.DataObject
) -> None:
    whole, ends = _file(parts)
    at = data.draw(st.integers(len(segment.MAGIC), len(whole) - 1))
    broken = bytearray(whole)
    broken[at] ^= 1 << data.draw(st.integers(0, 7))
    found, _ = blocks.scan(bytes(broken), 1, len(segment.MAGIC), 1 << 20)
    assert (found[-1].end if found else len(segment.MAGIC)) == max(end for end in ends if end <= at)


def test_zeros_behind_the_end_are_damage() -> None:
    whole, ends = _file([[LogEvent(1, "x")]])
    found, damage = blocks.scan(whole + bytes(100), 1, len(segment.MAGIC), 1 << 20)
    assert found[-1].end == ends[-1]
    assert damage is not None


@given(st.lists(batches, max_size=4))
def test_notes_lead_back_to_the_blocks(parts: list[list[LogEvent]]) -> None:
    whole, _ = _file(parts)
    found, _ = blocks.scan(whole, 1, len(segment.MAGIC), 50)
    notes = b"".join(map(blocks.note, found))
    assert list(blocks.parse_notes(notes, 1, len(whole))) == found
    assert list(blocks.parse_notes(notes[:-5], 1, len(whole))) == found[:-1]
    assert list(blocks.parse_notes(notes, 1, len(whole) - 1)) == found[:-1]
    if len(found) > 1:
        gap = notes.split(b"\n", 1)[1]
        assert list(blocks.parse_notes(gap, 1, len(whole))) == []


def test_events_are_found_by_a_literal_in_their_frame() -> None:
    data = b"".join(segment.events(1, 1, [LogEvent(i, f"number {i}")], 100)[0] for i in range(20))
    rows: list[Row] = []
    segment.collect(rows, data, 0, (1,), b"number 7")
    assert [row[3] for row in rows] == [b"number 7"]


def test_a_damaged_frame_gives_what_came_before_it() -> None:
    good = segment.events(1, 1, [LogEvent(1, "good")], 100)[0]
    rows: list[Row] = []
    with pytest.raises(DamagedSegmentError):
        segment.collect(rows, good + good[:-2], 0, (1,))
    assert [row[3] for row in rows] == [b"good"]


def test_long_messages_become_several_events() -> None:
    data, count = segment.events(1, 1, [LogEvent(1, "ab" * 5), LogEvent(2, "")], 4)
    rows: list[Row] = []
    segment.collect(rows, data, 0, (1,))
    assert [row[3] for row in rows] == [b"abab", b"abab", b"ab", b""]
    assert count == len(rows)
