"""Code stays exactly as long as something needs it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lambent.control_plane.functions import FunctionsControlPlane, Settings
from lambent.control_plane.requests import CreateRequest, UpdateCodeRequest
from lambent.model.arn import FunctionId
from lambent.model.errors import CodeStorageExceededException, InvalidParameterValueException
from lambent.model.limits import Limits
from lambent.packaging.code_store import CodeStorageFullError, CodeStore

Create = Callable[..., CreateRequest]


@pytest.fixture
def is_there(code_store: CodeStore, make_zip: Callable[[str], bytes]) -> Callable[[str], bool]:
    def look(text: str) -> bool:
        return code_store.archive(hashlib.sha256(make_zip(text)).hexdigest()).exists()

    return look


async def gone(is_there: Callable[[str], bool], text: str) -> None:
    async with asyncio.timeout(5):
        while is_there(text):
            await asyncio.sleep(0.002)


async def test_replaced_and_deleted_code_goes(
    plane: FunctionsControlPlane,
    function: FunctionId,
    create_request: Create,
    make_zip: Callable[[str], bytes],
    is_there: Callable[[str], bool],
) -> None:
    await plane.create(create_request("one"))
    await plane.update_code(UpdateCodeRequest(function, make_zip("two")))
    await gone(is_there, "one")
    assert is_there("two")
    await plane.delete(function)
    await gone(is_there, "two")


async def test_a_version_keeps_its_code(
    plane: FunctionsControlPlane,
    function: FunctionId,
    create_request: Create,
    make_zip: Callable[[str], bytes],
    is_there: Callable[[str], bool],
) -> None:
    await plane.create(create_request("one", publish=True))
    await plane.update_code(UpdateCodeRequest(function, make_zip("two")))
    await plane.update_code(UpdateCodeRequest(function, make_zip("three")))
    await gone(is_there, "two")
    assert is_there("one")
    await plane.delete_version(function, "1")
    await gone(is_there, "one")
    assert is_there("three")


async def test_code_that_environments_run_from_stays_until_they_end(
    start: Callable[..., Any],
    function: FunctionId,
    create_request: Create,
    make_zip: Callable[[str], bytes],
    is_there: Callable[[str], bool],
) -> None:
    running = {hashlib.sha256(make_zip("one")).hexdigest()}
    settings = Settings(settle_delay_s=0.001, collect_again_s=0.35)
    plane = await start(settings, digests_in_use=lambda: running)
    await plane.create(create_request("one"))
    await plane.update_code(UpdateCodeRequest(function, make_zip("two")))
    await plane.update_code(UpdateCodeRequest(function, make_zip("three")))
    await gone(is_there, "two")
    assert is_there("one")
    running.clear()
    plane.collect_code()
    await gone(is_there, "one")


async def test_what_a_crash_left_goes_at_start(
    start: Callable[..., Any], code_store: CodeStore, make_zip: Callable[[str], bytes], is_there: Callable[[str], bool]
) -> None:
    await code_store.add_zip(make_zip("left behind"))
    await asyncio.sleep(0.35)
    assert is_there("left behind")
    await start()
    await gone(is_there, "left behind")


async def test_what_was_spared_at_first_goes_later(
    start: Callable[..., Any], code_store: CodeStore, make_zip: Callable[[str], bytes], is_there: Callable[[str], bool]
) -> None:
    await code_store.add_zip(make_zip("spared"))
    await start(Settings(collect_again_s=0.35))
    await gone(is_there, "spared")


async def test_a_dry_run_leaves_no_code(
    plane: FunctionsControlPlane,
    function: FunctionId,
    create_request: Create,
    make_zip: Callable[[str], bytes],
    is_there: Callable[[str], bool],
) -> None:
    await plane.create(create_request("one"))
    answer = await plane.update_code(UpdateCodeRequest(function, make_zip("dry"), dry_run=True))
    assert answer.code_digest == hashlib.sha256(make_zip("dry")).hexdigest()
    await gone(is_there, "dry")
    assert is_there("one")


async def test_refused_code_changes_nothing(
    plane: FunctionsControlPlane, function: FunctionId, create_request: Create
) -> None:
    await plane.create(create_request("one"))
    with pytest.raises(InvalidParameterValueException, match="Could not unzip"):
        await plane.update_code(UpdateCodeRequest(function, b"not a zip"))
    latest = (await plane.queries.function(function)).record.latest
    assert latest.code_size > 0


async def test_the_accounts_storage_is_limited(
    start: Callable[..., Awaitable[FunctionsControlPlane]],
    function: FunctionId,
    create_request: Create,
    make_zip: Callable[[str], bytes],
) -> None:
    plane = await start(Settings(settle_delay_s=0.001, limits=Limits(code_storage_max_bytes=5)))
    await plane.create(create_request("one"))
    with pytest.raises(CodeStorageExceededException, match="Code storage limit exceeded"):
        await plane.update_code(UpdateCodeRequest(function, make_zip("three")))


async def test_a_full_disk_is_said(
    plane: FunctionsControlPlane, code_store: CodeStore, create_request: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(_archive: bytes) -> None:
        raise CodeStorageFullError("No space left on device")

    monkeypatch.setattr(code_store, "add_zip", full)
    with pytest.raises(CodeStorageExceededException, match="disk"):
        await plane.create(create_request("one"))
