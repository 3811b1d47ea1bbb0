"""Reading functions and versions: one, a page of many, or what all of them need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lambent.control_plane.scan import each
from lambent.control_plane.states import is_settled
from lambent.model.alias import AliasConfiguration, alias_key, aliases_prefix, is_alias_name
from lambent.model.arn import LATEST, FunctionId, FunctionReference
from lambent.model.errors import ResourceNotFoundException
from lambent.model.function import (
    FunctionRecord,
    FunctionVersion,
    is_version_number,
    version_key,
    versions_prefix,
)
from lambent.model.ids import AccountId, Region
from lambent.packaging.layers import digests_needed
from lambent.store.api import ALIASES, FUNCTIONS, LAYER_VERSIONS, VERSIONS, Store


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list. `following` is what to ask for next (`after`), None at the end."""

    versions: list[FunctionVersion]
    following: str | None


@dataclass(frozen=True, slots=True)
class StoredFunction:
    """A function and the store's revision of it."""

    record: FunctionRecord
    revision: int


@dataclass(frozen=True, slots=True)
class StoredAlias:
    """An alias and the store's revision of it."""

    alias: AliasConfiguration
    revision: int


class FunctionQueries:
    """Reads only."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, function: FunctionId) -> StoredFunction | None:
        """The function as stored, or None."""
        stored = await self._store.get(FUNCTIONS, function.key)
        return None if stored is None else StoredFunction(FunctionRecord.from_document(stored.value), stored.revision)

    async def function(self, function: FunctionId) -> StoredFunction:
        """The function as stored. Raises ResourceNotFoundException."""
        found = await self.find(function)
        if found is None:
            raise not_found(FunctionReference(function, None))
        return found

    async def resolve(self, reference: FunctionReference) -> tuple[FunctionRecord, FunctionVersion]:
        """The function and the version a reference names, of an alias the main one. Raises
        ResourceNotFoundException."""
        found = await self.find(reference.function)
        if found is None:
            raise not_found(reference)
        qualifier = reference.qualifier
        if qualifier is None or qualifier == LATEST:
            return found.record, found.record.latest
        if is_alias_name(qualifier):
            stored = await self.alias(reference.function, qualifier)
            qualifier = stored.alias.function_version if stored is not None else ""
            if qualifier == LATEST:
                return found.record, found.record.latest
        version = await self.version(reference.function, qualifier) if is_version_number(qualifier) else None
        if version is None:
            raise not_found(reference)
        return found.record, version

    async def alias(self, function: FunctionId, name: str) -> StoredAlias | None:
        """An alias as stored, or None."""
        stored = await self._store.get(ALIASES, alias_key(function, name))
        return None if stored is None else StoredAlias(AliasConfiguration.from_document(stored.value), stored.revision)

    async def aliases(self, function: FunctionId, after: str | None = None) -> list[StoredAlias]:
        """The aliases of a function, by name. `after` is the name of the last one had."""
        prefix = aliases_prefix(function)
        start = None if after is None else prefix + after
        return [
            StoredAlias(AliasConfiguration.from_document(stored.value), stored.revision)
            for stored in await self._store.scan(ALIASES, prefix, after=start)
        ]

    async def version(self, function: FunctionId, number: str) -> FunctionVersion | None:
        """A published version, or None."""
        stored = await self._store.get(VERSIONS, version_key(function, number))
        return None if stored is None else FunctionVersion.from_document(stored.value)

    async def last_published(self, record: FunctionRecord) -> FunctionVersion | None:
        """The version with the highest number given so far, if it still exists."""
        number = record.next_version - 1
        return await self.version(record.function, str(number)) if number else None

    async def list_functions(self, account: AccountId, region: Region, after: str | None, limit: int) -> Page:
        """`$LATEST` of every function, by name. `after` is the name of the last one had."""
        prefix = _region_prefix(account, region)
        start = None if after is None else prefix + after
        stored = await self._store.scan(FUNCTIONS, prefix, after=start, limit=limit + 1)
        versions = [FunctionRecord.from_document(one.value).latest for one in stored]
        return Page(versions[:limit], versions[limit - 1].function.name if len(versions) > limit else None)

    async def list_all_versions(self, account: AccountId, region: Region, after: str | None, limit: int) -> Page:
        """Every version of every function, by name, each function's `$LATEST` first. `after` as in `Page`."""
        prefix = _region_prefix(account, region)
        versions: list[FunctionVersion] = []
        start = None
        if after is not None:
            name, _, number = after.partition("/")
            start = prefix + name
            versions += await self._published(FunctionId(account, region, name), number, limit + 1)
        for stored in await self._store.scan(FUNCTIONS, prefix, after=start, limit=limit + 1):
            if len(versions) > limit:
                break
            latest = FunctionRecord.from_document(stored.value).latest
            versions.append(latest)
            versions += await self._published(latest.function, None, limit + 1 - len(versions))
        if len(versions) <= limit:
            return Page(versions, None)
        last = versions[limit - 1]
        return Page(versions[:limit], f"{last.function.name}/{_position(last)}")

    async def list_versions(self, function: FunctionId, after: str | None, limit: int) -> Page:
        """`$LATEST`, then the published versions by number. Raises ResourceNotFoundException."""
        found = await self.function(function)
        versions = [found.record.latest] if after is None else []
        versions += await self._published(function, after, limit + 1 - len(versions))
        following = _position(versions[limit - 1]) if len(versions) > limit else None
        return Page(versions[:limit], following)

    async def unsettled(self) -> list[FunctionId]:
        """Functions of all accounts with a creation or an update under way."""
        records = [FunctionRecord.from_document(stored.value) async for stored in each(self._store, FUNCTIONS, "")]
        return [record.function for record in records if not is_settled(record.latest)]

    async def code_digests(self) -> set[str]:
        """The code of every layer version, function and version of every account.

        In this order: code that a function got from a layer version, or a version from its function, meanwhile, is
        then seen at one of them at least.
        """
        digests = {stored.value["digest"] async for stored in each(self._store, LAYER_VERSIONS, "")}
        async for stored in each(self._store, FUNCTIONS, ""):
            digests |= _digests(stored.value["latest"])
        async for stored in each(self._store, VERSIONS, ""):
            digests |= _digests(stored.value)
        return digests

    async def _published(self, function: FunctionId, after: str | None, limit: int) -> list[FunctionVersion]:
        if limit <= 0:
            return []
        prefix = versions_prefix(function)
        start = None if after is None else prefix + after
        stored = await self._store.scan(VERSIONS, prefix, after=start, limit=limit)
        return [FunctionVersion.from_document(one.value) for one in stored]


def not_found(reference: FunctionReference) -> ResourceNotFoundException:
    """The function, or the version of it, does not exist."""
    return ResourceNotFoundException(f"Function not found: {reference.arn}")


def _region_prefix(account: AccountId, region: Region) -> str:
    return f"{account}/{region}/"


def _digests(version: Mapping[str, Any]) -> set[str]:
    return digests_needed(version["code_digest"], [layer["digest"] for layer in version.get("layers", ())])


def _position(version: FunctionVersion) -> str:
    """Where a version stands among those of its function, as text that sorts; `$LATEST` first."""
    return f"{0 if version.is_latest else int(version.version):010d}"
