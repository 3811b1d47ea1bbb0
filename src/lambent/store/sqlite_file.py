"""Opening the SQLite file of a store, and saying clearly what is wrong with it. Knows SQLite and the file system."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lambent.store.api import StoreFullError
from lambent.store.errors import StoreCorruptError, StoreError
from lambent.store.migrations import STEPS, Step, check_version, migrate

_BUSY_TIMEOUT_S: Final = 10.0
_WAL_KEPT_BYTES: Final = 16 * 1024 * 1024
_PRIMARY: Final = 0xFF  # an extended result code's low byte is its primary code
_NO_ROOM: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)  # ENOSPC is reported as either, by the file it hits
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def open_writer(
    path: Path, steps: Sequence[Step] = STEPS, *, check_after_crash: bool = True, shortens: bool = False
) -> sqlite3.Connection:
    """The read-write connection, its file made and migrated by `steps`. Raises StoreError, StoreFullError.

    `shortens`: a file that is made now can be shortened by `PRAGMA incremental_vacuum`.
    """
    try:
        _make_file(path)
    except OSError as error:
        raise StoreError(f"Cannot make {path}: {error.strerror}") from error
    # A clean close removes the log. If it is still there the last owner died: look at the whole file once.
    crashed = path.with_name(path.name + "-wal").exists()
    connection = _connect(path)
    try:
        check_version(connection, steps)  # before anything is written
        if shortens:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # without effect on a file that has tables
        _set_up(connection)
        if crashed and check_after_crash:
            _check(connection)
        migrate(connection, steps)
    except sqlite3.Error as error:
        connection.close()
        raise translate(error, path) from error
    except StoreError as error:
        connection.close()
        raise type(error)(f"Cannot use {path}: {error}") from error
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads. The file must have been opened by `open_writer` before."""
    connection = _connect(path)
    try:
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        connection.close()
        raise translate(error, path) from error
    return connection


def translate(error: sqlite3.Error, path: Path) -> Exception:
    """The store's error for SQLite's."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY
    if code in _NO_ROOM:
        return StoreFullError(f"Cannot write {path}: {error}. Is its file system full or failing?")
    if code in _DAMAGED:
        return StoreCorruptError(f"{path} is damaged ({error}). Restore it from a backup")
    return StoreError(f"{path}: {error}")


def _make_file(path: Path) -> None:
    """Only the owner may read it (it holds secrets); SQLite gives -wal and -shm the same mode."""
    missing = [directory for directory in (path.parent, *path.parent.parents) if not directory.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    for directory in (path.parent, *(made.parent for made in missing)):
        _sync_directory(directory)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _connect(path: Path) -> sqlite3.Connection:
    try:
        # Autocommit; each connection is used by one thread at a time (closing may happen on another).
        return sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise translate(error, path) from error


def _set_up(connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreError(f"its file system cannot hold a write-ahead log (journal mode {mode})")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT_BYTES}")


def _check(connection: sqlite3.Connection) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StoreCorruptError(f"it is damaged ({verdict}). Restore it from a backup")
