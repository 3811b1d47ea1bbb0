"""Which characters a message may have, held against the ranges as AWS writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.model.errors import ServiceError
from lambent.services.sqs.message_rules import check_body

_RANGES = ((0x9, 0xA), (0xD, 0xD), (0x20, 0xD7FF), (0xE000, 0xFFFD), (0x10000, 0x10FFFF))


def _is_allowed(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _RANGES)


@given(
    st.text(st.characters(codec=None, exclude_categories=()), min_size=1)
    | st.text("\t\n\r\x0b\x1f\x7f\x80é€😀\ufffd\ufffe", min_size=1)
)
def test_a_body_is_taken_by_the_characters_that_are_listed(body: str) -> None:
    if all(map(_is_allowed, body)):
        assert check_body(body) == body.encode()
    else:
        with pytest.raises(ServiceError) as caught:
            check_body(body)
        assert caught.value.code == "InvalidMessageContents"
