"""JSON with blobs of megabytes: the base64 is left where it is, and the parser sees the little around it.

A JSON parser holds Python's lock: 80 ms for a deployment package of 50 MB, most of it for a copy nobody needs. Looking
for the end of a string takes a twentieth, and can pause. Pure, but for the pauses: for a thread.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any, Final

from lambent.aws.models import Shape
from lambent.aws.protocols.json_values import PAUSE_S

_BLOB_MIN_BYTES: Final = 1024 * 1024
_STRINGS_MAX: Final = 1_000  # looked at; a body with more of them is for the parser alone
_STEP_BYTES: Final = 8 * 1024 * 1024  # searched at a time (1 ms)
_QUOTE, _BACKSLASH = b'"', b"\\"


class CutBody:
    """A JSON body in which long strings without escapes are replaced by short ones. They are not checked here: whoever
    takes one out must."""

    def __init__(self, body: bytes) -> None:
        self._mark = secrets.token_hex(16)  # so that no client can write it
        self._blobs: list[memoryview] = []
        parts, kept = [], 0
        for start, end in _long_strings(body):
            parts += [body[kept:start], f"{self._mark}{len(self._blobs)}".encode()]
            self._blobs.append(memoryview(body)[start:end])
            kept = end
        self.rest = b"".join([*parts, body[kept:]]) if parts else body
        """What is to be parsed."""

    def whole(self, value: Any) -> Any:
        """The parsed rest with the long strings in their places, as memoryviews of UTF-8 text without quotes."""
        if not self._blobs:
            return value
        if isinstance(value, dict):
            return {self._name(name): self.whole(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.whole(item) for item in value]
        if isinstance(value, str) and value.startswith(self._mark):
            return self._blob(value)
        return value

    def _blob(self, mark: str) -> memoryview:
        return self._blobs[int(mark[len(self._mark) :])]

    def _name(self, name: str) -> str:
        return self._blob(name).tobytes().decode("utf-8", "replace") if name.startswith(self._mark) else name


def has_blob(shape: Shape, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a blob can be anywhere in it."""
    if shape.name in seen:
        return False
    seen |= {shape.name}
    if shape.type == "structure":
        return any(has_blob(member, seen) for member in shape.members.values() if member.location is None)
    if shape.type in ("list", "map"):
        return has_blob(shape.member if shape.type == "list" else shape.value, seen)
    return shape.type == "blob"


def _long_strings(body: bytes) -> Iterator[tuple[int, int]]:
    """Where the text of each begins and ends, in order."""
    end = -1
    for _ in range(_STRINGS_MAX):
        start = _find(body, _QUOTE, end + 1, len(body)) + 1
        end = _end_of_string(body, start) if start else -1
        if end < 0:
            return
        if end - start >= _BLOB_MIN_BYTES and _find(body, _BACKSLASH, start, end) < 0:
            yield start, end


def _end_of_string(body: bytes, start: int) -> int:
    """The quote that ends a string; -1 if none does."""
    end = _find(body, _QUOTE, start, len(body))
    while end >= 0 and body[end - 1 : end] == _BACKSLASH:
        before = end - 1
        while before > start and body[before - 1 : before] == _BACKSLASH:
            before -= 1
        if (end - before) % 2 == 0:
            break
        end = _find(body, _QUOTE, end + 1, len(body))
    return end


def _find(body: bytes, wanted: bytes, start: int, end: int) -> int:
    """As `body.find`, with pauses."""
    while start < end:
        found = body.find(wanted, start, min(end, start + _STEP_BYTES))
        if found >= 0:
            return found
        start += _STEP_BYTES
        time.sleep(PAUSE_S)
    return -1
