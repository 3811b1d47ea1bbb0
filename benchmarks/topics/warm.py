"""Warm invocations: the same function over and over, from 1, 8 and 64 callers."""

from __future__ import annotations

from collections.abc import Iterator

import load
from subject import Subject, UnsupportedError
from table import Figure, Row
from topics import Options

CALLERS = (1, 8, 64)
LABELS = {"python": "Python", "node": "Node.js"}
# Invocations per second; see docs/reference/performance.md.
GOALS = {("python", 1): 3_200, ("python", 8): 8_000, ("python", 64): 9_500, ("node", 1): 2_000, ("node", 8): 4_000}
P50_GOAL_MS = {("python", 1): 0.3}
P99_GOAL_MS = {("python", 8): 4.0}
CPU_GOAL_US = {("python", 8): 100.0}
RUNTIME_CPU_GOAL_US = {("python", 8): 90.0}


def measure(subject: Subject, options: Options) -> Iterator[Row]:
    for function in ("python", "node"):
        try:
            subject.deploy(function)
        except (UnsupportedError, RuntimeError) as error:
            yield Row(_what(function, 1), (), subject.name, f"not measured: {str(error).splitlines()[0][:80]}")
            continue
        for callers in CALLERS:
            if callers > subject.callers_max:
                yield Row(_what(function, callers), (), subject.name, f"stands {subject.callers_max} at once")
                continue
            yield _row(subject, function, callers, options.seconds)


def _row(subject: Subject, function: str, callers: int, seconds: float) -> Row:
    request = subject.invoke_request(function, {"key": "value"})
    load.run(subject.port, request, callers, min(1.0, seconds))
    before, runtimes_before = subject.cpu_ms(), subject.runtimes_cpu_ms()
    outcome = load.run(subject.port, request, callers, seconds)
    after, runtimes_after = subject.cpu_ms(), subject.runtimes_cpu_ms()
    key = (function, callers)
    figures = [
        Figure("", outcome.per_second, "/s", GOALS.get(key)),
        Figure("p50", outcome.percentile(0.5), "ms", P50_GOAL_MS.get(key)),
        Figure("p99", outcome.percentile(0.99), "ms", P99_GOAL_MS.get(key)),
    ]
    if before is not None and after is not None and outcome.requests:
        figures.append(Figure("server CPU", (after - before) * 1000 / outcome.requests, "µs", CPU_GOAL_US.get(key)))
    if runtimes_after and outcome.requests:
        used_ms = sum(time_ms - runtimes_before.get(pid, 0.0) for pid, time_ms in runtimes_after.items())
        figures.append(Figure("runtime CPU", used_ms * 1000 / outcome.requests, "µs", RUNTIME_CPU_GOAL_US.get(key)))
    note = f"{outcome.errors} errors" if outcome.errors else ""
    return Row(_what(function, callers), tuple(figures), subject.name, note)


def _what(function: str, callers: int) -> str:
    return f"warm, {LABELS[function]}, {callers} caller{'s' if callers > 1 else ''}"
