"""What an account uses, as it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lambent.control_plane.functions import FunctionsControlPlane
from lambent.control_plane.requests import CreateRequest, UpdateCodeRequest
from lambent.control_plane.usage import AccountUsage
from lambent.model.arn import FunctionId
from lambent.model.ids import AccountId, Region

Create = Callable[..., CreateRequest]


async def test_usage_follows_every_change(
    plane: FunctionsControlPlane, function: FunctionId, create_request: Create, make_zip: Callable[[str], bytes]
) -> None:
    async def usage() -> tuple[int, int]:
        found = await plane.usage.of(function.account, function.region)
        return found.function_count, found.total_code_size

    assert await usage() == (0, 0)
    await plane.create(create_request("123", publish=True))
    assert await usage() == (1, 6)
    await plane.create(replace(create_request("1234"), function=replace(function, name="other")))
    assert await usage() == (2, 10)
    await plane.update_code(UpdateCodeRequest(function, make_zip("12345")))
    assert await usage() == (2, 12)
    await plane.delete_version(function, "1")
    assert await usage() == (2, 9)
    await asyncio.sleep(0.01)
    await plane.delete(function)
    assert await usage() == (1, 4)


async def test_usage_is_by_account_and_region_and_survives_a_restart(
    start: Callable[..., Any], function: FunctionId, create_request: Create
) -> None:
    first = await start()
    others = [replace(function, account=AccountId("111122223333")), replace(function, region=Region("eu-west-1"))]
    for number, one in enumerate([function, *others]):
        await first.create(replace(create_request("1" * (number + 1)), function=one))
    second = await start()
    for number, one in enumerate([function, *others]):
        for plane in (first, second):
            assert await plane.usage.of(one.account, one.region) == AccountUsage(1, number + 1)


async def test_usage_asked_for_while_it_changes(
    plane: FunctionsControlPlane, function: FunctionId, create_request: Create
) -> None:
    names = [f"f{number}" for number in range(20)]
    requests = [replace(create_request(name), function=replace(function, name=name)) for name in names]
    await asyncio.gather(
        *(plane.create(request) for request in requests),
        *(plane.usage.of(function.account, function.region) for _ in range(20)),
    )
    total = sum(len(name) for name in names)
    assert await plane.usage.of(function.account, function.region) == AccountUsage(20, total)
