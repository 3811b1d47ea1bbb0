"""A commit made ready: checked, encoded, and split into preconditions and writes. Pure; shared by every store.

Values are encoded when `commit` is called, so a caller may go on using (and changing) what it passed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from lambent.store.api import TABLES, Change, Expect, Put

_SURROGATE = re.compile("[\ud800-\udfff]")
_LAST_CODE_POINT = 0x10FFFF


@dataclass(frozen=True, slots=True)
class Precondition:
    """The document must be at this revision (0: absent) before the commit."""

    table: str
    key: str
    revision: int


@dataclass(frozen=True, slots=True)
class Write:
    """The document's new text, or None to remove it."""

    table: str
    key: str
    text: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """All preconditions refer to the state before the commit; writes are then applied in order."""

    preconditions: tuple[Precondition, ...]
    writes: tuple[Write, ...]


def plan(changes: Sequence[Change]) -> Plan:
    """Check and encode. Raises ValueError for an undeclared table or a key that is not text, TypeError for a value
    that is not JSON."""
    preconditions: list[Precondition] = []
    writes: list[Write] = []
    for change in changes:
        check_address(change.table, change.key)
        if isinstance(change, Expect):
            preconditions.append(Precondition(change.table, change.key, change.revision))
            continue
        if change.expect is not None:
            preconditions.append(Precondition(change.table, change.key, change.expect))
        text = encode(change.value) if isinstance(change, Put) else None
        writes.append(Write(change.table, change.key, text))
    return Plan(tuple(preconditions), tuple(writes))


def check_address(table: str, key: str) -> None:
    """Raise ValueError unless the table is declared and the key (or prefix) can be written as UTF-8."""
    if table not in TABLES:
        raise ValueError(f"Undeclared table {table!r}")
    if _SURROGATE.search(key):
        raise ValueError(f"Key {key!r} has a lone surrogate, which is not text")


def check_limit(limit: int | None) -> None:
    """Raise ValueError for a negative limit."""
    if limit is not None and limit < 0:
        raise ValueError(f"Negative limit {limit}")


def conflict_text(table: str, key: str, actual: int, expected: int) -> str:
    """The message of a ConflictError."""
    return f"{table}/{key} is at revision {actual}, expected {expected}"


def encode(value: object) -> str:
    """A document's JSON text. Raises TypeError if it is not a JSON object."""
    document = value if isinstance(value, dict) else dict(value)  # type: ignore[call-overload]
    return orjson.dumps(document).decode()


def decode(text: str) -> dict[str, Any]:
    """The document of a text; ValueError if it is not one."""
    value = orjson.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - damaged data, not a wrong argument
    return value


def prefix_end(prefix: str) -> str | None:
    """The smallest text greater than every text starting with `prefix`; None if there is none.

    Surrogates are no characters: what follows U+D7FF is U+E000.
    """
    stem = prefix.rstrip(chr(_LAST_CODE_POINT))
    if not stem:
        return None
    following = ord(stem[-1]) + 1
    return stem[:-1] + ("\ue000" if following == 0xD800 else chr(following))
