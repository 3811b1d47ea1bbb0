"""Cold starts, and from an upload to the first result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import load
from subject import Lambent, UnsupportedError
from table import Figure, Row
from topics import Options

GOALS_MS = {"python-boto3": 10.0, "node": 45.0, "create": 60.0}
_LABELS = {"python": "Python", "python-boto3": "Python, handler imports boto3 and makes a client", "node": "Node.js"}


def measure(subject: Lambent, options: Options) -> Iterator[Row]:
    for function, label in _LABELS.items():
        what = f"cold, {label}, first environment of a version"
        try:
            subject.deploy(function)
            yield _row(what, _first(subject, function, options.repeat), GOALS_MS.get(function))
        except (UnsupportedError, RuntimeError) as error:
            yield Row(what, (), note=f"not measured: {str(error).splitlines()[-1][:100]}")
    subject.deploy("slow")
    yield _row("cold, Python, next environment of a version", _next(subject, max(3, options.repeat // 4)), None)
    times = _create(subject, options.repeat)
    yield _row("create (upload of a ZIP file) to first result, Python", times, GOALS_MS["create"])


def _row(what: str, times_ms: list[float], goal_ms: float | None) -> Row:
    ordered = sorted(times_ms)
    figures = (
        Figure("p50", ordered[len(ordered) // 2], "ms", goal_ms),
        Figure("best", ordered[0], "ms"),
        Figure("worst", ordered[-1], "ms"),
    )
    return Row(what, figures)


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def _first(subject: Lambent, function: str, repeat: int) -> list[float]:
    request = subject.invoke_request(function, {"key": "value"})
    times = []
    for _ in range(repeat):
        subject.change(function)
        times.append(_timed(lambda: subject.call(request)))
    return times


def _next(subject: Lambent, repeat: int) -> list[float]:
    """The environment after the first of a version: the others are kept busy."""
    subject.change("slow")
    short, long = subject.invoke_request("slow", 0), subject.invoke_request("slow", 20)
    busy = []
    times = []
    for number in range(repeat + 1):
        took = _timed(lambda: subject.call(short))
        if number:
            times.append(took)
        sock = load.connect(subject.port)
        sock.sendall(long)
        busy.append(sock)
        time.sleep(0.1)
    for sock in busy:
        sock.close()
    return times


def _create(subject: Lambent, repeat: int) -> list[float]:
    times = []
    for number in range(repeat):
        name = f"created-{number}"
        create, invoke = subject.create_request("python", name), subject.invoke_request(name, {})
        times.append(_timed(lambda create=create, invoke=invoke: (subject.call(create), subject.call(invoke))))  # type: ignore[misc]
    return times
