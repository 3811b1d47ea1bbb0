"""Event ids and the splitting of messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.observability.logs.events import BEFORE_ALL, EventKey, event_id, parse_event_id, split_message

keys = st.builds(EventKey, st.integers(0, 4_000_000_000_000), st.integers(-1, (1 << 63) - 1))
salts = st.integers(0, (1 << 80) - 1)


@given(keys, keys, salts)
def test_ids_sort_as_the_events_do_and_lead_back(one: EventKey, other: EventKey, salt: int) -> None:
    assert len(event_id(one, salt)) == 56
    assert parse_event_id(event_id(one, salt)) == one
    assert (event_id(one, salt) < event_id(other, salt)) == (one < other)


def test_the_place_before_all_is_an_id_too() -> None:
    assert event_id(BEFORE_ALL) == "0" * 56


@pytest.mark.parametrize("text", ["", "1" * 55, "1" * 57, "x" * 56, "-" + "1" * 55, "٣" * 56])
def test_what_is_not_an_id(text: str) -> None:
    with pytest.raises(ValueError, match="not an event id"):
        parse_event_id(text)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(4, 40))
def test_long_messages_are_cut_between_characters(text: str, limit: int) -> None:
    pieces = list(split_message(text.encode(), limit))
    assert b"".join(pieces) == text.encode()
    assert all(0 < len(piece) <= limit for piece in pieces) or pieces == [b""]
    assert "".join(piece.decode() for piece in pieces) == text
