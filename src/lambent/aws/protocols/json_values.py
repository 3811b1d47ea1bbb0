"""JSON values ↔ parameters, compiled per shape; shared by rest-json and json.

Decoding refuses a wrong JSON type as AWS's framework does, with its words; encoding leaves out what is None or unknown.
"""

from __future__ import annotations

import base64
import binascii
import math
import time
from collections.abc import Callable
from typing import Any

import orjson

from lambent.aws.models import Shape
from lambent.aws.protocols import timestamps
from lambent.model.errors import ServiceError

Convert = Callable[[Any], Any]


def serialization_error(message: str) -> ServiceError:
    """400 `SerializationException`: the request is not of the model's types."""
    return ServiceError("SerializationException", message, status=400, members={"Type": None})


def parse_json(body: bytes) -> Any:
    """The JSON of a body. Raises SerializationException; orjson refuses nesting beyond 1024 itself."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise serialization_error(f"Could not parse request body into json: {error}") from error


def _mismatch(value: object, wanted: str) -> ServiceError:
    """Why a scalar could not be read, in the framework's words."""
    if isinstance(value, list):
        return serialization_error("Start of list found where not expected")
    if isinstance(value, dict):
        return serialization_error("Start of structure or map found where not expected.")
    token = (
        "STRING" if isinstance(value, str | memoryview) else str(value).upper() if isinstance(value, bool) else "NUMBER"
    )
    return serialization_error(f"{token}_VALUE can not be converted to {wanted}")


def _decode_string(value: Any) -> str:
    if type(value) is str:
        return value
    if type(value) is memoryview:  # one that was cut out (`large_blobs`)
        text: str = parse_json(b'"' + value.tobytes() + b'"')
        return text
    raise _mismatch(value, "a String")


