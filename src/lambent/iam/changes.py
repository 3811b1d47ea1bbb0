"""Changing a stored record that others may change at the same time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from lambent.model.errors import ServiceError
from lambent.store.api import Change, ConflictError, Record, Store

_ATTEMPTS: Final = 10

T = TypeVar("T")


async def change_record(
    store: Store, read: Callable[[], Awaitable[Record]], change: Callable[[Record], tuple[T, Change]], what: str
) -> T:
    """Read, change, write if nobody wrote in between; else once more. `change` returns what to return, and what to
    write, which must expect the record's revision. Raises what `read` and `change` raise, and ConcurrentModification
    for `what`, a subject of a sentence."""
    for _ in range(_ATTEMPTS):
        changed, written = change(await read())
        try:
            await store.commit([written])
        except ConflictError:
            continue
        return changed
    message = f"{what} was changed by many requests at once. Submit your request again."
    raise ServiceError("ConcurrentModification", message, status=409)
