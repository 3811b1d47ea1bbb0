"""Which of a function's lines its application log level leaves out."""

from __future__ import annotations

import pytest

from lambent.worker.log_levels import ApplicationLogFilter

STAMP = '"timestamp": "2026-11-23T10:00:00.123Z"'


@pytest.mark.parametrize(
    ("level", "message", "kept"),
    [
        (None, '{"level": "TRACE"}', True),
        ("TRACE", "{" + STAMP + ', "level": "TRACE"}', True),
        ("DEBUG", "{" + STAMP + ', "level": "TRACE"}', False),
        ("INFO", "{" + STAMP + ', "level": "DEBUG"}', False),
        ("INFO", "{" + STAMP + ', "level": "info"}\n', True),
        ("WARN", "{" + STAMP + ', "level": "INFO"}', False),
        ("WARN", "{" + STAMP + ', "level": "WARNING"}', True),
        ("ERROR", '{"timestamp": "2026-11-23T10:00:00+01:00", "level": "ERROR"}', True),
        ("FATAL", "{" + STAMP + ', "level": "ERROR"}', False),
        ("FATAL", "{" + STAMP + ', "level": "FATAL"}', True),
        ("INFO", '{"level": "DEBUG"}', True),  # without a time that can be read it is of level INFO
        ("WARN", '{"level": "ERROR", "timestamp": "2026-11-23 10:00:00,123"}', False),
        ("WARN", '{"message": "x"}', False),
        ("WARN", "{" + STAMP + ', "level": "LOUD"}', False),
        ("FATAL", '{"_aws": {"CloudWatchMetrics": []}, "n": 1}', True),
        ("FATAL", "text", True),
        ("FATAL", "{no json", True),
        ("FATAL", '["level", "DEBUG"]', True),
    ],
)
def test_levels(level: str | None, message: str, kept: bool) -> None:
    assert ApplicationLogFilter(level).keeps(message) is kept
