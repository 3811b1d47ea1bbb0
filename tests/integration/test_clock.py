"""The clock of a server in development mode, with functions that really run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

CODE = """
import os, urllib.error, urllib.request, uuid
ID = uuid.uuid4().hex

def handler(event, context):
    if event != "move the clock":
        return ID
    url = os.environ["AWS_ENDPOINT_URL"] + "/_lambent/clock"
    try:
        with urllib.request.urlopen(url, b'{"action": "freeze"}', timeout=2) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
"""


@pytest.fixture(scope="module")
def clocked(make_server: Callable[..., RunningServer]) -> RunningServer:
    server = make_server("--dev")
    server.deploy("clocked", {"app.py": CODE})
    return server


def test_idle_environments_end_by_the_clock(clocked: RunningServer) -> None:
    clocked.clock("freeze")
    first = clocked.invoke("clocked").payload
    clocked.clock("advance", seconds=590)
    assert clocked.invoke("clocked").payload == first
    clocked.clock("advance", seconds=620)
    second = clocked.invoke("clocked").payload
    assert second != first
    clocked.clock("advance", seconds=7 * 3600)  # its credentials are over, too: the next one gets others
    assert clocked.invoke("clocked").payload not in {first, second}
    clocked.clock("real")


def test_a_function_does_not_move_the_clock(clocked: RunningServer) -> None:
    assert clocked.invoke("clocked", "move the clock").payload >= 400
    assert not clocked.clock("advance", seconds=0)["frozen"]
