"""Events that are not JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.invoke import payload as payload_module
from lambent.invoke.json_grammar import is_json
from lambent.invoke.payload import INLINE_MAX_BYTES, check_any, check_json
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


@pytest.mark.parametrize("payload", [b"1e999", b"[" + b"9" * 400 + b"]", b'"\\ud800"', b'{"a":"\\udc00x"}'])
def test_the_grammar_decides_and_not_what_fits_into_a_double_or_a_character(payload: bytes) -> None:
    check_json(payload)


@pytest.mark.parametrize("usable", [True, False])
async def test_large_payloads_are_judged_as_small_ones_whoever_can_be_asked(
    usable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not usable:
        monkeypatch.setattr(payload_module, "is_json", lambda payload: False)
    padding = b" " * INLINE_MAX_BYTES
    for payload in (b'{"a": [1, "\xc3\xa9", null]}', b'"x"'):
        await check_any(payload + padding)
    for payload in (b"hello", b'{"a": ', b'"\xff"', b'"a\0"', b"", b"[1,]"):
        with pytest.raises(InvalidRequestContentException) as large:
            await check_any(payload + padding)
        with pytest.raises(InvalidRequestContentException) as small:
            check_json(payload)
        assert large.value.message.startswith(PREFIX)
        assert _what(large.value.message) == _what(small.value.message)


def test_what_is_deeper_than_orjson_goes_is_refused_or_taken_but_ends() -> None:
    payload = b"[" * 100_000 + b"]" * 100_000
    assert not is_json(payload)
    with pytest.raises(InvalidRequestContentException):
        check_json(payload)


def _what(message: str) -> str:
    return message.removeprefix(PREFIX).partition("\n")[0]


def _no_constants(name: str) -> None:
    raise ValueError(name)
