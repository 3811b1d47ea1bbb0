"""A change of aliases or policies that something else overtakes, at the worst moment: between deciding and storing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import pytest

from lambent.control_plane.alias_configuration import CreateAliasRequest, UpdateAliasRequest
from lambent.control_plane.functions import FunctionsControlPlane
from lambent.control_plane.policies import Permission
from lambent.control_plane.requests import CreateRequest, PublishRequest
from lambent.model.arn import FunctionId, FunctionReference
from lambent.model.errors import ResourceConflictException, ResourceNotFoundException, ServiceError
from lambent.store.api import ALIASES, FUNCTIONS, RESOURCE_POLICIES, VERSIONS, Change
from lambent.store.memory import MemoryStore

Create = Callable[..., CreateRequest]
Work = Callable[[FunctionsControlPlane, FunctionId], Coroutine[Any, Any, object]]


class OvertakenStore(MemoryStore):
    """Does `first` before its next commit."""

    first: Callable[[], Awaitable[object]] | None = None
    overtaken = 0

    async def commit(self, changes: Sequence[Change]) -> None:
        first, self.first = self.first, None
        if first is not None:
            await first()
            self.overtaken += 1
        await super().commit(changes)


@pytest.fixture
def store() -> OvertakenStore:
    return OvertakenStore()


def create_alias(plane: FunctionsControlPlane, function: FunctionId) -> Coroutine[Any, Any, object]:
    return plane.aliases.create(CreateAliasRequest(function, "new", "1"))


def update_alias(plane: FunctionsControlPlane, function: FunctionId) -> Coroutine[Any, Any, object]:
    return plane.aliases.update(UpdateAliasRequest(function, "old", "1"))


def permit(qualifier: str | None) -> Work:
    def work(plane: FunctionsControlPlane, function: FunctionId) -> Coroutine[Any, Any, object]:
        permission = Permission(function.arn, "s", "lambda:InvokeFunction", "s3.amazonaws.com")
        return plane.permissions.add(FunctionReference(function, qualifier), permission)

    return work


def delete_version(plane: FunctionsControlPlane, function: FunctionId) -> Coroutine[Any, Any, object]:
    return plane.delete_version(function, "1")


def delete_alias(plane: FunctionsControlPlane, function: FunctionId) -> Coroutine[Any, Any, object]:
    return plane.aliases.delete(function, "old")


def delete(plane: FunctionsControlPlane, function: FunctionId) -> Coroutine[Any, Any, object]:
    return plane.delete(function)


RACES: list[tuple[Work, Work, type[ServiceError] | None]] = [
    (create_alias, delete_version, ResourceNotFoundException),
    (update_alias, delete_version, ResourceNotFoundException),
    (permit("1"), delete_version, ResourceNotFoundException),
    (delete_version, create_alias, ResourceConflictException),
    (delete_version, update_alias, ResourceConflictException),
    (delete_version, permit("1"), None),
    (update_alias, delete_alias, ResourceNotFoundException),
    (permit("old"), delete_alias, ResourceNotFoundException),
    (delete_alias, permit("old"), None),
    (delete_alias, update_alias, None),
    (create_alias, delete, ResourceNotFoundException),
    (permit(None), delete, ResourceNotFoundException),
    (permit("1"), delete, ResourceNotFoundException),
    (permit("old"), delete, ResourceNotFoundException),
    (delete, create_alias, None),
    (delete, permit(None), None),
    (delete, permit("1"), None),
    (delete, permit("old"), None),
    (permit(None), update_alias, None),
    (permit("old"), update_alias, None),
]


@pytest.mark.parametrize(("slow", "fast", "error"), RACES)
async def test_the_slow_one_decides_again(
    plane: FunctionsControlPlane,
    store: OvertakenStore,
    function: FunctionId,
    create_request: Create,
    slow: Work,
    fast: Work,
    error: type[ServiceError] | None,
) -> None:
    await plane.create(create_request())
    await plane.publish(PublishRequest(function))
    await plane.aliases.create(CreateAliasRequest(function, "old", "$LATEST"))
    store.first = lambda: fast(plane, function)
    if error is None:
        await slow(plane, function)
    else:
        with pytest.raises(error):
            await slow(plane, function)
    assert store.overtaken == 1
    functions, versions, aliases, policies = [
        {record.key.removeprefix(f"{function.key}/"): record.value for record in await store.scan(table, "")}
        for table in (FUNCTIONS, VERSIONS, ALIASES, RESOURCE_POLICIES)
    ]
    assert bool(functions) or not (versions or aliases or policies)
    for alias in aliases.values():
        assert alias["function_version"] == "$LATEST" or versions
    for key in policies:
        qualifier = key.rpartition("/")[2]
        assert qualifier == "$LATEST" or qualifier in aliases or (qualifier == "1" and versions)
