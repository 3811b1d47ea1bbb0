"""What the machine and the parser allow: the bare echo of `http_floor.py`, and Lambent's HTTP server beside it."""

from __future__ import annotations

from collections.abc import Iterator

import http_floor
from subject import Lambent
from table import Figure, Row
from topics import Options

_CONNECTIONS = 8


def measure(subject: Lambent, options: Options) -> Iterator[Row]:
    for kind, what in (("floor", "a bare httptools echo, unsigned"), ("lambent", "Lambent's HTTP server, echo")):
        for outcome, cpu_us in http_floor.measure(kind, "uvloop", min(2.0, options.seconds), (_CONNECTIONS,)):
            figures = (Figure("", outcome.requests / outcome.seconds, "/s"), Figure("server CPU", cpu_us, "µs"))
            yield Row(f"{what}, {_CONNECTIONS} connections", figures)
