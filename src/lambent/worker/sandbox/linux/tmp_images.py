"""File systems for the /tmp of sandboxes, some of each size that was asked for lately ready. What blocks runs in a
thread of its own (`disk_image`).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lambent.worker.sandbox.api import SandboxError
from lambent.worker.sandbox.linux import disk_image
from lambent.worker.sandbox.linux.shelf import Shelf

logger = logging.getLogger(__name__)

_SIZES = 4
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
    """`directory` is where the images take up room; `start` first, `close` last."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._shelves: OrderedDict[int, Shelf] = OrderedDict()  # by size, the least recently asked for first
        self._blanks: dict[int, asyncio.Task[disk_image.Blank]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lambent-tmp")

    async def start(self) -> None:
        """Make some of the usual size. Raises `OSError` when none can be made here."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        await self._blank(_USUAL_BYTES)
        self._shelf(_USUAL_BYTES).refill()

    async def take(self, size: int) -> TmpImage:
        """One with room for `size` bytes. Raises `SandboxError`, also when the host's disk has not got that room."""
        try:
            free = os.statvfs(self._directory)
            if free.f_bavail * free.f_frsize < size:
                have = free.f_bavail * free.f_frsize >> 20
                raise SandboxError(f"no room for a /tmp of {size >> 20} MB: {have} MB are free at {self._directory}")
            return TmpImage(await self._shelf(size).take(), self._run)
        except OSError as error:
            raise SandboxError(f"no file system for its /tmp: {error}") from error

    async def close(self) -> None:
        """Discard those that nobody took. Those that were taken are discarded by who took them, before."""
        while self._shelves:
            await self._shelves.popitem()[1].close()
        for task in list(self._closing):
            await task
        self._thread.shutdown()

    def _run(self, function: Callable[[int], None], mount: int) -> asyncio.Future[None]:
        return asyncio.get_running_loop().run_in_executor(self._thread, function, mount)

    def _shelf(self, size: int) -> Shelf:
        if size not in self._shelves:
            self._shelves[size] = Shelf("file system for a /tmp", lambda: self._make(size), self._discard)
        self._shelves.move_to_end(size)
        if len(self._shelves) > _SIZES:
            _, shelf = self._shelves.popitem(last=False)
            task = asyncio.get_running_loop().create_task(shelf.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        return self._shelves[size]

    async def _make(self, size: int) -> int:
        blank = await self._blank(size)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, disk_image.mount_copy, self._directory, blank)

    async def _discard(self, mount: int) -> None:
        await TmpImage(mount, self._run).discard()

    async def _blank(self, size: int) -> disk_image.Blank:
        task = self._blanks.get(size)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = self._blanks[size] = asyncio.create_task(self._make_blank(size))
        return await asyncio.shield(task)

    async def _make_blank(self, size: int) -> disk_image.Blank:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, disk_image.make_blank, self._directory, size)
