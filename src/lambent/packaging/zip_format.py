"""ZIP archives from strangers, read strictly. Pure: bytes in, entries and their contents out.

Python's `zipfile` is lenient where we must not be (entries that overlap, counts and sizes that lie, names cut at NUL),
so the directory is read here. Follows PKWARE's APPNOTE.TXT 6.3.10, https://pkware.cachefly.net/webdocs/APPNOTE/:
stored and deflated entries, zip64, data descriptors, a prefix before the archive; nothing encrypted or split.
"""

from __future__ import annotations

import datetime as dt
import itertools
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

ENTRIES_MAX: Final = 100_000  # AWS names no limit; a large node_modules has some 50,000 files

_END: Final = struct.Struct("<4s4H2LH")
_END64_LOCATOR: Final = struct.Struct("<4sLQL")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_CENTRAL: Final = struct.Struct("<4s2B2x4H3L5H2L")
_LOCAL: Final = struct.Struct("<4s2x2H16x2H")
_COMMENT_MAX: Final = 0xFFFF
_IN_ZIP64_32: Final = 0xFFFF_FFFF

_FLAG_UTF8: Final = 1 << 11
# Encrypted, patched data, strong encryption, masked headers.
_FLAGS_REFUSED: Final = 1 << 0 | 1 << 5 | 1 << 6 | 1 << 13
_STORED: Final = 0
_DEFLATED: Final = 8
_UNIX_SYSTEMS: Final = (3, 19)  # Unix, macOS: only there do the attributes' upper half hold a mode
_CHUNK: Final = 1024 * 1024


class BadZipError(Exception):
    """The archive is damaged, hostile, or uses what we do not support. The text says what, for the log."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One member as the central directory declares it; `contents` verifies that it is so."""

    name: str
    size: int  # bytes, inflated
    mode: int | None  # st_mode if made on Unix
    modified_s: int  # seconds since the epoch; the archive's local time taken as UTC
    method: int
    crc: int
    start: int  # of the (compressed) data in the archive
    end: int


@dataclass(frozen=True, slots=True)
class _Directory:
    start: int
    end: int
    count: int
    prefix: int  # bytes before the archive proper, to be added to every offset in it


def read_entries(archive: bytes) -> list[Entry]:
    """All members in the directory's order. Raises BadZipError."""
    directory = _find_directory(archive)
    if directory.count > ENTRIES_MAX:
        raise BadZipError(f"{directory.count} entries, more than {ENTRIES_MAX}")
    entries: list[Entry] = []
    spans: list[tuple[int, int]] = []
    position = directory.start
    for _ in range(directory.count):
        entry, header, position = _read_entry(archive, directory, position)
        entries.append(entry)
        spans.append((header, entry.end))
    if position != directory.end:
        raise BadZipError("the directory holds more or less than its entries")
    spans.sort()
    if any(following[0] < span[1] for span, following in itertools.pairwise(spans)):
        raise BadZipError("entries overlap")
    return entries


def contents(archive: bytes, entry: Entry) -> Iterator[bytes]:
    """The member's bytes, never more than its declared size. Raises BadZipError if that or its checksum is wrong."""
    crc = 0
    left = entry.size
    for chunk in _stored(archive, entry) if entry.method == _STORED else _inflated(archive, entry):
        left -= len(chunk)
        if left < 0:
            raise BadZipError(f"{entry.name!r} is larger than it says")
        crc = zlib.crc32(chunk, crc)
        yield chunk
    if left:
        raise BadZipError(f"{entry.name!r} is smaller than it says")
    if crc != entry.crc:
        raise BadZipError(f"{entry.name!r} has a wrong checksum")


def _stored(archive: bytes, entry: Entry) -> Iterator[bytes]:
    for position in range(entry.start, entry.end, _CHUNK):
        yield archive[position : min(position + _CHUNK, entry.end)]


def _inflated(archive: bytes, entry: Entry) -> Iterator[bytes]:
    if entry.start == entry.end and not entry.size:
        return
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    compressed = memoryview(archive)
    for position in range(entry.start, entry.end, _CHUNK):
        if inflater.eof:
            break
        yield from _inflated_slice(inflater, compressed[position : min(position + _CHUNK, entry.end)], entry)
    else:
        if not inflater.eof:
            raise BadZipError(f"{entry.name!r} is truncated")
        if not inflater.unused_data:
            return
    raise BadZipError(f"{entry.name!r} has data after its end")


def _inflated_slice(inflater: zlib._Decompress, data: bytes | memoryview, entry: Entry) -> Iterator[bytes]:
    """All that this much input gives, in bounded pieces: a bomb must not be inflated whole before its size is seen."""
    while True:
        try:
            chunk = inflater.decompress(data, _CHUNK)
        except zlib.error as error:
            raise BadZipError(f"{entry.name!r} cannot be inflated: {error}") from error
        data = inflater.unconsumed_tail
        if chunk:
            yield chunk
        if inflater.eof or (not data and len(chunk) < _CHUNK):
            return


