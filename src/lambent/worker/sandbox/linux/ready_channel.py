"""The socket on which a new sandbox reports, and is told its program. For the server."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from lambent.worker.sandbox.api import SandboxError
from lambent.worker.sandbox.linux import wire
from lambent.worker.sandbox.linux.child_process import describe, make_room


class ReadyChannel:
    """The server's end of it. Closes the listening sockets that nobody has taken."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setblocking(False)
        make_room(self._ours)
        self._told = False
        self._listening: asyncio.Future[None] = self._loop.create_future()
        self._outcome: asyncio.Future[None] = self._loop.create_future()
        self._listeners: tuple[socket.socket, ...] | None = None

    def send_program(self, argv: tuple[bytes, ...], env: dict[bytes, bytes], *, ahead: bool = False) -> None:
        """Tell the sandbox, which may not be there yet, what to run. `ahead`: whose it is comes later. Raises
        `SandboxError`."""
        self._told = not ahead
        try:
            wire.send(self._ours, ("program", argv, env))
        except OSError as error:
            raise SandboxError(f"cannot tell a sandbox its program: {error}") from error

    def send_owner(self, env: dict[bytes, bytes], mounts: dict[str, int], tmp_bytes: int | None) -> None:
        """Tell the sandbox, whose program was started ahead, whose it is. `mounts`: by target, what to mount there.
        Raises `SandboxError`."""
        self._told = True
        try:
            wire.send(self._ours, ("owner", env, tuple(mounts), tmp_bytes), tuple(mounts.values()))
        except OSError as error:
            raise SandboxError(f"cannot tell a sandbox whose it is: {error}") from error

    def watch(self) -> None:
        """Somebody else has `theirs` now, and reports."""
        self._loop.add_reader(self._ours, self._readable)

    async def waits(self) -> None:
        """Return when it has got so far that it waits for its program, or has been told it. Raises `SandboxError` with
        the step that failed."""
        await self._listening

    async def started(self) -> tuple[socket.socket, ...]:
        """The listening sockets, once the program was executed. Raises `SandboxError` with the step that failed."""
        await self._outcome
        listeners, self._listeners = self._listeners or (), ()
        return listeners

    @property
    def failed(self) -> bool:
        """Whether a step has failed, or it died before its program was executed."""
        return self._outcome.done() and self._outcome.exception() is not None

    def close(self) -> None:
        """Idempotent. A sandbox that still waits for its program ends."""
        if self._ours.fileno() != -1:
            self._loop.remove_reader(self._ours)
        self._ours.close()
        self.theirs.close()
        for listener in self._listeners or ():
            listener.close()

    def _readable(self) -> None:
        while not self._outcome.done():
            try:
                message, descriptors = wire.receive(self._ours)
            except BlockingIOError:
                return
            except ConnectionResetError:
                continue  # it ended without reading its program: next comes what it said before, or the end
            self._handle(message, descriptors)
        self._loop.remove_reader(self._ours)

    def _handle(self, message: tuple[Any, ...] | None, descriptors: tuple[int, ...]) -> None:
        match message:
            case ("listening",):
                self._listeners = tuple(socket.socket(fileno=descriptor) for descriptor in descriptors)
                for listener in self._listeners:
                    listener.setblocking(False)
                self._listening.set_result(None)
            case ("failed", step, number):
                self._fail(describe(step, number))
            case None if self._listeners is None:
                self._fail("it died while it was being set up")
            case None if not self._told:
                self._fail("it died while it waited for its program")
            case None:
                self._outcome.set_result(None)
            case _:
                raise AssertionError(f"unknown message {message[0]!r} from a sandbox")

    def _fail(self, why: str) -> None:
        for waited_for in (self._listening, self._outcome):
            if not waited_for.done():
                waited_for.set_exception(SandboxError(why))
                waited_for.exception()  # there may be nobody who waits for it
