"""Spares: sandboxes set up ahead, in which an environment to come finds all done but its program.

Nothing of a function runs in a spare and it knows none of its secrets: variables and credentials come with the program.
Spares are made one after the other, while no environment starts: they shall not slow down what somebody waits for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from itertools import count

from lambent.model.limits import MIB
from lambent.worker.sandbox.api import (
    Sandbox,
    SandboxBackend,
    SandboxError,
    SandboxSpec,
    SandboxTemplate,
    WaitingSandbox,
)
from lambent.worker.templates import Templates

logger = logging.getLogger(__name__)

_QUIET_S = 0.05  # since the last environment was ready
_PATIENCE_S = 0.5  # since the last launch: longer init phases are waiting for something, more often than not

Like = tuple[SandboxTemplate, SandboxSpec]
"""What a spare is made from. Of the spec, the id, `argv` and `env` do not count."""


@dataclass(slots=True)
class _Shelf:
    """The spares of one template. `like`: asked for when one is made; raises SandboxError."""

    like: Callable[[], Awaitable[Like]]
    number: int
    surroundings: SandboxSpec | None = None  # of those that are ready
    ready: list[WaitingSandbox] = field(default_factory=list)
    failed: bool = False


class Spares:
    """Launches sandboxes, in spares where there are any. Owns tasks: `close` it before `templates`. `has_room`: whether
    an environment of so many MB could be started now."""

    def __init__(self, backend: SandboxBackend, templates: Templates, has_room: Callable[[int], bool]) -> None:
        self._loop = asyncio.get_running_loop()
        self._backend = backend
        self._templates = templates
        self._has_room = has_room
        self._shelves: dict[str, _Shelf] = {}
        self._numbers = count(1)
        self._starting: set[str] = set()  # launched, and not settled
        self._quiet_at = 0.0
        self._filling: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def keep(self, template: str, like: Callable[[], Awaitable[Like]], number: int) -> None:
        """Have so many of a template from now on, 0 being none."""
        shelf = self._shelves.get(template)
        if shelf is None and number:
            shelf = self._shelves[template] = _Shelf(like, number)
            self._templates.hold(template)
        if shelf is None:
            return
        shelf.number, shelf.failed = number, False
        while len(shelf.ready) > number:
            self._discard(shelf.ready.pop())
        if not number:
            del self._shelves[template]
            self._templates.let_go(template)
        if number > len(shelf.ready):  # while many are asked for, those that are asked for last are made
            self._quiet_at = max(self._quiet_at, self._loop.time() + _QUIET_S)
            self._refill()

    async def launch(self, template: SandboxTemplate, spec: SandboxSpec) -> Sandbox:
        """As `SandboxBackend.launch`. When its program is done with what somebody waits for, call `settled`."""
        self._starting.add(spec.sandbox_id)
        self._quiet_at = self._loop.time() + _PATIENCE_S
        try:
            spare = self._take(template, spec)
            if spare is not None:
                try:
                    return await spare.run(spec.argv, spec.env)
                except SandboxError as error:
                    logger.info("a spare could not be used: %s", error)
            return await self._backend.launch(template, spec)
        except BaseException:
            self.settled(spec.sandbox_id)
            raise
        finally:
            self._refill()

    def settled(self, sandbox_id: str) -> None:
        """What was launched with that id is ready, or gone. Idempotent."""
        self._starting.discard(sandbox_id)
        if not self._starting:
            self._quiet_at = self._loop.time() + _QUIET_S

    def give_up(self) -> int:
        """Discard all: their memory is wanted. Returns how many MB that will free."""
        freed = 0
        for shelf in self._shelves.values():
            while shelf.ready:
                spare = shelf.ready.pop()
                freed += spare.memory_current_bytes()
                self._discard(spare)
        return freed // MIB

    @property
    def ready(self) -> int:
        """How many there are."""
        return sum(len(shelf.ready) for shelf in self._shelves.values())

    async def close(self) -> None:
        """Discard all; none is made any more."""
        self._closed = True
        if self._filling is not None:
            self._filling.cancel()
            await asyncio.wait([self._filling])
        for template in list(self._shelves):
            shelf = self._shelves.pop(template)
            self._templates.let_go(template)
            for spare in shelf.ready:
                self._discard(spare)
        for task in list(self._tasks):
            await task

    def _take(self, template: SandboxTemplate, spec: SandboxSpec) -> WaitingSandbox | None:
        shelf = self._shelves.get(template.name)
        if shelf is None or _surroundings(spec) != shelf.surroundings:
            return None
        self._sort_out(shelf)
        return shelf.ready.pop() if shelf.ready else None

    def _refill(self) -> None:
        """Begin to make what is missing."""
        if not self._closed and (self._filling is None or self._filling.done()) and self._short() is not None:
            self._filling = asyncio.create_task(self._fill(), name="make spares")
            self._filling.add_done_callback(_log_failure)

    async def _fill(self) -> None:
        while self._short() is not None:
            await self._quiet()
            if (short := self._short()) is None:
                return
            name, shelf = short
            try:
                template, spec = await shelf.like()
                if not self._has_room(spec.limits.memory_bytes // MIB):
                    return  # until the next launch, when there may be
                made = await self._backend.set_up(template, replace(spec, sandbox_id=f"spare-{next(self._numbers)}"))
            except (SandboxError, OSError) as error:  # of descriptors, for example, there may be none left
                shelf.failed = True
                logger.info("no spare for later environments", extra={"template": name, "reason": str(error)})
                continue
            shelf.surroundings = _surroundings(spec)
            if self._shelves.get(name) is shelf and len(shelf.ready) < shelf.number:
                shelf.ready.append(made)
            else:
                self._discard(made)

    def _short(self) -> tuple[str, _Shelf] | None:
        """A template that has too few."""
        for name, shelf in self._shelves.items():
            self._sort_out(shelf)
            if len(shelf.ready) < shelf.number and not shelf.failed:
                return name, shelf
        return None

    def _sort_out(self, shelf: _Shelf) -> None:
        """Those that died of themselves."""
        for spare in [one for one in shelf.ready if one.ended]:
            shelf.ready.remove(spare)
            self._discard(spare)

    async def _quiet(self) -> None:
        """Wait until nobody is in the way. What does not settle is not waited for."""
        while (wait_s := self._quiet_at - self._loop.time()) > 0:  # noqa: ASYNC110 - the moment moves
            await asyncio.sleep(min(wait_s, _QUIET_S))

    def _discard(self, spare: WaitingSandbox) -> None:
        self._run(spare.discard(), "discard a spare")

    def _run(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_log_failure)


def _surroundings(spec: SandboxSpec) -> SandboxSpec:
    return replace(spec, sandbox_id="", argv=(), env={})


def _log_failure(task: asyncio.Task[None]) -> None:
    """The supervision point of these tasks."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("could not %s", task.get_name(), exc_info=error)
