"""Outliving, holding up, stopping: an environment ends when it must, whole, and the next one is none the wiser."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.root, pytest.mark.alone]


def sleepers(seconds: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"sleep\0" + seconds.encode()):
                found.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    def wait(condition: Callable[[], bool]) -> None:
        import time

        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    return wait


def test_daemons_end_with_their_environment(arena: Any, until: Any) -> None:
    seconds = arena.host["sleep_s"]
    arena.deploy("daemons")
    assert arena.attack("daemons", "life", "daemons").payload["daemons"] >= 7  # they hold stdout, and nobody waits
    assert arena.attack("daemons", "life", "leave_something").payload == {"leave_something": [False, None]}
    assert arena.attack("daemons", "life", "leave_something").payload == {"leave_something": [True, "here"]}
    assert len(sleepers(seconds)) >= 5
    arena.server.client("lambda").delete_function(FunctionName="daemons")
    until(lambda: sleepers(seconds) == [])
    arena.check_neighbour()


# attempt: what the caller is told
ENDS = {
    "daemons_then_exit": "Runtime.ExitError",
    "kill_itself": "Runtime.ExitError",
    "crash_with_a_core": "Runtime.ExitError",
    "replace_the_runtime": "Runtime.ExitError",
}


@pytest.mark.parametrize("name", ENDS)
def test_end(arena: Any, until: Any, name: str) -> None:
    invoked = arena.attack(arena.deploy("mortal"), "life", name)
    assert (invoked.function_error, invoked.payload["errorType"]) == ("Unhandled", ENDS[name])
    until(lambda: sleepers(arena.host["sleep_s"]) == [])
    assert arena.attack("mortal", "life", "leave_something").payload == {"leave_something": [False, None]}
    arena.attack("mortal", "life", "kill_itself")
    arena.check_neighbour()


def test_who_stops_or_is_deaf_is_ended_by_the_timeout(arena: Any, until: Any) -> None:
    names = ("stop_itself", "ignore_signals_and_go_on")
    for name in names:
        arena.deploy(name.replace("_", "-"), Timeout=1)
    results: dict[str, Any] = {}

    def attack(name: str) -> None:
        results[name] = arena.attack(name.replace("_", "-"), "life", name)

    threads = [threading.Thread(target=attack, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: result.payload["errorType"] for name, result in results.items()} == dict.fromkeys(
        names, "Sandbox.Timedout"
    )
    until(lambda: sleepers(arena.host["sleep_s"]) == [])
    assert arena.attack("stop-itself", "life", "leave_something").payload == {"leave_something": [False, None]}
    arena.check_neighbour()


def test_a_stopped_child_holds_nobody_up(arena: Any, until: Any) -> None:
    arena.deploy("stopper")
    assert arena.attack("stopper", "life", "stop_while_a_child_is_stopped").function_error is None
    arena.server.client("lambda").delete_function(FunctionName="stopper")
    until(lambda: sleepers(arena.host["sleep_s"]) == [])
