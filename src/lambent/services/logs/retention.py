"""Retention on disk: once an hour, segments whose events have all passed their group's retention are removed.

Queries do not wait for it: they leave out what has passed the retention from the moment it has.
"""

from __future__ import annotations

import logging

from lambent.model.clock import Clock
from lambent.model.ids import AccountId, Region
from lambent.observability.logs.events import LogGroupId
from lambent.observability.logs.store import LogGroupNotFoundError, LogStore
from lambent.services.logs.settings import read_all_settings
from lambent.store.api import Store

logger = logging.getLogger(__name__)

INTERVAL_S = 3600.0


async def keep_retention(log_store: LogStore, store: Store, clock: Clock) -> None:
    """Run for ever; cancel it to end it."""
    while True:
        await apply_retention(log_store, store)
        await clock.sleep(INTERVAL_S)


async def apply_retention(log_store: LogStore, store: Store) -> int:
    """One pass over all groups; returns the bytes given back."""
    freed = 0
    for key, settings in (await read_all_settings(store, "")).items():
        account, region, name = key.split("/", 2)
        group = LogGroupId(AccountId(account), Region(region), name)
        try:
            freed += log_store.expire(group, settings.expired_before_ms(log_store.now_ms()))
        except LogGroupNotFoundError:
            continue  # deleted since the settings were read
        except OSError:
            logger.exception("log retention of %s could not be applied", name)
    return freed
