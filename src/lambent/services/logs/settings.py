"""The settings of log groups in the store: one document each, absent while there is nothing to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lambent.observability.logs.events import LogGroupId
from lambent.services.logs.errors import aborted
from lambent.store.api import LOG_GROUPS, ConflictError, Delete, Put, Store

_ATTEMPTS = 10

DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """`retention_days`: None keeps events for ever."""

    retention_days: int | None
    tags: dict[str, str]
    log_group_class: str
    metric_filters: int = 0

    def expired_before_ms(self, now_ms: int) -> int:
        """Events older than this have passed the retention and are no longer shown."""
        return 0 if self.retention_days is None else max(0, now_ms - self.retention_days * DAY_MS)


def _parse(document: dict[str, Any]) -> GroupSettings:
    return GroupSettings(
        document.get("retentionInDays"),
        document.get("tags", {}),
        document.get("logGroupClass", "STANDARD"),
        len(document.get("metricFilters", {})),
    )


async def read_settings(store: Store, group: LogGroupId) -> GroupSettings:
    """A group's settings."""
    record = await store.get(LOG_GROUPS, group.key)
    return _parse(record.value if record else {})


async def read_all_settings(store: Store, prefix: str) -> dict[str, GroupSettings]:
    """Settings by key, of all groups whose key starts with `prefix`."""
    return {record.key: _parse(record.value) for record in await store.scan(LOG_GROUPS, prefix)}


async def change_settings(store: Store, group: LogGroupId, change: Callable[[dict[str, Any]], None]) -> None:
    """Apply a change to a group's document, again if somebody else changed it meanwhile."""
    for _ in range(_ATTEMPTS):
        record = await store.get(LOG_GROUPS, group.key)
        document = record.value if record else {}
        change(document)
        try:
            await store.commit([Put(LOG_GROUPS, group.key, document, record.revision if record else 0)])
        except ConflictError:
            continue
        return
    raise aborted()


async def forget_settings(store: Store, group: LogGroupId) -> None:
    """Remove a group's document, if there is one."""
    await store.commit([Delete(LOG_GROUPS, group.key)])
