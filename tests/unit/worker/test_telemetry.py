"""Bytes → log events."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from lambent.model.limits import LOG_EVENT_MAX_BYTES
from lambent.observability.logs.events import LogEvent
from lambent.worker.telemetry import FrameDecoder, LineSplitter

NOW_MS = 1_764_000_000_000


def frame(text: str, *, kind: int = 0xA55A0003, micros: int = NOW_MS * 1000) -> bytes:
    data = text.encode()
    return struct.pack(">IIQ", kind, len(data), micros) + data


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    positions = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *positions], [*positions, len(data)], strict=True)]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30)), st.lists(st.integers(0, 9999)))
def test_lines_come_out_whole_however_they_arrive(lines: list[str], cuts: list[int]) -> None:
    lines = [line.replace("\n", "") for line in lines]
    splitter = LineSplitter()
    data = "".join(line + "\n" for line in lines).encode()
    events = [event for piece in pieces(data, cuts) for event in splitter.feed(piece, NOW_MS)]
    assert [event.message for event in events] == [line + "\n" for line in lines]
    assert splitter.flush(NOW_MS) == []


def test_an_unfinished_line_is_flushed() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"no line feed", NOW_MS) == []
    assert splitter.flush(NOW_MS) == [LogEvent(NOW_MS, "no line feed")]
    assert splitter.flush(NOW_MS) == []


def test_a_line_without_end_is_cut_and_not_kept() -> None:
    splitter = LineSplitter()
    events = splitter.feed(b"x" * (3 * LOG_EVENT_MAX_BYTES), NOW_MS) + splitter.flush(NOW_MS)
    assert sum(len(event.message) for event in events) == 3 * LOG_EVENT_MAX_BYTES
    assert max(len(event.message) for event in events) <= LOG_EVENT_MAX_BYTES


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30)), st.lists(st.integers(0, 9999)))
def test_frames_come_out_whole_however_they_arrive(texts: list[str], cuts: list[int]) -> None:
    decoder = FrameDecoder()
    data = b"".join(map(frame, texts))
    events = [event for piece in pieces(data, cuts) for event in decoder.feed(piece, NOW_MS)]
    assert events == [LogEvent(NOW_MS, text) for text in texts]
    assert decoder.flush(NOW_MS) == []


@given(st.lists(st.binary(max_size=40)))
def test_arbitrary_bytes_lose_nothing_but_headers(chunks: list[bytes]) -> None:
    decoder = FrameDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk, NOW_MS)] + decoder.flush(NOW_MS)
    data = b"".join(chunks)
    if b"\xa5\x5a\x00" not in data:
        assert "".join(event.message for event in events) == data.decode("utf-8", "replace") or b"\n" in data


def test_several_lines_in_a_frame_are_one_event_with_its_own_time() -> None:
    [event] = FrameDecoder().feed(frame("one\ntwo\n", micros=(NOW_MS - 5) * 1000), NOW_MS)
    assert event == LogEvent(NOW_MS - 5, "one\ntwo\n")


def test_an_incredible_time_is_replaced() -> None:
    [event] = FrameDecoder().feed(frame("x", micros=0), NOW_MS)
    assert event.timestamp_ms == NOW_MS


def test_a_frame_cut_short_by_a_crash_is_kept() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(frame("half a message")[:-4], NOW_MS) == []
    assert [event.message for event in decoder.flush(NOW_MS)] == ["half a mes"]


@given(st.integers(0, 3 * LOG_EVENT_MAX_BYTES), st.lists(st.integers(0, 2**20), max_size=20))
def test_a_long_frame_comes_out_in_pieces_and_is_not_kept(length: int, cuts: list[int]) -> None:
    decoder = FrameDecoder()
    data = frame("x" * length) + frame("next")
    messages = []
    for piece in pieces(data, cuts):
        messages += [event.message for event in decoder.feed(piece, NOW_MS)]
        assert len(decoder._buffer) <= LOG_EVENT_MAX_BYTES + 16
    assert messages.pop() == "next"
    assert "".join(messages) == "x" * length
    assert max(map(len, messages)) <= LOG_EVENT_MAX_BYTES


def test_a_frame_that_never_ends_costs_no_more_than_a_piece() -> None:
    decoder = FrameDecoder()
    decoder.feed(struct.pack(">IIQ", 0xA55A0001, 63 << 20, 0), NOW_MS)
    for _ in range(300):
        decoder.feed(bytes(100_000), NOW_MS)
        assert len(decoder._buffer) <= LOG_EVENT_MAX_BYTES
    assert decoder.flush(NOW_MS) != []


def test_a_frame_under_way_at_the_end_of_an_invocation_stays_whole() -> None:
    decoder = FrameDecoder()
    data = frame("from a thread\n")
    assert decoder.feed(data[:20], NOW_MS) == []
    assert decoder.settle(NOW_MS) == []
    assert decoder.feed(data[20:], NOW_MS) == [LogEvent(NOW_MS, "from a thread\n")]
