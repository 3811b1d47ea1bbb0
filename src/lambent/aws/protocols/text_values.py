"""Scalars as text: in paths, query strings, headers and form fields. Pure; compiled per shape."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from typing import Any

import orjson

from lambent.aws.models import Shape
from lambent.aws.protocols import timestamps
from lambent.aws.protocols.json_values import (
    INTEGER_BITS,
    decode_base64,
    encode_blob,
    fits,
    parse_json,
    serialization_error,
)

FromText = Callable[[str], Any]
ToText = Callable[[Any], str]

_LONGEST_NUMBER = 40  # characters; int() of more is slow and never a valid value


def _keep(text: str) -> str:
    return text


def _integer_from_text(wanted: str, bits: int) -> FromText:
    def decode(text: str) -> int:
        try:
            if len(text) > _LONGEST_NUMBER or "_" in text or not fits(number := int(text), bits):
                raise ValueError(text)
        except ValueError as error:
            raise serialization_error(f"STRING_VALUE can not be converted to {wanted}") from error
        return number

    return decode


def _float_from_text(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise serialization_error("STRING_VALUE can not be converted to a Double") from error


def _boolean_from_text(text: str) -> bool:
    lowered = text.lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    raise serialization_error("STRING_VALUE can not be converted to an Boolean")


def _timestamp_from_text(text: str) -> Any:
    try:
        return timestamps.parse_timestamp(text)
    except (ValueError, TypeError, IndexError) as error:
        raise serialization_error("STRING_VALUE can not be converted to milliseconds since epoch") from error


def _json_from_base64(text: str) -> Any:
    return parse_json(decode_base64(text))


def from_text(shape: Shape) -> FromText:
    """The decoder of a scalar shape. A `jsonvalue` is JSON in base64 in a header, and a plain string elsewhere."""
    if shape.traits.get("jsonvalue") and shape.location == "header":
        return _json_from_base64
    if shape.type in INTEGER_BITS:
        return _integer_from_text("a Long" if shape.type == "long" else "an Integer", INTEGER_BITS[shape.type])
    if shape.type in ("float", "double"):
        return _float_from_text
    if shape.type == "boolean":
        return _boolean_from_text
    if shape.type == "timestamp":
        return _timestamp_from_text
    return decode_base64 if shape.type == "blob" else _keep


def _float_to_text(value: float) -> str:
    if math.isfinite(value):
        return str(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _boolean_to_text(value: Any) -> str:
    return "true" if value else "false"


def _json_to_base64(value: Any) -> str:
    return base64.b64encode(orjson.dumps(value)).decode()


def to_text(shape: Shape, *, timestamp_format: str) -> ToText:
    """The encoder of a scalar shape; `timestamp_format` where the model names none."""
    if shape.traits.get("jsonvalue") and shape.location == "header":
        return _json_to_base64
    if shape.type == "timestamp":
        return timestamps.TEXT_FORMATS[shape.traits.get("timestampFormat", timestamp_format).lower()]
    if shape.type in ("float", "double"):
        return _float_to_text
    if shape.type == "boolean":
        return _boolean_to_text
    return encode_blob if shape.type == "blob" else str
