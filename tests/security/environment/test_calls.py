"""What a function says to the Runtime API and to its AWS endpoint, and what comes of it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

pytestmark = pytest.mark.root

ATTEMPTS: dict[str, Any] = {
    "next_while_working": "403",
    "answer_for_another_request": "400",
    "error_for_another_request": "400",
    "request_ids_that_are_none": {"400", "404"},
    "init_error_while_working": "403",
    "other_paths": {"404", "405"},
    "huge_headers": {"431"},
    "header_without_end": "431",
    "two_lengths": {"400"},
    "bad_chunks": {"400"},
    "response_too_large": {"400", "413"},
    "response_too_large_in_chunks": {"400", "413", "ECONNRESET", "EPIPE"},
    "pipelined_without_reading": True,
    "next_on_the_channel": "403",
    "answer_on_the_channel_for_another_request": {"400"},
    "init_error_on_the_channel": "403",
    "redirect_the_runtime": "done",
    "own_credentials": "200",
    "credentials_of_a_neighbour": {"400", "403"},
    "token_of_a_neighbour_with_own_key": {"400", "403"},
    "invented_credentials": {"400", "403"},
    "changed_token": {"400", "403"},
    "no_credentials": {"400", "403"},
    "pages_of_the_server": {"400", "403", "404"},
    "slow_request_to_the_endpoint": "200",
}


@pytest.fixture(scope="module")
def answers(arena: Any) -> Any:
    name = arena.deploy("caller")
    invoked = arena.attack(name, "calls", *ATTEMPTS, neighbour_credentials=arena.neighbour_credentials)
    assert invoked.function_error is None, invoked
    arena.check_neighbour()
    return invoked.payload


@pytest.mark.parametrize("name", ATTEMPTS)
def test_call(answers: Any, name: str) -> None:
    got, expected = answers[name], ATTEMPTS[name]
    if isinstance(expected, set):
        assert set(got if isinstance(got, list) else [got]) <= expected
    else:
        assert got == expected


def test_a_redirected_runtime_goes_on_where_it_was(arena: Any, answers: Any) -> None:
    invoked = arena.attack("caller", "calls", "own_credentials")
    assert (invoked.payload, invoked.function_error) == ({"own_credentials": "200"}, None)


@pytest.mark.alone
@pytest.mark.parametrize(
    ("name", "limit"), [("connections_to_the_runtime_api", 64), ("connections_to_the_endpoint", 256)]
)
def test_floods_of_connections_end_at_a_limit(arena: Any, name: str, limit: int) -> None:
    from lambent.testing.inventory import Footprint

    before = Footprint.of(arena.server.pid).descriptors.total()
    results: list[Any] = []
    arena.deploy("flooder")
    flood = threading.Thread(target=lambda: results.append(arena.attack("flooder", "calls", name, limit=limit)))
    flood.start()
    most = 0
    while flood.is_alive():
        most = max(most, Footprint.of(arena.server.pid).descriptors.total())
        arena.check_neighbour()
    opened, alive = results[0].payload[name]
    assert opened > limit
    assert alive <= limit
    assert most - before < 2 * limit + 100  # beyond the limit some are told so; and what environments need


@pytest.mark.alone
def test_bodies_held_open_are_limited(arena: Any) -> None:
    invoked = arena.attack(arena.deploy("holder", MemorySize=512), "calls", "bodies_held_open")
    assert invoked.payload["bodies_held_open"] >= 34  # of 40: four times 6 MB are held
    arena.check_neighbour()


def test_the_first_answer_counts(arena: Any) -> None:
    invoked = arena.attack(arena.deploy("twice"), "calls", "answer_twice")
    assert invoked.payload == "by hand"
    again = arena.attack("twice", "calls", "other_paths")  # in this environment or a new one
    assert "other_paths" in again.payload
    arena.check_neighbour()


def test_the_first_answer_counts_on_the_channel_too(arena: Any) -> None:
    invoked = arena.attack(arena.deploy("channel-twice"), "calls", "answer_on_the_channel_twice")
    assert invoked.payload == "by hand"
    again = arena.attack("channel-twice", "calls", "other_paths")
    assert "other_paths" in again.payload
    arena.check_neighbour()


@pytest.mark.alone
def test_descriptors_that_are_sent_to_the_server_do_not_stay_there(arena: Any) -> None:
    from lambent.testing.inventory import Footprint

    arena.deploy("giver")
    arena.attack("giver", "calls", "other_paths")
    before = Footprint.of(arena.server.pid).descriptors.total()
    invoked = arena.attack("giver", "calls", "descriptors_on_the_channel")
    assert set(invoked.payload["descriptors_on_the_channel"]) == {"403"}
    assert Footprint.of(arena.server.pid).descriptors.total() - before < 100  # of 640
    arena.check_neighbour()


def test_noise_on_its_channel_ends_the_environment_that_makes_it(arena: Any) -> None:
    invoked = arena.attack(arena.deploy("noisy"), "calls", "noise_on_the_channel")
    assert invoked.function_error == "Unhandled"
    assert invoked.payload["errorType"] == "Runtime.ExitError"
    assert arena.attack("noisy", "calls", "other_paths").function_error is None
    arena.check_neighbour()


def test_a_stolen_event_is_answered_by_a_timeout_only(arena: Any) -> None:
    """Whoever asks for the next event gets it, in this environment: it has nobody else's."""
    arena.deploy("thief", Timeout=1)
    assert arena.attack("thief", "calls", "answer_and_ask_for_the_next").payload == "by hand"
    invoked = arena.attack("thief", "calls", "own_credentials")
    assert invoked.function_error == "Unhandled" or invoked.payload == {"own_credentials": "200"}
    assert arena.attack("thief", "calls", "own_credentials").payload == {"own_credentials": "200"}
    arena.check_neighbour()


def test_an_invented_error_type_does_not_reach_the_report(arena: Any) -> None:
    invoked = arena.attack(arena.deploy("inventor"), "calls", "error_type_of_any_kind")
    assert invoked.function_error == "Unhandled"
    assert invoked.payload["errorType"] == "Function.Unknown"
    [report] = [line for line in invoked.log.splitlines() if line.startswith("REPORT")]
    assert report.count("Billed Duration") == 1
