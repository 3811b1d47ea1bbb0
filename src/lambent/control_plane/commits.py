"""Deciding again after a lost race: the store says who came first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lambent.store.api import Change, ConflictError, Store

ATTEMPTS: Final = 20  # a lost race means that somebody else's change went in: losing this often is not normal


async def committed(store: Store, changes: Sequence[Change]) -> bool:
    """Commit; False if something was not as it had been read."""
    try:
        await store.commit(changes)
    except ConflictError:
        return False
    return True
