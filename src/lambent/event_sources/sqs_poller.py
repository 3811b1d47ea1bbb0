"""Polling an SQS queue: implements `ports.Poller`. https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html

A collector takes a slot, waits for messages, and gathers a batch; the slot stays taken until the batch is settled, so
no message is read that the function could not be given. Without a batching window several collectors wait at once;
with one there is a single one, which makes batches as full as they can be.

A message is deleted once the function has handled it, or a filter dropped it. What failed is left alone: it is
visible again when its time is over. A batch that was throttled is tried again as long as there is time left for the
function to handle it before that. Batches made of one read are invoked one after the other, and after a failure the
records of a FIFO queue's groups that failed are left as well, so groups stay in order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Protocol

from lambent.aws_client.client import AwsCaller
from lambent.aws_client.errors import AwsCallError, AwsError
from lambent.aws_client.sqs import WAIT_MAX_S, Message, Sqs
from lambent.control_plane.event_source_mappings import EventSourceMapping
from lambent.event_sources import counts
from lambent.event_sources.batches import Batch, BatchBuilder, Item, encoded
from lambent.event_sources.counts import EventCounts
from lambent.event_sources.filters import Filters
from lambent.event_sources.invoking import Invoke
from lambent.event_sources.ports import Report
from lambent.event_sources.scaling import scaling_of
from lambent.event_sources.slots import Slots
from lambent.event_sources.sqs_handling import Dues, SqsHandling
from lambent.event_sources.sqs_queue import SqsQueue
from lambent.event_sources.sqs_records import queue_path, sqs_record
from lambent.model.arn import FunctionReference
from lambent.model.clock import Clock
from lambent.model.errors import ServiceError
from lambent.model.function import FunctionVersion
from lambent.model.ids import Region
from lambent.observability.metrics.store import MetricStore

logger = logging.getLogger(__name__)

COLLECTORS: Final = 5
PAUSE_MAX_S: Final = 30.0
_PAUSE_S: Final = 1.0


class Resolve(Protocol):
    """Which version a reference names now (`invoke.directory`)."""

    async def resolve(self, reference: FunctionReference) -> FunctionVersion:
        """Raises ServiceError when there is none that could be invoked."""
        ...


@dataclass(frozen=True, slots=True)
class SqsTools:
    """What SQS pollers of all mappings share.

    `caller`: role ARN, function name, region → who calls. `base_url`: what URLs of queues begin with. `cancels`:
    whether a poll given up takes no messages along, as ours do; else what it still brings is given back. `wait_s`: how
    long polls are. `is_watched`: of our own queues, whether so many polls wait at it, having seen all there is.
    """

    sqs: Sqs
    frontend: Invoke
    directory: Resolve
    caller: Callable[[str, str, Region], AwsCaller]
    clock: Clock
    base_url: str
    cancels: bool
    metrics: MetricStore | None = None
    wait_s: int = WAIT_MAX_S
    is_watched: Callable[[str, int], bool] = lambda queue_arn, polls: True


class SqsPoller:
    """One mapping's."""

    def __init__(
        self, mapping: EventSourceMapping, reference: FunctionReference, tools: SqsTools, report: Report
    ) -> None:
        self._reference = reference
        self._tools = tools
        self._report = report
        self._clock = tools.clock
        settings = mapping.settings
        self._queue_arn: str = settings["EventSourceArn"]
        self._is_fifo = self._queue_arn.endswith(".fifo")
        self._region = Region(self._queue_arn.split(":")[3])
        self._size: int = settings["BatchSize"]
        self._window_s: int = settings["MaximumBatchingWindowInSeconds"]
        self._filters = Filters(settings.get("FilterCriteria") or {}, "body")
        self._slots = Slots(scaling_of(settings), tools.clock)
        self._counts = EventCounts(mapping, tools.metrics)
        self._queue = SqsQueue(tools.sqs, tools.base_url + queue_path(self._queue_arn), self._caller, tools.clock)
        self._version: FunctionVersion
        self._stopping = asyncio.Event()
        self._dues = Dues()
        self._handling = SqsHandling(
            tools.frontend,
            reference,
            self._queue,
            self._counts,
            self._slots.scaling,
            self._dues,
            self._stopping,
            tools.clock,
            reports_failures="ReportBatchItemFailures" in (settings.get("FunctionResponseTypes") or []),
        )
        self._polling: set[asyncio.Task[None]] = set()
        self._settling: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._given_up = 0
        self._unwanted: list[str] = []
        self._collecting = 0
        self._pausing = 0
        self.in_flight = 0

    async def run(self) -> None:
        """See `ports.Poller`."""
        collectors = 1 if self._window_s else COLLECTORS
        self._polling = {
            asyncio.create_task(self._collect_for_ever(), name=f"poll {self._queue_arn}") for _ in range(collectors)
        }
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({stopped, *self._polling}, return_when=asyncio.FIRST_COMPLETED)
            await _end(self._polling)
            while self._settling:
                await asyncio.wait(self._settling)
        finally:
            await _end({stopped, *self._polling, *self._settling})
        for task in self._polling:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def stop(self) -> None:
        """See `ports.Poller`."""
        self._stopping.set()

    def is_idle(self) -> bool:
        """See `ports.Poller`. Not while a poll is on its way, or what it brings is."""
        waiting = self._collecting - self._dues.in_windows - self._pausing
        return len(self._settling) == self._dues.sleeping and self._tools.is_watched(self._queue_arn, waiting)

    def next_due(self) -> float | None:
        """See `ports.Poller`."""
        return self._dues.next

    # ---- reading

    async def _collect_for_ever(self) -> None:
        while True:
            await self._slots.acquire()
            self._collecting += 1
            batches: list[Batch] = []
            received_at = 0.0
            try:
                self._version = await self._tools.directory.resolve(self._reference)
                batches, received_at = await self._collect()
            except (AwsCallError, ServiceError, ValueError) as error:
                await self._trouble(error)
            finally:
                self._collecting -= 1
                if batches:
                    self._spawn(self._handle(batches, received_at))
                else:
                    self._slots.release()

    async def _collect(self) -> tuple[list[Batch], float]:
        """The batches made of what there is to read, and when they were read (policy time)."""
        builder = BatchBuilder(self._size)
        try:
            messages = await self._receive(self._size, self._tools.wait_s)
            began_at = self._clock.now()
            self._well()
            if not messages:
                self._slots.scaling.found_nothing()
            self._take(builder, messages)
            if self._window_s and builder.count:
                with self._dues.at(began_at + self._window_s) as until:
                    await self._fill(builder, until)
        except BaseException:
            # Cancelled, or the source is lost: what was read so far may go elsewhere.
            gathered = [item for batch in builder.take() for item in batch.items]
            if gathered:
                self.in_flight -= len(gathered)
                self._spawn(self._queue.give_back([item.handle for item in gathered]))
            raise
        return builder.take(), began_at

    async def _fill(self, builder: BatchBuilder, until: float) -> None:
        """Read on until the batch is full or its window over."""
        while not builder.is_full and (left := until - self._clock.now()) > 0:
            window = asyncio.create_task(self._clock.sleep(left))
            reading = asyncio.create_task(self._receive(builder.room, min(self._tools.wait_s, int(left))))
            try:
                await asyncio.wait({window, reading}, return_when=asyncio.FIRST_COMPLETED)
                if reading.done() and not (messages := reading.result()) and left < 1:
                    await window  # less than a second: SQS knows no shorter wait
                elif reading.done():
                    self._take(builder, messages)
            finally:
                for task in (window, reading):
                    task.cancel()
                await asyncio.gather(window, reading, return_exceptions=True)

    async def _receive(self, limit: int, wait_s: int) -> list[Message]:
        """A poll. Given up, it takes no message along."""
        poll = asyncio.ensure_future(self._queue.receive(limit, wait_s))
        try:
            return await asyncio.shield(poll)
        except asyncio.CancelledError:
            if self._tools.cancels:
                poll.cancel()
                await asyncio.wait([poll])
            if not poll.cancelled():
                self._spawn(self._return(poll))
            raise

    async def _return(self, poll: asyncio.Future[list[Message]]) -> None:
        """Give back what a poll brings that nobody waits for; after the last such poll, or the next would bring it."""
        self._given_up += 1
        try:
            self._unwanted += [message["ReceiptHandle"] for message in await poll]
        except AwsCallError as error:
            logger.info("a poll given up failed", extra={"queue": self._queue_arn, "reason": str(error)})
        finally:
            self._given_up -= 1
        if not self._given_up and self._unwanted:
            handles, self._unwanted = self._unwanted, []
            await self._queue.give_back(handles)

    def _take(self, builder: BatchBuilder, messages: list[Message]) -> None:
        """Gather what passes the filters; have the rest deleted."""
        dropped: list[str] = []
        for message in messages:
            record = sqs_record(message, self._queue_arn)
            if not self._filters.pass_(record):
                dropped.append(message["ReceiptHandle"])
                continue
            attributes = record["attributes"]
            group = attributes.get("MessageGroupId") if self._is_fifo else None
            trace_header = attributes.get("AWSTraceHeader")
            builder.add(Item(record["messageId"], record["receiptHandle"], encoded(record), group, trace_header))
        self._counts.add(counts.POLLED, len(messages))
        self.in_flight += len(messages) - len(dropped)
        if dropped:
            self._counts.add(counts.FILTERED_OUT, len(dropped))
            self._spawn(self._drop(dropped))

    async def _drop(self, handles: list[str]) -> None:
        await self._queue.delete(handles)

    async def _handle(self, batches: list[Batch], received_at: float) -> None:
        """Frees the slot of the batches."""
        try:
            await self._handling.handle(batches, received_at, self._version.timeout_s)
        finally:
            self.in_flight -= sum(len(batch.items) for batch in batches)
            self._slots.release()

    # ---- trouble, and tasks

    async def _trouble(self, error: Exception) -> None:
        """Reading failed: say so, and try again after a while."""
        text = _in_words(error)
        if not self._failures:
            logger.warning("a source cannot be read", extra={"queue": self._queue_arn, "reason": text})
        self._report(f"PROBLEM: {text}")
        pause_s = min(PAUSE_MAX_S, _PAUSE_S * 2 ** min(self._failures, 10))
        self._failures += 1
        self._pausing += 1
        try:
            await self._clock.sleep(pause_s)
        finally:
            self._pausing -= 1

    def _well(self) -> None:
        if self._failures:
            self._failures = 0
            self._report(None)

    def _caller(self) -> AwsCaller:
        return self._tools.caller(self._version.role, self._version.function.name, self._region)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._settling.add(task)
        task.add_done_callback(self._settled)

    def _settled(self, task: asyncio.Task[None]) -> None:
        self._settling.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a batch was not settled", exc_info=error, extra={"queue": self._queue_arn})


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def _in_words(error: Exception) -> str:
    if isinstance(error, AwsError):
        return f"{error.query_code}: {error.message}"
    return str(error) if isinstance(error, ServiceError) else f"{type(error).__name__}: {error}"
