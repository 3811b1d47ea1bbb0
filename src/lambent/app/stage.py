"""What every stage is given: settings, clock, who works by itself, and the exit stack on which it leaves what ends
it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field

from lambent.config import Config
from lambent.model.clock import Clock
from lambent.model.idle import Activities
from lambent.store.data_directory import DataDirectory

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stage:
    """The surroundings of a server being started."""

    config: Config
    data: DataDirectory
    clock: Clock
    stack: contextlib.AsyncExitStack
    activities: Activities = field(default_factory=Activities)

    def run_until_stopped(self, work: Coroutine[None, None, None], name: str) -> None:
        """A task that runs as long as the server; its failure is logged."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_log_failure)

        async def stop() -> None:
            task.cancel()
            await asyncio.wait([task])

        self.stack.push_async_callback(stop)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("the task to %s failed", task.get_name(), exc_info=error)
