"""A server killed in the middle of its appends: every acknowledged line is there afterwards, in order."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lambent.model.clock import SystemClock
from lambent.model.ids import AccountId, Region
from lambent.observability.logs.events import LogEvent, LogGroupId, LogStreamId
from lambent.observability.logs.group import LogStoreSettings
from lambent.observability.logs.reading import EventQuery
from lambent.observability.logs.store import LogStore

ACCOUNT, REGION, GROUP = AccountId("000000000000"), Region("us-east-1"), "/aws/lambda/f"
SMALL = LogStoreSettings(segment_bytes=200_000, block_bytes=10_000)

# Writes batches of three for ever; says on its standard output how many lines are written, after each batch.
WRITER = """
import asyncio, os, sys
from pathlib import Path
from lambent.model.clock import SystemClock
from lambent.observability.logs.events import LogEvent, LogStreamId
from lambent.observability.logs.group import LogStoreSettings
from lambent.observability.logs.store import LogStore

async def main(root, number):
    store = LogStore(root, SystemClock(), LogStoreSettings(segment_bytes=200_000, block_bytes=10_000))
    await store.start()
    streams = [LogStreamId("000000000000", "us-east-1", "/aws/lambda/f", f"stream {i}") for i in range(4)]
    while True:
        batch = [LogEvent(number + i, f"line {number + i} " + "x" * (number % 300)) for i in range(3)]
        store.append(streams[number % 4], batch)
        number += 3
        os.write(1, b"%d\\n" % number)

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
"""


async def read_all(store: LogStore) -> list[tuple[int, str]]:
    query = EventQuery(limit=10_000, max_bytes=1 << 30)
    found: list[tuple[int, str]] = []
    while True:
        page = await store.events(LogGroupId(ACCOUNT, REGION, GROUP), query)
        found += [(event.key.timestamp_ms, event.message) for event in page.events]
        if page.resume is None:
            return found
        query = replace(query, after=page.resume)


async def test_kill_in_the_middle_of_appends(tmp_path: Path) -> None:
    written = 0
    for round_number in range(4):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(written)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if int(line) >= written + 3000 * (round_number + 1):
                    break
            process.send_signal(signal.SIGKILL)
            acknowledged = int((b"%b" % line + process.stdout.read()).splitlines()[-1])
        assert process.returncode == -signal.SIGKILL
        store = LogStore(tmp_path, SystemClock(), SMALL)
        await store.start()
        found = await read_all(store)
        # Written but not yet acknowledged is allowed, at most the batch in hand; half a batch is not.
        assert len(found) in (acknowledged, acknowledged + 3)
        assert [timestamp for timestamp, _ in found] == list(range(len(found)))
        assert all(message.startswith(f"line {timestamp} ") for timestamp, message in found)
        written = len(found)
        await store.close()
    assert len(list(tmp_path.rglob("*.log"))) > 3


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """An empty disk of 256 KiB; not below `tmp_path`, which other test runs may clear away under it."""
    disk = Path(tempfile.mkdtemp(prefix="lambent-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "lambent-test", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)
    disk.rmdir()


@pytest.mark.root
async def test_a_full_disk_drops_lines_and_nothing_else(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = LogStore(small_disk / "logs", SystemClock(), LogStoreSettings(segment_bytes=64_000, block_bytes=8_000))
    await store.start()
    stream = LogStreamId(ACCOUNT, REGION, GROUP, "stream")
    kept: list[int] = []

    def append(number: int) -> None:
        dropped = store.dropped_events
        store.append(stream, [LogEvent(number, f"line {number} " + "x" * 1000), LogEvent(number, "and more")])
        if store.dropped_events == dropped:
            kept.append(number)
        else:
            assert store.dropped_events == dropped + 2

    for number in range(400):
        append(number)
    assert 100 < len(kept) < 300
    assert store.dropped_events == 2 * (400 - len(kept))
    assert caplog.text.count("log events are being dropped") == 1
    with pytest.raises(OSError, match="No space left"):
        store.write(stream, [LogEvent(1, "x" * 100_000)])
    store.append(LogStreamId(ACCOUNT, REGION, "/aws/lambda/new", "stream"), [LogEvent(1, "x" * 100_000)])

    assert store.expire(LogGroupId(ACCOUNT, REGION, GROUP), kept[len(kept) // 2]) > 0
    for number in range(400, 420):
        append(number)
    assert kept[-20:] == list(range(400, 420))
    assert "log events are being written again" in caplog.text
    for _ in range(2):
        found = await read_all(store)
        first = found[0][0]
        assert first > 0
        expected = [number for number in kept if number >= first]
        assert [timestamp for timestamp, message in found if message == "and more"] == expected
        assert [timestamp for timestamp, message in found if message.startswith("line ")] == expected
        await store.close()
        store = LogStore(small_disk / "logs", SystemClock())
        await store.start()
    await store.close()
