"""A way to the internet is none to the host, to metadata services, to private networks or to neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

CLOSED = {
    "instance_metadata", "container_metadata", "port_of_the_host", "port_of_a_neighbour",
    "abstract_socket_of_a_neighbour", "abstract_socket_of_the_host",
}  # fmt: skip
REFUSALS = {"ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL", "EPERM", "EACCES", "TimeoutError()"}


@pytest.fixture(scope="module")
def answers(arena_with_internet: Any) -> Any:
    return arena_with_internet.answers("others")


@pytest.mark.parametrize("name", sorted(CLOSED))
def test_attempt(answers: Any, name: str) -> None:
    assert answers[name] in REFUSALS


def test_the_host_has_no_address_for_functions(answers: Any) -> None:
    assert set(answers["port_of_the_host_by_its_addresses"]) <= REFUSALS


def test_what_is_not_of_the_network_is_as_without_one(answers: Any) -> None:
    assert answers["user_outside"]["CapEff"] == ["0" * 16]
    assert answers["signal_processes_of_the_host"] == ["ESRCH", "ESRCH"]
    assert answers["secrets_of_others_in_own_memory"] == []
    assert answers["environments_of_others"] == 0


def test_interfaces_cannot_be_changed(arena_with_internet: Any) -> None:
    names = ("netlink_new_interface", "netlink_new_address", "netlink_new_route", "interface_down", "socket_packet")
    invoked = arena_with_internet.attack("attacker", "kernel", *names)
    assert set(invoked.payload.values()) <= {"EPERM", "EAFNOSUPPORT"}


def test_two_servers_on_a_host_each_have_a_network(arena_with_internet: Any, tmp_path: Path) -> None:
    """What one has the host's firewall refuse is not what the other forwards."""
    with RunningServer(tmp_path / "data", ("--network", "internet")):
        arena_with_internet.check_neighbour()
        with RunningServer(tmp_path / "third", ("--network", "internet")):
            pass  # it looks whether its packets are forwarded, and would not start
