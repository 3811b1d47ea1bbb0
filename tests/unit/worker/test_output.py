"""What a flood of output may cost the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence

import pytest

from lambent.model.ids import AccountId, Region
from lambent.observability.logs.events import LogEvent, LogStreamId
from lambent.worker import output
from lambent.worker.output import OutputLog
from lambent.worker.telemetry import LineSplitter


class Sink:
    """Counts what it is given."""

    def __init__(self) -> None:
        self.lines = 0

    def append(self, stream: LogStreamId, events: Sequence[LogEvent]) -> None:
        self.lines += len(events)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    yield read, write
    os.close(write)


def stream() -> LogStreamId:
    return LogStreamId(AccountId("000000000000"), Region("us-east-1"), "group", "stream")


async def test_drain_reads_what_was_there_and_not_what_comes_meanwhile(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, write = pipe
    log = OutputLog(Sink(), stream())
    log.attach(read, None)
    feed = LineSplitter.feed
    fed = 0

    def feed_and_print_more(self: LineSplitter, data: bytes, now_ms: int) -> list[LogEvent]:
        nonlocal fed
        fed += len(data)
        os.write(write, bytes(len(data)))  # somebody prints as fast as we read
        return feed(self, data, now_ms)

    monkeypatch.setattr(LineSplitter, "feed", feed_and_print_more)
    printed = os.write(write, b"x" * 256 * 1024)
    log.drain()
    assert printed <= fed <= 2 * 256 * 1024
    monkeypatch.undo()
    log.detach()


async def test_whoever_prints_very_many_lines_is_made_to_wait(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, write = pipe
    sink = Sink()
    log = OutputLog(sink, stream())
    monkeypatch.setattr(output, "_TURN_S", 0.0)  # every piece takes too long
    monkeypatch.setattr(output, "_REST_FACTOR", 1e6)
    log.attach(read, None)
    os.write(write, b"\n" * 64 * 1024)
    for _ in range(20):
        await asyncio.sleep(0)
    assert 0 < sink.lines <= 16 * 1024  # one piece, and a rest
    log.detach()
    assert sink.lines == 64 * 1024  # nothing is lost


async def test_a_rest_ends(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = pipe
    sink = Sink()
    log = OutputLog(sink, stream())
    monkeypatch.setattr(output, "_TURN_S", 0.0)
    log.attach(read, None)
    os.write(write, b"\n" * 64 * 1024)
    async with asyncio.timeout(10):
        while sink.lines < 64 * 1024:
            await asyncio.sleep(0.001)
    log.detach()
