"""Aliases and policies while versions and functions go: nothing is left that points nowhere."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from lambent.control_plane.alias_configuration import CreateAliasRequest, UpdateAliasRequest
from lambent.control_plane.functions import FunctionsControlPlane
from lambent.control_plane.policies import Permission
from lambent.control_plane.requests import (
    ConfigurationSettings,
    CreateRequest,
    PublishRequest,
    UpdateConfigurationRequest,
)
from lambent.model.alias import AliasConfiguration
from lambent.model.arn import FunctionId, FunctionReference
from lambent.model.errors import (
    PreconditionFailedException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from lambent.store.api import ALIASES, RESOURCE_POLICIES, Store

Create = Callable[..., CreateRequest]
_LOST = (ResourceConflictException, ResourceNotFoundException)


def permission(function: FunctionId, sid: str) -> Permission:
    return Permission(function.arn, sid, "lambda:InvokeFunction", "s3.amazonaws.com")


async def with_versions(plane: FunctionsControlPlane, request: CreateRequest, count: int) -> None:
    """A function with versions 1 to `count`."""
    await plane.create(request)
    for number in range(count):
        settings = ConfigurationSettings(description=str(number))
        await plane.update_configuration(UpdateConfigurationRequest(request.function, settings))
        await plane.publish(PublishRequest(request.function))


@pytest.mark.parametrize("seed", range(6))
async def test_no_alias_is_left_without_its_version(
    plane: FunctionsControlPlane,
    function: FunctionId,
    create_request: Create,
    seed: int,
) -> None:
    await with_versions(plane, create_request(), 3)
    await plane.aliases.create(CreateAliasRequest(function, "old", "1"))
    work = [
        plane.aliases.create(CreateAliasRequest(function, "new", "2")),
        plane.aliases.create(CreateAliasRequest(function, "split", "1", weights={"2": 0.5})),
        plane.aliases.update(UpdateAliasRequest(function, "old", "2")),
        plane.delete_version(function, "2"),
        plane.permissions.add(FunctionReference(function, "2"), permission(function, "s")),
    ]
    random.Random(seed).shuffle(work)
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        assert not isinstance(outcome, BaseException) or isinstance(outcome, _LOST)
    is_there = await plane.queries.version(function, "2") is not None
    aliases = [stored.alias for stored in await plane.queries.aliases(function)]
    assert is_there or not any(alias.routes_to("2") for alias in aliases)
    if not is_there:
        with pytest.raises(ResourceNotFoundException):
            await plane.permissions.get(FunctionReference(function, "2"))


@pytest.mark.parametrize("seed", range(6))
async def test_nothing_is_left_of_a_deleted_function(
    plane: FunctionsControlPlane,
    store: Store,
    function: FunctionId,
    create_request: Create,
    seed: int,
) -> None:
    await plane.create(create_request(publish=True))
    await plane.publish(PublishRequest(function))
    work = [
        plane.aliases.create(CreateAliasRequest(function, "a", "1")),
        plane.aliases.create(CreateAliasRequest(function, "b", "$LATEST")),
        plane.permissions.add(FunctionReference(function, None), permission(function, "s")),
        plane.permissions.add(FunctionReference(function, "1"), permission(function, "s")),
        plane.delete(function),
    ]
    random.Random(seed).shuffle(work)
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        assert not isinstance(outcome, BaseException) or isinstance(outcome, _LOST)
    assert await plane.queries.find(function) is None
    assert await store.scan(ALIASES, "") == []
    assert await store.scan(RESOURCE_POLICIES, "") == []


async def test_one_of_many_creates_wins(
    plane: FunctionsControlPlane, function: FunctionId, create_request: Create
) -> None:
    await plane.create(create_request(publish=True))
    requests = [CreateAliasRequest(function, "live", "1", description=str(number)) for number in range(8)]
    outcomes = await asyncio.gather(*(plane.aliases.create(one) for one in requests), return_exceptions=True)
    won = [outcome for outcome in outcomes if isinstance(outcome, AliasConfiguration)]
    assert len(won) == 1
    assert sum(isinstance(outcome, ResourceConflictException) for outcome in outcomes) == 7
    assert await plane.aliases.get(function, "live") == won[0]


async def test_permissions_at_once_are_all_there(
    plane: FunctionsControlPlane, function: FunctionId, create_request: Create
) -> None:
    await plane.create(create_request(publish=True))
    whole = FunctionReference(function, None)
    await asyncio.gather(*(plane.permissions.add(whole, permission(function, f"s{number}")) for number in range(8)))
    found = await plane.permissions.get(whole)
    assert {statement["Sid"] for statement in found.policy.statements} == {f"s{number}" for number in range(8)}


async def test_one_of_many_changes_of_a_revision(
    plane: FunctionsControlPlane, function: FunctionId, create_request: Create
) -> None:
    await plane.create(create_request(publish=True))
    alias = await plane.aliases.create(CreateAliasRequest(function, "live", "1"))
    place = FunctionReference(function, "live")
    outcomes = await asyncio.gather(
        plane.aliases.update(UpdateAliasRequest(function, "live", description="d", revision_id=alias.revision_id)),
        *(plane.permissions.add(place, permission(function, f"s{number}"), alias.revision_id) for number in range(4)),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, PreconditionFailedException) for outcome in outcomes) == 4


async def test_a_restart_keeps_them(
    start: Callable[[], Awaitable[FunctionsControlPlane]], function: FunctionId, create_request: Create
) -> None:
    plane = await start()
    await plane.create(create_request(publish=True))
    alias = await plane.aliases.create(CreateAliasRequest(function, "live", "1"))
    await plane.permissions.add(FunctionReference(function, None), permission(function, "s"))
    before = await plane.permissions.get(FunctionReference(function, None))
    await plane.close()
    again = await start()
    assert await again.aliases.get(function, "live") == alias
    assert (await again.permissions.get(FunctionReference(function, None))).policy == before.policy
