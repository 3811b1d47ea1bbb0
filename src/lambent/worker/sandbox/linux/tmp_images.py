"""A shelf of ready file systems for the /tmp of sandboxes, so that no launch waits for one to be made.

Asyncio; what blocks runs in a thread of its own (`disk_image`). For each size that was asked for lately some are kept
ready; when one is taken, another is made a little later, when the launch that took it no longer needs the processor.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lambent.worker.sandbox.api import SandboxError
from lambent.worker.sandbox.linux import disk_image

logger = logging.getLogger(__name__)

_READY = 8  # of each size
_SIZES = 4
_REFILL_AFTER_S = 0.03
_USUAL_BYTES = 512 << 20


class TmpImage:
    """An empty file system that is one sandbox's. `mount` is to be passed to it; `discard` at its end."""

    def __init__(self, mount: int, run: Callable[[Callable[[int], None], int], asyncio.Future[None]]) -> None:
        self.mount = mount
        self._run = run

    def give_to(self, user: int) -> None:
        """Make `user`, an id of the host's, its owner."""
        os.chown(".", user, user, dir_fd=self.mount)

    async def discard(self) -> None:
        """Free what it takes up on the host."""
        try:
            await self._run(disk_image.discard, self.mount)
        except OSError as error:
            logger.warning("a sandbox's /tmp was not given up cleanly: %s", error)


class TmpImages:
    """The shelf. `directory` is where the images take up room; `start` first, `close` last."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ready: OrderedDict[int, deque[int]] = OrderedDict()  # by size, the least recently asked for first
        self._blanks: dict[int, asyncio.Task[disk_image.Blank]] = {}
        self._refills: dict[int, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread: ThreadPoolExecutor | None = None

    async def start(self) -> None:
        """Make some of the usual size. Raises `OSError` when none can be made here."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lambent-tmp")
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._shelf(_USUAL_BYTES).append(await self._make(_USUAL_BYTES))
        self._refill(_USUAL_BYTES)

    async def take(self, size: int) -> TmpImage:
        """One with room for `size` bytes. Raises `SandboxError`, also when the host's disk has not got that room."""
        try:
            free = os.statvfs(self._directory)
            if free.f_bavail * free.f_frsize < size:
                have = free.f_bavail * free.f_frsize >> 20
                raise SandboxError(f"no room for a /tmp of {size >> 20} MB: {have} MB are free at {self._directory}")
            shelf = self._shelf(size)
            mount = shelf.popleft() if shelf else await self._make(size)
        except OSError as error:
            raise SandboxError(f"no file system for its /tmp: {error}") from error
        self._refill_later(size)
        return TmpImage(mount, self._run)

    async def close(self) -> None:
        """Discard what is on the shelf. Those that were taken are discarded by who took them, before."""
        for timer in self._refills.values():
            timer.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for size in list(self._ready):
            await self._clear(size)
        if self._thread is not None:
            thread, self._thread = self._thread, None
            thread.shutdown()

    def _run(self, function: Callable[[int], None], mount: int) -> asyncio.Future[None]:
        return asyncio.get_running_loop().run_in_executor(self._thread, function, mount)

    async def _make(self, size: int) -> int:
        loop = asyncio.get_running_loop()
        blank = await self._blank(size)
        return await loop.run_in_executor(self._thread, disk_image.mount_copy, self._directory, blank)

    async def _blank(self, size: int) -> disk_image.Blank:
        task = self._blanks.get(size)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = self._blanks[size] = asyncio.create_task(self._make_blank(size))
        return await asyncio.shield(task)

    async def _make_blank(self, size: int) -> disk_image.Blank:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, disk_image.make_blank, self._directory, size)

    def _shelf(self, size: int) -> deque[int]:
        shelf = self._ready.setdefault(size, deque())
        self._ready.move_to_end(size)
        if len(self._ready) > _SIZES:
            self._supervise(self._clear(next(iter(self._ready))))
        return shelf

    def _refill_later(self, size: int) -> None:
        if size not in self._refills:
            self._refills[size] = asyncio.get_running_loop().call_later(_REFILL_AFTER_S, self._refill, size)

    def _refill(self, size: int) -> None:
        self._refills.pop(size, None)
        if self._thread is not None:
            self._supervise(self._fill(size))

    async def _fill(self, size: int) -> None:
        while (shelf := self._ready.get(size)) is not None and len(shelf) < _READY:
            mount = await self._make(size)
            if self._ready.get(size) is shelf:
                shelf.append(mount)
            else:
                await self._run(disk_image.discard, mount)

    async def _clear(self, size: int) -> None:
        for mount in self._ready.pop(size, ()):
            await self._run(disk_image.discard, mount)

    def _supervise(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        """Where failures to make images ahead show; a launch that needs one tries again, and is told."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("no file system for a /tmp made ahead: %s", error)
