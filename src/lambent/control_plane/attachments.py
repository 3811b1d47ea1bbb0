"""Documents that belong to a function, or to one of its versions and aliases, and live no longer than it.

Each kind has its table; the key is account/region/name/qualifier, `$LATEST` for what the function itself has. Every
change writes the function's own document again, unchanged, at the revision it was decided on: so that a function, a
version or an alias that is deleted meanwhile is never left with an attachment, nor an attachment without its owner.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lambent.control_plane.commits import ATTEMPTS, committed
from lambent.control_plane.queries import FunctionQueries, StoredFunction, not_found
from lambent.control_plane.states import update_in_progress
from lambent.model.arn import LATEST, FunctionId, FunctionReference
from lambent.model.function import is_version_number, version_key
from lambent.store.api import (
    EVENT_INVOKE_CONFIGS,
    FUNCTION_CODE_SIGNING,
    FUNCTION_URLS,
    FUNCTIONS,
    PROVISIONED_CONCURRENCY,
    RECURSION_CONFIGS,
    RUNTIME_MANAGEMENT,
    VERSIONS,
    Change,
    Delete,
    Document,
    Expect,
    Put,
    Store,
)

TABLES: Final = (
    PROVISIONED_CONCURRENCY,
    EVENT_INVOKE_CONFIGS,
    FUNCTION_URLS,
    FUNCTION_CODE_SIGNING,
    RUNTIME_MANAGEMENT,
    RECURSION_CONFIGS,
)
"""What is removed with its owner."""

Decide = Callable[[Mapping[str, Any] | None], Document | None]
"""What is stored (None: nothing) → what is to be stored (None: nothing). Raises ServiceError to refuse."""

Reading = Callable[[], Awaitable[Sequence[Change]]]


async def _nothing_else() -> Sequence[Change]:
    return ()


@dataclass(frozen=True, slots=True)
class Attachment:
    """One document and whose it is."""

    qualifier: str
    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AttachmentPage:
    """Part of a list. `following` is what to ask for next (`after`), None at the end."""

    attachments: list[Attachment]
    following: str | None


class Attachments:
    """Reads and changes them."""

    def __init__(self, store: Store, queries: FunctionQueries) -> None:
        self._store = store
        self._queries = queries

    async def get(self, table: str, function: FunctionId, qualifier: str = LATEST) -> dict[str, Any] | None:
        """The document, or None."""
        stored = await self._store.get(table, attachment_key(function, qualifier))
        return None if stored is None else stored.value

    async def page(
        self, table: str, function: FunctionId, after: str | None = None, limit: int | None = None
    ) -> AttachmentPage:
        """Those of a function, by qualifier. `after` is the qualifier of the last one had."""
        prefix = _prefix(function)
        start = None if after is None else prefix + after
        stored = await self._store.scan(table, prefix, after=start, limit=None if limit is None else limit + 1)
        found = [Attachment(one.key.removeprefix(prefix), one.value) for one in stored]
        if limit is None or len(found) <= limit:
            return AttachmentPage(found, None)
        return AttachmentPage(found[:limit], found[limit - 1].qualifier)

    async def change(
        self, table: str, function: FunctionId, qualifier: str, decide: Decide, *, also: Reading = _nothing_else
    ) -> None:
        """Store what `decide` makes of what is stored; `also` reads what else must hold in the same commit.

        Raises ResourceNotFoundException if the function, version or alias does not exist, and what `decide` and
        `also` raise.
        """
        key = attachment_key(function, qualifier)
        for _ in range(ATTEMPTS):
            found = await self._queries.function(function)
            others = [*await self._owner(function, qualifier), *await also()]
            stored = await self._store.get(table, key)
            after = decide(None if stored is None else stored.value)
            if after is None and stored is None:
                return
            revision = 0 if stored is None else stored.revision
            change = Delete(table, key, expect=revision) if after is None else Put(table, key, after, expect=revision)
            if await committed(self._store, [touched(found), change, *others]):
                return
        raise update_in_progress(found.record.latest)

    async def _owner(self, function: FunctionId, qualifier: str) -> list[Change]:
        """What holds as long as the version exists; the deletion of an alias touches the function."""
        if qualifier == LATEST:
            return []
        if is_version_number(qualifier):
            version_record = await self._store.get(VERSIONS, version_key(function, qualifier))
            if version_record is not None:
                return [Expect(VERSIONS, version_record.key, version_record.revision)]
        elif await self._queries.alias(function, qualifier) is not None:
            return []
        raise not_found(FunctionReference(function, qualifier))

    async def removal(self, function: FunctionId, qualifier: str | None = None) -> list[Change]:
        """The changes that remove everything of a version or alias, or (None) of the function: for the commit that
        deletes it, which must hold the function's document at the revision read before this."""
        if qualifier is not None:
            return [Delete(table, attachment_key(function, qualifier)) for table in TABLES]
        return [
            Delete(table, stored.key) for table in TABLES for stored in await self._store.scan(table, _prefix(function))
        ]


def touched(found: StoredFunction) -> Put:
    """The change that keeps a function as it is, if it still is so, and lets every other change of it see that."""
    return Put(FUNCTIONS, found.record.function.key, found.record.to_document(), expect=found.revision)


def attachment_key(function: FunctionId, qualifier: str = LATEST) -> str:
    """The store key, in every table of attachments."""
    return f"{_prefix(function)}{qualifier}"


def _prefix(function: FunctionId) -> str:
    return f"{function.key}/"
