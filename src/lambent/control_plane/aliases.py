"""The lifecycle of aliases: decide on what is stored, commit if it is still so.

Every change of an alias writes the function's document again, unchanged, and expects the versions it names: so neither
the function nor such a version can be deleted in the same moment and leave an alias to nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from lambent.control_plane.alias_configuration import (
    CreateAliasRequest,
    UpdateAliasRequest,
    decide_create_alias,
    decide_update_alias,
)
from lambent.control_plane.attachments import Attachments
from lambent.control_plane.commits import ATTEMPTS, committed
from lambent.control_plane.queries import FunctionQueries, StoredAlias, StoredFunction
from lambent.control_plane.states import update_in_progress
from lambent.model.alias import AliasConfiguration, alias_key
from lambent.model.arn import LATEST, FunctionId
from lambent.model.errors import ResourceNotFoundException
from lambent.model.function import is_version_number, version_key
from lambent.model.resource_policy import function_policy_key
from lambent.store.api import ALIASES, FUNCTIONS, RESOURCE_POLICIES, VERSIONS, Change, Delete, Expect, Put, Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AliasPage:
    """Part of a list. `following` is what to ask for next (`after`), None at the end."""

    aliases: list[AliasConfiguration]
    following: str | None


class Aliases:
    """Aliases of all functions."""

    def __init__(self, store: Store, queries: FunctionQueries, attachments: Attachments) -> None:
        self._store = store
        self._queries = queries
        self._attachments = attachments

    async def create(self, request: CreateAliasRequest) -> AliasConfiguration:
        """CreateAlias. Raises ResourceNotFoundException (the function, a version), ResourceConflictException,
        InvalidParameterValueException."""
        for _ in range(ATTEMPTS):
            found = await self._queries.function(request.function)
            existing = await self._queries.alias(request.function, request.name)
            versions = await self._versions(request.function, {request.function_version, *(request.weights or {})})
            alias = decide_create_alias(request, existing.alias if existing else None, versions.keys())
            if await self._stored(found, alias, 0, versions.values()):
                return alias
        raise update_in_progress(found.record.latest)

    async def update(self, request: UpdateAliasRequest) -> AliasConfiguration:
        """UpdateAlias. Raises ResourceNotFoundException (the function, the alias, a version),
        PreconditionFailedException, InvalidParameterValueException."""
        for _ in range(ATTEMPTS):
            found = await self._queries.function(request.function)
            existing = await self._queries.alias(request.function, request.name)
            if existing is None:
                alias_arn = request.function.qualified_arn(request.name)
                raise ResourceNotFoundException(f"Alias not found: {alias_arn}")
            versions = await self._versions(request.function, _versions_after(existing.alias, request))
            alias = decide_update_alias(existing.alias, request, versions.keys())
            if await self._stored(found, alias, existing.revision, versions.values()):
                return alias
        raise update_in_progress(found.record.latest)

    async def delete(self, function: FunctionId, name: str) -> None:
        """DeleteAlias, and all that is stored under it; one that does not exist is fine. Raises
        ResourceNotFoundException if the function does not exist."""
        for _ in range(ATTEMPTS):
            found = await self._queries.function(function)
            changes: list[Change] = [
                _touched(found),
                Delete(ALIASES, alias_key(function, name)),
                Delete(RESOURCE_POLICIES, function_policy_key(function, name)),
                *await self._attachments.removal(function, name),
            ]
            if await committed(self._store, changes):
                return
        raise update_in_progress(found.record.latest)

    async def get(self, function: FunctionId, name: str) -> AliasConfiguration:
        """GetAlias. Raises ResourceNotFoundException."""
        await self._queries.function(function)
        existing = await self._queries.alias(function, name)
        if existing is None:
            raise cannot_find_alias(function, name)
        return existing.alias

    async def list_aliases(self, function: FunctionId, version: str | None, after: str | None, limit: int) -> AliasPage:
        """ListAliases, by name: all, or those that may run a version. `after` as in `AliasPage`.

        Raises ResourceNotFoundException.
        """
        await self._queries.function(function)
        aliases = [
            stored.alias
            for stored in await self._queries.aliases(function, after)
            if version is None or stored.alias.routes_to(version)
        ]
        return AliasPage(aliases[:limit], aliases[limit - 1].name if len(aliases) > limit else None)

    async def _versions(self, function: FunctionId, names: Iterable[str]) -> dict[str, Expect | None]:
        """Those of the versions that exist, with what expects them to stay (`$LATEST` does as long as the function)."""
        found: dict[str, Expect | None] = {LATEST: None}
        for name in names:
            if not is_version_number(name):
                continue
            key = version_key(function, name)
            stored = await self._store.get(VERSIONS, key)
            if stored is not None:
                found[name] = Expect(VERSIONS, key, stored.revision)
        return found

    async def _stored(
        self, found: StoredFunction, alias: AliasConfiguration, revision: int, versions: Collection[Expect | None]
    ) -> bool:
        key = alias_key(alias.function, alias.name)
        changes: list[Change] = [_touched(found), Put(ALIASES, key, alias.to_document(), expect=revision)]
        changes += [expected for expected in versions if expected is not None]
        if not await committed(self._store, changes):
            return False
        logger.info("Alias is stored", extra={"function_arn": alias.arn, "revision_id": alias.revision_id})
        return True


def cannot_find_alias(function: FunctionId, name: str) -> ResourceNotFoundException:
    """The alias does not exist."""
    return ResourceNotFoundException(f"Cannot find alias arn: {function.qualified_arn(name)}")


def aliases_of_version(aliases: Iterable[StoredAlias], version: str) -> list[str]:
    """The names of the aliases that may run a version."""
    return [stored.alias.name for stored in aliases if stored.alias.routes_to(version)]


def _versions_after(alias: AliasConfiguration, request: UpdateAliasRequest) -> set[str]:
    weights = alias.additional_version_weights if request.weights is None else request.weights
    return {request.function_version or alias.function_version, *weights}


def _touched(found: StoredFunction) -> Put:
    return Put(FUNCTIONS, found.record.function.key, found.record.to_document(), expect=found.revision)
