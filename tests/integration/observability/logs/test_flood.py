"""One function prints as fast as it can: nothing is lost, its neighbour goes on, the server's memory stays bounded."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lambent.testing.server import RunningServer

pytestmark = [pytest.mark.root, pytest.mark.alone]

SECONDS = int(os.environ.get("LAMBENT_FLOOD_SECONDS", "4"))  # a minute is for who wants to see the figures
FLOOD = """
import time
def handler(event, context):
    name, seconds = event
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        print(name, "line", count, "with some more words, as log lines have them")
        count += 1
    return count
"""
GROWTH_MAX_MB = 150


def rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


def count(server: RunningServer, name: str) -> int:
    """The lines of a flood that are in the log, each once, counted by a query."""
    logs, now = server.client("logs"), int(time.time())
    query = f'filter @message like "{name} line" | stats count(*) as lines, count_distinct(@message) as different'
    started = logs.start_query(
        logGroupName="/aws/lambda/flood", startTime=now - 600, endTime=now + 60, queryString=query
    )
    while (answer := logs.get_query_results(queryId=started["queryId"]))["status"] == "Running":
        time.sleep(0.1)
    assert answer["status"] == "Complete"
    [[lines, different]] = answer["results"]
    assert lines["value"] == different["value"]
    return int(lines["value"])


def latencies_ms(server: RunningServer, until: Callable[[], bool]) -> list[float]:
    """How long invocations of the neighbour take, one after the other."""
    taken = []
    while not until():
        start = time.perf_counter()
        assert server.invoke("neighbour").payload == "well"
        taken.append((time.perf_counter() - start) * 1000)
    return taken


def test_a_flood_is_kept_whole_and_harms_nobody(make_server: Callable[..., RunningServer]) -> None:
    server = make_server()
    server.deploy("flood", {"app.py": FLOOD}, Timeout=SECONDS + 60, MemorySize=512)
    server.deploy("neighbour", {"app.py": "def handler(event, context): return 'well'"})
    assert server.invoke("flood", ["drizzle", 0.01]).payload == count(server, "drizzle")
    calm_until = time.monotonic() + 1
    calm = latencies_ms(server, lambda: time.monotonic() > calm_until)
    peak = before = rss_mb(server.pid)
    with ThreadPoolExecutor(1) as pool:
        flood = pool.submit(server.invoke, "flood", ["flood", SECONDS])

        def over() -> bool:
            nonlocal peak
            peak = max(peak, rss_mb(server.pid))
            return flood.done()

        during = latencies_ms(server, over)
        printed = flood.result().payload
    assert count(server, "flood") == printed
    p99 = [statistics.quantiles(taken, n=100)[98] for taken in (calm, during)]
    print(
        f"\n{printed / SECONDS:,.0f} lines/s; neighbour p50 {statistics.median(during):.1f} ms "
        f"(calm {statistics.median(calm):.1f}), p99 {p99[1]:.1f} ms (calm {p99[0]:.1f}), "
        f"{len(during)} invocations; server {before:.0f} MB before, {peak:.0f} MB at most"
    )
    assert peak - before < GROWTH_MAX_MB
