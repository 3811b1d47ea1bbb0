"""How events of a function, version or alias are retried and where their records go: from the store, remembered.

The only view of what PutFunctionEventInvokeConfig wrote: a read when first asked, and a watch that forgets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lambent.async_invoke.policy import MAXIMUM_EVENT_AGE_S, MAXIMUM_RETRY_ATTEMPTS, RetrySettings
from lambent.model.arn import LATEST, FunctionReference
from lambent.store.api import EVENT_INVOKE_CONFIGS, Store

_KNOWN_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class EventSettings:
    """In force for an event. The destinations are ARNs, or None."""

    retries: RetrySettings
    on_success: str | None = None
    on_failure: str | None = None


DEFAULTS: Final = EventSettings(RetrySettings())


class SettingsView:
    """`close` ends its watch."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, EventSettings] = {}
        self._changes = 0
        self._unwatch = store.watch(EVENT_INVOKE_CONFIGS, self._forget)

    async def find(self, reference: FunctionReference) -> EventSettings:
        """Those of what the caller named: of an alias its own, not those of the version behind it."""
        key = f"{reference.function.key}/{reference.qualifier or LATEST}"
        known = self._known.get(key)
        if known is not None:
            return known
        changes = self._changes
        found = await self._store.get(EVENT_INVOKE_CONFIGS, key)
        settings = DEFAULTS if found is None else _settings(found.value)
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        if changes == self._changes:  # else it may have changed while it was read
            self._known[key] = settings
        return settings

    def close(self) -> None:
        """End the watch."""
        self._unwatch()

    def _forget(self, key: str) -> None:
        self._changes += 1
        self._known.pop(key, None)


def _settings(stored: Mapping[str, Any]) -> EventSettings:
    destinations = stored["destinations"]
    return EventSettings(
        RetrySettings(
            stored.get("maximum_retry_attempts", MAXIMUM_RETRY_ATTEMPTS),
            stored.get("maximum_event_age_s", MAXIMUM_EVENT_AGE_S),
        ),
        destinations["OnSuccess"].get("Destination"),
        destinations["OnFailure"].get("Destination"),
    )
