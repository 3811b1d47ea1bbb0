"""How much of this host's processor time is spare."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

_WINDOW_S: Final = 0.05  # the kernel counts in hundredths of a second
_STAT: Final = Path("/proc/stat")


class ProcessorTime:
    """Looks at what the kernel counted since it last looked. `stat`: where."""

    def __init__(self, stat: Path = _STAT) -> None:
        self._stat = stat
        self._looked_s = 0.0
        self._counted: tuple[int, int] | None = None

    def spare(self) -> float | None:
        """The share (0 to 1) that no process used since the last answer; None if that was just now. Raises nothing:
        where nothing is counted, nothing is spare."""
        now = time.monotonic()
        since_s = self._looked_s
        if now - since_s < _WINDOW_S:
            return None
        self._looked_s = now
        counted, self._counted = self._counted, self._count()
        if counted is None or self._counted is None or now - since_s > 20 * _WINDOW_S:
            return None  # too long ago to say anything about now
        spare, total = self._counted[0] - counted[0], self._counted[1] - counted[1]
        return spare / total if total > 0 else 0.0

    def _count(self) -> tuple[int, int] | None:
        """Spare time and all time so far, in ticks."""
        try:
            with self._stat.open(encoding="ascii") as stat:
                fields = [int(field) for field in stat.readline().split()[1:9]]
        except (OSError, ValueError):
            return None
        return sum(fields[3:5]), sum(fields)
