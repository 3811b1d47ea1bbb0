"""How soon a server is ready, and what it takes when it has nothing to do."""

from __future__ import annotations

import time
from collections.abc import Iterator

import processes
from subject import Lambent, Subject
from table import Figure, Row
from topics import Options

READY_GOAL_MS = 500.0
RSS_GOAL_MB = 80.0
_SETTLED_S = 3.0
_STARTS = 5
_FIRST, _AGAIN, _IDLE = "ready after a start, no data yet", "ready after a start, with data", "idle, after the start"


def measure(subject: Lambent, options: Options) -> Iterator[Row]:
    yield _ready(_FIRST, [subject.ready_s])
    yield _idle(subject)
    subject.deploy("python")
    times = []
    for _ in range(min(_STARTS, options.repeat)):
        subject.server.stop()
        begun = time.perf_counter()
        subject.server.start()
        times.append(time.perf_counter() - begun)
    yield _ready(_AGAIN, times)


def beside(subject: Subject, options: Options) -> Iterator[Row]:
    yield _ready(_FIRST, [subject.ready_s], subject.name)
    yield _idle(subject)


def _ready(what: str, times_s: list[float], by: str = Lambent.name) -> Row:
    times_ms = sorted(1000 * one for one in times_s)
    goal = READY_GOAL_MS if by == Lambent.name else None
    figures = [Figure("p50" if len(times_ms) > 1 else "", times_ms[len(times_ms) // 2], "ms", goal)]
    if len(times_ms) > 1:
        figures.append(Figure("worst", times_ms[-1], "ms"))
    return Row(what, tuple(figures), by)


def _idle(subject: Subject) -> Row:
    time.sleep(_SETTLED_S)
    goal = RSS_GOAL_MB if subject.name == Lambent.name else None
    started = processes.descendants(subject.pid)
    figures = (
        Figure("RSS of the server", processes.rss_mb(subject.pid), "MB", goal),
        Figure(f"private memory of the {len(started)} it started", processes.private_mb(started), "MB"),
    )
    return Row(_IDLE, figures, subject.name)
