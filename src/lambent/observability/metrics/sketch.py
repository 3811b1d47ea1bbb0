"""A sketch of values from which percentiles can be read, in little space, and merged. Pure.

DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees",
VLDB 2019): a value above zero is counted in bucket ⌈log_γ value⌉; whatever a percentile is estimated as lies within
`RELATIVE_ERROR` of a value that truly has that rank. A sketch is a plain dict, bucket → count, so that the hot path
can count with one lookup; merging two is adding their counts. Values must not be negative.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Final

RELATIVE_ERROR: Final = 0.01
GAMMA: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
BUCKETS_MAX: Final = 4096  # values from 1 to 10**35; beyond, the lowest buckets become one
ZERO: Final = -(1 << 30)
"""The bucket of zero."""

PER_LOG: Final = 1 / math.log(GAMMA)
_LOG_GAMMA: Final = math.log(GAMMA)
_MIDDLE: Final = 2 / (GAMMA + 1)
_WHOLE: Final = b"\x01"  # the counts are integers
_FRACTIONAL: Final = b"\x02"

Buckets = dict[int, float]


def bucket_of(value: float) -> int:
    """The bucket a value is counted in. ValueError if it is negative."""
    if value == 0:
        return ZERO
    return math.ceil(math.log(value) * PER_LOG)


def value_of(bucket: int) -> float:
    """The value that stands for a bucket."""
    return 0.0 if bucket == ZERO else math.exp(bucket * _LOG_GAMMA) * _MIDDLE


def merge(into: Buckets, other: Mapping[int, float]) -> None:
    """Add the counts of another sketch, keeping to BUCKETS_MAX."""
    for bucket, count in other.items():
        into[bucket] = into.get(bucket, 0) + count
    if len(into) > BUCKETS_MAX:
        lowest = sorted(into)[: len(into) - BUCKETS_MAX + 1]
        total = sum(into.pop(bucket) for bucket in lowest)
        into[lowest[-1]] = total


def pack(buckets: Mapping[int, float]) -> bytes:
    """As bytes: each bucket as a varint of its distance to the one before, and its count."""
    whole = all(float(count).is_integer() for count in buckets.values())
    out = bytearray(_WHOLE if whole else _FRACTIONAL)
    before = 0
    for bucket in sorted(buckets):
        _write_varint(_zigzag(bucket - before), out)
        before = bucket
        if whole:
            _write_varint(int(buckets[bucket]), out)
        else:
            out += struct.pack("<d", buckets[bucket])
    return bytes(out)


def unpack(data: bytes) -> Buckets:
    """The inverse of `pack`."""
    whole = data[:1] == _WHOLE
    buckets: Buckets = {}
    position, bucket = 1, 0
    while position < len(data):
        step, position = _read_varint(data, position)
        bucket += step >> 1 if not step & 1 else -((step + 1) >> 1)
        if whole:
            buckets[bucket], position = _read_varint(data, position)
        else:
            buckets[bucket] = struct.unpack_from("<d", data, position)[0]
            position += 8
    return buckets


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _write_varint(number: int, out: bytearray) -> None:
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    number, shift = 0, 0
    while data[position] > 127:
        number |= (data[position] & 127) << shift
        shift += 7
        position += 1
    return number | data[position] << shift, position + 1
