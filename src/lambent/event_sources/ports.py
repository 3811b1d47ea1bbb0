"""What the keeper of mappings needs of a poller, and what pollers are given. Kinds of sources implement `Poller`.

A source with shards keeps their leases and checkpoints behind this port: a poller is all of one mapping on this host.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lambent.control_plane.event_source_mappings import EventSourceMapping

Report = Callable[[str | None], None]
"""Tells the mapping's LastProcessingResult; None: nothing is to be told. Returns at once."""


class Poller(Protocol):
    """One mapping at work."""

    async def run(self) -> None:
        """Poll and invoke until `stop`. What fails for a while is retried; whatever is raised is our own failure."""
        ...

    def stop(self) -> None:
        """Read no more. `run` returns once everything read is settled: handled, left to be read again or given back."""
        ...

    @property
    def in_flight(self) -> int:
        """Records read and not settled."""
        ...

    def is_idle(self) -> bool:
        """Nothing is being done now; what waits for a time to come is told by `next_due`."""
        ...

    def next_due(self) -> float | None:
        """When something that was read goes on by itself: a window ends, a throttled batch is tried again."""
        ...


MakePoller = Callable[[EventSourceMapping, Report], Poller]
