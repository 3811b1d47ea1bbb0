"""Cold starts, and from an upload to the first result."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import load
from subject import Lambent, Subject, UnsupportedError
from table import Figure, Row
from topics import Options

LABELS = {
    "python": "Python",
    "python-import": "Python, handler imports boto3",
    "python-client": "Python, handler imports boto3 and makes a client",
    "node": "Node.js",
}
GOALS_MS = {"python-import": 10.0, "node": 45.0}
CREATE_GOAL_MS = 60.0
# For the next environment of a version the ones before are kept busy, by functions that wait.
_WAITING = {"slow": "python", "slow-import": "python-import", "node-slow": "node"}
_PEERS_MOST = 8
_SETTLED_AFTER_S = 2.0
_BURST_OF = 8
_BURST = f"cold, Python, {2 * _BURST_OF} at once after {_BURST_OF}: the {_BURST_OF} that are new"
_CREATE = "create (upload of a ZIP file) to first result, Python"


def measure(subject: Lambent, options: Options) -> Iterator[Row]:
    # The first function of a runtime has the server start what later environments are made from.
    for function in ("python", "node"):
        with contextlib.suppress(UnsupportedError):
            for request in subject.fresh(function, 1):
                subject.call(request)
    time.sleep(_SETTLED_AFTER_S)
    for function in LABELS:
        measured = partial(_first, subject, function, options.repeat)
        yield from _tried(subject, _first_what(function), GOALS_MS.get(function), measured)
    for function, like in _WAITING.items():
        what = f"cold, {LABELS[like]}, next environment of a version"
        measured = partial(_next, subject, function, max(3, options.repeat // 2))
        yield from _tried(subject, what, GOALS_MS.get(like), measured)
    yield from _tried(subject, _BURST, None, partial(_burst, subject, max(2, options.repeat // 5)))
    yield from _tried(subject, _CREATE, CREATE_GOAL_MS, partial(_create, subject, options.repeat))


def beside(subject: Subject, options: Options) -> Iterator[Row]:
    """The first invocation of functions that were never invoked."""
    for function in LABELS:
        yield from _tried(subject, _first_what(function), None, partial(_fresh, subject, function, options.repeat))
    yield from _tried(subject, _CREATE, None, partial(_create, subject, min(options.repeat, _PEERS_MOST)))


def _first_what(function: str) -> str:
    return f"cold, {LABELS[function]}, first environment of a version"


def _tried(subject: Subject, what: str, goal_ms: float | None, measured: Callable[[], list[float]]) -> Iterator[Row]:
    """The row; none of what the subject does not do."""
    try:
        yield _row(what, measured(), goal_ms, subject.name)
    except UnsupportedError:
        return
    except RuntimeError as error:
        yield Row(what, (), subject.name, f"not measured: {str(error).splitlines()[-1][:100]}")


def _row(what: str, times_ms: list[float], goal_ms: float | None, by: str) -> Row:
    ordered = sorted(times_ms)
    figures = (
        Figure("p50", ordered[len(ordered) // 2], "ms", goal_ms),
        Figure("best", ordered[0], "ms"),
        Figure("p90", ordered[int(len(ordered) * 0.9)], "ms"),
    )
    return Row(what, figures, by)


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def _first(subject: Lambent, function: str, repeat: int) -> list[float]:
    subject.deploy(function)
    request = subject.invoke_request(function, {"key": "value"})
    times = []
    for _ in range(repeat):
        subject.change(function)
        times.append(_timed(lambda: subject.call(request)))
    return times


def _fresh(subject: Subject, function: str, repeat: int) -> list[float]:
    requests = subject.fresh(function, min(repeat, _PEERS_MOST))
    return [_timed(partial(subject.call, request)) for request in requests]


def _next(subject: Lambent, function: str, repeat: int) -> list[float]:
    """The environment after the first of a version: the others are kept busy."""
    subject.deploy(function)
    subject.change(function)
    short, long = subject.invoke_request(function, 0), subject.invoke_request(function, 20)
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


def _burst(subject: Lambent, repeat: int) -> list[float]:
    """Some invocations at once of a version that has no environment yet, and a moment later twice as many: what those
    took that found no idle one. Each runs for a while, so that none can be the next in the environment of another; that
    is not counted."""
    held_s = 0.25
    request = subject.invoke_request("slow", held_s)
    times: list[float] = []
    for _ in range(repeat):
        subject.change("slow")
        _at_once(subject, request, _BURST_OF)
        time.sleep(0.5)
        times += sorted(_at_once(subject, request, 2 * _BURST_OF))[_BURST_OF:]
    return [took - held_s * 1000 for took in times]


def _at_once(subject: Lambent, request: bytes, number: int) -> list[float]:
    begin = threading.Barrier(number)

    def one(_: int) -> float:
        begin.wait()
        return _timed(lambda: subject.call(request))

    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(one, range(number)))


def _create(subject: Subject, repeat: int) -> list[float]:
    times = []
    for number in range(repeat):
        create, invoke = subject.creation(f"created-{number}")
        times.append(_timed(lambda create=create, invoke=invoke: (subject.call(create), subject.call(invoke))))  # type: ignore[misc]
    return times
