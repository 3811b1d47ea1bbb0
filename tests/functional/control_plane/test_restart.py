"""What a stop or a crash left under way is completed at the next start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from lambent.control_plane import settling
from lambent.control_plane.functions import Settings
from lambent.control_plane.requests import ConfigurationSettings, CreateRequest, UpdateConfigurationRequest
from lambent.control_plane.states import is_settled
from lambent.model.arn import FunctionId, FunctionReference
from lambent.model.function import LastUpdateStatus, State
from lambent.store.api import FUNCTIONS, VERSIONS, Change, Store, StoreFullError

SLOW = Settings(settle_delay_s=60, settle_wait_s=0.01)
QUICK = Settings(settle_delay_s=0.001)


async def until_settled(plane: Any, function: FunctionId) -> None:
    async with asyncio.timeout(5):
        while not is_settled((await plane.queries.function(function)).record.latest):
            await asyncio.sleep(0.001)


async def test_a_pending_function_and_its_version(
    start: Callable[..., Any], function: FunctionId, create_request: Callable[..., CreateRequest]
) -> None:
    stopped = await start(SLOW)
    created = await stopped.create(create_request(publish=True))
    assert created.state is State.PENDING
    await stopped.close()
    again = await start(QUICK)
    await until_settled(again, function)
    _, latest = await again.queries.resolve(FunctionReference(function, None))
    _, version = await again.queries.resolve(FunctionReference(function, "1"))
    for one in (latest, version):
        assert (one.state, one.last_update_status) == (State.ACTIVE, LastUpdateStatus.SUCCESSFUL)
        assert one.state_reason is None


async def test_an_update_in_progress(
    start: Callable[..., Any], function: FunctionId, create_request: Callable[..., CreateRequest]
) -> None:
    quick = await start(QUICK)
    await quick.create(create_request())
    await until_settled(quick, function)
    stopped = await start(SLOW)
    request = UpdateConfigurationRequest(function, ConfigurationSettings(timeout_s=9))
    assert (await stopped.update_configuration(request)).last_update_status is LastUpdateStatus.IN_PROGRESS
    await stopped.close()
    again = await start(QUICK)
    await until_settled(again, function)
    latest = (await again.queries.function(function)).record.latest
    assert (latest.timeout_s, latest.last_update_status) == (9, LastUpdateStatus.SUCCESSFUL)


async def test_a_change_completes_what_a_crash_left_even_without_a_restart(
    start: Callable[..., Any], function: FunctionId, create_request: Callable[..., CreateRequest]
) -> None:
    """Another process made it and died: there is no task here, so the change begins one."""
    quick = await start(QUICK)
    dead = await start(SLOW)
    await dead.create(create_request())
    await dead.close()
    request = UpdateConfigurationRequest(function, ConfigurationSettings(timeout_s=9))
    assert (await quick.update_configuration(request)).timeout_s == 9


async def test_watchers_see_every_step(
    start: Callable[..., Any], store: Store, function: FunctionId, create_request: Callable[..., CreateRequest]
) -> None:
    """The data plane learns of changes through the store alone."""
    seen: list[tuple[str, str]] = []
    for table in (FUNCTIONS, VERSIONS):
        store.watch(table, lambda key, table=table: seen.append((table, key)))  # type: ignore[misc]
    plane = await start(QUICK)
    await plane.create(create_request(publish=True))
    await until_settled(plane, function)
    key, version = function.key, f"{function.key}/0000000001"
    assert seen == [(FUNCTIONS, key), (VERSIONS, version)] * 2
    await plane.delete(function)
    assert seen[4:] == [(FUNCTIONS, key), (VERSIONS, version)]


async def test_a_full_disk_only_delays(
    start: Callable[..., Any],
    store: Store,
    function: FunctionId,
    create_request: Callable[..., CreateRequest],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settling, "_RETRY_S", 0.001)
    plane = await start(QUICK)
    await plane.create(create_request())
    commit, refusals = store.commit, [StoreFullError("full"), StoreFullError("full")]

    async def commit_when_there_is_room(changes: Sequence[Change]) -> None:
        if refusals:
            raise refusals.pop()
        await commit(changes)

    monkeypatch.setattr(store, "commit", commit_when_there_is_room)
    await until_settled(plane, function)
    assert refusals == []
