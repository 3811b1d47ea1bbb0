"""Allow-lists."""

from __future__ import annotations

import pytest

from lambent.worker.sandbox.api import NetworkPolicy
from lambent.worker.sandbox.linux.network.policy import is_opened, may_resolve, parse_allowed


def test_addresses_ranges_and_names() -> None:
    assert parse_allowed(["10.1.0.0/16", " 192.0.2.7 ", "API.example.com.", "*.example.org", "localhost"]) == (
        ("10.1.0.0/16", "192.0.2.7/32"),
        ("api.example.com", "*.example.org", "localhost"),
    )


@pytest.mark.parametrize("text", ["", "10.1.0.1/16", "300.1.1.1", "fe80::1", "a b", "ex*mple.com", "-x.com", "x..com"])
def test_what_is_neither(text: str) -> None:
    with pytest.raises(ValueError, match="must hold IPv4 addresses"):
        parse_allowed([text])


def test_names_opened() -> None:
    policy = NetworkPolicy(hosts=("api.example.com", "*.example.org"))
    assert is_opened(policy, "API.example.com.")
    assert is_opened(policy, "a.b.example.org")
    assert not is_opened(policy, "example.org")
    assert not is_opened(policy, "badexample.org")
    assert not may_resolve(policy, "other.example.com")
    assert may_resolve(NetworkPolicy(internet=True), "other.example.com")
