"""Marker, MaxItems and IsTruncated over any list that is in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.aws.context import Params
from lambent.model.errors import ServiceError
from lambent.services.iam.paging import page


def page_of(items: list[str], params: Params) -> Params:
    return page("Items", items, params, key=str, shape=str)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), unique=True), st.integers(1, 5))
def test_pages_together_are_the_list(texts: list[str], max_items: int) -> None:
    items, seen = sorted(texts), []
    params: Params = {"MaxItems": max_items}
    while True:
        output = page_of(items, params)
        assert len(output["Items"]) <= max_items
        seen += output["Items"]
        if not output["IsTruncated"]:
            assert "Marker" not in output
            break
        params["Marker"] = output["Marker"]
    assert seen == items


def test_a_hundred_by_default() -> None:
    items = [f"{number:03d}" for number in range(101)]
    first = page_of(items, {})
    assert (len(first["Items"]), first["IsTruncated"]) == (100, True)
    assert page_of(items, {"Marker": first["Marker"]})["Items"] == ["100"]


@pytest.mark.parametrize("marker", ["nonsense!", "é", "gA==", "a"])
def test_a_marker_not_given_out_is_refused(marker: str) -> None:
    with pytest.raises(ServiceError) as raised:
        page_of(["a"], {"Marker": marker})
    assert (raised.value.code, raised.value.status) == ("ValidationError", 400)
