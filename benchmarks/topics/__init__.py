"""One module for each topic; each has a `measure` that yields rows. To add one: a module here, a line in `registry`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """`seconds` of load for each row; `repeat`: how often what happens once is measured."""

    seconds: float = 5.0
    repeat: int = 20
