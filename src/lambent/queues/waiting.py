"""Who waits at which queue, and when something there becomes due. Knows the clock and the event loop, no messages.

A waiting receiver holds a *ticket* from before it first looks. Whatever may have something for a receiver rings the
first ticket not yet rung; whoever leaves with messages, or rung, rings the next one. So nothing is missed and one
message wakes one receiver.
"""

from __future__ import annotations

import asyncio
import heapq
from types import TracebackType
from typing import Final, Self

from lambent.model.clock import Clock
from lambent.store.errors import StoreClosedError

_NAP_S: Final = 30.0  # a clock may be set: look again after this


class Ticket:
    """A place in a queue's line: `with` it. Rings are remembered until `wait` returns."""

    def __init__(self, line: Waiting, queue: str) -> None:
        self._line = line
        self._queue = queue
        self._bell: asyncio.Future[None] | None = None
        self.is_rung = False
        self.has_taken = False

    def __enter__(self) -> Self:
        self._line.enter(self._queue, self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.leave(self._queue, self)

    def ring(self) -> None:
        self.is_rung = True
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)

    @property
    def is_waiting(self) -> bool:
        """Does its holder wait, not rung?"""
        return self._bell is not None and not self.is_rung

    async def wait(self, deadline: float | None) -> bool:
        """Until rung (True) or the deadline, a time of the event loop (False). Raises StoreClosedError."""
        if not self.is_rung:
            loop = asyncio.get_running_loop()
            self._bell = loop.create_future()
            handle = loop.call_at(deadline, self._time_out) if deadline is not None else None
            try:
                await self._bell
            finally:
                self._bell = None
                if handle is not None:
                    handle.cancel()
        self._line.check_open()
        rung, self.is_rung = self.is_rung, False
        return rung

    def _time_out(self) -> None:
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)


class Waiting:
    """The lines of all queues."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: dict[str, dict[Ticket, None]] = {}
        self._timetable: list[tuple[int, str]] = []
        self._earliest: dict[str, int] = {}
        self._timer: asyncio.Task[None] | None = None
        self._timer_ms = 0
        self._is_open = True

    def enter(self, queue: str, ticket: Ticket) -> None:
        self.check_open()
        self._lines.setdefault(queue, {})[ticket] = None

    def leave(self, queue: str, ticket: Ticket) -> None:
        line = self._lines[queue]
        del line[ticket]
        if not line:
            del self._lines[queue]
        elif ticket.is_rung or ticket.has_taken:
            self.ring(queue)

    def ring(self, queue: str) -> None:
        """There may be something for a receiver."""
        for ticket in self._lines.get(queue, ()):
            if not ticket.is_rung:
                ticket.ring()
                return

    def is_resting(self, queue: str, receivers: int) -> bool:
        """Do so many wait at the queue, and is nobody about to look?"""
        line = self._lines.get(queue, {})
        return len(line) >= receivers and all(ticket.is_waiting for ticket in line)

    def next_due_ms(self, queue: str) -> int | None:
        """When its receivers will be woken at the latest; None: not by time."""
        return self._earliest.get(queue)

    def expect(self, queue: str, due_ms: int) -> None:
        """Something in the queue becomes due then."""
        if queue not in self._lines:
            return
        if due_ms <= self._now_ms():
            self.ring(queue)
        elif due_ms < self._earliest.get(queue, due_ms + 1):
            self._earliest[queue] = due_ms
            heapq.heappush(self._timetable, (due_ms, queue))
            if self._timer is None or due_ms < self._timer_ms:
                self._start_timer()

    def check_open(self) -> None:
        if not self._is_open:
            raise StoreClosedError("The queues are closed")

    async def close(self) -> None:
        """Whoever waits is told that the queues are closed."""
        self._is_open = False
        for line in self._lines.values():
            for ticket in line:
                ticket.ring()
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.wait([self._timer])
            self._timer = None

    def _now_ms(self) -> int:
        return round(self._clock.now() * 1000)  # a time in ms, given as seconds, is that time again

    def _start_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ms = self._timetable[0][0]
        self._timer = asyncio.create_task(self._keep_time(), name="wake receivers of queues")

    async def _keep_time(self) -> None:
        """Ring where something has become due, as long as anything is expected."""
        while self._timetable:
            due_ms, queue = self._timetable[0]
            self._timer_ms = due_ms
            left_s = due_ms / 1000 - self._clock.now()
            if due_ms > self._now_ms():
                await self._clock.sleep(min(max(left_s, 0.001), _NAP_S))
                continue
            heapq.heappop(self._timetable)
            if self._earliest.get(queue) == due_ms:
                del self._earliest[queue]
                self.ring(queue)
        self._timer = None
