"""What identifies a metric: account, region, namespace, name and dimensions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

Dimensions = tuple[tuple[str, str], ...]
"""Names and values, by name."""

NO_UNIT: Final = "None"
UNITS: Final = frozenset(
    ["Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "Count/Second", NO_UNIT]
    + [
        f"{size}{per}"
        for size in (
            *("Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes"),
            *("Bits", "Kilobits", "Megabits", "Gigabits", "Terabits"),
        )
        for per in ("", "/Second")
    ]
)


@dataclass(frozen=True, slots=True)
class MetricId:
    """One metric of one account in one region."""

    account: str
    region: str
    namespace: str
    name: str
    dimensions: Dimensions

    @property
    def dimensions_text(self) -> str:
        """The dimensions as JSON, the same for the same ones."""
        return orjson.dumps(self.dimensions).decode()


def dimensions_of(pairs: Iterable[tuple[str, str]]) -> Dimensions:
    """In their one order."""
    return tuple(sorted(pairs))


def dimensions_from(members: Iterable[Mapping[str, str]] | None) -> Dimensions:
    """From the API's `[{Name, Value}]`."""
    return dimensions_of((member["Name"], member["Value"]) for member in members or ())


def dimensions_from_text(text: str) -> Dimensions:
    """The inverse of `dimensions_text`."""
    return tuple((name, value) for name, value in orjson.loads(text))
