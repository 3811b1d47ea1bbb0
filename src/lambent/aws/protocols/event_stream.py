"""Frames of `application/vnd.amazon.eventstream`: what operations with streamed answers send. Pure.

https://smithy.io/2.0/aws/amazon-eventstream.html. A frame: its length, that of its headers, a CRC-32 of these two;
headers; payload; a CRC-32 of all that. Payloads here are JSON.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

_PRELUDE: Final = struct.Struct("!II")
_CHECKSUM: Final = struct.Struct("!I")
_TEXT: Final = 7  # the type of a header whose value is a string
_OVERHEAD_BYTES: Final = _PRELUDE.size + 2 * _CHECKSUM.size


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message. Names are ASCII of at most 255 characters, values of at most 32767 bytes."""
    head = b"".join(_header(name.encode("ascii"), value.encode()) for name, value in headers.items())
    prelude = _PRELUDE.pack(_OVERHEAD_BYTES + len(head) + len(payload), len(head))
    message = prelude + _CHECKSUM.pack(zlib.crc32(prelude)) + head + payload
    return message + _CHECKSUM.pack(zlib.crc32(message))


def initial_response(members: Mapping[str, Any] | None = None) -> bytes:
    """The first message of a stream in the RPC protocols (AWS JSON): the answer's other members."""
    headers = {
        ":message-type": "event",
        ":event-type": "initial-response",
        ":content-type": "application/x-amz-json-1.1",
    }
    return frame(headers, orjson.dumps(members or {}))


def event(name: str, members: Mapping[str, Any]) -> bytes:
    """A message that carries one member of the stream's union, as JSON."""
    headers = {":message-type": "event", ":event-type": name, ":content-type": "application/json"}
    return frame(headers, orjson.dumps(members))


def exception(name: str, message: str) -> bytes:
    """A modelled error, the last message of a stream."""
    headers = {":message-type": "exception", ":exception-type": name, ":content-type": "application/json"}
    return frame(headers, orjson.dumps({"message": message}))


def _header(name: bytes, value: bytes) -> bytes:
    return struct.pack(f"!B{len(name)}sBH", len(name), name, _TEXT, len(value)) + value
