"""Provisioned concurrency, from the store into environments: reconciles what there is with what is asked for.

https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html. What versions and aliases are to have is
desired state that the control plane writes; an alias's is spread over its versions by their weights. A change of it, of
an alias or of what there is (an environment that ended) wakes `_reconcile_changed`, which brings both together.
`progress` tells how far that is.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from lambent.invoke.counting import Counting
from lambent.invoke.directory import FunctionDirectory
from lambent.invoke.pools import Pools
from lambent.model.alias import AliasConfiguration, alias_key, is_alias_name
from lambent.model.arn import FunctionId
from lambent.model.clock import Clock
from lambent.model.execution import LaunchFailure, LaunchFailureKind, ProvisionedProgress, ProvisionedStatus
from lambent.model.function import FunctionVersion
from lambent.model.ids import AccountId, Region
from lambent.store.api import ALIASES, FUNCTIONS, PROVISIONED_CONCURRENCY, VERSIONS, Store
from lambent.store.errors import StoreError

logger = logging.getLogger(__name__)

RETRY_S = 60.0  # after a failure, by the clock: until then it is what GetProvisionedConcurrencyConfig tells
_RESTART_PAUSE_S = 0.1  # between two looks at a function whose environments end by themselves: no busy loop


@dataclass(slots=True)
class _Function:
    """Per qualifier what was asked for and how it is spread over versions; and the versions that have any."""

    requested: dict[str, int] = field(default_factory=dict)
    shares: dict[str, Mapping[str, int]] = field(default_factory=dict)
    versions: dict[str, FunctionVersion] = field(default_factory=dict)


class Provisioning:
    """Owns a task: `start` before use, `close` after. Implements `model.idle.Activity`."""

    name = "provisioned concurrency"

    def __init__(
        self, store: Store, directory: FunctionDirectory, pools: Pools, counting: Counting, clock: Clock
    ) -> None:
        self._store = store
        self._directory = directory
        self._pools = pools
        self._counting = counting
        self._clock = clock
        self._functions: dict[FunctionId, _Function] = {}
        self._changed: set[FunctionId] = set()
        self._retries: dict[FunctionId, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._working = False
        self._task: asyncio.Task[None] | None = None
        pools.provisioned_changed = self._environments_changed
        self._unwatch = [store.watch(PROVISIONED_CONCURRENCY, self._note)]
        self._unwatch += [store.watch(table, self._note_if_provisioned) for table in (ALIASES, FUNCTIONS, VERSIONS)]

    async def start(self) -> None:
        """Begin with everything that was asked for before. Raises StoreError."""
        for stored in await self._store.scan(PROVISIONED_CONCURRENCY, ""):
            self._note(stored.key)
        self._task = asyncio.create_task(self._reconcile_changed(), name="keep provisioned concurrency")
        self._task.add_done_callback(_log_failure)

    async def close(self) -> None:
        """Stop."""
        for unwatch in self._unwatch:
            unwatch()
        tasks = [task for task in (self._task, *self._retries.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def is_idle(self) -> bool:
        """See `model.idle.Activity`: environments that start count."""
        if self._working or self._changed:
            return False
        kept = (self._pools.kept(one) for function in self._functions.values() for one in function.versions.values())
        return all(one.environments == one.ready for one in kept)

    def next_due(self) -> None:
        """See `model.idle.Activity`: trying again after a failure is housekeeping."""

    def progress(self, function: FunctionId, qualifier: str, requested: int) -> ProvisionedProgress:
        """How far a configuration is that asks for so much now."""
        known = self._functions.get(function)
        if known is None or known.requested.get(qualifier) != requested or function in self._changed:
            return ProvisionedProgress(ProvisionedStatus.IN_PROGRESS)
        available = 0
        failure: LaunchFailure | None = None
        for name, share in known.shares[qualifier].items():
            version = known.versions.get(name)
            if version is not None and share:
                kept = self._pools.kept(version)
                earlier = sum(shares.get(name, 0) for other, shares in known.shares.items() if other < qualifier)
                available += max(0, min(share, kept.ready - earlier))
                failure = failure or kept.failure
        if available >= requested:
            return ProvisionedProgress(ProvisionedStatus.READY, available, available)
        if failure is not None:
            return ProvisionedProgress(ProvisionedStatus.FAILED, available, available, _reason(failure))
        return ProvisionedProgress(ProvisionedStatus.IN_PROGRESS, available, available)

    def _note(self, key: str) -> None:
        account, region, name = key.split("/")[:3]
        self._changed.add(FunctionId(AccountId(account), Region(region), name))
        self._wake.set()

    def _note_if_provisioned(self, key: str) -> None:
        account, region, name = key.split("/")[:3]
        if FunctionId(AccountId(account), Region(region), name) in self._functions:
            self._note(key)

    def _environments_changed(self, version: FunctionVersion) -> None:
        """There are more of them, or fewer."""
        self._count(version)
        function, kept = version.function, self._pools.kept(version)
        if kept.failure is not None:
            if function not in self._retries:
                task = asyncio.create_task(self._retry(function), name="try provisioned concurrency again")
                self._retries[function] = task
                task.add_done_callback(lambda _: self._retries.pop(function, None))
        elif kept.environments != self._wanted(version):
            self._changed.add(function)
            self._wake.set()

    def _count(self, version: FunctionVersion) -> None:
        kept, wanted = self._pools.kept(version), self._wanted(version)
        allocated, available = min(kept.environments, wanted), min(kept.ready, wanted)
        self._counting.provision(version.function, version.version, allocated, available)

    def _wanted(self, version: FunctionVersion) -> int:
        known = self._functions.get(version.function)
        return sum(shares.get(version.version, 0) for shares in known.shares.values()) if known is not None else 0

    async def _retry(self, function: FunctionId) -> None:
        await self._clock.sleep(RETRY_S)
        self._changed.add(function)
        self._wake.set()

    async def _reconcile_changed(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._working = True
            for function in list(self._changed):
                try:
                    await self._reconcile(function)
                except StoreError:
                    logger.exception("could not look at provisioned concurrency", extra={"function": function.key})
                    self._wake.set()
            self._working = False
            await asyncio.sleep(_RESTART_PAUSE_S)

    async def _reconcile(self, function: FunctionId) -> None:
        before = self._functions.get(function, _Function())
        self._changed.discard(function)
        try:
            after = await self._asked_for(function)
        except StoreError:
            self._changed.add(function)
            raise
        self._functions[function] = after
        for name, version in {**before.versions, **after.versions}.items():
            wanted = sum(shares.get(name, 0) for shares in after.shares.values())
            self._pools.keep(version, wanted)
            self._count(version)
        if not after.requested:
            del self._functions[function]

    async def _asked_for(self, function: FunctionId) -> _Function:
        asked = _Function()
        for stored in await self._store.scan(PROVISIONED_CONCURRENCY, f"{function.key}/"):
            qualifier, requested = stored.key.rsplit("/", 1)[1], stored.value["requested"]
            asked.requested[qualifier] = requested
            asked.shares[qualifier] = await self._spread(function, qualifier, requested)
        for name in {name for shares in asked.shares.values() for name in shares}:
            version = await self._directory.read(function, name)
            if version is not None:
                asked.versions[name] = version
        return asked

    async def _spread(self, function: FunctionId, qualifier: str, requested: int) -> Mapping[str, int]:
        if not is_alias_name(qualifier):
            return {qualifier: requested}
        stored = await self._store.get(ALIASES, alias_key(function, qualifier))
        return spread(AliasConfiguration.from_document(stored.value), requested) if stored is not None else {}


def spread(alias: AliasConfiguration, requested: int) -> dict[str, int]:
    """How an alias's provisioned concurrency is shared by its versions: by weight, what is over to the first."""
    shares = {
        version: math.floor(requested * weight)
        for version, weight in alias.additional_version_weights.items()
        if weight
    }
    return {alias.function_version: requested - sum(shares.values()), **shares}


def _reason(failure: LaunchFailure) -> str:
    """AWS's word for a failed init phase; of what only this host knows, the story."""
    return "FUNCTION_ERROR_INIT_FAILURE" if failure.kind is LaunchFailureKind.INIT else failure.message


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("the task to %s failed", task.get_name(), exc_info=error)
