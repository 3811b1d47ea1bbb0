"""What one function's load does to another's latency: large payloads, waiting functions, callers that hang up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager

import load
from subject import Lambent
from table import Figure, Row
from topics import Options

_LARGE_CHARACTERS = 5 * 1024 * 1024
_RECORDS = 70_000  # 4.5 MB
_CALLERS = 2


def measure(subject: Lambent, options: Options) -> Iterator[Row]:
    for function in ("python", "size", "slow"):
        subject.deploy(function)
    port = subject.port
    small = subject.invoke_request("python", {"key": "value"})
    large = subject.invoke_request("size", {"data": "x" * _LARGE_CHARACTERS})
    records = [{"id": number, "name": f"name {number}", "tags": ["a", None, True]} for number in range(_RECORDS)]
    large_records = subject.invoke_request("size", {"data": records})
    waiting = subject.invoke_request("slow", 0.2)
    backgrounds: dict[str, AbstractContextManager[None]] = {
        "alone": contextlib.nullcontext(),
        "beside 5 MiB events from 2 callers": load.background(load.run, port, large, 2, 3600.0),
        "beside 4.5 MB of small records from 2 callers": load.background(load.run, port, large_records, 2, 3600.0),
        "beside 64 invocations that wait": load.background(load.run, port, waiting, 64, 3600.0),
        "beside callers that hang up over 5 MiB events": load.background(load.hang_up, port, large),
        "beside 8 callers that read slowly": load.background(load.read_slowly, port, small, 8),
    }
    for what, background in backgrounds.items():
        with background:
            yield _row(f"mixed: small function, {_CALLERS} callers, {what}", port, small, options.seconds)


def _row(what: str, port: int, request: bytes, seconds: float) -> Row:
    load.run(port, request, _CALLERS, min(1.0, seconds))
    outcome = load.run(port, request, _CALLERS, seconds)
    figures = (
        Figure("", outcome.per_second, "/s"),
        Figure("p50", outcome.percentile(0.5), "ms"),
        Figure("p99", outcome.percentile(0.99), "ms"),
        Figure("worst", outcome.percentile(1.0), "ms"),
    )
    return Row(what, figures, note=f"{outcome.errors} errors" if outcome.errors else "")
