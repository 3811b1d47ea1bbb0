"""How much a function may print: so much an hour, all its environments together, so that it does not fill the disk.
The platform's own lines are not counted. Knows no I/O; time is the policy clock's.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from lambent.model.limits import MIB
from lambent.observability.logs.events import LogEvent

WINDOW_S = 3600
_PER_EVENT_BYTES = 26  # what CloudWatch Logs counts for an event beside its text
_USES_KEPT = 10_000


class LogBudget:
    """Of one function."""

    def __init__(self, mb: int, now: Callable[[], float]) -> None:
        self._mb = mb
        self._now = now
        self._left = 0
        self._ends_at = 0.0
        self._told = False

    def keep(self, events: list[LogEvent]) -> list[LogEvent]:
        """Those of `events` that it has room for. The first that are not kept are followed by a line that says so."""
        size = sum(len(event.message) + _PER_EVENT_BYTES for event in events)
        if size > self._left:
            return self._keep_some(events)
        self._left -= size
        return events

    def _keep_some(self, events: list[LogEvent]) -> list[LogEvent]:
        now = self._now()
        if now >= self._ends_at:
            self._left, self._ends_at, self._told = self._mb * MIB, now + WINDOW_S, False
        kept = []
        for event in events:
            size = len(event.message) + _PER_EVENT_BYTES
            if size > self._left:
                self._left = 0
                if not self._told:
                    self._told = True
                    kept.append(LogEvent(event.timestamp_ms, self._notice()))
                break
            self._left -= size
            kept.append(event)
        return kept

    def _notice(self) -> str:
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._ends_at))
        return (
            f"LAMBENT This function has printed {self._mb} MB within an hour, which is the limit (--log-limit). "
            f"What it prints until {until} is not kept.\n"
        )


class LogBudgets:
    """Those of all functions. `mb` an hour; 0 is no limit."""

    def __init__(self, mb: int, now: Callable[[], float]) -> None:
        self._mb = mb
        self._now = now
        self._of: dict[object, LogBudget] = {}

    def of(self, function: object) -> LogBudget | None:
        """The budget of a function, by anything that is equal for its environments only."""
        if not self._mb:
            return None
        if function not in self._of and len(self._of) >= _USES_KEPT:
            del self._of[next(iter(self._of))]  # of a function that was deleted long ago, or not used; it starts anew
        return self._of.setdefault(function, LogBudget(self._mb, self._now))
