"""What spawners are forked from: the base, and one zygote per runtime in use. For the server.

Started when they are first wanted, and again after they died. Nobody waits for a zygote: until it is ready, and for a
while after it failed, sandboxes execute their programs.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import replace

from lambent.worker.sandbox.api import Bind, SandboxError, SandboxTemplate, Zygote
from lambent.worker.sandbox.linux import wire
from lambent.worker.sandbox.linux.base_client import LIBRARY_BIND, BaseClient

logger = logging.getLogger(__name__)

RETRY_AFTER_S = 60.0  # a zygote that cannot be made costs a second of CPU time with every attempt


class Bases:
    """`start` first; `close` last. `template_message`: how a root file system is asked for. `user_namespace`: an
    ordinary user's that every further base shall be in, as a descriptor, for the networks that belong to it; ours."""

    def __init__(self, template_message: Callable[[SandboxTemplate], wire.Template]) -> None:
        self._template_message = template_message
        self._base: BaseClient | None = None
        self._zygotes: dict[Zygote, asyncio.Task[BaseClient]] = {}
        self._failed_at: dict[Zygote, float] = {}
        self._running = False
        self.user_namespace: int | None = None

    def start(self) -> None:
        """Start the base ahead: it takes 20 ms, and nobody waits for it yet."""
        self._running = True
        self._start_base()

    async def prepare(self, zygote: Zygote) -> None:
        """Wait until the zygote is ready, or could not be made."""
        task = self._zygote(zygote)
        if task is not None:
            await asyncio.wait([task])

    def base(self, zygote: Zygote | None) -> BaseClient:
        """What to fork a spawner from now: the zygote if it is ready (else it is started), or the base."""
        if zygote is not None:
            task = self._zygote(zygote)
            if task is not None and task.done() and not task.cancelled() and task.exception() is None:
                return task.result()
        return self._start_base()

    async def close(self) -> None:
        self._running = False
        tasks = list(self._zygotes.values())
        self._zygotes.clear()
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, BaseClient):
                await outcome.stop()
        if self._base is not None:
            await self._base.stop()
        if self.user_namespace is not None:
            os.close(self.user_namespace)
            self.user_namespace = None

    def _start_base(self) -> BaseClient:
        if not self._running:
            raise SandboxError("the sandbox backend is not running")
        if self._base is None or not self._base.alive:
            self._base = BaseClient("the base of spawners")
            try:
                self._base.start(self.user_namespace)
            except OSError as error:
                raise SandboxError(f"the base of spawners cannot be started: {error}") from error
        return self._base

    def _zygote(self, zygote: Zygote) -> asyncio.Task[BaseClient] | None:
        """Its start, running or done; None shortly after it failed."""
        task = self._zygotes.get(zygote)
        if task is not None and (not task.done() or (not _failed(task) and task.result().alive)):
            return task
        now = asyncio.get_running_loop().time()
        if now - self._failed_at.get(zygote, -RETRY_AFTER_S) < RETRY_AFTER_S:
            return None
        base = self._start_base()
        task = self._zygotes[zygote] = asyncio.create_task(self._start_zygote(zygote, base))
        task.add_done_callback(lambda done: self._started(zygote, done))
        return task

    async def _start_zygote(self, zygote: Zygote, base: BaseClient) -> BaseClient:
        client = BaseClient(f"the zygote of {zygote.name}", is_zygote=True)
        template = SandboxTemplate(zygote.name, zygote.binds, zygote.directories)
        source, target = LIBRARY_BIND
        message = self._template_message(replace(template, binds=(*template.binds, Bind(source, target))))
        argv = tuple(os.fsencode(argument) for argument in zygote.argv)
        env = {os.fsencode(name): os.fsencode(value) for name, value in zygote.env}
        await client.start_zygote(base, argv, env, message)
        return client

    def _started(self, zygote: Zygote, task: asyncio.Task[BaseClient]) -> None:
        """The supervision point of a zygote's start."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed_at[zygote] = asyncio.get_running_loop().time()
            logger.error("no zygote: environments start from scratch", extra={"zygote": zygote.name}, exc_info=error)


def _failed(task: asyncio.Task[BaseClient]) -> bool:
    return task.cancelled() or task.exception() is not None
