"""What the server still has to do: the question behind `run-until-idle`, and who answers it.

Every part that does something by itself, now or at a time to come, registers itself with `Activities` when it is
started. The server is idle when no part is busy and none has anything due.

Rules for a part, so that a clock that stands can be moved from one due time to the next:

- It is busy from the moment it takes something up until all that follows from it is settled: stored, delivered, or
  handed to another part that counts it. There must be no moment between two of these in which nobody counts it.
- What it will do by itself at a known time it tells by `next_due`, and it sleeps exactly until then (on the `Clock`).
  What is due and not yet taken up counts as busy.
- Housekeeping that repeats for ever (retention, ending idle environments, polling an empty queue) is no activity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Activity(Protocol):
    """A part of the server that works by itself. Both are asked often, and answer from memory."""

    @property
    def name(self) -> str:
        """For people who ask what is still busy: `invocations`, `event queue`."""
        ...

    def is_idle(self) -> bool:
        """Does it do nothing now, and has nothing that could be done now?"""
        ...

    def next_due(self) -> float | None:
        """When it will do something by itself, in seconds since the epoch by the `Clock`; None if never."""
        ...


class Activities:
    """All parts of one server that work by themselves."""

    def __init__(self) -> None:
        self._parts: list[Activity] = []

    def add(self, part: Activity) -> Callable[[], None]:
        """Count it from now on. Returns what ends that."""
        self._parts.append(part)
        return lambda: self._parts.remove(part)

    def busy(self, now: float) -> list[str]:
        """The names of the parts that are busy, or have something due."""
        return [part.name for part in self._parts if not part.is_idle() or _is_due(part, now)]

    def next_due(self) -> float | None:
        """When the first of them will do something by itself."""
        return min((due for part in self._parts if (due := part.next_due()) is not None), default=None)


def _is_due(part: Activity, now: float) -> bool:
    due = part.next_due()
    return due is not None and due <= now
