"""Looking up aliases: drawn for each invocation, remembered until something changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from lambent.invoke.directory import FunctionDirectory
from lambent.model.alias import AliasConfiguration, alias_key
from lambent.model.arn import LATEST, FunctionId, FunctionReference
from lambent.model.errors import ResourceNotFoundException
from lambent.model.function import FunctionRecord, FunctionVersion, LoggingConfig, version_key
from lambent.model.ids import AccountId, Region, RevisionId
from lambent.store.api import ALIASES, FUNCTIONS, VERSIONS, Delete, Put, Record
from lambent.store.memory import MemoryStore

FUNCTION = FunctionId(AccountId("000000000000"), Region("us-east-1"), "f")
LIVE = FunctionReference(FUNCTION, "live")


class CountingStore(MemoryStore):
    """Counts reads."""

    reads = 0

    async def get(self, table: str, key: str) -> Record | None:
        self.reads += 1
        return await super().get(table, key)


class Draws:
    """Numbers in turn, counted."""

    def __init__(self) -> None:
        self.taken = 0
        self._numbers: Iterator[float] = iter(())

    def will_be(self, *numbers: float) -> None:
        self._numbers = iter(numbers)

    def __call__(self) -> float:
        self.taken += 1
        return next(self._numbers)


@pytest.fixture
async def store() -> CountingStore:
    """A function with `$LATEST`, 1 and 2, and the alias `live`: 2 for a quarter, else 1."""
    store = CountingStore()
    latest = FunctionVersion(
        function=FUNCTION,
        version=LATEST,
        role="r",
        code_digest="d",
        code_sha256="s",
        code_size=1,
        revision_id=RevisionId("r"),
        environment_revision="e",
        last_modified="",
        logging=LoggingConfig("Text", "g"),
    )
    versions = [replace(latest, version=number) for number in ("1", "2")]
    await store.commit(
        [
            Put(FUNCTIONS, FUNCTION.key, FunctionRecord(latest).to_document()),
            *(Put(VERSIONS, version_key(FUNCTION, one.version), one.to_document()) for one in versions),
            put_alias("1", {"2": 0.25}),
        ]
    )
    return store


def put_alias(version: str, weights: dict[str, float]) -> Put:
    alias = AliasConfiguration(FUNCTION, "live", version, RevisionId("r"), additional_version_weights=weights)
    return Put(ALIASES, alias_key(FUNCTION, "live"), alias.to_document())


@pytest.fixture
def draws() -> Draws:
    return Draws()


@pytest.fixture
async def directory(store: CountingStore, draws: Draws) -> AsyncIterator[FunctionDirectory]:
    directory = FunctionDirectory(store, draws)
    yield directory
    directory.close()


async def test_each_invocation_draws(directory: FunctionDirectory, store: CountingStore, draws: Draws) -> None:
    draws.will_be(0.5, 0.1, 0.9, 0.2)
    assert directory.cached(LIVE) is None
    assert (await directory.resolve(LIVE)).version == "1"
    reads = store.reads
    found = [directory.cached(LIVE) for _ in range(3)]
    assert [version and version.version for version in found] == ["2", "1", "2"]  # 2 was never resolved before
    assert store.reads == reads


async def test_other_qualifiers_draw_nothing(directory: FunctionDirectory, draws: Draws) -> None:
    for qualifier in (None, LATEST, "1", "2"):
        reference = FunctionReference(FUNCTION, qualifier)
        resolved = await directory.resolve(reference)
        assert directory.cached(reference) is resolved
        assert resolved.version == (qualifier or LATEST)
    assert draws.taken == 0


async def test_a_changed_alias_is_read_again(directory: FunctionDirectory, store: CountingStore, draws: Draws) -> None:
    draws.will_be(*[0.5] * 3)
    assert (await directory.resolve(LIVE)).version == "1"
    await store.commit([put_alias("2", {})])
    assert directory.cached(LIVE) is None
    assert (await directory.resolve(LIVE)).version == "2"
    await store.commit([Delete(ALIASES, alias_key(FUNCTION, "live"))])
    assert directory.cached(LIVE) is None
    with pytest.raises(ResourceNotFoundException, match=r"function:f:live$"):
        await directory.resolve(LIVE)


async def test_an_alias_of_latest(directory: FunctionDirectory, store: CountingStore, draws: Draws) -> None:
    await store.commit([put_alias(LATEST, {})])
    draws.will_be(0.0, 0.0)
    latest = await directory.resolve(LIVE)
    assert latest.version == LATEST
    assert directory.cached(LIVE) is latest
