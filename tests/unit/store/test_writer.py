"""The writer's thread, should a defect of ours end it: nobody waits for ever."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from lambent.store.api import FUNCTIONS, Put
from lambent.store.errors import StoreClosedError
from lambent.store.sqlite import SqliteStore


async def test_a_dead_writer_answers_all_and_refuses_what_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = await SqliteStore.open(tmp_path / "store.db")
    await store.commit([Put(FUNCTIONS, "before", {})])

    def defect(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(store._writer, "_transaction", defect)
    with caplog.at_level(logging.CRITICAL):
        commits = [asyncio.create_task(store.commit([Put(FUNCTIONS, f"{i}", {})])) for i in range(10)]
        outcomes = await asyncio.wait_for(asyncio.gather(*commits, return_exceptions=True), 10)
    assert [type(outcome) for outcome in outcomes] == [StoreClosedError] * 10
    assert "writer has died" in caplog.text
    with pytest.raises(StoreClosedError):
        await store.commit([Put(FUNCTIONS, "after", {})])
    assert [record.key for record in await store.scan(FUNCTIONS, "")] == ["before"]
    await store.close()
