"""The SQLite file itself: its mode, its versions, foreign and damaged files, its secrets and leftovers."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
from pathlib import Path

import pytest

from lambent.store.api import FUNCTIONS, ROLES, Put
from lambent.store.errors import StoreCorruptError, StoreError, StoreTooNewError
from lambent.store.migrations import STEPS, migrate
from lambent.store.sqlite import SqliteStore

VERSION_1 = Path(__file__).with_name("fixtures") / "version_1.sql"


def _sqlite(path: Path, script: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


async def _filled(path: Path, documents: int = 1) -> None:
    store = await SqliteStore.open(path)
    await store.commit([Put(FUNCTIONS, f"{i:06}", {"filling": "x" * 500}) for i in range(documents)])
    await store.close()


async def test_only_the_owner_reads_it_and_closing_leaves_one_file(tmp_path: Path) -> None:
    path = tmp_path / "not" / "there yet" / "store.db"
    store = await SqliteStore.open(path)
    await store.commit([Put(FUNCTIONS, "a", {})])
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["store.db", "store.db-shm", "store.db-wal"]
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 3
    await store.close()
    assert sorted(path.parent.iterdir()) == [path]


async def test_what_was_committed_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await _filled(path, documents=3)
    store = await SqliteStore.open(path)
    assert [record.key for record in await store.scan(FUNCTIONS, "")] == ["000000", "000001", "000002"]
    await store.close()


async def test_a_file_of_version_1_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    _sqlite(path, VERSION_1.read_text())
    store = await SqliteStore.open(path)
    function = await store.get(FUNCTIONS, "000000000000/us-east-1/greet")
    assert function is not None
    assert function.revision == 3
    assert function.value == {"FunctionName": "greet", "text": "Grüße 🎉"}
    await store.commit([Put(ROLES, "000000000000/greet-role", {"RoleName": "greet-role"}, expect=1)])
    role = await store.get(ROLES, "000000000000/greet-role")
    assert role is not None
    assert role.revision == 8
    await store.close()


def test_steps_run_in_order_once_each_and_keep_the_data(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    _sqlite(path, VERSION_1.read_text())
    steps = (
        *STEPS,
        ("ALTER TABLE documents ADD COLUMN extra TEXT NOT NULL DEFAULT 'second'",),
        ("CREATE TABLE third (x)", "INSERT INTO third SELECT extra FROM documents"),
    )
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for _ in range(2):
            migrate(connection, steps)
            assert connection.execute("PRAGMA user_version").fetchone() == (3,)
            assert connection.execute("SELECT count(*), min(x) FROM third").fetchone() == (2, "second")


def test_a_step_that_fails_leaves_the_version_before_it(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    _sqlite(path, VERSION_1.read_text())
    steps = (*STEPS, ("CREATE TABLE half (x)", "INSERT INTO no_such_table VALUES (1)"))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        with pytest.raises(sqlite3.OperationalError, match="no_such_table"):
            migrate(connection, steps)
        assert not connection.in_transaction
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").fetchone() == (0,)


async def test_a_newer_file_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await _filled(path)
    _sqlite(path, "PRAGMA user_version = 999")
    before = path.read_bytes()
    with pytest.raises(StoreTooNewError, match=r"version 999.*newer Lambent"):
        await SqliteStore.open(path)
    assert path.read_bytes() == before


async def test_the_database_of_another_application_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    _sqlite(path, "CREATE TABLE theirs (x); PRAGMA user_version = 1")
    before = path.read_bytes()
    with pytest.raises(StoreCorruptError, match="another application"):
        await SqliteStore.open(path)
    assert path.read_bytes() == before


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"something else entirely" * 500)
    with pytest.raises(StoreCorruptError, match=r"store\.db is damaged"):
        await SqliteStore.open(path)


async def test_a_path_that_cannot_be_opened_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="unable to open"):
        await SqliteStore.open(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"Not a directory|exists"):
        await SqliteStore.open(tmp_path / "file" / "store.db")


async def test_damaged_pages_are_reported_by_reads_and_commits(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await _filled(path, documents=500)
    content = bytearray(path.read_bytes())
    content[8192:-4096] = b"\xa5" * (len(content) - 8192 - 4096)
    path.write_bytes(content)
    store = await SqliteStore.open(path)
    with pytest.raises(StoreCorruptError, match=r"store\.db is damaged.*backup"):
        await store.scan(FUNCTIONS, "")
    with pytest.raises(StoreCorruptError, match=r"store\.db is damaged.*backup"):
        await store.commit([Put(FUNCTIONS, "000250", {})])
    await store.close()


async def test_after_a_crash_the_whole_file_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await _filled(path, documents=500)
    content = bytearray(path.read_bytes())
    content[8192:-4096] = b"\xa5" * (len(content) - 8192 - 4096)
    path.write_bytes(content)
    path.with_name("store.db-wal").touch()
    with pytest.raises(StoreCorruptError, match="damaged"):
        await SqliteStore.open(path)


async def test_a_document_that_is_not_json_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await _filled(path)
    _sqlite(path, "UPDATE documents SET value = '[1]'")
    store = await SqliteStore.open(path)
    with pytest.raises(StoreCorruptError, match="not JSON"):
        await store.get(FUNCTIONS, "000000")
    await store.close()


async def test_every_commit_is_synced(tmp_path: Path) -> None:
    """What `kill -9` cannot show: that a commit would survive the power going."""
    store = await SqliteStore.open(tmp_path / "store.db")
    connection = store._writer._connection
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL: the log at each commit
    await store.close()
