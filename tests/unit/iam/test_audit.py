"""The audit log: everything in order, in files of limited size, readable by their owner alone."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import pytest

from lambent.iam import audit
from lambent.iam.audit import AuditLog


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["n"] for line in path.read_text().splitlines()]


async def test_entries_are_written_in_order(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit")
    for n in range(100):
        log.record({"n": n})
    await log.close()
    await log.close()
    assert numbers(log.path) == list(range(100))
    assert log.path.stat().st_mode & 0o777 == 0o600
    again = AuditLog(tmp_path / "audit")
    again.record({"n": 100})
    await again.close()
    assert numbers(again.path) == list(range(101))


async def test_they_are_written_without_being_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "FLUSH_INTERVAL_S", 0.001)
    log = AuditLog(tmp_path)
    log.record({"n": 1})
    for _ in range(1000):
        if log.path.exists() and log.path.stat().st_size:
            break
        await asyncio.sleep(0.002)
    assert numbers(log.path) == [1]
    await log.close()


async def test_files_are_of_limited_size_and_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "FLUSH_INTERVAL_S", 0)
    log = AuditLog(tmp_path, file_max_bytes=20, files_max=3)
    for n in range(8):
        log.record({"n": n})
        log.record({"n": n})
        log.record({"n": n})
        await log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["decisions.jsonl.1", "decisions.jsonl.2"]
    assert numbers(tmp_path / "decisions.jsonl.1") == [7, 7, 7]
    assert numbers(tmp_path / "decisions.jsonl.2") == [6, 6, 6]


async def test_a_disk_that_fails_is_told_and_harms_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    log = AuditLog(tmp_path / "file" / "audit")
    with caplog.at_level(logging.ERROR):
        log.record({"n": 1})
        await log.close()
    assert "entries of the audit log are lost" in caplog.text
