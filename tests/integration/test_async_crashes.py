"""`kill -9` again and again while many callers send events: every event that was answered with 202 has run.

`LAMBENT_CRASH_EVENTS` says how many are to be accepted at least (some hundreds by default; tens of thousands by hand).
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

EVENTS = int(os.environ.get("LAMBENT_CRASH_EVENTS", "400"))
CALLERS = 8
ALIVE_S = (0.3, 1.5)  # how long the server lives before it is killed
SOURCE = "def handler(event, context):\n    print('ran', event, context.aws_request_id)\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(tmp_path / "data") as made:
        yield made


class Callers:
    """Threads that send events, each its own number, and remember which were accepted, by request id."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.accepted: dict[str, str] = {}
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(CALLERS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _send(self, caller: int) -> None:
        functions = self._server.client("lambda")
        number = caller
        while not self._stop.is_set():
            number += CALLERS
            try:
                answer = functions.invoke(
                    FunctionName="writer", InvocationType="Event", Payload=json.dumps(f"e{number}")
                )
            except (BotoCoreError, ClientError, OSError):
                time.sleep(0.02)
                continue
            with self._lock:
                self.accepted[answer["ResponseMetadata"]["RequestId"]] = f"e{number}"


def ran(server: RunningServer) -> Counter[tuple[str, str]]:
    """Event and request id of every run, from the function's log."""
    pages = server.client("logs").get_paginator("filter_log_events")
    found: Counter[tuple[str, str]] = Counter()
    for page in pages.paginate(logGroupName="/aws/lambda/writer", filterPattern="ran"):
        for event in page["events"]:
            for name, request_id in re.findall(r"ran (e\d+) ([0-9a-f-]{36})", event["message"]):
                found[name, request_id] += 1
    return found


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@pytest.mark.timeout(600)
def test_every_accepted_event_runs(server: RunningServer, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(7)
    server.deploy("writer", {"app.py": SOURCE}, Timeout=30)
    callers = Callers(server)
    callers.start()
    kills = 0
    while len(callers.accepted) < EVENTS or kills < 3:
        time.sleep(chance.uniform(*ALIVE_S))
        server.stop(signal.SIGKILL)
        kills += 1
        server.start()
    callers.stop()
    accepted = {(event, request_id) for request_id, event in callers.accepted.items()}

    wait_until(lambda: not accepted - set(ran(server)), "events were lost", 30 + EVENTS / 200)
    runs = ran(server)
    again = sum(count - 1 for count in runs.values())
    with capsys.disabled():
        print(f"\n{len(accepted)} events accepted over {kills} kills, all ran; {again} ran more than once")
    assert max(runs.values()) <= kills + 1
