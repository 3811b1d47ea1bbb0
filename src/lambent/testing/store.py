"""`MemoryStore`: the store port without a disk, for tests that need a store but not its durability."""

from __future__ import annotations

from lambent.store.memory import MemoryStore

__all__ = ["MemoryStore"]
