"""Filter criteria of event source mappings. Pure. https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html

A record passes if one of the patterns matches. Patterns see the record as the function would, but for its data (the
body of an SQS message): data in JSON is looked into. Data and pattern must be of one format: a pattern that looks into
data drops records whose data is plain text, and one for plain text those whose data is JSON. JSON means an object or a
list: a body of `42` or `"text"` is plain text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from lambent.model.event_patterns import EventPattern, parse_pattern


class Filters:
    """The criteria of one mapping. `data`: the name of the member that holds the data."""

    def __init__(self, criteria: Mapping[str, Any], data: str) -> None:
        patterns = [one["Pattern"] for one in criteria.get("Filters") or [] if one.get("Pattern") is not None]
        self._patterns = [parse_pattern(pattern) for pattern in patterns]
        self._data = data
        self._looks_at_data = any(data in pattern for pattern in patterns)

    def pass_(self, record: Mapping[str, Any]) -> bool:
        """Whether the function is to get a record."""
        if not self._patterns:
            return True
        data, seen = None, record
        if self._looks_at_data:
            data = _structure(record.get(self._data))
            seen = record if data is None else {**record, self._data: data}
        return any(self._fits(pattern, data) and pattern.matches(seen) for pattern in self._patterns)

    def _fits(self, pattern: EventPattern, data: object) -> bool:
        wanted = pattern.source.get(self._data)
        return wanted is None or isinstance(wanted, dict) == (data is not None)


def _structure(text: object) -> dict[str, Any] | list[Any] | None:
    """The JSON of a text; None for plain text."""
    if not isinstance(text, str) or not text.lstrip().startswith(("{", "[")):
        return None
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, (dict, list)) else None
