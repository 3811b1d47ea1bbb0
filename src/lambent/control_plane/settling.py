"""Completing what was begun: Pending → Active, InProgress → Successful, in a task per change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from lambent.control_plane.states import is_settled
from lambent.control_plane.versions import settle, settle_latest
from lambent.model.arn import FunctionId
from lambent.model.function import FunctionRecord, FunctionVersion, versions_prefix
from lambent.store.api import FUNCTIONS, VERSIONS, Change, ConflictError, Put, Record, Store, StoreFullError

logger = logging.getLogger(__name__)

_RETRY_S = 0.5  # until a full disk has room again


class Settling:
    """The tasks under way. What is stored decides; a task lost in a crash is begun again at the next start."""

    def __init__(self, store: Store, delay_s: float) -> None:
        self._store = store
        self._delay_s = delay_s
        self._tasks: dict[asyncio.Task[None], str] = {}

    def begin(self, function: FunctionId) -> asyncio.Task[None]:
        """Complete, a moment from now, whatever the function then has under way."""
        task = asyncio.create_task(self._complete_later(function), name=f"settle {function.key}")
        self._tasks[task] = function.key
        task.add_done_callback(self._done)
        return task

    async def wait(self, function: FunctionId, timeout_s: float) -> None:
        """Return when the function's tasks ended (one is begun if there is none), or after `timeout_s`."""
        tasks = {task for task, key in self._tasks.items() if key == function.key}
        await asyncio.wait(tasks or {self.begin(function)}, timeout=timeout_s)

    async def close(self) -> None:
        """Stop at once: what is still under way is completed after the next start."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _complete_later(self, function: FunctionId) -> None:
        await asyncio.sleep(self._delay_s)
        while changes := await self._unsettled(function):
            try:
                await self._store.commit(changes)
            except ConflictError:
                continue  # somebody was faster: look again
            except StoreFullError:
                logger.warning("The disk is full: a function waits", extra={"function_arn": function.arn})
                await asyncio.sleep(_RETRY_S)
                continue
            logger.info("Function is settled", extra={"function_arn": function.arn})

    async def _unsettled(self, function: FunctionId) -> Sequence[Change]:
        stored = await self._store.get(FUNCTIONS, function.key)
        if stored is None:
            return []
        record = FunctionRecord.from_document(stored.value)
        if is_settled(record.latest):
            return []
        versions = await self._store.scan(VERSIONS, versions_prefix(function))
        settled = settle_latest(record).to_document()
        return [Put(FUNCTIONS, function.key, settled, expect=stored.revision), *_settled_versions(versions)]

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("A function could not be completed; its next change tries again", exc_info=error)


def _settled_versions(versions: Sequence[Record]) -> list[Change]:
    changes: list[Change] = []
    for stored in versions:
        version = FunctionVersion.from_document(stored.value)
        if not is_settled(version):
            changes.append(Put(VERSIONS, stored.key, settle(version).to_document(), expect=stored.revision))
    return changes
