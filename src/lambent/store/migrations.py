"""The layout of the SQLite file, as the ordered steps that lead to it. May know SQLite, nothing of what is stored.

Step n (counted from 1) brings a file of version n-1 to version n; `PRAGMA user_version` holds the version. Steps are
history: never change one that was released, append another. A file newer than the code is refused, untouched.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from lambent.store.errors import StoreCorruptError, StoreTooNewError

APPLICATION_ID: Final = 0x4C616D62  # "Lamb", in the file's header: tells our files from other SQLite databases

Step = tuple[str, ...]

STEPS: Final[tuple[Step, ...]] = (
    (
        # Keys compare as their UTF-8 bytes, which is the order of code points.
        """CREATE TABLE documents (
             tbl TEXT NOT NULL,
             key TEXT NOT NULL,
             revision INTEGER NOT NULL,
             value TEXT NOT NULL,
             PRIMARY KEY (tbl, key)
           ) WITHOUT ROWID""",
        # One number for all documents, so that a document made again continues to grow.
        "CREATE TABLE sequence (revision INTEGER NOT NULL)",
        "INSERT INTO sequence VALUES (0)",
    ),
)


def migrate(connection: sqlite3.Connection, steps: Sequence[Step] = STEPS) -> None:
    """Bring the file up to the newest version, each step in a transaction of its own. `connection` is in autocommit.

    Raises StoreTooNewError, StoreCorruptError (another application's database), sqlite3.Error.
    """
    while True:
        # The write lock comes first: two processes opening a new file must not both make it.
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = check_version(connection, steps)
            if version == len(steps):
                return
            for statement in steps[version]:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def check_version(connection: sqlite3.Connection, steps: Sequence[Step] = STEPS) -> int:
    """The file's layout version, 0 for an empty one; reads only. Raises as `migrate`."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application_id != APPLICATION_ID and (application_id, version, objects) != (0, 0, 0):
        raise StoreCorruptError("it is a database of another application")
    if version > len(steps):
        raise StoreTooNewError(
            f"it has layout version {version}, this Lambent knows versions up to {len(steps)}; use a newer Lambent"
        )
    return int(version)
