"""Asynchronous invocations: how many are accepted, how soon they start, and what one costs with many waiting."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import load
import processes
from lambent.async_invoke.events import Event, queue_of
from lambent.model.arn import FunctionId, FunctionReference
from lambent.model.clock import SystemClock
from lambent.model.ids import AccountId, Region, new_request_id
from lambent.queues.api import NewMessage
from lambent.queues.sqlite import SqliteQueues
from subject import SOON, Lambent
from table import Figure, Row
from topics import Options

CALLERS = (1, 8, 64)
ACCEPTED_GOAL = 5_000
START_P50_GOAL_MS = 5.0
BACKLOGS = (10, 10_000)
FURTHER_BACKLOG = "LAMBENT_BENCH_BACKLOG"  # 1000000, say


def measure(subject: Lambent, options: Options) -> Iterator[Row]:
    subject.deploy("slow")
    subject.deploy("late")
    functions = subject.client("lambda")
    yield _starts(subject, options)
    functions.put_function_concurrency(FunctionName="slow", ReservedConcurrentExecutions=1)
    _send(subject, "slow", 800)  # occupies the function: what comes now waits
    time.sleep(1)
    for callers in CALLERS:
        yield _accepted(subject, "slow", callers, options.seconds)
    further = os.environ.get(FURTHER_BACKLOG)
    for backlog in (*BACKLOGS, *([int(further)] if further else [])):
        yield _with_backlog(subject, backlog)


def _event_request(subject: Lambent, function: str, event: object) -> bytes:
    path = f"/2015-03-31/functions/{function}/invocations"
    return subject.signed("POST", path, json.dumps(event).encode(), {"X-Amz-Invocation-Type": "Event"})


def _send(subject: Lambent, function: str, event: object) -> None:
    subject.call(_event_request(subject, function, event))


def _accepted(subject: Lambent, function: str, callers: int, seconds: float) -> Row:
    request = _event_request(subject, function, 0)
    load.run(subject.port, request, callers, min(1.0, seconds))
    before = processes.cpu_ms([subject.pid])
    outcome = load.run(subject.port, request, callers, seconds)
    cpu_us = (processes.cpu_ms([subject.pid]) - before) * 1000 / max(1, outcome.requests)
    figures = (
        Figure("", outcome.per_second, "/s", ACCEPTED_GOAL if callers == 64 else None),
        Figure("p50", outcome.percentile(0.5), "ms"),
        Figure("p99", outcome.percentile(0.99), "ms"),
        Figure("server CPU", cpu_us, "µs"),
    )
    note = f"{outcome.errors} errors" if outcome.errors else ""
    return Row(f"events accepted durably, {callers} caller{'s' if callers > 1 else ''}", figures, note=note)


def _starts(subject: Lambent, options: Options) -> Row:
    """From the request to the function's first line, one at a time, warm."""
    for _ in range(options.repeat * 5):
        _send(subject, "late", time.time())
        time.sleep(0.02)
    time.sleep(1)
    events = subject.client("logs").filter_log_events(logGroupName="/aws/lambda/late", filterPattern="late")["events"]
    times = sorted(
        1000 * float(found[1]) for event in events if (found := re.search(r"late ([0-9.]+)", event["message"]))
    )
    figures = (
        Figure("p50", times[len(times) // 2], "ms", START_P50_GOAL_MS),
        Figure("p99", times[int(len(times) * 0.99)], "ms"),
    )
    return Row("from an event's request to its start, warm", figures)


def _with_backlog(subject: Lambent, backlog: int) -> Row:
    """What accepting, and then running, one event costs with that many of the function waiting."""
    functions = subject.client("lambda")
    name = f"backlog-{backlog}"
    subject.call(subject.create_request("slow", name))
    functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=SOON)
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    subject.server.stop()
    asyncio.run(_fill(subject.server.data_dir / "queues.db", name, backlog))
    subject.server.start()
    time.sleep(2)  # the first event occupies the function

    request = _event_request(subject, name, 0)
    before = processes.cpu_ms([subject.pid])
    accepted = load.run(subject.port, request, 16, 1.0).requests
    figures = [Figure("accepting", (processes.cpu_ms([subject.pid]) - before) * 1000 / max(1, accepted), "µs")]

    functions.delete_function_concurrency(FunctionName=name)
    first = begun = time.perf_counter()
    waiting = start = _waiting(subject, name)
    while waiting > start - 50 and time.perf_counter() - first < 15:
        time.sleep(0.1)
        waiting = _waiting(subject, name)
    begun, before, start = time.perf_counter(), processes.cpu_ms([subject.pid]), waiting
    time.sleep(min(3.0, backlog / 5_000))
    elapsed, after, waiting = time.perf_counter() - begun, processes.cpu_ms([subject.pid]), _waiting(subject, name)
    if start - waiting > 100:
        figures.append(Figure("running", (after - before) * 1000 / (start - waiting), "µs"))
        figures.append(Figure("", (start - waiting) / elapsed, "/s"))
    functions.delete_function(FunctionName=name)
    return Row(f"server CPU of an event with {backlog:,} waiting", tuple(figures))


async def _fill(path: Path, name: str, count: int) -> None:
    """Put events into a stopped server's queue; the first keeps its function busy."""
    queues = await SqliteQueues.open(path, SystemClock())
    function = FunctionId(AccountId("000000000000"), Region("us-east-1"), name)
    reference = FunctionReference(function, None)
    for start in range(0, count, 1_000):
        payloads = [b"800" if number == 0 else b"0" for number in range(start, min(count, start + 1_000))]
        events = [Event(reference, new_request_id(), payload) for payload in payloads]
        await queues.send([NewMessage(queue_of(function), one.request_id, one.to_body()) for one in events])
    await queues.close()


def _waiting(subject: Lambent, name: str) -> int:
    with urllib.request.urlopen(f"{subject.server.url}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    found = re.search(rf'lambent_function_async_events{{[^}}]*function="{name}"}} (\d+)', text)
    return int(found[1]) if found else 0
