"""Keeps a runner for every mapping that can be polled, and moves the mappings' states.

The control plane stores what is wanted (`Creating`, `Updating`, `Disabling`, …); a runner ends the poller that was,
starts the one that is to be, and stores the state that follows. All of it is in the store, so after a crash it goes on
where it was. Each runner is one task, and the place where its poller's failures show.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from lambent.control_plane.event_source_mappings import EventSourceMapping, MappingState, read_mapping, stored_mapping
from lambent.control_plane.event_sources import SourceKind
from lambent.event_sources.ports import MakePoller, Poller
from lambent.model.clock import Clock
from lambent.store.api import EVENT_SOURCE_MAPPINGS, ConflictError, Delete, Put, Store, StoreFullError
from lambent.store.errors import StoreError

logger = logging.getLogger(__name__)

RESTART_S: Final = 5.0


def state_after(mapping: EventSourceMapping) -> MappingState | None:
    """The state to be in once the poller is as it is to be; None: the mapping is gone."""
    if mapping.state is MappingState.DELETING:
        return None
    return MappingState.ENABLED if mapping.enabled else MappingState.DISABLED


class EventSources:
    """`await start()` once requests are answered, `await close(grace_s)` before functions stop.

    Implements `model.idle.Activity`.
    """

    name = "event source mappings"

    def __init__(self, store: Store, pollers: Mapping[SourceKind, MakePoller], clock: Clock) -> None:
        self._store = store
        self._pollers = pollers
        self._clock = clock
        self._runners: dict[str, _Runner] = {}
        self._unwatch: Callable[[], None] | None = None
        self._closing = False

    async def start(self) -> None:
        """Begin with what is stored."""
        self._unwatch = self._store.watch(EVENT_SOURCE_MAPPINGS, self._changed)
        for stored in await self._store.scan(EVENT_SOURCE_MAPPINGS, ""):
            self._changed(stored.key)

    async def close(self, grace_s: float) -> None:
        """Stop reading; what is read is settled within the grace, or comes again."""
        self._closing = True
        if self._unwatch is not None:
            self._unwatch()
        runners = list(self._runners.values())
        for runner in runners:
            runner.end()
        if runners:
            _, late = await asyncio.wait([runner.task for runner in runners], timeout=grace_s)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    @property
    def in_flight(self) -> int:
        """Records read and not settled, of all mappings."""
        return sum(runner.in_flight for runner in self._runners.values())

    def is_idle(self) -> bool:
        """See `model.idle.Activity`."""
        return all(runner.is_idle() for runner in self._runners.values())

    def next_due(self) -> float | None:
        """See `model.idle.Activity`."""
        dues = [poller.next_due() for runner in self._runners.values() if (poller := runner.poller) is not None]
        return min((due for due in dues if due is not None), default=None)

    def _changed(self, key: str) -> None:
        if self._closing:
            return
        runner = self._runners.get(key)
        if runner is None:
            runner = self._runners[key] = _Runner(key, self._store, self._pollers, self._clock)
            runner.task.add_done_callback(lambda _: self._ended(key))
        runner.wake.set()

    def _ended(self, key: str) -> None:
        runner = self._runners.pop(key)
        if not runner.task.cancelled() and (error := runner.task.exception()) is not None:
            logger.error("a mapping is not polled any more", exc_info=error, extra={"mapping": key})
        elif runner.wake.is_set():
            self._changed(key)


class _Runner:
    """One mapping's task."""

    def __init__(self, key: str, store: Store, pollers: Mapping[SourceKind, MakePoller], clock: Clock) -> None:
        self._key = key
        self._store = store
        self._pollers = pollers
        self._clock = clock
        self.poller: Poller | None = None
        self._polling: asyncio.Task[None] | None = None
        self._ending = False
        self._moving = False
        self._result: str | None = None
        self._is_result_new = False
        self.wake = asyncio.Event()
        self.task = asyncio.create_task(self._run(), name=f"event source mapping {key}")

    @property
    def in_flight(self) -> int:
        return self.poller.in_flight if self.poller is not None else 0

    def is_idle(self) -> bool:
        """Not while a change is to be followed, either."""
        return not self.wake.is_set() and not self._moving and (self.poller is None or self.poller.is_idle())

    def end(self) -> None:
        """Stop, leaving the mapping's state as it is."""
        self._ending = True
        self.wake.set()

    async def _run(self) -> None:
        try:
            while not self._ending:
                self.wake.clear()
                self._moving = True
                if not await self._follow():
                    return
                self._moving = False
                await self._wait()
            await self._stop_poller()
        finally:
            if self._polling is not None:
                self._polling.cancel()
                await asyncio.wait([self._polling])

    async def _wait(self) -> None:
        """Until the mapping changed, or its poller failed."""
        waiting = asyncio.create_task(self.wake.wait())
        try:
            await asyncio.wait({waiting, self._polling} if self._polling else {waiting}, return_when="FIRST_COMPLETED")
        finally:
            waiting.cancel()

    async def _follow(self) -> bool:
        """Bring poller and state to where they are to be. False: there is no such mapping any more."""
        try:
            record = await self._store.get(EVENT_SOURCE_MAPPINGS, self._key)
            if record is None:
                await self._stop_poller()
                return False
            mapping = read_mapping(record.value)
            if mapping.kind not in self._pollers:
                return False
            return await self._move(mapping, record.revision)
        except (StoreError, StoreFullError):
            logger.exception("a mapping's state could not be read or kept", extra={"mapping": self._key})
            await self._clock.sleep(RESTART_S)
            self.wake.set()
            return True

    async def _move(self, mapping: EventSourceMapping, revision: int) -> bool:
        following = state_after(mapping)
        if following is not mapping.state:
            await self._stop_poller()
            await self._store_state(mapping, following, revision)
            return True  # the change that this is wakes us
        if following is MappingState.ENABLED:
            await self._keep_polling(mapping)
        else:
            await self._stop_poller()
        if self._is_result_new:
            self._is_result_new = False
            if mapping.last_result != self._result:
                changed = replace(mapping, last_result=self._result)
                await self._put(Put(EVENT_SOURCE_MAPPINGS, self._key, stored_mapping(changed), expect=revision))
        return True

    async def _keep_polling(self, mapping: EventSourceMapping) -> None:
        if self._polling is not None and not self._polling.done():
            return
        if self._polling is not None:
            error = self._polling.exception()
            logger.error("a poller failed and starts anew", exc_info=error, extra={"mapping": self._key})
            self._polling = None
            await self._clock.sleep(RESTART_S)
        self.poller = self._pollers[mapping.kind](mapping, self._report)
        self._polling = asyncio.create_task(self.poller.run(), name=f"poll for {self._key}")

    async def _stop_poller(self) -> None:
        if self.poller is not None:
            self.poller.stop()
        if self._polling is not None:
            await asyncio.wait([self._polling])
            if not self._polling.cancelled() and (error := self._polling.exception()) is not None:
                logger.error("a poller failed as it was stopped", exc_info=error, extra={"mapping": self._key})
        self.poller = self._polling = None

    async def _store_state(self, mapping: EventSourceMapping, state: MappingState | None, revision: int) -> None:
        if state is None:
            await self._put(Delete(EVENT_SOURCE_MAPPINGS, self._key, expect=revision))
        else:
            after = stored_mapping(replace(mapping, state=state, last_result=None))
            await self._put(Put(EVENT_SOURCE_MAPPINGS, self._key, after, expect=revision))

    async def _put(self, change: Put | Delete) -> None:
        with contextlib.suppress(ConflictError):  # changed meanwhile: that change wakes us
            await self._store.commit([change])

    def _report(self, result: str | None) -> None:
        self._result, self._is_result_new = result, True
        self.wake.set()
