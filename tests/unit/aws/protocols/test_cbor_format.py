"""CBOR against RFC 8949's own examples (appendix A), against botocore's reader and writer, and against nonsense."""

from __future__ import annotations

import contextlib
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.aws.protocols.cbor_format import CborError, decode, encode

# https://www.rfc-editor.org/rfc/rfc8949#name-examples-of-encoded-cbor-da
EXAMPLES: list[tuple[str, Any]] = [
    ("00", 0),
    ("17", 23),
    ("1818", 24),
    ("1903e8", 1000),
    ("1a000f4240", 1000000),
    ("1bffffffffffffffff", 18446744073709551615),
    ("c249010000000000000000", 18446744073709551616),
    ("3bffffffffffffffff", -18446744073709551616),
    ("c349010000000000000000", -18446744073709551617),
    ("20", -1),
    ("3903e7", -1000),
    ("f93c00", 1.0),
    ("f97bff", 65504.0),
    ("f90001", 5.960464477539063e-08),
    ("fa47c35000", 100000.0),
    ("fb3ff199999999999a", 1.1),
    ("f97c00", math.inf),
    ("f9fc00", -math.inf),
    ("f4", False),
    ("f5", True),
    ("f6", None),
    ("f7", None),
    ("c11a514b67b0", datetime(2013, 3, 21, 20, 4, tzinfo=UTC)),
    ("c1fb41d452d9ec200000", datetime(2013, 3, 21, 20, 4, 0, 500000, tzinfo=UTC)),
    ("d818456449455446", b"dIETF"),
    ("40", b""),
    ("4401020304", b"\x01\x02\x03\x04"),
    ("62c3bc", "\u00fc"),
    ("64f0908591", "\U00010151"),
    ("80", []),
    ("8301820203820405", [1, [2, 3], [4, 5]]),
    ("a26161016162820203", {"a": 1, "b": [2, 3]}),
    ("5f42010243030405ff", b"\x01\x02\x03\x04\x05"),
    ("7f657374726561646d696e67ff", "streaming"),
    ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
    ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
    ("bf6346756ef563416d7421ff", {"Fun": True, "Amt": -2}),
]

NONSENSE = [
    *("", "18", "61", "62c3", "9f01", "bf6161", "ff", "80ff", "a1", "a10102", "c1616a", "c1f97e00", "f818", "fc"),
    *("1c", "1f", "3f", "df", "0000", "62c328", "5f6161ff", "9b00ffffffffffffff", "bb00ffffffffffffff"),
    "81" * 200 + "00",
]  # fmt: skip


@pytest.mark.parametrize(("hexadecimal", "value"), EXAMPLES)
def test_the_examples_of_the_standard_are_read(hexadecimal: str, value: Any) -> None:
    read = decode(bytes.fromhex(hexadecimal))
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("hexadecimal", NONSENSE)
def test_what_is_not_cbor_is_refused(hexadecimal: str) -> None:
    with pytest.raises(CborError):
        decode(bytes.fromhex(hexadecimal))


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(microsecond=0, tzinfo=UTC)),  # noqa: DTZ001
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_written_is_read_as_it_was(value: Any) -> None:
    assert decode(encode(value)) == value


@given(st.binary(max_size=64))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with contextlib.suppress(CborError):
        decode(data)


def test_what_cbor_has_not_is_not_written() -> None:
    for value in (object(), 1 << 64, -(1 << 64) - 1):
        with pytest.raises(TypeError):
            encode(value)
