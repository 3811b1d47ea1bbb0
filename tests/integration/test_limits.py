"""A quota that an operator raised reaches as far as the environment."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root


def test_more_memory_than_aws_gives(make_server: Callable[..., RunningServer]) -> None:
    server = make_server("--limits", "memory_max_mb=20480,timeout_max_s=1800")
    source = "def handler(event, context): return [context.memory_limit_in_mb, context.get_remaining_time_in_millis()]"
    server.deploy("large", {"app.py": source}, MemorySize=10241, Timeout=1800)
    memory, remaining_ms = server.invoke("large").payload
    assert int(memory) == 10241
    assert 1_700_000 < remaining_ms <= 1_800_000


def test_what_a_function_prints_ends_at_its_limit(make_server: Callable[..., RunningServer]) -> None:
    server = make_server("--log-limit", "1")
    source = "def handler(event, context):\n    for number in range(event): print(number, 'x' * 1000)"
    server.deploy("loud", {"app.py": source}, Timeout=30)
    server.invoke("loud", 5000)
    ran = server.invoke("loud", 1)
    logs = server.client("logs")
    events = logs.filter_log_events(logGroupName="/aws/lambda/loud", filterPattern="LAMBENT")["events"]
    assert [event["message"].split(" (")[0] for event in events] == [
        "LAMBENT This function has printed 1 MB within an hour, which is the limit"
    ]
    # The platform's own lines are there whatever happens.
    assert [line.split(" ")[0] for line in ran.log.splitlines()] == ["START", "END", "REPORT"]
