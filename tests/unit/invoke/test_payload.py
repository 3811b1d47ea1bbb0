"""Events that are not JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.invoke.payload import check_json
from lambent.model.errors import InvalidRequestContentException

PREFIX = "Could not parse request body into json: Could not parse payload into json: "


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"hello", "Unrecognized token 'hello': was expecting (JSON String, Number, Array, Object or token"),
        (b'{"a": ', "Unexpected end-of-input"),
        (b"<xml/>", "Unexpected character ('<' (code 60)): expected a valid value"),
    ],
)
def test_the_words_are_those_of_jackson(payload: bytes, message: str) -> None:
    with pytest.raises(InvalidRequestContentException) as caught:
        check_json(payload)
    assert caught.value.message.startswith(PREFIX + message)
    assert "at [Source: (byte[])" in caught.value.message


@given(st.binary(max_size=200))
def test_any_bytes_are_either_json_or_refused(payload: bytes) -> None:
    try:
        json.loads(payload.decode("utf-8"), parse_constant=_no_constants)
        is_json = True
    except ValueError:
        is_json = False
    if is_json:
        check_json(payload)
    else:
        with pytest.raises(InvalidRequestContentException):
            check_json(payload)


def _no_constants(name: str) -> None:
    raise ValueError(name)
