"""Spare processor time, from what the kernel counts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lambent.worker.processor import ProcessorTime


def test_the_share_between_two_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 0 100 500 100 0 0 0 0 0\n")
    spare = ProcessorTime(stat).spare
    assert spare() is None  # nothing to compare with yet
    stat.write_text("cpu  110 0 105 520 105 0 0 0 0 0\n")
    now += 0.01
    assert spare() is None  # too soon
    now += 0.1
    assert spare() == pytest.approx(25 / 40)
    now += 60
    assert spare() is None  # says nothing about now
    stat.unlink()
    now += 0.1
    assert spare() is None
