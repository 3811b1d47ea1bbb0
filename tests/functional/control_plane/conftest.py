"""The control plane on its own, over both stores and a real code store."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from lambent.control_plane.functions import FunctionsControlPlane, Settings
from lambent.control_plane.requests import ConfigurationSettings, CreateRequest
from lambent.model.arn import FunctionId
from lambent.model.ids import AccountId, Region
from lambent.packaging.code_store import CodeStore
from lambent.store.api import Store
from lambent.store.memory import MemoryStore
from lambent.store.sqlite import SqliteStore
from lambent.testing.clock import ManualClock


@pytest.fixture
def function() -> FunctionId:
    return FunctionId(AccountId("000000000000"), Region("us-east-1"), "greet")


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store: Store = MemoryStore() if request.param == "memory" else await SqliteStore.open(tmp_path / "lambent.db")
    yield store
    await store.close()


@pytest.fixture
async def code_store(tmp_path: Path) -> AsyncIterator[CodeStore]:
    """Spares what was added only for a moment, longer than a change takes."""
    code_store = CodeStore(tmp_path / "code", pending_grace_s=0.3)
    await code_store.start()
    yield code_store
    await code_store.close()


StartControlPlane = Callable[..., Any]


@pytest.fixture
async def start(store: Store, code_store: CodeStore) -> AsyncIterator[StartControlPlane]:
    """Start control planes over the one store, as after a restart; closed at the end."""
    started: list[FunctionsControlPlane] = []

    async def make(settings: Settings | None = None, **given: Any) -> FunctionsControlPlane:
        plane = FunctionsControlPlane(store, code_store, ManualClock(), settings=settings, **given)
        await plane.start()
        started.append(plane)
        return plane

    yield make
    for plane in started:
        await plane.close()


@pytest.fixture
async def plane(start: StartControlPlane) -> FunctionsControlPlane:
    made: FunctionsControlPlane = await start(Settings(settle_delay_s=0.001, collect_again_s=0.35))
    return made


def zip_of(text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py", (2026, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def make_zip() -> Callable[[str], bytes]:
    return zip_of


@pytest.fixture
def create_request(function: FunctionId) -> Callable[..., CreateRequest]:
    def make(text: str = "one", *, publish: bool = False, **settings: Any) -> CreateRequest:
        given = {
            "role": "arn:aws:iam::000000000000:role/r",
            "runtime": "python3.12",
            "handler": "index.handler",
        } | settings
        return CreateRequest(function, ConfigurationSettings(**given), zip_of(text), publish=publish)

    return make
