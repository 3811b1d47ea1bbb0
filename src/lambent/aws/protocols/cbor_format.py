"""CBOR (RFC 8949), the part of it that Smithy's RPC v2 uses, in and out. Pure.

https://www.rfc-editor.org/rfc/rfc8949, https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html. Read:
integers, byte and text strings, arrays, maps (definite and indefinite), floats of 16, 32 and 64 bits, simple values
false, true, null and undefined (as null), tag 1 (epoch time, as `datetime`) and tags 2 and 3 (large integers); other
tags are dropped from their value. Written: the same, definite, with floats of 64 bits.
"""

from __future__ import annotations

import struct
from datetime import datetime
from typing import Any, Final

from lambent.aws.protocols.timestamps import from_epoch, to_epoch

_DEEPEST: Final = 128  # nested arrays, maps and tags
_INDEFINITE: Final = 31
_BREAK: Final = object()
_FLOATS: Final = {25: struct.Struct(">e"), 26: struct.Struct(">f"), 27: struct.Struct(">d")}
_SIMPLE: Final = {20: False, 21: True, 22: None, 23: None}


class CborError(ValueError):
    """The bytes are not CBOR, or not of the part that is read here."""


def decode(data: bytes) -> Any:
    """One value, which must be all there is. Map keys must be text. Raises CborError."""
    reader = _Reader(data)
    value = reader.value(0)
    if value is _BREAK or reader.position != len(data):
        raise CborError("bytes after the end of the value")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def value(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise CborError("nested too deeply")
        initial = self._take(1)[0]
        major, info = initial >> 5, initial & 31
        if major == 7:
            return self._simple_or_float(info)
        if info == _INDEFINITE:
            return self._indefinite(major, depth)
        argument = self._argument(info)
        match major:
            case 0:
                return argument
            case 1:
                return -1 - argument
            case 2:
                return self._take(argument)
            case 3:
                return self._text(self._take(argument))
            case 4:
                return [self._item(depth) for _ in range(self._plausible(argument))]
            case 5:
                return dict(self._entry(depth) for _ in range(self._plausible(argument)))
            case _:
                return _tagged(argument, self._item(depth))

    def _simple_or_float(self, info: int) -> Any:
        if info in _SIMPLE:
            return _SIMPLE[info]
        if info in _FLOATS:
            layout = _FLOATS[info]
            return layout.unpack(self._take(layout.size))[0]
        if info == _INDEFINITE:
            return _BREAK
        raise CborError(f"simple value {info}")

    def _indefinite(self, major: int, depth: int) -> Any:
        if major not in (2, 3, 4, 5):
            raise CborError("an integer or tag of indefinite length")
        if major == 5:
            return self._indefinite_map(depth)
        items: list[Any] = []
        while (item := self.value(depth + 1)) is not _BREAK:
            items.append(item)
        if major == 4:
            return items
        kind: type = bytes if major == 2 else str
        if any(type(item) is not kind for item in items):
            raise CborError("a chunk of another type within a string")
        return b"".join(items) if major == 2 else "".join(items)

    def _indefinite_map(self, depth: int) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        while (key := self.value(depth + 1)) is not _BREAK:
            entries[_key(key)] = self._item(depth)
        return entries

    def _entry(self, depth: int) -> tuple[str, Any]:
        return _key(self._item(depth)), self._item(depth)

    def _item(self, depth: int) -> Any:
        item = self.value(depth + 1)
        if item is _BREAK:
            raise CborError("a break where a value was expected")
        return item

    def _argument(self, info: int) -> int:
        if info < 24:
            return info
        if info > 27:
            raise CborError(f"additional information {info}")
        return int.from_bytes(self._take(1 << (info - 24)))

    def _plausible(self, count: int) -> int:
        """A count of items, each of which takes a byte at least: no giant list is made for a short text."""
        if count > len(self._data) - self.position:
            raise CborError("more items than bytes")
        return count

    def _take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self._data):
            raise CborError("it ends too early")
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def _text(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise CborError("a text that is not UTF-8") from error


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise CborError("a map key that is not text")
    return key


def _tagged(tag: int, value: Any) -> Any:
    if tag == 1:
        if type(value) not in (int, float):
            raise CborError("a time that is not a number")
        try:
            return from_epoch(value)
        except ValueError as error:
            raise CborError(str(error)) from error
    if tag in (2, 3) and isinstance(value, bytes):
        number = int.from_bytes(value)
        return number if tag == 2 else -1 - number
    return value


def encode(value: Any) -> bytes:
    """None, bool, int, float, str, bytes, datetime (tag 1), and lists, tuples and dicts of them. Raises TypeError."""
    out = bytearray()
    _write(value, out)
    return bytes(out)


def _write(value: Any, out: bytearray) -> None:
    kind = type(value)
    if kind is str:
        data = value.encode("utf-8", "replace")
        _head(3, len(data), out)
        out += data
    elif kind is dict:
        _head(5, len(value), out)
        for key, item in value.items():
            _write(key, out)
            _write(item, out)
    elif kind in (list, tuple):
        _head(4, len(value), out)
        for item in value:
            _write(item, out)
    elif kind is float:
        out += b"\xfb" + _FLOATS[27].pack(value)
    elif value is None or kind is bool:
        out.append({None: 0xF6, False: 0xF4, True: 0xF5}[value])
    else:
        _write_other(value, out)


def _write_other(value: Any, out: bytearray) -> None:
    if isinstance(value, int):
        _head(0, value, out) if value >= 0 else _head(1, -1 - value, out)
    elif isinstance(value, (bytes, bytearray)):
        _head(2, len(value), out)
        out += value
    elif isinstance(value, datetime):
        _head(6, 1, out)
        _write(to_epoch(value), out)
    elif isinstance(value, str):  # a subclass: an enumeration's member
        _write(str(value), out)
    else:
        raise TypeError(f"CBOR has no {type(value).__name__}")


def _head(major: int, argument: int, out: bytearray) -> None:
    if argument < 24:
        out.append(major << 5 | argument)
        return
    for size, info in ((1, 24), (2, 25), (4, 26), (8, 27)):
        if argument < 1 << (8 * size):
            out.append(major << 5 | info)
            out += argument.to_bytes(size)
            return
    raise TypeError("an integer of more than 64 bits")
