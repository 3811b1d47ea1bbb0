"""Metric filters: what events that match a pattern add to a metric. The decisions are pure; `MetricFilters` follows
log groups and hands values to a `MetricSink`, wherever metrics are kept.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/MonitoringLogData.html. A value is a number, or what a column
(`$bytes`) or selector (`$.latency`) of the event holds; an event whose value is no number adds nothing. With a default
value, events that do not match add that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lambent.observability.logs.events import LogEvent, LogGroupId
from lambent.observability.logs.filter_conditions import InvalidFilterPatternError, number_of
from lambent.observability.logs.filter_json import leaf_text, load_document, parse_selector
from lambent.observability.logs.filter_pattern import FilterPattern, parse_filter_pattern
from lambent.observability.logs.store import LogStore

Dimensions = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class MetricValues:
    """Values of one metric, all of about one time (epoch seconds)."""

    group: LogGroupId
    namespace: str
    name: str
    dimensions: Dimensions
    unit: str
    at_s: float
    values: tuple[float, ...]


class MetricSink(Protocol):
    """Where metrics are kept. Called from within the append of a log line: it must be quick and must not raise."""

    def put_metric_values(self, values: MetricValues) -> None: ...


@dataclass(frozen=True, slots=True)
class MetricTransformation:
    """What a match adds. `value` and the dimensions' values are texts, or `$…` for a field of the event."""

    namespace: str
    name: str
    value: str
    default: float | None = None
    unit: str = "None"
    dimensions: Mapping[str, str] = field(default_factory=dict)


class MetricFilter:
    """A filter ready for use. Raises InvalidFilterPatternError."""

    def __init__(self, pattern: str, transformation: MetricTransformation) -> None:
        self.transformation = transformation
        self._pattern = parse_filter_pattern(pattern)
        for reference in (transformation.value, *transformation.dimensions.values()):
            check_reference(reference)

    def measure(self, message: str) -> tuple[float, Dimensions] | None:
        """What an event adds, and to which dimensions."""
        wanted = self.transformation
        if not self._pattern.matches(message.encode("utf-8", "replace")):
            return None if wanted.default is None else (wanted.default, ())
        number = number_of(_field(self._pattern, message, wanted.value) or "")
        if number is None:
            return None
        dimensions = [
            (name, _field(self._pattern, message, reference)) for name, reference in wanted.dimensions.items()
        ]
        # An event without one of the dimensions is published without dimensions, as on AWS.
        known = tuple(sorted((name, text) for name, text in dimensions if text))
        return number, known if len(known) == len(dimensions) else ()

    def measure_all(self, group: LogGroupId, events: Iterable[LogEvent]) -> Iterator[MetricValues]:
        """What a batch of events adds, by minute and dimensions."""
        found: dict[tuple[int, Dimensions], list[float]] = {}
        for event in events:
            measured = self.measure(event.message)
            if measured is not None:
                found.setdefault((event.timestamp_ms // 60_000, measured[1]), []).append(measured[0])
        wanted = self.transformation
        for (minute, dimensions), values in found.items():
            yield MetricValues(
                group, wanted.namespace, wanted.name, dimensions, wanted.unit, minute * 60.0, tuple(values)
            )


def check_reference(text: str) -> None:
    """Whether `$.a.b` is a selector, if it looks like one. Raises InvalidFilterPatternError."""
    if text.startswith(("$.", "$[")):
        parse_selector(text)


def _field(pattern: FilterPattern, message: str, reference: str) -> str | None:
    """The text of what is referred to; a text that is no reference is meant as it is."""
    if not reference.startswith("$"):
        return reference
    if reference.startswith(("$.", "$[")):
        document: Any = load_document(message.encode("utf-8", "replace"))
        return next((leaf_text(value) for value in parse_selector(reference).values(document)), None)
    return pattern.extract(message).get(reference)


class MetricFilters:
    """Follows the log groups that have filters, and hands what they measure to the sink."""

    def __init__(self, log_store: LogStore, sink: MetricSink) -> None:
        self._logs = log_store
        self._sink = sink
        self._unfollow: dict[LogGroupId, Callable[[], None]] = {}

    def set(self, group: LogGroupId, filters: Sequence[MetricFilter]) -> None:
        """The filters of a group, instead of those it had."""
        unfollow = self._unfollow.pop(group, None)
        if unfollow is not None:
            unfollow()
        if filters:
            self._unfollow[group] = self._logs.follow(group, self._follower(group, tuple(filters)))

    def close(self) -> None:
        """Follow nothing any more."""
        for group in list(self._unfollow):
            self.set(group, ())

    def _follower(
        self, group: LogGroupId, filters: tuple[MetricFilter, ...]
    ) -> Callable[[str, Sequence[LogEvent], int], None]:
        def take_in(stream: str, events: Sequence[LogEvent], ingestion_ms: int) -> None:
            for each in filters:
                for values in each.measure_all(group, events):
                    self._sink.put_metric_values(values)

        return take_in


__all__ = [
    "InvalidFilterPatternError",
    "MetricFilter",
    "MetricFilters",
    "MetricSink",
    "MetricTransformation",
    "MetricValues",
    "check_reference",
]