def _find_directory(archive: bytes) -> _Directory:
    position = len(archive)
    while (position := archive.rfind(b"PK\5\6", max(0, len(archive) - _END.size - _COMMENT_MAX), position)) >= 0:
        if position + _END.size <= len(archive):
            _, disk, first_disk, here, count, size, offset, comment = _END.unpack_from(archive, position)
            if position + _END.size + comment == len(archive):
                break
    else:
        raise BadZipError("no end of a directory: no ZIP, or truncated")
    end = position
    record = _find_zip64(archive, position)
    if record >= 0:
        _, _, _, _, disk, first_disk, here, count, size, offset = _END64.unpack_from(archive, record)
        end = record
    if disk or first_disk or here != count:
        raise BadZipError("split over several files")
    start = end - size
    if start < offset:
        raise BadZipError("the directory lies outside the archive")
    return _Directory(start, end, count, prefix=start - offset)


def _find_zip64(archive: bytes, end: int) -> int:
    """Where the zip64 end record is; -1 if there is none. Some tools write one though they need not."""
    locator = end - _END64_LOCATOR.size
    if locator < 0 or archive[locator : locator + 4] != b"PK\6\7":
        return -1
    _, _, stated, _ = _END64_LOCATOR.unpack_from(archive, locator)
    for record in (stated, locator - _END64.size):  # the latter if there is a prefix
        if 0 <= record <= locator - _END64.size and archive[record : record + 4] == b"PK\6\6":
            return int(record)
    raise BadZipError("the zip64 record is missing")


def _read_entry(archive: bytes, directory: _Directory, position: int) -> tuple[Entry, int, int]:
    """The entry described at `position`, where its local header starts, and where the next description is."""
    if position + _CENTRAL.size > directory.end or archive[position : position + 4] != b"PK\1\2":
        raise BadZipError("the directory is damaged")
    (
        _, _, system, flags, method, time, date, crc, compressed, size,
        name_length, extra_length, comment_length, disk, _, attributes, offset,
    ) = _CENTRAL.unpack_from(archive, position)  # fmt: skip
    after_name = position + _CENTRAL.size + name_length
    after_extra = after_name + extra_length
    following = after_extra + comment_length
    if following > directory.end:
        raise BadZipError("the directory is damaged")
    raw_name = archive[position + _CENTRAL.size : after_name]
    name = _decode_name(raw_name, utf8=bool(flags & _FLAG_UTF8))
    if _IN_ZIP64_32 in (size, compressed, offset):
        size, compressed, offset = _zip64_sizes(archive[after_name:after_extra], size, compressed, offset)
    if flags & _FLAGS_REFUSED:
        raise BadZipError(f"{name!r} is encrypted")
    if method not in (_STORED, _DEFLATED):
        raise BadZipError(f"{name!r} uses compression method {method}")
    if disk not in (0, 0xFFFF):
        raise BadZipError("split over several files")
    header = offset + directory.prefix
    start = _data_start(archive, header, directory.start, raw_name, method)
    end = start + compressed
    if end > directory.start:
        raise BadZipError(f"{name!r} lies outside the archive")
    mode = attributes >> 16 if system in _UNIX_SYSTEMS else 0
    return Entry(name, size, mode or None, _modified_s(date, time), method, crc, start, end), header, following


def _data_start(archive: bytes, header: int, limit: int, raw_name: bytes, method: int) -> int:
    """Past the local header, which must say the same as the directory: other tools go by it."""
    if header + _LOCAL.size > limit or archive[header : header + 4] != b"PK\3\4":
        raise BadZipError(f"{raw_name!r} has no local header")
    _, flags, local_method, name_length, extra_length = _LOCAL.unpack_from(archive, header)
    after_name = header + _LOCAL.size + name_length
    if archive[header + _LOCAL.size : after_name] != raw_name or local_method != method or flags & _FLAGS_REFUSED:
        raise BadZipError(f"{raw_name!r} differs from its local header")
    return int(after_name + extra_length)


def _decode_name(raw: bytes, *, utf8: bool) -> str:
    try:
        return raw.decode()  # also without the flag: many Unix tools write UTF-8 and do not say so
    except UnicodeDecodeError as error:
        if utf8:
            raise BadZipError(f"{raw!r} is not UTF-8") from error
        return raw.decode("cp437")


def _zip64_sizes(extra: bytes, *fields: int) -> tuple[int, int, int]:
    """Size, compressed size and offset: those that are all ones are, in this order, in the extra field 1."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        position += 4
        if kind == 1:
            wide = extra[position : position + length]
            place = 0
            resolved: list[int] = []
            for field in fields:
                if field == _IN_ZIP64_32:
                    if place + 8 > len(wide):
                        raise BadZipError("a zip64 field is too short")
                    resolved += struct.unpack_from("<Q", wide, place)
                    place += 8
                else:
                    resolved.append(field)
            size, compressed, offset = resolved
            return size, compressed, offset
        position += length
    raise BadZipError("a zip64 field is missing")


def _modified_s(date: int, time: int) -> int:
    try:
        moment = dt.datetime(
            1980 + (date >> 9), date >> 5 & 15, date & 31, time >> 11, time >> 5 & 63, min(59, (time & 31) * 2),
            tzinfo=dt.UTC,
        )  # fmt: skip
    except ValueError:  # month 0 and the like, as some tools write
        moment = dt.datetime(1980, 1, 1, tzinfo=dt.UTC)
    return int(moment.timestamp())
