"""A process of ours at the other end of a socket: messages to and from it, and its end. For the server."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from typing import Any

from lambent.worker.sandbox.linux import wire

logger = logging.getLogger(__name__)

SOCKET_BUFFER_BYTES = 2 * wire.MAX_MESSAGE_BYTES
_SO_SNDBUFFORCE = 32  # root may go beyond net.core.wmem_max; `socket` lacks the name


def make_room(channel: socket.socket) -> None:
    """For large messages, as far as this user may have it."""
    try:
        channel.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, SOCKET_BUFFER_BYTES)
    except PermissionError:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)


class ChildProcess:
    """A child process of the server that lives until its socket ends. `handle` is called with each message, `ended`
    once, with words for an operator, when it is gone."""

    def __init__(
        self, name: str, handle: Callable[[tuple[Any, ...], tuple[int, ...]], None], ended: Callable[[str], None]
    ) -> None:
        self.name = name
        self.pid: int | None = None
        self._handle = handle
        self._on_end = ended
        self._loop = asyncio.get_running_loop()
        self._channel, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.setblocking(False)
        make_room(self._channel)
        self._sending = asyncio.Lock()
        self._started = False
        self._stopping = False
        self._gone: asyncio.Future[None] = self._loop.create_future()

    @property
    def alive(self) -> bool:
        return not self._gone.done()

    def started(self, pid: int | None = None) -> None:
        """Somebody else has `theirs` now. `pid`: if it is not told by a message."""
        self.theirs.close()
        self.pid = pid
        self._started = True
        self._loop.add_reader(self._channel, self._readable)

    async def send(self, message: tuple[object, ...], descriptors: tuple[int, ...] = ()) -> None:
        """Raises `OSError`."""
        async with self._sending:
            while True:
                if not self.alive:
                    raise BrokenPipeError("it died")
                try:
                    return wire.send(self._channel, message, descriptors)
                except BlockingIOError:
                    await self._writable()

    async def stop(self) -> None:
        """Have it end; returns when it is gone. Idempotent."""
        self._stopping = True
        if not self._started:
            self._channel.close()
            self.theirs.close()
            return
        if self.alive:
            self._channel.shutdown(socket.SHUT_WR)
        await asyncio.shield(self._gone)

    async def _writable(self) -> None:
        """Wait until it has taken some messages off its queue."""
        writable = asyncio.Event()
        waiter = self._loop.create_task(writable.wait())
        self._loop.add_writer(self._channel, writable.set)
        try:
            await asyncio.wait((waiter, self._gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
            if self.alive:
                self._loop.remove_writer(self._channel)

    def _readable(self) -> None:
        while self.alive:
            try:
                message, descriptors = wire.receive(self._channel)
            except BlockingIOError:
                return
            except ConnectionResetError:
                continue  # it ended without reading all we said: next comes what it said before, or the end
            if message is None:
                self._ended()
            elif message[0] == "forked":
                self.pid = int(message[1])  # type: ignore[call-overload]
            else:
                self._handle(message, descriptors)

    def _ended(self) -> None:
        """End of the socket: it has ended, or is about to."""
        self._loop.remove_reader(self._channel)
        self._loop.remove_writer(self._channel)
        self._channel.close()
        # Its socket is closed by its end, or a moment before it. Without a pid there is no process.
        status = 0 if self.pid is None else os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        if status != 0 or not self._stopping:
            logger.error("%s died", self.name, extra={"status": status})
        self._gone.set_result(None)
        self._on_end(f"{self.name} died ({f'signal {-status}' if status < 0 else f'exit status {status}'})")


def describe(step: str, number: int) -> str:
    """A failing step for an operator."""
    return f"{step}: {os.strerror(number)}" if number else step
