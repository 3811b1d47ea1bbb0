"""A thousand callers at once, some of whom hang up, of a function that crashes and times out: its limit holds, and
nothing of it is lost."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

CALLERS = 1000
RESERVED = 6
CODE = """
import os, time

def handler(event, context):
    began = time.monotonic()
    if event == "crash":
        os._exit(1)
    time.sleep(30 if event == "time out" else event)
    return [began, time.monotonic()]
"""


@dataclass
class Seen:
    """What callers were answered: statuses, reasons of throttles, and from when to when an invocation ran."""

    statuses: Counter[int] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    ran: list[tuple[float, float]] = field(default_factory=list)


@pytest.fixture
def limited(make_server: Callable[..., RunningServer]) -> Iterator[RunningServer]:
    server = make_server("--account-concurrency", str(100 + RESERVED))
    server.deploy("flooded", {"app.py": CODE}, Timeout=1)
    server.client("lambda").put_function_concurrency(FunctionName="flooded", ReservedConcurrentExecutions=RESERVED)
    yield server
    server.stop()


async def _call(port: int, number: int, seen: Seen) -> None:
    draw = random.Random(number)
    event = json.dumps(draw.choice([0.01, 0.02, 0.05, 0.01, 0.02, "crash", "time out"])).encode()
    await asyncio.sleep(draw.random() * 2)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(
            b"POST /2015-03-31/functions/flooded/invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            b"Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, "
            b"SignedHeaders=host, Signature=0\r\nContent-Length: %d\r\n\r\n%b" % (len(event), event)
        )
        await writer.drain()
        if draw.random() < 0.2:
            return  # hangs up
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    seen.statuses[status] += 1
    if status == 429:
        seen.reasons[json.loads(body)["Reason"]] += 1
    elif isinstance(json.loads(body), list):
        seen.ran.append(tuple(json.loads(body)))


async def _flood(port: int) -> Seen:
    seen = Seen()
    async with asyncio.TaskGroup() as callers:
        for number in range(CALLERS):
            callers.create_task(_call(port, number, seen))
    return seen


def test_the_limit_holds_and_nothing_leaks(limited: RunningServer) -> None:
    seen = asyncio.run(_flood(limited.port))
    assert set(seen.statuses) == {200, 429}
    assert seen.reasons["ReservedFunctionConcurrentInvocationLimitExceeded"]
    assert set(seen.reasons) <= {
        "ReservedFunctionConcurrentInvocationLimitExceeded",
        "ReservedFunctionInvocationRateLimitExceeded",
    }
    assert seen.ran
    assert _most_at_once(seen.ran) <= RESERVED
    deadline = time.monotonic() + 20
    while _in_flight(limited):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1)  # the rate has recovered
    with ThreadPoolExecutor(RESERVED) as threads:  # every unit is there again
        answers = list(threads.map(lambda _: limited.invoke("flooded", 0.4), range(RESERVED)))
    assert [answer.function_error for answer in answers] == [None] * RESERVED


def _most_at_once(ran: list[tuple[float, float]]) -> int:
    changes = sorted([(begin, 1) for begin, _ in ran] + [(end, -1) for _, end in ran])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def _in_flight(server: RunningServer) -> int:
    with urllib.request.urlopen(server.url + "/metrics", timeout=10) as response:
        found = re.search(r"^lambent_invocations_in_flight (\d+)", response.read().decode(), re.MULTILINE)
    assert found is not None
    return int(found[1])
