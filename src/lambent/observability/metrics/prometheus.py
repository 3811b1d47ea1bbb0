"""Metrics as Prometheus reads them, in its text format 0.0.4. Pure.

https://prometheus.io/docs/instrumenting/exposition_formats/. Counters begin at 0 when the server starts, as Prometheus
expects; durations are a histogram in seconds, made from the sketch (a value at a bound may be counted beside it, within
`sketch.RELATIVE_ERROR`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from lambent.model.arn import FunctionId
from lambent.observability.metrics.invocations import Totals
from lambent.observability.metrics.sketch import value_of

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS_S: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0),
)

Labels = Mapping[str, str]
Sample = tuple[str, Labels, float]
"""Suffix of the metric's name, labels, value."""


def family(name: str, kind: str, help_: str, samples: Iterable[Sample]) -> str:
    """One metric and its samples. `kind`: counter, gauge or histogram."""
    lines = [f"# HELP {name} {help_}", f"# TYPE {name} {kind}"]
    for suffix, labels, value in samples:
        text = ",".join(f'{key}="{_escaped(each)}"' for key, each in labels.items())
        lines.append(f"{name}{suffix}{{{text}}} {_number(value)}" if text else f"{name}{suffix} {_number(value)}")
    return "\n".join(lines) + "\n"


def function_families(totals: Mapping[FunctionId, Totals], in_use: Mapping[FunctionId, int]) -> str:
    """What is known of each function."""
    ordered = sorted(totals.items(), key=lambda item: item[0].key)

    def counter(name: str, help_: str, of: Mapping[FunctionId, float]) -> str:
        samples = [("", _labels(function), of[function]) for function, _ in ordered]
        return family(f"lambent_function_{name}_total", "counter", help_, samples)

    histogram: list[Sample] = []
    for function, total in ordered:
        histogram += _histogram(_labels(function), total)
    return "".join(
        [
            counter("invocations", "Invocations that ran.", {f: total.completed for f, total in ordered}),
            counter("errors", "Invocations that ended in a function error.", {f: t.errors for f, t in ordered}),
            counter("throttles", "Invocations refused for want of concurrency.", {f: t.throttles for f, t in ordered}),
            counter(
                "billed_gb_seconds",
                "Memory size times billed duration.",
                {f: t.billed_mb_ms / 1024 / 1000 for f, t in ordered},
            ),
            family(
                "lambent_function_concurrent_executions",
                "gauge",
                "Invocations that run now.",
                [("", _labels(function), in_use.get(function, 0)) for function, _ in ordered],
            ),
            family("lambent_function_duration_seconds", "histogram", "Duration of invocations.", histogram),
        ]
    )


def backlog_families(backlogs: Mapping[FunctionId, tuple[int, float]]) -> str:
    """Asynchronous events of each function that has any: how many wait or run, and the age of the oldest."""
    ordered = sorted(backlogs.items(), key=lambda item: item[0].key)
    return family(
        "lambent_function_async_events",
        "gauge",
        "Asynchronous events that wait or run.",
        [("", _labels(function), events) for function, (events, _) in ordered],
    ) + family(
        "lambent_function_async_oldest_age_seconds",
        "gauge",
        "Age of the oldest of them.",
        [("", _labels(function), age_s) for function, (_, age_s) in ordered],
    )


def _histogram(labels: Labels, total: Totals) -> Iterable[Sample]:
    ordered = sorted((value_of(bucket) / 1000, count) for bucket, count in total.buckets.items())
    position, seen = 0, 0.0
    for bound in BOUNDS_S:
        while position < len(ordered) and ordered[position][0] <= bound:
            seen += ordered[position][1]
            position += 1
        yield "_bucket", {**labels, "le": _number(bound)}, seen
    yield "_bucket", {**labels, "le": "+Inf"}, total.completed
    yield "_sum", labels, total.duration_total / 1000
    yield "_count", labels, total.completed


def _labels(function: FunctionId) -> Labels:
    return {"account": function.account, "region": function.region, "function": function.name}


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
