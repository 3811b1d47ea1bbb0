"""Which version an invocation of an alias runs."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.model.alias import AliasConfiguration, is_alias_name
from lambent.model.arn import FunctionId
from lambent.model.ids import AccountId, Region, RevisionId

FUNCTION = FunctionId(AccountId("000000000000"), Region("us-east-1"), "f")


def alias(**weights: float) -> AliasConfiguration:
    routed = {version.removeprefix("v"): weight for version, weight in weights.items()}
    return AliasConfiguration(FUNCTION, "live", "1", RevisionId("r"), additional_version_weights=routed)


def test_without_weights() -> None:
    assert {alias().version_for(draw) for draw in (0.0, 0.5, 0.999)} == {"1"}


@pytest.mark.parametrize(("weight", "first", "last"), [(0.0, "1", "1"), (1.0, "2", "2"), (0.25, "2", "1")])
def test_the_ends(weight: float, first: str, last: str) -> None:
    split = alias(v2=weight)
    assert split.version_for(0.0) == first
    assert split.version_for(0.9999999999999999) == last


@given(weight=st.floats(0, 1))
def test_each_gets_its_share(weight: float) -> None:
    draws = 1000
    seen = Counter(alias(v2=weight).version_for((number + 0.5) / draws) for number in range(draws))
    assert abs(seen["2"] - weight * draws) <= 1
    assert seen.total() == draws


def test_each_gets_its_share_by_chance() -> None:
    chance = random.Random(1)
    seen = Counter(alias(v2=0.1).version_for(chance.random()) for _ in range(20_000))
    assert abs(seen["2"] - 2000) < 5 * (20_000 * 0.1 * 0.9) ** 0.5


@given(weights=st.dictionaries(st.sampled_from(["v2", "v3"]), st.floats(0, 1), max_size=1), description=st.text())
def test_stored_and_read_again(weights: dict[str, float], description: str) -> None:
    before = alias(**weights)
    assert AliasConfiguration.from_document(before.to_document()) == before
    assert all(before.routes_to(version.removeprefix("v")) for version in weights)
    assert before.routes_to("1")
    assert not before.routes_to("9")


@pytest.mark.parametrize(
    ("name", "is_one"), [("live", True), ("v1", True), ("1", False), ("$LATEST", False), ("", False), ("1-a", True)]
)
def test_names(name: str, is_one: bool) -> None:
    assert is_alias_name(name) is is_one
