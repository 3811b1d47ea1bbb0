"""Access keys: the root key of the first start, and keys made, switched off and deleted later."""

from __future__ import annotations

import asyncio
import configparser
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

import pytest

from lambent.iam.identities import AccessKey, Identities, root_principal
from lambent.model.errors import ServiceError
from lambent.model.ids import AccountId
from lambent.store.api import ACCESS_KEYS, Delete, Put
from lambent.testing.store import MemoryStore

ACCOUNT = AccountId("123456789012")


@pytest.fixture
async def identities(store: MemoryStore) -> AsyncIterator[Identities]:
    identities = await Identities.load(store)
    yield identities
    await identities.close()


@pytest.fixture
def credentials_file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "credentials"


def written(path: Path) -> tuple[str, str]:
    parser = configparser.ConfigParser()
    parser.read(path)
    return parser["default"]["aws_access_key_id"], parser["default"]["aws_secret_access_key"]


async def test_the_first_start_makes_a_root_key(identities: Identities, credentials_file: Path) -> None:
    key = await identities.ensure_root_key(ACCOUNT, credentials_file)
    assert key is not None
    assert written(credentials_file) == (key.access_key_id, key.secret_access_key)
    assert credentials_file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in credentials_file.parent.iterdir()] == ["credentials"]
    assert identities.get(key.access_key_id) == key
    assert key.principal == root_principal(ACCOUNT, key.access_key_id)


async def test_the_next_start_keeps_it(store: MemoryStore, identities: Identities, credentials_file: Path) -> None:
    key = await identities.ensure_root_key(ACCOUNT, credentials_file)
    before = credentials_file.stat().st_ino
    again = await Identities.load(store)
    assert await again.ensure_root_key(ACCOUNT, credentials_file) == key
    assert credentials_file.stat().st_ino == before
    await again.close()


async def test_a_lost_file_is_written_again(identities: Identities, credentials_file: Path) -> None:
    key = await identities.ensure_root_key(ACCOUNT, credentials_file)
    assert key is not None
    credentials_file.unlink()
    assert await identities.ensure_root_key(ACCOUNT, credentials_file) == key
    assert written(credentials_file) == (key.access_key_id, key.secret_access_key)


async def test_a_deleted_root_key_stays_deleted_while_there_is_another(
    identities: Identities, credentials_file: Path
) -> None:
    root = await identities.ensure_root_key(ACCOUNT, credentials_file)
    assert root is not None
    other = await identities.create(root_principal(ACCOUNT))
    await identities.delete(root.access_key_id)
    assert await identities.ensure_root_key(ACCOUNT, credentials_file) is None
    await identities.delete(other.access_key_id)
    replacement = await identities.ensure_root_key(ACCOUNT, credentials_file)
    assert replacement is not None
    assert replacement != root
    assert written(credentials_file)[0] == replacement.access_key_id


async def test_a_key_can_be_switched_off_and_on(identities: Identities) -> None:
    key = await identities.create(root_principal(ACCOUNT))
    await identities.set_active(key.access_key_id, False)
    assert identities.get(key.access_key_id) is None
    assert [one.active for one in identities.list_keys()] == [False]
    await identities.set_active(key.access_key_id, True)
    assert identities.get(key.access_key_id) == key


async def test_changes_survive(store: MemoryStore, identities: Identities) -> None:
    kept, gone = [await identities.create(root_principal(ACCOUNT)) for _ in range(2)]
    await identities.delete(gone.access_key_id)
    again = await Identities.load(store)
    assert again.list_keys() == [kept]
    await again.close()


async def test_keys_made_elsewhere_are_seen(store: MemoryStore, identities: Identities) -> None:
    key = AccessKey("AKIAX", "s" * 40, ACCOUNT, "arn:aws:iam::123456789012:user/u", "AIDAX", 1.0)
    await store.commit([Put(ACCESS_KEYS, "AKIAX", asdict(key))])
    await asyncio.sleep(0.01)
    assert identities.get("AKIAX") == key
    await store.commit([Delete(ACCESS_KEYS, "AKIAX")])
    await asyncio.sleep(0.01)
    assert identities.get("AKIAX") is None


async def test_unknown_keys_cannot_be_changed(identities: Identities) -> None:
    for change in (identities.delete("AKIAX"), identities.set_active("AKIAX", True)):
        with pytest.raises(ServiceError) as raised:
            await change
        assert (raised.value.code, raised.value.status) == ("NoSuchEntity", 404)


async def test_two_processes_starting_at_once_make_one_root_key(store: MemoryStore, tmp_path: Path) -> None:
    one, other = await Identities.load(store), await Identities.load(store)
    keys = await asyncio.gather(
        one.ensure_root_key(ACCOUNT, tmp_path / "one"), other.ensure_root_key(ACCOUNT, tmp_path / "other")
    )
    assert keys[0] == keys[1] is not None
    assert len(await store.scan(ACCESS_KEYS, "")) == 1
    await one.close()
    await other.close()
