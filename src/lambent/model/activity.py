"""Whether a part of the server has something to do: for whoever moves the clock by hand until all is done."""

from __future__ import annotations

from typing import Protocol


class Activity(Protocol):
    """A part that works off what is stored, when it is due by the clock."""

    async def is_idle(self) -> bool:
        """Is nothing due now, nor being done? What waits for a later time is idle: the clock has to move first."""
        ...

    def is_empty(self) -> bool:
        """Does nothing wait, not even for a later time?"""
        ...