def _decode_boolean(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise _mismatch(value, "an Boolean")


INTEGER_BITS = {"byte": 8, "short": 16, "integer": 32, "long": 64}


def fits(number: int, bits: int) -> bool:
    """Whether a number is within a signed type of that size, as it must be in AWS's services."""
    return -(1 << (bits - 1)) <= number < 1 << (bits - 1)


def _integer_decoder(wanted: str, bits: int) -> Convert:
    def decode(value: Any) -> int:
        if type(value) is float:
            value = int(value)  # the framework truncates; orjson has let through no NaN or infinity
        if type(value) is int and fits(value, bits):
            return value
        raise _mismatch(value, wanted)

    return decode


def _decode_float(value: Any) -> float:
    if type(value) in (int, float):
        try:
            return float(value)
        except OverflowError as error:
            raise _mismatch(value, "a Double") from error
    if value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    raise _mismatch(value, "a Double")


_BASE64_STEP = 256 * 1024
"""Characters decoded at a time (1 ms): decoding keeps Python's lock, and other threads have an event loop to run."""

_PADDING = ("=", ord("="))

PAUSE_S = 50e-6  # long enough for a thread that waits for the lock to get it


def decode_base64(text: str | memoryview) -> bytes:
    """Strict base64, of text or of its bytes. Raises SerializationException."""
    parts = []
    try:
        for start in range(0, len(text), _BASE64_STEP):
            if start:
                time.sleep(PAUSE_S)
            part = text[start : start + _BASE64_STEP]
            if part[-1] in _PADDING and start + _BASE64_STEP < len(text):
                raise ValueError("padding before the end")
            parts.append(binascii.a2b_base64(part, strict_mode=True))
    except (binascii.Error, ValueError) as error:
        raise serialization_error("Invalid base64 in a blob member") from error
    return b"".join(parts)  # without the lock, where it is large


def _decode_blob(value: Any) -> bytes:
    if type(value) is not str and type(value) is not memoryview:
        raise _mismatch(value, "a Blob")
    return decode_base64(value)


def _decode_timestamp(value: Any) -> Any:
    try:
        if type(value) in (int, float):
            return timestamps.from_epoch(value)
        if type(value) is str:
            return timestamps.parse_timestamp(value)
    except (ValueError, OverflowError, TypeError) as error:
        raise _mismatch(value, "milliseconds since epoch") from error
    raise _mismatch(value, "milliseconds since epoch")


_SCALAR_DECODERS: dict[str, Convert] = {
    "string": _decode_string,
    "character": _decode_string,
    "boolean": _decode_boolean,
    "byte": _integer_decoder("an Integer", INTEGER_BITS["byte"]),
    "short": _integer_decoder("an Integer", INTEGER_BITS["short"]),
    "integer": _integer_decoder("an Integer", INTEGER_BITS["integer"]),
    "long": _integer_decoder("a Long", INTEGER_BITS["long"]),
    "float": _decode_float,
    "double": _decode_float,
    "blob": _decode_blob,
    "timestamp": _decode_timestamp,
}


def identity(value: Any) -> Any:
    return value


class Decoders:
    """Compiles and remembers decoders by shape; one per service and protocol."""

    def __init__(self) -> None:
        self._structures: dict[str, dict[str, tuple[str, Convert]]] = {}

    def decoder(self, shape: Shape) -> Convert:
        """From parsed JSON (never None) to the parameter's value."""
        if shape.is_document:
            return identity
        if shape.type == "structure":
            return self.structure(shape)
        if shape.type == "list":
            return _list_decoder(self.decoder(shape.member))
        if shape.type == "map":
            return _map_decoder(self.decoder(shape.value))
        return _SCALAR_DECODERS[shape.type]

    def structure(self, shape: Shape) -> Convert:
        """The decoder of the members that are in the body."""
        members = self._structures.get(shape.name)
        if members is None:  # known before its members are compiled, since a shape may contain itself
            members = self._structures[shape.name] = {}
            for name, member in shape.members.items():
                if member.location is None:
                    members[member.wire_name(name)] = (name, self.decoder(member))
        return _structure_decoder(members)


def _structure_decoder(members: dict[str, tuple[str, Convert]]) -> Convert:
    def decode(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise _mismatch(value, "") if type(value) is list else serialization_error("Expected null")
        result: dict[str, Any] = {}
        for wire, item in value.items():
            member = members.get(wire)
            if member is not None and item is not None:
                result[member[0]] = member[1](item)
        return result

    return decode


def _list_decoder(element: Convert) -> Convert:
    def decode(value: Any) -> list[Any]:
        if type(value) is not list:
            raise _mismatch(value, "") if type(value) is dict else serialization_error("Expected list or null")
        return [None if item is None else element(item) for item in value]

    return decode


def _map_decoder(element: Convert) -> Convert:
    def decode(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise _mismatch(value, "") if type(value) is list else serialization_error("Expected map or null")
        return {key: None if item is None else element(item) for key, item in value.items()}

    return decode


def _encode_float(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def encode_blob(value: Any) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def _timestamp_encoder(shape: Shape) -> Convert:
    chosen = shape.traits.get("timestampFormat", "unixTimestamp").lower()
    return timestamps.to_epoch if chosen == "unixtimestamp" else timestamps.TEXT_FORMATS[chosen]


class Encoders:
    """Compiles and remembers encoders by shape; one per service and protocol."""

    def __init__(self) -> None:
        self._structures: dict[str, dict[str, tuple[str, Convert]]] = {}

    def encoder(self, shape: Shape) -> Convert:
        """From a parameter's value (never None) to what orjson can print."""
        if shape.is_document:
            return identity
        if shape.type == "structure":
            return self.structure(shape)
        if shape.type == "list":
            return _list_encoder(self.encoder(shape.member))
        if shape.type == "map":
            return _map_encoder(self.encoder(shape.value))
        if shape.type == "timestamp":
            return _timestamp_encoder(shape)
        if shape.type == "blob":
            return encode_blob
        return _encode_float if shape.type in ("float", "double") else identity

    def structure(self, shape: Shape) -> Convert:
        """The encoder of the members that are in the body."""
        members = self._structures.get(shape.name)
        if members is None:
            members = self._structures[shape.name] = {}
            for name, member in shape.members.items():
                if member.location is None:
                    members[name] = (member.wire_name(name), self.encoder(member))
        return _structure_encoder(members)


def _structure_encoder(members: dict[str, tuple[str, Convert]]) -> Convert:
    def encode(value: Any) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for name, item in value.items():
            member = members.get(name)
            if member is not None and item is not None:
                result[member[0]] = member[1](item)
        return result

    return encode


def _list_encoder(element: Convert) -> Convert:
    if element is identity:
        return list
    return lambda value: [None if item is None else element(item) for item in value]


def _map_encoder(element: Convert) -> Convert:
    return lambda value: {key: element(item) for key, item in value.items() if item is not None}
