"""New environments: how many a second, and what each keeps while it is idle."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator

import backend_launches
import load
import processes
from subject import Lambent, Subject, UnsupportedError
from table import Figure, Row
from topics import Options

PER_SECOND_GOAL = 100.0
PRIVATE_GOAL_MB = 4.0
_AT_ONCE = 100
_PEERS_AT_ONCE = 16  # each takes some 100 ms of processor time and more
_PATIENCE_S = 60.0
_RATE = "new environments a second, Python, through the server"
_MEMORY = "memory of an idle environment, Python"


def measure(subject: Lambent, options: Options) -> Iterator[Row]:
    yield from _through_the_server(subject, _AT_ONCE, 4.0)
    yield asyncio.run(_by_the_backend(options))


def beside(subject: Subject, options: Options) -> Iterator[Row]:
    if subject.callers_max < _PEERS_AT_ONCE:
        yield Row(_RATE, (), subject.name, f"stands {subject.callers_max} caller at once")
        return
    try:
        yield from _through_the_server(subject, _PEERS_AT_ONCE, 12.0)
    except UnsupportedError as error:
        yield Row(_RATE, (), subject.name, f"not measured: {error}")


def _through_the_server(subject: Subject, count: int, horizon_s: float) -> Iterator[Row]:
    """Invocations at once of a function that waits until all have begun, so that each has an environment."""
    is_ours = isinstance(subject, Lambent)
    subject.deploy("until")
    time.sleep(2)  # shelves are filled again
    before = set(subject.function_processes())
    begun = time.time()
    answers = load.together(subject.port, subject.invoke_request("until", begun + horizon_s), count, _PATIENCE_S)
    starts = sorted(start for answer in answers if (start := _start(answer)) is not None)
    late = sum(start > begun + horizon_s for start in starts)
    notes = (f"{count} at once", f"{late} began late" if late else "",
             f"{count - len(starts)} failed" if len(starts) < count else "")  # fmt: skip
    rate = len(starts) / (starts[-1] - begun) if starts else 0.0
    figure = Figure("", rate, "/s", PER_SECOND_GOAL if is_ours else None)
    yield Row(_RATE, (figure,), subject.name, "; ".join(filter(None, notes)))
    time.sleep(1)
    new = [pid for pid in subject.function_processes() if pid not in before]
    inits = [pid for pid in new if processes.name(pid) == "lambent-init"]
    environments = len(inits) or len(new)
    if not environments:
        return
    private = Figure("private", processes.private_mb(new) / environments, "MB", PRIVATE_GOAL_MB if is_ours else None)
    of_inits = [Figure("of it init's", processes.private_mb(inits) / environments, "MB")] if inits else []
    yield Row(_MEMORY, (private, *of_inits), subject.name, f"{environments} of them")


def _start(answer: bytes) -> float | None:
    try:
        return float(json.loads(answer.partition(b"\r\n\r\n")[2]))
    except (TypeError, ValueError):
        return None


async def _by_the_backend(options: Options) -> Row:
    rate, launch_ms = await backend_launches.measure(5 * options.repeat, at_once=8)
    figures = (Figure("", rate, "/s", PER_SECOND_GOAL), Figure("launch p50", launch_ms, "ms"))
    return Row("new environments a second, Python, by the sandbox backend alone", figures, note="8 at a time")
