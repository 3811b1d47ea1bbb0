"""Random commits, reads and (SQLite) reopenings against a plain dict."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from lambent.store.api import FUNCTIONS, ROLES, Change, ConflictError, Delete, Expect, Put, Store
from lambent.store.memory import MemoryStore
from lambent.store.sqlite import SqliteStore

KEYS = st.text(alphabet="ab/\x00\ud7ff\ue000\U0010ffff", max_size=3)
TABLES = st.sampled_from([FUNCTIONS, ROLES])
VALUES = st.dictionaries(st.text(max_size=3), st.none() | st.booleans() | st.integers(-9, 9) | st.text(), max_size=3)
# What a change expects, said relative to the truth, which only the machine knows.
EXPECTATIONS = st.sampled_from(["nothing", "nothing", "truth", "truth", "absent", "stale"])
CHANGES = st.tuples(st.sampled_from(["put", "put", "delete", "expect"]), TABLES, KEYS, VALUES, EXPECTATIONS)


class Machine(RuleBasedStateMachine):
    kind = "memory"

    @initialize()
    def open(self) -> None:
        self.runner = asyncio.Runner()
        self.directory = Path(tempfile.mkdtemp(prefix="lambent-store-"))
        self.model: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
        self.highest = 0
        self.heard: list[str] = []
        self.store = self._make()

    def _make(self) -> Store:
        async def make() -> Store:
            store: Store = MemoryStore() if self.kind == "memory" else await SqliteStore.open(self.directory / "db")
            store.watch(FUNCTIONS, self.heard.append)
            return store

        return self.runner.run(make())

    def _change(self, what: str, table: str, key: str, value: dict[str, Any], expectation: str) -> Change:
        actual = self.model.get((table, key), (0, {}))[0]
        expect = {"nothing": None, "truth": actual, "absent": 0, "stale": actual + 1}[expectation]
        match what:
            case "put":
                return Put(table, key, value, expect)
            case "delete":
                return Delete(table, key, expect)
            case _:
                return Expect(table, key, actual if expect is None else expect)

    @rule(drawn=st.lists(CHANGES, max_size=5))
    def commit(self, drawn: list[tuple[str, str, str, dict[str, Any], str]]) -> None:
        changes = [self._change(*each) for each in drawn]
        holds = True
        for change in changes:
            expected = change.revision if isinstance(change, Expect) else change.expect
            holds &= expected in (None, self.model.get((change.table, change.key), (0, {}))[0])
        self.heard.clear()
        if not holds:
            with pytest.raises(ConflictError):
                self.runner.run(self.store.commit(changes))
            assert self.heard == []
            return
        self.runner.run(self.store.commit(changes))
        heard: dict[str, None] = {}
        written = set()
        for change in changes:
            place = (change.table, change.key)
            if isinstance(change, Put):
                self.model[place] = (-1, dict(change.value))
                written.add(place)
            elif isinstance(change, Expect) or self.model.pop(place, None) is None:
                continue
            if change.table == FUNCTIONS:
                heard[change.key] = None
        assert self.heard == list(heard)
        revisions = [self.highest]
        for place in written & self.model.keys():
            record = self.runner.run(self.store.get(*place))
            assert record is not None
            assert record.revision > self.highest
            revisions.append(record.revision)
            self.model[place] = (record.revision, self.model[place][1])
        self.highest = max(revisions)

    @rule(table=TABLES, prefix=KEYS, after=st.none() | KEYS, limit=st.none() | st.integers(0, 4))
    def scan(self, table: str, prefix: str, after: str | None, limit: int | None) -> None:
        keys = sorted(key for in_table, key in self.model if in_table == table and key.startswith(prefix))
        expected = [key for key in keys if after is None or key > after][:limit]
        records = self.runner.run(self.store.scan(table, prefix, after=after, limit=limit))
        assert [(record.key, (record.revision, record.value)) for record in records] == [
            (key, self.model[table, key]) for key in expected
        ]

    @rule()
    def reopen(self) -> None:
        if self.kind == "sqlite":
            self.runner.run(self.store.close())
            self.store = self._make()

    @invariant()
    def reads_agree(self) -> None:
        for (table, key), (revision, value) in self.model.items():
            record = self.runner.run(self.store.get(table, key))
            assert record is not None
            assert (record.revision, record.value) == (revision, value)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.runner.run(self.store.close())
            self.runner.close()
            shutil.rmtree(self.directory)


class SqliteMachine(Machine):
    kind = "sqlite"


@pytest.mark.parametrize(("machine", "examples"), [(Machine, 60), (SqliteMachine, 40)])
def test_a_store_behaves_as_a_dict(machine: type[Machine], examples: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
