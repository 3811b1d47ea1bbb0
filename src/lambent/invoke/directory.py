"""Qualifier → version, from the store, remembered until the store says that something changed.

The data plane's only view of what the control plane wrote: reads, and a watch that forgets. An alias is remembered as
itself and its versions beside it: which of them an invocation runs is drawn for each one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from lambent.model.alias import AliasConfiguration, alias_key, is_alias_name
from lambent.model.arn import LATEST, FunctionId, FunctionReference
from lambent.model.errors import ResourceConflictException, ResourceNotFoundException
from lambent.model.function import FunctionRecord, FunctionVersion, State, is_version_number, version_key
from lambent.store.api import ALIASES, FUNCTIONS, VERSIONS, Store

PENDING_WAIT_S = 1.0  # how long an Invoke waits for a function to become Active before AWS's 409


class FunctionDirectory:
    """Looks versions up. `close` ends its watches. `draw` answers numbers from 0 to 1 (1 excluded), for weights."""

    def __init__(self, store: Store, draw: Callable[[], float] = random.random) -> None:
        self._store = store
        self._draw = draw
        self._known: dict[tuple[FunctionId, str], FunctionVersion] = {}
        self._aliases: dict[tuple[FunctionId, str], AliasConfiguration] = {}
        self._changed: set[Callable[[str], None]] = set()
        self._changes: dict[str, asyncio.Event] = {}
        self._unwatch = [store.watch(table, self._forget) for table in (FUNCTIONS, VERSIONS, ALIASES)]

    def on_change(self, callback: Callable[[str], None]) -> None:
        """Call back with the function's key (account/region/name) whenever it, or a version of it, changed."""
        self._changed.add(callback)

    def cached(self, reference: FunctionReference) -> FunctionVersion | None:
        """The version, if it is known and may be invoked now: the warm path."""
        key = (reference.function, reference.qualifier or LATEST)
        version = self._known.get(key)
        if version is None and (alias := self._aliases.get(key)) is not None:
            version = self._known.get((alias.function, alias.version_for(self._draw())))
        return version if version is not None and version.state is State.ACTIVE else None

    async def resolve(self, reference: FunctionReference) -> FunctionVersion:
        """The version a reference names, ready to be invoked.

        Raises ResourceNotFoundException, or ResourceConflictException when it does not become Active in time.
        """
        qualifier = reference.qualifier or LATEST
        changed = self._changes.setdefault(reference.function.key, asyncio.Event())
        version = await self.read(reference.function, qualifier)
        if version is not None and version.state is State.PENDING:
            try:
                async with asyncio.timeout(PENDING_WAIT_S):
                    while version is not None and version.state is State.PENDING:
                        await changed.wait()
                        changed = self._changes.setdefault(reference.function.key, asyncio.Event())
                        version = await self.read(reference.function, qualifier)
            except TimeoutError:
                pass
        if version is None:
            raise ResourceNotFoundException(f"Function not found: {reference.function.qualified_arn(qualifier)}")
        if version.state is not State.ACTIVE:
            raise ResourceConflictException(
                "The operation cannot be performed at this time. "
                f"The function is currently in the following state: {version.state}"
            )
        return version

    async def read(self, function: FunctionId, qualifier: str) -> FunctionVersion | None:
        """The version as stored now, or None; remembers it. Of an alias, one of its versions."""
        if not is_alias_name(qualifier):
            return await self._version(function, qualifier)
        stored = await self._store.get(ALIASES, alias_key(function, qualifier))
        if stored is None:
            return None
        alias = self._aliases[function, qualifier] = AliasConfiguration.from_document(stored.value)
        # All of its versions: the warm path must find whichever is drawn, or the weights would not hold.
        names = (alias.function_version, *alias.additional_version_weights)
        versions = {name: await self._version(function, name) for name in names}
        return versions[alias.version_for(self._draw())]

    async def _version(self, function: FunctionId, name: str) -> FunctionVersion | None:
        if name == LATEST:
            record = await self._store.get(FUNCTIONS, function.key)
            version = FunctionRecord.from_document(record.value).latest if record else None
        elif is_version_number(name):
            record = await self._store.get(VERSIONS, version_key(function, name))
            version = FunctionVersion.from_document(record.value) if record else None
        else:
            version = None
        if version is not None:
            self._known[function, name] = version
        return version

    def close(self) -> None:
        """End the watches."""
        for unwatch in self._unwatch:
            unwatch()

    def _forget(self, key: str) -> None:
        function_key = "/".join(key.split("/")[:3])
        for remembered in (self._known, self._aliases):
            for known in [known for known in remembered if known[0].key == function_key]:
                del remembered[known]
        event = self._changes.pop(function_key, None)
        if event is not None:
            event.set()
        for callback in self._changed:
            callback(function_key)
