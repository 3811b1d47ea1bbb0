"""Is a payload JSON? AWS refuses an event that is not, in the words of the Jackson parser it uses."""

from __future__ import annotations

import asyncio
import re
from typing import Final

import orjson

from lambent.invoke.json_grammar import is_json
from lambent.model.errors import InvalidRequestContentException

INLINE_MAX_BYTES: Final = 64 * 1024
"""Larger payloads are checked on another thread. Up to here it takes a millisecond at most."""

_TOKEN = re.compile(rb"[A-Za-z0-9_$]+")


async def check_any(payload: bytes) -> None:
    """`check_json`, for a payload of any size."""
    if len(payload) > INLINE_MAX_BYTES:
        await asyncio.to_thread(_check_large, payload)
    else:
        check_json(payload)


def check_json(payload: bytes) -> None:
    """Raise InvalidRequestContentException unless `payload` is one JSON value in UTF-8.

    As with AWS the grammar decides: a number may be too large for a double, an escape half of a surrogate pair. orjson
    refuses both, so it has not the last word. The text after "Could not parse payload into json:" imitates Jackson's
    for the common cases.
    """
    try:
        orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        if is_json(payload):
            return
        raise InvalidRequestContentException(
            "Could not parse request body into json: Could not parse payload into json: " + _jackson(payload, error)
        ) from None


def _check_large(payload: bytes) -> None:
    """The same in the other order, for a thread: what finds no fault lets the event loop run meanwhile."""
    if not is_json(payload):
        check_json(payload)


def _jackson(payload: bytes, error: orjson.JSONDecodeError) -> str:
    text = payload.decode("utf-8", "replace")
    position = min(error.pos, len(text))
    rest = text[position:].encode()
    line, column = text.count("\n", 0, position) + 1, position - (text.rfind("\n", 0, position) + 1) + 1
    token = _TOKEN.match(rest)
    if not rest.strip():
        what = "Unexpected end-of-input"
    elif token and not token[0].isdigit():
        what = (
            f"Unrecognized token '{token[0].decode()}': was expecting "
            "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
        )
        column += len(token[0])
    else:
        what = (
            f"Unexpected character ('{text[position]}' (code {ord(text[position])})): expected a valid value "
            "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
        )
    shown = payload[:500].decode("utf-8", "replace")
    return f'{what}\n at [Source: (byte[])"{shown}"; line: {line}, column: {column}]'
