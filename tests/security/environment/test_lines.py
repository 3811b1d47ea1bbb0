"""What a function prints is its own: no line of the platform's, no bill, no burden to others."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from typing import Any

import pytest

pytestmark = pytest.mark.root


def _logged(arena: Any, name: str) -> list[dict[str, Any]]:
    pages = arena.server.client("logs").get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
    return [event for page in pages for event in page["events"]]


def test_printed_platform_lines_are_the_functions_own(arena: Any) -> None:
    invoked = arena.attack(arena.deploy("printer"), "lines", "platform_lines")
    assert invoked.payload == {"platform_lines": "printed"}
    messages = [event["message"] for event in _logged(arena, "printer")]
    mine = [at for at, text in enumerate(messages) if text.startswith(f"REPORT RequestId: {invoked.request_id}\t")]
    assert len(mine) == 2  # the printed one lies within the invocation, the platform's ends it
    assert mine[-1] == len(messages) - 1
    assert "Billed Duration: 900000 ms" not in messages[-1]
    assert messages[-2].startswith(f"END RequestId: {invoked.request_id}")


def test_printed_reports_are_not_billed(arena: Any) -> None:
    arena.attack(arena.deploy("printer"), "lines", "platform_lines")
    deadline = time.monotonic() + 10
    while True:  # usage is noted a moment after the answer
        with urllib.request.urlopen(arena.server.url + "/_lambent/cost") as answer:
            report = json.load(answer)
        days = [day for day in report["days"] if day["function"].endswith("printer")]
        if days or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    assert 0 < sum(float(day["gbSeconds"]) for day in days) < 50  # the printed ones claim 9,000 each


def test_hostile_frames_are_lines_at_a_credible_time(arena: Any) -> None:
    began_ms = time.time() * 1000
    assert arena.attack(arena.deploy("framer"), "lines", "frames").payload == {"frames": "written"}
    assert arena.attack("framer", "lines", "not_text", "line_without_end").function_error is None
    events = _logged(arena, "framer")
    assert any("future" in event["message"] for event in events)
    assert all(abs(event["timestamp"] - began_ms) < 3_600_000 for event in events)
    assert max(len(event["message"].encode()) for event in events) <= 256 * 1024
    arena.check_neighbour()


@pytest.mark.alone
def test_a_flood_of_lines_leaves_time_for_others(arena: Any) -> None:
    arena.deploy("flood", Timeout=5, MemorySize=1769)
    flood = threading.Thread(target=lambda: arena.attack("flood", "lines", "flood_of_lines", hold_s=1.0))
    flood.start()
    answered = 0
    while flood.is_alive():
        arena.check_neighbour()
        answered += 1
    assert answered >= 3
    arena.server.client("lambda").delete_function(FunctionName="flood")
    arena.check_neighbour()
