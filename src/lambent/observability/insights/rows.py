"""A log event as a row: the fields that every event has, those discovered in Lambda's lines, and those of JSON. Pure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html. Durations are
milliseconds and memory is in bytes (a MB being a million of them), as AWS has it. Nothing is discovered until asked
for: most queries look at two or three fields.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NamedTuple

import orjson

_UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_PLATFORM: Final = re.compile(rf"(?P<type>START|END|REPORT) RequestId: (?P<id>{_UUID})")
_OF_INVOCATION: Final = re.compile(
    rf"(?:\[\w+\]\t)?\d{{4}}-[^\t]{{16,26}}Z?\t(?P<id>{_UUID})\t|RequestId: (?P<word>{_UUID})"
)
_FIGURE: Final = re.compile(r"(?:\t|^)([A-Z][A-Za-z ]+): ([0-9.]+) (ms|MB)")
_TRACE: Final = re.compile(r"XRAY TraceId: (\S+)\tSegmentId: (\S+)")
_FIGURES: Final = {
    "Duration": "@duration",
    "Billed Duration": "@billedDuration",
    "Memory Size": "@memorySize",
    "Max Memory Used": "@maxMemoryUsed",
    "Init Duration": "@initDuration",
    "Restore Duration": "@restoreDuration",
    "Billed Restore Duration": "@billedRestoreDuration",
}
_MB: Final = 1_000_000.0
_DECODER: Final = json.JSONDecoder()
_UNKNOWN: Final = object()

Value = str | int | float | bool | None
"""What a field or expression can be. None: there is none."""


class Timestamp(int):
    """Epoch milliseconds, shown as a date."""


class SourceEvent(NamedTuple):
    """A log event. `log` is `account:group`; times are epoch ms, the second being that of ingestion. Log, time and
    `sequence` are what finds it again."""

    log: str
    stream: str
    timestamp_ms: int
    ingestion_ms: int
    message: str
    sequence: int


SourceFields = tuple[str, str, int, int, str, int]
"""A `SourceEvent` on its way to the process of a query: a tuple without names takes a third of the time to make."""


class Row:
    """One row of a query: an event and what commands have added, or a group of `stats`."""

    __slots__ = ("_document", "_lambda", "added", "event")

    def __init__(self, event: SourceEvent | None, added: dict[str, Value] | None = None) -> None:
        self.event = event
        self.added: dict[str, Value] = added if added is not None else {}
        self._lambda: dict[str, Value] | None = None
        self._document: Any = _UNKNOWN

    def get(self, name: str) -> Value:
        """The value of a field; None if it has none."""
        if name in self.added:
            return self.added[name]
        event = self.event
        if event is None:
            return None
        match name:
            case "@message":
                return event.message
            case "@timestamp":
                return Timestamp(event.timestamp_ms)
            case "@logStream":
                return event.stream
            case "@ingestionTime":
                return Timestamp(event.ingestion_ms)
            case "@log":
                return event.log
            case "@ptr":
                return f"{event.log.partition(':')[2]}/{event.timestamp_ms}/{event.sequence}"
        if name.startswith("@") and not name.startswith("@@"):
            if self._lambda is None:
                self._lambda = lambda_fields(event.message)
            return self._lambda.get(name)
        if self._document is _UNKNOWN:
            self._document = embedded_json(event.message)
        return _leaf(_find(self._document, name.removeprefix("@")))

    def discovered(self) -> dict[str, Value]:
        """Every field of the event (for GetLogRecord): the first 200 of its JSON."""
        if self.event is None:
            return dict(self.added)
        fields = {name: self.get(name) for name in ("@message", "@timestamp", "@logStream", "@ingestionTime", "@log")}
        fields |= lambda_fields(self.event.message)
        flat: dict[str, Value] = {}
        _flatten(embedded_json(self.event.message), "", flat)
        return fields | dict(list(flat.items())[:200])


def lambda_fields(message: str) -> dict[str, Value]:
    """What is discovered in a line of a function's log, in text format."""
    platform = _PLATFORM.match(message)
    if platform is None:
        line = _OF_INVOCATION.match(message)
        return {} if line is None else {"@requestId": line["id"] or line["word"]}
    fields: dict[str, Value] = {"@type": platform["type"], "@requestId": platform["id"]}
    if platform["type"] == "REPORT":
        for label, figure, unit in _FIGURE.findall(message):
            name = _FIGURES.get(label)
            if name is not None:
                fields[name] = float(figure) * (_MB if unit == "MB" else 1.0)
        trace = _TRACE.search(message)
        if trace is not None:
            fields["@xrayTraceId"], fields["@xraySegmentId"] = trace.groups()
    return fields


def embedded_json(message: str) -> Any:
    """The first JSON object in a message; None if there is none."""
    start = message.find("{")
    if start < 0:
        return None
    if start == 0:
        try:
            return orjson.loads(message)
        except orjson.JSONDecodeError:
            pass
    for _ in range(5):  # a brace that begins no object may come before one that does
        try:
            return _DECODER.raw_decode(message, start)[0]
        except (json.JSONDecodeError, RecursionError):
            start = message.find("{", start + 1)
            if start < 0:
                return None
    return None


def _find(value: Any, path: str) -> Any:
    """What a dotted name leads to; names may have dots themselves."""
    if isinstance(value, dict):
        if path in value:
            return value[path]
        at = path.find(".")
        while at >= 0:
            if path[:at] in value:
                return _find(value[path[:at]], path[at + 1 :])
            at = path.find(".", at + 1)
        return None
    if isinstance(value, list):
        index, _, rest = path.partition(".")
        if not index.isascii() or not index.isdigit() or int(index) >= len(value):
            return None
        return _find(value[int(index)], rest) if rest else value[int(index)]
    return None


def _leaf(value: Any) -> Value:
    if value is None or isinstance(value, str | int | float):
        return value
    return orjson.dumps(value).decode()


def _flatten(value: Any, prefix: str, found: dict[str, Value]) -> None:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        if isinstance(item, dict | list):
            _flatten(item, f"{prefix}{name}.", found)
        else:
            found[f"{prefix}{name}"] = item
