"""The X-Ray trace header, and the lineage in it that tells how often a function was met in a chain of calls. Pure.

`Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=3:e65a2c4d:1`
(https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader). AWS documents of
`Lineage` only what it is for; its shape, that other tools look for, is number:8 hex digits:number.

A loop shows as a function met again. A header has room for one function, so which one is remembered moves on, as in
Brent's search for cycles: at the 2nd, 4th, 8th … call, as long as the remembered one was not met again. Whatever calls
came before the loop, and however many functions are in it, one of the loop is remembered soon, and then counted.
"""

from __future__ import annotations

import functools
import re
import zlib
from dataclasses import dataclass
from typing import Final

from lambent.model.arn import FunctionId

LOOP_MAX: Final = 16  # "approximately 16 times": how often a function runs in one chain of calls
_HOPS_MAX: Final = 32_767
_ROOT = re.compile(r"1-[0-9a-f]{8}-[0-9a-f]{24}")
_PARENT = re.compile(r"[0-9a-f]{16}")
_LINEAGE = re.compile(r"([0-9]{1,5}):([0-9a-f]{8}):([0-9]{1,3})")
_HEADER_MAX_CHARACTERS: Final = 1_024


@dataclass(frozen=True, slots=True)
class Lineage:
    """`hops`: functions run so far; `remembered`: one of them (`mark`); `met`: how often it was run again since."""

    hops: int
    remembered: str
    met: int

    def __str__(self) -> str:
        return f"{self.hops}:{self.remembered}:{self.met}"

    def then(self, mark: str) -> Lineage:
        """The lineage after one more function ran."""
        hops = min(self.hops + 1, _HOPS_MAX)
        if mark == self.remembered:
            return Lineage(hops, mark, self.met + 1)
        if self.met == 0 and hops & (hops - 1) == 0:
            return Lineage(hops, mark, 0)
        return Lineage(hops, self.remembered, self.met)

    @property
    def is_loop(self) -> bool:
        """Was a function run more often than a chain of calls may?"""
        return self.met >= LOOP_MAX


@dataclass(frozen=True, slots=True)
class TraceHeader:
    """X-Amzn-Trace-Id. `sampled` is None where nothing was decided yet."""

    root: str | None = None
    parent: str | None = None
    sampled: bool | None = None
    lineage: Lineage | None = None

    def __str__(self) -> str:
        fields = [
            ("Root", self.root),
            ("Parent", self.parent),
            ("Sampled", None if self.sampled is None else str(int(self.sampled))),
            ("Lineage", self.lineage),
        ]
        return ";".join(f"{name}={value}" for name, value in fields if value is not None)


def parse_trace_header(text: str | None) -> TraceHeader:
    """What a header says. Fields that are unknown or malformed are left out, as is all of one that is no header."""
    if not text or len(text) > _HEADER_MAX_CHARACTERS:
        return TraceHeader()
    fields = dict(part.strip().split("=", 1) for part in text.split(";") if "=" in part)
    root, parent, sampled = fields.get("Root", ""), fields.get("Parent", ""), fields.get("Sampled")
    return TraceHeader(
        root if _ROOT.fullmatch(root) else None,
        parent if _PARENT.fullmatch(parent) else None,
        sampled == "1" if sampled in ("0", "1") else None,
        _parse_lineage(fields.get("Lineage", "")),
    )


@functools.lru_cache(maxsize=4_096)
def mark_of(function: FunctionId) -> str:
    """The 8 hex digits a lineage remembers a function by."""
    return f"{zlib.crc32(function.key.encode()):08x}"


def _parse_lineage(text: str) -> Lineage | None:
    match = _LINEAGE.fullmatch(text)
    return Lineage(int(match[1]), match[2], int(match[3])) if match else None
