"""`SqliteQueues`: the queue port over one SQLite file (WAL, `synchronous=FULL`). See the folder's docstring."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

from lambent.model.clock import Clock
from lambent.queues.api import (
    Extension,
    InFlightLimitError,
    Message,
    Moved,
    NewMessage,
    Receipt,
    Redrive,
    Rescheduling,
    Sent,
    Settled,
    Statistics,
)
from lambent.queues.requests import (
    Claim,
    Claimed,
    Empty,
    Expire,
    Move,
    Outcome,
    Release,
    Request,
    Send,
    Settle,
    Settlement,
    Sweep,
)
from lambent.queues.transactions import QueueWriter
from lambent.queues.waiting import Ticket, Waiting
from lambent.store.api import StoreFullError
from lambent.store.errors import StoreClosedError, StoreError
from lambent.store.sqlite_file import open_reader, translate

logger = logging.getLogger(__name__)

_SWEEP_EVERY_S: Final = 60.0
_COUNTED_INLINE_MAX: Final = 5_000  # messages counted on the event loop's thread

_OUT_OF_SIGHT: Final = (
    "SELECT is_leased, count(*) FROM messages WHERE box = (SELECT box FROM queues WHERE name = ?) AND due_ms > ?"
    " GROUP BY is_leased"
)
_OLDEST: Final = (
    "SELECT sent_ms FROM messages WHERE box = (SELECT box FROM queues WHERE name = ?) ORDER BY sent_ms LIMIT 1"
)


class SqliteQueues:
    """Implements `lambent.queues.api.Queues`. Made by `open`. One process at a time may use a file."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Not for callers: use `open`."""
        self._path = path
        self._clock = clock
        self._waiting = Waiting(clock)
        self._writer = QueueWriter(path, self._committed)
        self._depths: dict[str, int] = {}
        self._leased_at_most: dict[str, int] = {}
        self._reader: sqlite3.Connection | None = None
        self._reading = asyncio.Lock()
        self._sweeping: asyncio.Task[None] | None = None
        self._to_sweep = asyncio.Event()  # at once
        self._has_changed = asyncio.Event()  # there may be something in a while

    @classmethod
    async def open(cls, path: Path, clock: Clock) -> Self:
        """Open the file, making it (mode 0600, and its directories) as needed.

        Raises StoreTooNewError, StoreCorruptError (damaged, or not ours), StoreFullError, StoreError.
        """
        queues = cls(path, clock)
        queues._depths = await queues._writer.open()
        try:
            queues._reader = open_reader(path)
        except BaseException:
            await queues.close()
            raise
        queues._sweeping = asyncio.create_task(queues._sweep_for_ever(), name="sweep queues")
        return queues

    # ---- sending and receiving

    async def send(self, messages: Sequence[NewMessage]) -> list[Sent]:
        sent: list[Sent] = await self._do(Send(tuple(messages), self._now_ms()))
        return sent

    async def receive(
        self,
        queue: str,
        *,
        lease_s: float,
        limit: int = 1,
        wait_s: float | None = 0.0,
        redrive: Redrive | None = None,
        retention_s: float | None = None,
        in_flight_max: int | None = None,
        attempt: str | None = None,
    ) -> list[Message]:
        def claim() -> Claim:
            now_ms = self._now_ms()
            expired_ms = now_ms - round(retention_s * 1000) if retention_s is not None else None
            return Claim(queue, limit, round(lease_s * 1000), now_ms, redrive, expired_ms, attempt)

        deadline = None if wait_s is None else asyncio.get_running_loop().time() + wait_s
        with Ticket(self._waiting, queue) as ticket:
            while True:
                if in_flight_max is not None:
                    await self._check_in_flight(queue, in_flight_max)
                claimed = await self._claim(claim())
                if claimed.messages:
                    ticket.has_taken = True
                    return claimed.messages
                if claimed.has_more:
                    continue
                if wait_s == 0.0:
                    return []
                if claimed.next_due_ms is not None:
                    self._waiting.expect(queue, claimed.next_due_ms)
                if not await ticket.wait(deadline):
                    return []

    async def _claim(self, claim: Claim) -> Claimed:
        done = self._writer.submit(claim)
        try:
            outcome = await done
        except asyncio.CancelledError:
            if done.done() and not done.cancelled() and done.exception() is None:
                self._give_back(claim, done.result())
            raise
        claimed: Claimed = outcome.result
        return claimed

    def _give_back(self, claim: Claim, outcome: Outcome) -> None:
        """Its receiver is gone."""
        messages: list[Message] = outcome.result.messages
        if messages:
            now_ms = self._now_ms()
            back = [Settlement(message.receipt, due_ms=now_ms, gives_back=True) for message in messages]
            self._unattended(Settle(back, now_ms))
        else:
            self._waiting.ring(claim.queue)

    # ---- settling

    async def acknowledge(self, receipts: Sequence[Receipt], *, leased_only: bool = False) -> list[Settled]:
        settlements = [Settlement(receipt, leased_only=leased_only) for receipt in receipts]
        return await self._settle(Settle(settlements, self._now_ms()))

    async def extend(self, extensions: Sequence[Extension]) -> list[Settled]:
        now_ms = self._now_ms()
        settlements = [
            Settlement(one.receipt, now_ms + round(one.lease_s * 1000), leased_only=True, keeps_lease=True)
            for one in extensions
        ]
        return await self._settle(Settle(settlements, now_ms))

    async def reschedule(self, reschedulings: Sequence[Rescheduling]) -> list[Settled]:
        now_ms = self._now_ms()
        settlements = [
            Settlement(one.receipt, now_ms + round(one.delay_s * 1000), one.attributes) for one in reschedulings
        ]
        return await self._settle(Settle(settlements, now_ms))

    # ---- queues as a whole

    async def release(self, queue: str) -> int:
        released: int = await self._do(Release(queue, self._now_ms()))
        return released

    async def purge(self, queue: str) -> None:
        await self._do(Empty(queue, forget=False))

    async def drop(self, queue: str) -> None:
        await self._do(Empty(queue, forget=True))

    async def expire(self, queue: str, older_than_s: float, limit: int = 1000) -> int:
        expired: int = await self._do(Expire(queue, self._now_ms() - round(older_than_s * 1000), limit))
        return expired

    async def move(self, queue: str, ids: Sequence[str], target: str | None) -> Moved:
        moved: Moved = await self._do(Move(queue, tuple(ids), target, self._now_ms()))
        return moved

    async def statistics(self, queue: str) -> Statistics:
        now_ms = self._now_ms()
        async with self._reading:
            if self.depth(queue) <= _COUNTED_INLINE_MAX:
                out_of_sight, oldest = self._count(queue, now_ms)
            else:
                out_of_sight, oldest = await asyncio.to_thread(self._count, queue, now_ms)
        leased, delayed = out_of_sight.get(1, 0), out_of_sight.get(0, 0)
        return Statistics(max(self.depth(queue) - leased - delayed, 0), leased, delayed, oldest)

    def is_resting(self, queue: str, receivers: int = 1) -> bool:
        return self._waiting.is_resting(queue, receivers)

    def next_due(self, queue: str) -> float | None:
        due_ms = self._waiting.next_due_ms(queue)
        return None if due_ms is None else due_ms / 1000

    def depth(self, queue: str) -> int:
        return self._depths.get(queue, 0)

    def names(self, prefix: str = "") -> list[str]:
        return sorted(queue for queue in self._depths if queue.startswith(prefix))

    async def close(self) -> None:
        await self._waiting.close()
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait([self._sweeping])
            self._sweeping = None
        async with self._reading:
            if self._reader is not None:
                self._reader.close()
                self._reader = None
        await self._writer.stop()

    # ---- behind

    async def _settle(self, request: Settle) -> list[Settled]:
        settled: list[Settled] = await self._do(request)
        return settled

    async def _do(self, request: Request) -> Any:
        return (await self._writer.submit(request)).result

    def _unattended(self, request: Request) -> None:
        """Do what nobody waits for; the writer logs its failures."""
        try:
            self._writer.submit(request).add_done_callback(_log_failure)
        except StoreClosedError:
            logger.debug("a lease runs out by itself: the queues are closed")

    def _committed(self, request: Request, outcome: Outcome, abandoned: bool) -> None:
        """Take note of what a request did, before its caller hears of it."""
        for queue, depth in outcome.depths.items():
            if depth:
                self._depths[queue] = depth
            else:
                self._depths.pop(queue, None)
        for queue, due_ms in outcome.due.items():
            self._waiting.expect(queue, due_ms)
        if not isinstance(request, Sweep):
            self._has_changed.set()
        if isinstance(request, Claim):
            if request.queue in self._leased_at_most:
                self._leased_at_most[request.queue] += len(outcome.result.messages)
            if abandoned:
                self._give_back(request, outcome)
        elif isinstance(request, Settle):
            self._note_settled(request, outcome)
        elif isinstance(request, Empty | Release):
            self._leased_at_most.pop(request.queue, None)
            self._to_sweep.set()

    def _note_settled(self, request: Settle, outcome: Outcome) -> None:
        if not self._leased_at_most:
            return
        for one, settled in zip(request.settlements, outcome.result, strict=True):
            queue = one.receipt.queue
            if settled is Settled.DONE and not one.keeps_lease and self._leased_at_most.get(queue, 0) > 0:
                self._leased_at_most[queue] -= 1

    async def _check_in_flight(self, queue: str, in_flight_max: int) -> None:
        """Counted again only when so many may be leased as are allowed; leases that ended are not missed before."""
        if self._leased_at_most.get(queue, in_flight_max) >= in_flight_max:
            in_flight = (await self.statistics(queue)).in_flight
            self._leased_at_most[queue] = in_flight
            if in_flight >= in_flight_max:
                raise InFlightLimitError(f"{in_flight} messages of {queue} are in flight")

    def _count(self, queue: str, now_ms: int) -> tuple[dict[int, int], int | None]:
        """Messages that are leased (1) and delayed (0); when the oldest was sent."""
        if self._reader is None:
            raise StoreClosedError("The queues are closed")
        try:
            out_of_sight = dict(self._reader.execute(_OUT_OF_SIGHT, (queue, now_ms)).fetchall())
            oldest = self._reader.execute(_OLDEST, (queue,)).fetchone()
        except sqlite3.Error as error:
            raise translate(error, self._path) from error
        return out_of_sight, oldest[0] if oldest is not None else None

    async def _sweep_for_ever(self) -> None:
        """Delete what nobody can see any more, a little at a time; rest while there can be no such thing."""
        while True:
            self._to_sweep.clear()
            self._has_changed.clear()
            next_ms: int | None = self._now_ms()
            try:
                while (swept := await self._do(Sweep(self._now_ms()))).has_more:
                    pass
                next_ms = swept.next_ms
            except StoreClosedError:
                return
            except (StoreFullError, StoreError) as error:
                logger.warning("queues cannot be swept now", extra={"reason": str(error)})
            if next_ms is None:
                await self._has_changed.wait()
            await self._nap(0 if next_ms is None else next_ms)

    async def _nap(self, until_ms: int) -> None:
        """A while, or until then if that is later; shorter if there is something to sweep at once."""
        seconds = max(_SWEEP_EVERY_S, until_ms / 1000 - self._clock.now())
        nap = asyncio.create_task(self._clock.sleep(seconds))
        woken = asyncio.create_task(self._to_sweep.wait())
        try:
            await asyncio.wait({nap, woken}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            nap.cancel()
            woken.cancel()

    def _now_ms(self) -> int:
        return round(self._clock.now() * 1000)  # a time in ms, given as seconds, is that time again


def _log_failure(done: asyncio.Future[Outcome]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        logger.warning("could not hand messages back; their leases run out", extra={"reason": str(error)})
