"""`MemoryQueues`: the queue port without a disk, for tests that need queues but not their durability."""

from __future__ import annotations

from lambent.queues.memory import MemoryQueues

__all__ = ["MemoryQueues"]
