"""ZIP archives made byte by byte: what no decent tool would write."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass
class Member:
    """One member; what is None follows from the rest. Set a field to lie."""

    name: bytes
    data: bytes = b""
    mode: int = 0o100644
    system: int = 3
    flags: int = 0x800
    method: int = 0
    stored: bytes | None = None  # as it is in the archive
    crc: int | None = None
    size: int | None = None
    compressed_size: int | None = None
    offset: int | None = None
    date: int = 0x5A21
    extra: bytes = b""
    local_name: bytes | None = None
    local_method: int | None = None
    signature: bytes = b"PK\3\4"
    disk: int = 0


def _assemble(
    *members: Member,
    prefix: bytes = b"",
    suffix: bytes = b"",
    comment: bytes = b"",
    count: int | None = None,
    directory_extra: bytes = b"",
    directory_size: int | None = None,
    directory_offset: int | None = None,
    disk: int = 0,
) -> bytes:
    body, directory = b"", b""
    for each in members:
        stored = each.stored
        if stored is None:
            deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
            stored = each.data if each.method != 8 else deflate.compress(each.data) + deflate.flush()
        crc = zlib.crc32(each.data) if each.crc is None else each.crc
        size = len(each.data) if each.size is None else each.size
        compressed = len(stored) if each.compressed_size is None else each.compressed_size
        offset = len(body) if each.offset is None else each.offset
        common = struct.pack("<HHHHHLLL", 20, each.flags, each.method, 0, each.date, crc, compressed, size)
        directory += (
            b"PK\1\2"
            + struct.pack("<BB", 20, each.system)
            + common
            + struct.pack("<HHHHHLL", len(each.name), len(each.extra), 0, each.disk, 0, each.mode << 16, offset)
            + each.name
            + each.extra
        )
        if each.local_method is not None:
            common = common[:4] + struct.pack("<H", each.local_method) + common[6:]
        local_name = each.name if each.local_name is None else each.local_name
        body += each.signature + common + struct.pack("<HH", len(local_name), 0) + local_name + stored
    directory += directory_extra
    number = len(members) if count is None else count
    size = len(directory) if directory_size is None else directory_size
    at = len(body) if directory_offset is None else directory_offset
    end = b"PK\5\6" + struct.pack("<HHHHLLH", disk, 0, number, number, size, at, len(comment)) + comment
    return prefix + body + directory + end + suffix


@pytest.fixture(scope="session")
def member() -> type[Member]:
    return Member


@pytest.fixture(scope="session")
def assemble() -> Callable[..., bytes]:
    return _assemble


@pytest.fixture(scope="session")
def hostile(member: Any) -> dict[str, bytes]:
    """Archives that must be refused, by what is wrong with them."""
    return {name: archive if isinstance(archive, bytes) else _assemble(*archive) for name, archive in _hostile()}


def _hostile() -> list[tuple[str, Any]]:
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = bomb.compress(bytes(50_000_000)) + bomb.flush()
    good = _assemble(Member(b"a.py", b"x" * 500))
    link = 0o120777
    chain = [Member(b"l%d" % i, b"l%d" % (i + 1), mode=link) for i in range(50)]
    wide = [
        Member(b"d%d/" % i + b"/".join([b"x"] * 98) + b"/f") for i in range(1_100)
    ]  # 110,000 directories that no entry names
    return [
        ("no zip", b"hello"),
        ("only a signature", b"PK\5\6"),
        ("truncated data", good[: len(good) // 2]),
        ("truncated end", good[:-1]),
        ("garbage after the end", good + b"x"),
        ("first half missing", good[200:]),
        ("absolute name", [Member(b"/etc/passwd")]),
        ("traversal", [Member(b"../evil")]),
        ("traversal inside", [Member(b"a/../../evil")]),
        ("harmless traversal", [Member(b"a/../b")]),
        ("traversal directory", [Member(b"../", mode=0o40755)]),
        ("NUL in the name", [Member(b"a.py\0.txt")]),
        ("empty name", [Member(b"")]),
        ("only a slash", [Member(b"/")]),
        ("dot as a file", [Member(b".")]),
        ("overlong part", [Member(b"a" * 256)]),
        ("overlong path", [Member(b"a/" * 40 + b"/".join([b"b" * 200] * 20))]),
        ("nested depth", [Member(b"a/" * 101 + b"f")]),
        ("implied directories without end", wide),
        ("name is not UTF-8 but says so", [Member(b"\xff\xfe")]),
        ("block device", [Member(b"sda", mode=0o060660)]),
        ("character device", [Member(b"null", mode=0o020666)]),
        ("pipe", [Member(b"pipe", mode=0o010644)]),
        ("socket", [Member(b"socket", mode=0o140755)]),
        ("directory with content", [Member(b"d/", b"data", mode=0o40755)]),
        ("link named as a directory", [Member(b"d/", b"..", mode=link)]),
        ("absolute link", [Member(b"l", b"/etc", mode=link)]),
        ("link out", [Member(b"l", b"..", mode=link)]),
        ("link out from below", [Member(b"a/b/l", b"../../../x", mode=link)]),
        ("link out by a link", [Member(b"a/b/l", b"../..", mode=link), Member(b"m", b"a/b/l/..", mode=link)]),
        ("link out, in again", [Member(b"l", b"../task/x", mode=link)]),
        ("link to itself", [Member(b"l", b"l", mode=link)]),
        ("links in a circle", [Member(b"l", b"m", mode=link), Member(b"m", b"./l", mode=link)]),
        ("too long a chain of links", chain),
        ("empty link", [Member(b"l", b"", mode=link)]),
        ("overlong link", [Member(b"l", b"a" * 5000, mode=link)]),
        ("NUL in a link", [Member(b"l", b"a\0b", mode=link)]),
        ("link that is not UTF-8", [Member(b"l", b"\xff", mode=link)]),
        ("link with a wrong checksum", [Member(b"l", b"abc", mode=link, crc=1)]),
        ("file through a link", [Member(b"d", b"e", mode=link), Member(b"e/", mode=0o40755), Member(b"d/f", b"x")]),
        ("file under a file", [Member(b"d", b"x"), Member(b"d/f", b"x")]),
        ("file over a directory", [Member(b"d/f", b"x"), Member(b"d", b"x")]),
        ("directory over a file", [Member(b"d", b"x"), Member(b"d/", mode=0o40755)]),
        ("link over a directory", [Member(b"d/f", b"x"), Member(b"d", b"x", mode=link)]),
        ("wrong checksum", [Member(b"a", b"data", crc=0)]),
        ("wrong checksum, deflated", [Member(b"a", b"data", crc=0, method=8)]),
        ("bomb that says it is small", [Member(b"a", bytes(50_000_000), method=8, stored=zeros, size=100)]),
        ("bomb that says it is empty", [Member(b"a", method=8, stored=zeros, size=0)]),
        ("smaller than it says", [Member(b"a", b"data" * 10, method=8, size=41)]),
        ("stored, smaller than it says", [Member(b"a", b"data", size=5)]),
        ("stored, larger than it says", [Member(b"a", b"data", size=3)]),
        ("no deflate", [Member(b"a", b"data", method=8, stored=b"\xff" * 10)]),
        ("truncated deflate", [Member(b"a", bytes(50_000_000), method=8, stored=zeros[:-4])]),
        ("data after deflate", [Member(b"a", bytes(50_000_000), method=8, stored=zeros + b"x")]),
        ("encrypted", [Member(b"a", b"data", flags=0x801)]),
        ("strongly encrypted", [Member(b"a", b"data", flags=0x841)]),
        ("masked headers", [Member(b"a", b"data", flags=0x2801)]),
        ("bzip2", [Member(b"a", b"data", method=12)]),
        ("lzma", [Member(b"a", b"data", method=14)]),
        ("unknown method", [Member(b"a", b"data", method=99)]),
        ("local header of another name", [Member(b"good", b"x", local_name=b"evil")]),
        ("local header of another method", [Member(b"a", b"x", local_method=8)]),
        ("no local header", [Member(b"a", b"x", signature=b"PK\0\0")]),
        ("the same data twice", [Member(b"a", b"x"), Member(b"a", b"x", offset=0)]),
        ("overlapping entries", [Member(b"a", b"x" * 100, compressed_size=160, size=160), Member(b"b", b"x" * 100)]),
        ("offset in the directory", [Member(b"a", b"x" * 50), Member(b"b", b"", offset=120)]),
        ("offset outside", [Member(b"a", b"x", offset=0x7FFF_FFFF)]),
        ("longer than the archive", [Member(b"a", b"x", compressed_size=5000, size=5000)]),
        ("zip64 field missing", [Member(b"a", b"x", offset=0xFFFF_FFFF)]),
        ("zip64 field too short", [Member(b"a", b"x", offset=0xFFFF_FFFF, extra=b"\1\0\4\0\0\0\0\0")]),
        ("zip64 field cut off", [Member(b"a", b"x", offset=0xFFFF_FFFF, extra=b"\1\0\x08\0\0\0\0\0")]),
        ("zip64 offset outside", [Member(b"a", offset=0xFFFF_FFFF, extra=b"\1\0\x08\0" + b"\xff" * 8)]),
        ("split over files", _assemble(Member(b"a"), disk=1)),
        ("member on another disk", [Member(b"a", disk=3)]),
        ("more entries than there are", _assemble(Member(b"a"), count=2)),
        ("fewer entries than there are", _assemble(Member(b"a"), Member(b"b"), count=1)),
        ("too many entries", _assemble(*[Member(b"%d" % i) for i in range(3)], count=60_000)),
        ("directory before the file", _assemble(Member(b"a"), directory_size=5000)),
        ("directory elsewhere", _assemble(Member(b"a"), directory_offset=5000)),
        ("directory with garbage", _assemble(Member(b"a"), directory_extra=b"garbage")),
    ]
