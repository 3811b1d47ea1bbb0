"""The metrics of a mapping that asks for EventCount, in the namespace AWS/Lambda by EventSourceMappingUUID.

https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html#event-source-mapping-metrics
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lambent.control_plane.event_source_mappings import EventSourceMapping
from lambent.observability.metrics.identity import MetricId, dimensions_of
from lambent.observability.metrics.statistics import StatisticSet
from lambent.observability.metrics.store import MetricStore

POLLED: Final = "PolledEventCount"
FILTERED_OUT: Final = "FilteredOutEventCount"
INVOKED: Final = "InvokedEventCount"
FAILED: Final = "FailedInvokeEventCount"
DELETED: Final = "DeletedEventCount"


class EventCounts:
    """Counts events of one mapping; without a store, or if the mapping did not ask, it counts nothing."""

    def __init__(self, mapping: EventSourceMapping, store: MetricStore | None) -> None:
        self._store = store if _asks(mapping.settings) else None
        self._account, self._region = mapping.account, mapping.region
        self._dimensions = dimensions_of([("EventSourceMappingUUID", mapping.mapping_id)])

    def add(self, name: str, events: int) -> None:
        """So many more."""
        if self._store is None or not events:
            return
        values = StatisticSet()
        values.add(float(events))
        metric = MetricId(self._account, self._region, "AWS/Lambda", name, self._dimensions)
        self._store.put(metric, "Count", self._store.now(), values)


def _asks(settings: Mapping[str, Any]) -> bool:
    return "EventCount" in ((settings.get("MetricsConfig") or {}).get("Metrics") or [])
