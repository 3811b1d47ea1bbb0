"""Several callers at once: every outcome is one that some order of them would have had."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from lambent.control_plane.functions import FunctionsControlPlane
from lambent.control_plane.requests import (
    ConfigurationSettings,
    CreateRequest,
    PublishRequest,
    UpdateCodeRequest,
    UpdateConfigurationRequest,
)
from lambent.control_plane.states import is_settled
from lambent.model.arn import FunctionId
from lambent.model.errors import (
    PreconditionFailedException,
    ResourceConflictException,
    ResourceNotFoundException,
    ServiceError,
)
from lambent.model.function import FunctionVersion, versions_prefix
from lambent.store.api import VERSIONS, Store

Create = Callable[..., CreateRequest]


async def settled(plane: FunctionsControlPlane, function: FunctionId) -> FunctionVersion:
    async with asyncio.timeout(5):
        while not is_settled((found := await plane.queries.function(function)).record.latest):
            await asyncio.sleep(0.001)
    return found.record.latest


async def test_one_of_many_creates_wins(plane: FunctionsControlPlane, create_request: Create) -> None:
    requests = [create_request(str(number), description=str(number)) for number in range(10)]
    outcomes = await asyncio.gather(*(plane.create(request) for request in requests), return_exceptions=True)
    won = [outcome for outcome in outcomes if isinstance(outcome, FunctionVersion)]
    lost = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(won) == 1
    for error in lost:
        assert isinstance(error, ResourceConflictException)
        assert error.message == "Function already exist: greet"
    assert (await settled(plane, requests[0].function)).description == won[0].description


async def test_updates_at_once_all_happen(
    plane: FunctionsControlPlane, function: FunctionId, create_request: Create, make_zip: Callable[[str], bytes]
) -> None:
    await plane.create(create_request())
    settings = ConfigurationSettings(memory_mb=256)
    await asyncio.gather(
        plane.update_configuration(UpdateConfigurationRequest(function, settings)),
        plane.update_configuration(UpdateConfigurationRequest(function, ConfigurationSettings(timeout_s=9))),
        plane.update_code(UpdateCodeRequest(function, make_zip("two"))),
        plane.publish(PublishRequest(function)),
        plane.change_tags(function, add={"a": "1"}),
        plane.change_tags(function, add={"b": "2"}),
    )
    latest = await settled(plane, function)
    assert (latest.memory_mb, latest.timeout_s) == (256, 9)
    found = await plane.queries.function(function)
    assert found.record.tags == {"a": "1", "b": "2"}


async def test_one_of_two_updates_of_a_revision(
    plane: FunctionsControlPlane, function: FunctionId, create_request: Create
) -> None:
    await plane.create(create_request())
    revision = (await settled(plane, function)).revision_id
    requests = [
        UpdateConfigurationRequest(function, ConfigurationSettings(timeout_s=number), revision)
        for number in range(10, 15)
    ]
    outcomes = await asyncio.gather(
        *(plane.update_configuration(request) for request in requests), return_exceptions=True
    )
    assert sum(isinstance(outcome, FunctionVersion) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, PreconditionFailedException) for outcome in outcomes) == 4


async def test_publishing_at_once_makes_one_version(
    plane: FunctionsControlPlane, function: FunctionId, create_request: Create
) -> None:
    await plane.create(create_request())
    published = await asyncio.gather(*(plane.publish(PublishRequest(function)) for _ in range(10)))
    assert {version.version for version in published} == {"1"}
    assert len({version.revision_id for version in published}) == 1


@pytest.mark.parametrize("seed", range(5))
async def test_nothing_is_left_of_a_deleted_function(
    plane: FunctionsControlPlane,
    store: Store,
    function: FunctionId,
    create_request: Create,
    make_zip: Callable[[str], bytes],
    seed: int,
) -> None:
    await plane.create(create_request(publish=True))
    work = [
        plane.publish(PublishRequest(function)),
        plane.update_code(UpdateCodeRequest(function, make_zip("two"), publish=True)),
        plane.update_configuration(UpdateConfigurationRequest(function, ConfigurationSettings(timeout_s=9))),
        plane.change_tags(function, add={"a": "1"}),
        plane.delete_version(function, "1"),
        plane.delete(function),
    ]
    random.Random(seed).shuffle(work)
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            assert isinstance(outcome, ResourceNotFoundException), outcome
    await asyncio.sleep(0.02)  # what was completing is done
    assert await plane.queries.find(function) is None
    assert await store.scan(VERSIONS, versions_prefix(function)) == []


async def test_deleting_and_creating_again_while_completing(
    plane: FunctionsControlPlane, function: FunctionId, create_request: Create
) -> None:
    for number in range(20):
        await plane.create(create_request(str(number), description=str(number)))
        await asyncio.sleep(number % 4 * 0.0005)
        if number < 19:
            await plane.delete(function)
    latest = await settled(plane, function)
    assert latest.description == "19"


async def test_a_deleted_function_is_deleted_once(
    plane: FunctionsControlPlane, function: FunctionId, create_request: Create
) -> None:
    await plane.create(create_request())
    outcomes = await asyncio.gather(*(plane.delete(function) for _ in range(5)), return_exceptions=True)
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, ServiceError) for outcome in outcomes) == 4
