"""Which of a function's own lines are written (LoggingConfig.ApplicationLogLevel). Pure.

https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html. AWS's runtimes look at
AWS_LAMBDA_LOG_LEVEL themselves; this is for every other JSON line: its level counts if it has an RFC 3339 timestamp,
else it is of level INFO. What is no JSON object is always written, and so are embedded metrics.
"""

from __future__ import annotations

import re
from typing import Final

import orjson

_LEVELS: Final = {"TRACE": 1, "DEBUG": 2, "INFO": 3, "WARN": 4, "WARNING": 4, "ERROR": 5, "FATAL": 6, "CRITICAL": 6}
_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)\Z")


class ApplicationLogFilter:
    """Lines below `level` are left out; None writes all."""

    def __init__(self, level: str | None) -> None:
        self._lowest = _LEVELS[level] if level is not None else 0

    @property
    def keeps_all(self) -> bool:
        """Whether there is nothing to look at."""
        return self._lowest <= _LEVELS["TRACE"]

    def keeps(self, message: str) -> bool:
        """Whether a line is to be written."""
        if self.keeps_all or not message.startswith("{"):
            return True
        try:
            document = orjson.loads(message)
        except orjson.JSONDecodeError:
            return True
        if "_aws" in document:
            return True
        level, timestamp = document.get("level"), document.get("timestamp")
        rank = _LEVELS["INFO"]
        if isinstance(timestamp, str) and _RFC_3339.match(timestamp) and isinstance(level, str):
            rank = _LEVELS.get(level.upper(), rank)
        return rank >= self._lowest
