"""Layers over both stores: numbers, races with deletion, and code that stays as long as something needs it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lambent.control_plane.functions import FunctionsControlPlane
from lambent.control_plane.requests import CreateRequest, LayerFilter, PublishLayerRequest
from lambent.iam.principal import Principal
from lambent.model.clock import SystemClock
from lambent.model.errors import InvalidParameterValueException
from lambent.model.ids import AccountId, Region
from lambent.model.layer import LayerId, LayerVersion
from lambent.packaging.code_store import CodeStore
from lambent.store.api import Change, Store
from lambent.store.memory import MemoryStore
from lambent.testing.packages import zip_of

ACCOUNT, REGION = AccountId("000000000000"), Region("us-east-1")
LAYER = LayerId(ACCOUNT, REGION, "tools")
OWNER = Principal(ACCOUNT, "arn:aws:iam::000000000000:root", ACCOUNT)

ARCHIVE = zip_of({"data": "x"})

Create = Callable[..., CreateRequest]


async def publish(plane: FunctionsControlPlane, archive: bytes, layer: LayerId = LAYER) -> LayerVersion:
    return await plane.layers.publish(PublishLayerRequest(layer, archive))


async def test_versions_published_at_once_all_get_numbers(
    plane: FunctionsControlPlane, make_zip: Callable[[str], bytes]
) -> None:
    made = await asyncio.gather(*(publish(plane, make_zip("same")) for _ in range(8)))
    assert sorted(version.version for version in made) == list(range(1, 9))


async def test_a_layer_deleted_while_a_function_is_stored_is_refused(
    plane: FunctionsControlPlane,
    store: Store,
    create_request: Create,
    make_zip: Callable[[str], bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever comes second loses: a function is never stored with code that may be collected."""
    version = await publish(plane, make_zip("layer"))
    commit = store.commit

    async def overtaken(changes: Sequence[Change]) -> None:
        monkeypatch.undo()
        await plane.layers.delete(LAYER, 1)
        await commit(changes)

    monkeypatch.setattr(store, "commit", overtaken)
    with pytest.raises(InvalidParameterValueException, match=re.escape(f"Layer version {version.arn} does not exist.")):
        await plane.create(create_request(layers=(version.arn,)))


async def test_code_of_a_deleted_layer_stays_while_a_version_needs_it(
    plane: FunctionsControlPlane, code_store: CodeStore, create_request: Create, make_zip: Callable[[str], bytes]
) -> None:
    first = await publish(plane, make_zip("layer"))
    second = await publish(plane, make_zip("other"), LayerId(ACCOUNT, REGION, "more"))
    request = create_request(layers=(first.arn, second.arn), publish=True)
    await plane.create(request)
    merged = await code_store.merged([first.digest, second.digest])
    await plane.layers.delete(LAYER, 1)
    await plane.layers.delete(LayerId(ACCOUNT, REGION, "more"), 1)
    await asyncio.sleep(0.8)  # what is not needed is collected by now
    assert merged.exists()
    assert code_store.tree(first.digest).exists()
    await plane.delete(request.function)
    async with asyncio.timeout(5):
        while merged.exists() or code_store.tree(first.digest).exists():
            await asyncio.sleep(0.01)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.none(), st.integers(1, 6)), max_size=14))
def test_numbers_are_never_reused(tmp_path_factory: pytest.TempPathFactory, steps: list[int | None]) -> None:
    """None publishes, a number deletes that version."""

    async def run() -> None:
        code = CodeStore(tmp_path_factory.mktemp("code"))
        await code.start()
        plane = FunctionsControlPlane(MemoryStore(), code, SystemClock())
        number, there = 0, set[int]()
        for step in steps:
            if step is not None:
                await plane.layers.delete(LAYER, step)
                there.discard(step)
                continue
            made = await publish(plane, ARCHIVE)
            number += 1
            assert made.version == number
            there.add(number)
        page = await plane.layers.list_versions(LAYER, LayerFilter(), None, 50)
        assert [version.version for version in page.versions] == sorted(there, reverse=True)
        newest = await plane.layers.list_layers(ACCOUNT, REGION, LayerFilter(), None, 50)
        assert [version.version for version in newest.versions] == ([max(there)] if there else [])
        for one in there:
            assert (await plane.layers.get(LAYER, one, OWNER)).version == one
        plane.usage.close()
        await code.close()

    asyncio.run(run())
