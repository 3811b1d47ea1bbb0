"""Access keys: who holds one, and the root key made at first start. Reads the store at start, then lives in memory.

Lookups are synchronous (the way of every request); changes go to the store and come back through its watch, so that a
key made by another process of a later cluster is seen too.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from lambent.iam.access_key_ids import LONG_TERM, new_access_key_id, new_secret_access_key
from lambent.iam.principal import Credentials, Principal
from lambent.model.errors import ServiceError
from lambent.model.ids import AccountId
from lambent.store.api import ACCESS_KEYS, SETTINGS, ConflictError, Delete, Put, Store

logger = logging.getLogger(__name__)

_ROOT_KEY: Final = "root_access_key"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A long-term access key. `arn` and `user_id` are its owner's; `created_at` in seconds since the epoch."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    account: AccountId
    arn: str
    user_id: str
    created_at: float
    active: bool = True

    @property
    def principal(self) -> Principal:
        """Who calls when this key does."""
        return Principal(self.account, self.arn, self.user_id, self.access_key_id)

    @property
    def credentials(self) -> Credentials:
        """What its holder signs with."""
        return Credentials(self.access_key_id, self.secret_access_key)


@lru_cache(maxsize=1024)
def root_principal(account: AccountId, access_key_id: str | None = None) -> Principal:
    """The root user of an account."""
    return Principal(account, f"arn:aws:iam::{account}:root", str(account), access_key_id)


class Identities:
    """All access keys of this installation. Make it with `load`."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now
        self._keys: dict[str, AccessKey] = {}
        self._reloads: set[asyncio.Task[None]] = set()
        self._end_watch: Callable[[], None] = lambda: None

    @classmethod
    async def load(cls, store: Store, *, now: Callable[[], float] = time.time) -> Identities:
        """Read all keys and follow their changes until `close`."""
        self = cls(store, now)
        self._end_watch = store.watch(ACCESS_KEYS, self._changed)
        for record in await store.scan(ACCESS_KEYS, ""):
            self._keys[record.key] = AccessKey(**record.value)
        return self

    def get(self, access_key_id: str) -> AccessKey | None:
        """The key with that id, if there is one and it is active."""
        key = self._keys.get(access_key_id)
        return key if key is not None and key.active else None

    def list_keys(self) -> list[AccessKey]:
        """Every key, oldest first, inactive ones too."""
        return sorted(self._keys.values(), key=lambda key: (key.created_at, key.access_key_id))

    def keys_of(self, arn: str) -> list[AccessKey]:
        """The keys of whoever has that ARN, oldest first, inactive ones too."""
        return [key for key in self.list_keys() if key.arn == arn]

    async def create(self, principal: Principal) -> AccessKey:
        """Make a key for a principal, durably."""
        key = self._new_key(principal)
        await self._store.commit([Put(ACCESS_KEYS, key.access_key_id, asdict(key), expect=0)])
        self._keys[key.access_key_id] = key
        return key

    async def set_active(self, access_key_id: str, active: bool) -> AccessKey:
        """Switch a key on or off. Raises NoSuchEntity."""
        key = self._keys.get(access_key_id)
        if key is None:
            raise _no_such_key(access_key_id)
        changed = replace(key, active=active)
        await self._store.commit([Put(ACCESS_KEYS, access_key_id, asdict(changed))])
        self._keys[access_key_id] = changed
        return changed

    async def delete(self, access_key_id: str) -> None:
        """Remove a key. Raises NoSuchEntity."""
        if access_key_id not in self._keys:
            raise _no_such_key(access_key_id)
        await self._store.commit([Delete(ACCESS_KEYS, access_key_id)])
        self._keys.pop(access_key_id, None)

    async def ensure_root_key(self, account: AccountId, credentials_file: Path) -> AccessKey | None:
        """The root key made at first start, made now if this is the first; `credentials_file` is written if missing.

        The file is in the AWS credentials format, mode 0600, written atomically. A root key that was deleted since
        stays deleted (None) while there is another active key; without any, nobody could get in, and one is made.
        """
        setting = await self._store.get(SETTINGS, _ROOT_KEY)
        key = await self._stored(setting.value["access_key_id"]) if setting is not None else None
        if key is None:
            if any(other.active for other in self._keys.values()):
                return None
            key = await self._create_root_key(account, expect=setting.revision if setting is not None else 0)
            await asyncio.to_thread(_write_credentials, credentials_file, key.credentials)
        elif not await asyncio.to_thread(credentials_file.exists):
            await asyncio.to_thread(_write_credentials, credentials_file, key.credentials)
        return key

    async def close(self) -> None:
        """Stop following changes. Idempotent; before the store is closed."""
        self._end_watch()
        self._end_watch = lambda: None
        pending = list(self._reloads)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    async def _create_root_key(self, account: AccountId, *, expect: int) -> AccessKey:
        key = self._new_key(root_principal(account))
        changes = [
            Put(ACCESS_KEYS, key.access_key_id, asdict(key), expect=0),
            Put(SETTINGS, _ROOT_KEY, {"access_key_id": key.access_key_id}, expect=expect),
        ]
        try:
            await self._store.commit(changes)
        except ConflictError:  # another process was first
            setting = await self._store.get(SETTINGS, _ROOT_KEY)
            found = await self._stored(setting.value["access_key_id"]) if setting is not None else None
            if found is None:
                raise
            key = found
        self._keys[key.access_key_id] = key
        return key

    async def _stored(self, access_key_id: str) -> AccessKey | None:
        """The key as the store has it: memory may be behind what another process did."""
        record = await self._store.get(ACCESS_KEYS, access_key_id)
        return None if record is None else AccessKey(**record.value)

    def _new_key(self, principal: Principal) -> AccessKey:
        return AccessKey(
            new_access_key_id(LONG_TERM, principal.account),
            new_secret_access_key(),
            principal.account,
            principal.arn,
            principal.user_id,
            self._now(),
        )

    def _changed(self, access_key_id: str) -> None:
        task = asyncio.get_running_loop().create_task(self._reload(access_key_id))
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _reload(self, access_key_id: str) -> None:
        key = await self._stored(access_key_id)
        if key is None:
            self._keys.pop(access_key_id, None)
        else:
            self._keys[access_key_id] = key
        logger.info("access key changed", extra={"access_key_id": access_key_id, "exists": key is not None})


def _no_such_key(access_key_id: str) -> ServiceError:
    return ServiceError("NoSuchEntity", f"The Access Key with id {access_key_id} cannot be found.", status=404)


def _write_credentials(path: Path, credentials: Credentials) -> None:
    """Write an AWS credentials file that only its owner can read, all at once."""
    text = (
        "[default]\n"
        f"aws_access_key_id = {credentials.access_key_id}\n"
        f"aws_secret_access_key = {credentials.secret_access_key}\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600 from the start
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
