"""How many spares a version should have: none without reason, no more than asked for lately, and none for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lambent.invoke.prediction import HALF_LIFE_S, PER_VERSION_MAX, Prediction


def test_nothing_is_expected_of_what_was_never_heard_of() -> None:
    prediction = Prediction[str](16)
    assert prediction.wanted(0) == {}
    assert prediction.next_change_s(0) == HALF_LIFE_S


def test_a_version_without_concurrency_has_one_spare_for_a_while() -> None:
    prediction = Prediction[str](16)
    for now in (0, 1, 2):
        prediction.cold_start("a", now, others=0)
        assert prediction.wanted(now) == {"a": 1}
    assert prediction.wanted(2 + HALF_LIFE_S - 0.1) == {"a": 1}
    assert prediction.wanted(2 + HALF_LIFE_S) == {}


def test_a_version_that_has_just_been_made_or_changed_has_one_and_no_more() -> None:
    prediction = Prediction[str](16)
    prediction.changed("a", 0)
    prediction.changed("a", 1)
    assert prediction.wanted(1) == {"a": 1}
    prediction.cold_start("a", 2, others=0)
    assert prediction.wanted(2) == {"a": 1}


def test_a_burst_asks_for_as_many_as_it_was_and_half_of_them_later() -> None:
    prediction = Prediction[str](100)
    for others in range(4):
        prediction.cold_start("a", 0, others)
    assert prediction.wanted(0) == {"a": 4}
    assert prediction.wanted(HALF_LIFE_S) == {"a": 2}
    assert prediction.wanted(2 * HALF_LIFE_S) == {"a": 1}
    assert prediction.wanted(3 * HALF_LIFE_S) == {}
    for others in range(100):
        prediction.cold_start("a", 300, others)
    assert prediction.wanted(300) == {"a": PER_VERSION_MAX}


def test_a_change_does_not_take_away_what_a_burst_has_asked_for() -> None:
    prediction = Prediction[str](16)
    for others in range(4):
        prediction.cold_start("a", 0, others)
    prediction.changed("a", 1)
    assert prediction.wanted(1) == {"a": 4}


def test_versions_heard_of_lately_go_first_when_there_may_not_be_so_many() -> None:
    prediction = Prediction[str](6)
    for name in ("a", "b", "c"):
        for others in range(4):
            prediction.cold_start(name, 0, others)
    assert prediction.wanted(0) == {"c": 4, "b": 2, "a": 0}
    prediction.cold_start("a", 1, 4)
    assert prediction.wanted(1) == {"a": 5, "c": 1, "b": 0}
    assert prediction.wanted(1 + HALF_LIFE_S) == {"a": 2, "c": 2, "b": 2}


def test_what_is_gone_has_none() -> None:
    prediction = Prediction[str](16)
    prediction.changed("a", 0)
    prediction.forget("a")
    prediction.forget("never heard of")
    assert prediction.wanted(0) == {}


def test_there_are_none_when_there_may_be_none() -> None:
    prediction = Prediction[str](0)
    prediction.cold_start("a", 0, 3)
    prediction.changed("b", 0)
    assert prediction.wanted(0) == {}


@given(
    st.integers(0, 20) | st.just(1000),
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 20), st.floats(0, 200)), max_size=60),
)
def test_the_bounds_hold_and_the_next_change_is_told(spares_max: int, heard: list[tuple[str, int, float]]) -> None:
    prediction = Prediction[str](spares_max)
    now = 0.0
    for name, others, later in heard:
        now += later
        prediction.cold_start(name, now, others)
        wanted = prediction.wanted(now)
        assert sum(wanted.values()) <= spares_max
        assert max(wanted.values(), default=0) <= PER_VERSION_MAX
        assert len(wanted) <= spares_max
        assert spares_max == 0 or wanted[name] >= 1
    for _ in range(PER_VERSION_MAX * 20):  # left alone, it comes to an end
        before = prediction.wanted(now)
        if not before:
            break
        change_s = prediction.next_change_s(now)
        assert 0 < change_s <= 1.6 * HALF_LIFE_S
        if change_s > 0.001:
            assert prediction.wanted(now + change_s * 0.999) == before
        now += change_s + 0.0001
        assert spares_max < 1000 or prediction.wanted(now) != before
    assert prediction.wanted(now) == {}
