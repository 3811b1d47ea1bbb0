"""Is it JSON? By SQLite's parser, which runs without Python's lock: whatever a document costs, others go on meanwhile.

Every parser in a Python package makes Python objects and holds the lock for it, 80 ms for 5 MB of small records, in
whatever thread it runs. SQLite's `json_valid` makes none, the `sqlite3` module lets go of the lock while a statement
runs, and what it accepts is the grammar of RFC 8259 (https://sqlite.org/json1.html): no value is too large a number,
and no escape a wrong character. It leaves two things to its caller: it stops at a NUL, and does not look at UTF-8.

Knows nothing of Lambent.
"""

from __future__ import annotations

import codecs
import sqlite3
import time
from contextlib import closing
from functools import cache
from typing import Final

DEPTH_SURE: Final = 1_000
"""Arrays and objects nested as deep as this are JSON in every version of SQLite; some go on to 2,000."""

_PIECE_BYTES: Final = 128 * 1024
_PAUSE_S: Final = 50e-6  # long enough for a thread that waits for the lock to get it

# What an SQLite must know to be asked at all.
_JSON: Final = (
    b' {"a" : [1, -0.5e+10, "\\u00e9\\n", true, false, null, {}, []]}\r\n\t',
    b'"x"',
    b"0",
    b"1e999",
    b'"\\ud800"',
)
_NOT_JSON: Final = (
    b"", b"  ", b"{", b"[1,]", b'{"a":1,}', b"{a:1}", b"'a'", b"01", b"1.", b".5", b"+1", b"0x1", b"NaN", b"Infinity",
    b'"\t"', b'"\\x41"', b"1 2", b"nul", b"/**/1", b"\xef\xbb\xbf1", b"\x0b1",
)  # fmt: skip


def is_json(document: bytes) -> bool:
    """Whether `document` is one JSON value in UTF-8. False also when this host's SQLite cannot tell (see `is_usable`),
    or for one nested deeper than `DEPTH_SURE`. About 4 ms per MB, in a thread."""
    return is_usable() and b"\0" not in document and _is_valid(document) and _is_utf8(document)


@cache
def is_usable() -> bool:
    """Whether this host's SQLite has JSON, and the right idea of it."""
    try:
        return all(map(_is_valid, _JSON)) and not any(map(_is_valid, _NOT_JSON))
    except sqlite3.Error:
        return False


def _is_valid(document: bytes) -> bool:
    # A connection costs 30 µs, and is used by one thread only.
    with closing(sqlite3.connect(":memory:")) as connection:
        (found,) = connection.execute("SELECT json_valid(CAST(? AS TEXT))", (document,)).fetchone()
        return bool(found)


def _is_utf8(document: bytes) -> bool:
    if document.isascii():
        return True
    decoder = codecs.getincrementaldecoder("utf-8")()
    pieces = memoryview(document)
    try:
        for start in range(0, len(document), _PIECE_BYTES):
            if start:
                time.sleep(_PAUSE_S)
            decoder.decode(pieces[start : start + _PIECE_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
