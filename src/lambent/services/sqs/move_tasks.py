"""Message move tasks: dead letters sent back to where they came from, or to another queue.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html
A task is a document, so that it goes on after a restart; who carries it out is an asyncio task of `MoveTasks`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
from dataclasses import dataclass, replace
from typing import Any, Final

from lambent.aws.context import Params, RequestContext
from lambent.model.clock import Clock
from lambent.model.ids import new_request_id
from lambent.queues.api import Queues
from lambent.services.sqs.directory import QueueDirectory
from lambent.services.sqs.errors import (
    access_denied,
    invalid_parameter,
    invalid_value,
    missing_parameter,
    resource_not_found,
    unsupported,
)
from lambent.services.sqs.names import QueueId, queue_of_arn
from lambent.store.api import SQS_MOVE_TASKS, Delete, Put, Store, StoreFullError
from lambent.store.errors import StoreError

logger = logging.getLogger(__name__)

RATE_MAX: Final = 500
LISTED_MAX: Final = 10
_AT_A_TIME: Final = 100
_TURN_S: Final = 1.0  # with a rate: so many messages, then wait for the next second


@dataclass(frozen=True, slots=True)
class MoveTask:
    """`started_ms` tells the tasks of a source apart."""

    source: QueueId
    handle: str
    started_ms: int
    destination_arn: str | None
    rate: int | None
    to_move: int
    moved: int = 0
    status: str = "RUNNING"
    failure: str | None = None

    @property
    def key(self) -> str:
        return f"{self.source.key}/{self.started_ms:015}"

    def to_document(self) -> dict[str, Any]:
        return {
            "source": self.source.arn,
            "handle": self.handle,
            "started_ms": self.started_ms,
            "destination_arn": self.destination_arn,
            "rate": self.rate,
            "to_move": self.to_move,
            "moved": self.moved,
            "status": self.status,
            "failure": self.failure,
        }

    @staticmethod
    def from_document(document: dict[str, Any]) -> MoveTask:
        source = queue_of_arn(document["source"])
        if source is None:
            raise ValueError(f"not a queue: {document['source']}")
        return MoveTask(source, **{name: value for name, value in document.items() if name != "source"})


@dataclass(frozen=True, slots=True)
class _Running:
    work: asyncio.Task[None]
    to_stop: asyncio.Event

    async def stop(self) -> None:
        """Let it finish what it is moving, so that it is counted."""
        self.to_stop.set()
        await asyncio.wait([self.work])


class MoveTasks:
    """The operations on move tasks, and the tasks themselves. `start` before, `close` after."""

    def __init__(self, directory: QueueDirectory, queues: Queues, store: Store, clock: Clock) -> None:
        self._directory = directory
        self._queues = queues
        self._store = store
        self._clock = clock
        self._running: dict[str, _Running] = {}

    async def start(self) -> None:
        """Go on with what was running when the server ended."""
        for record in await self._store.scan(SQS_MOVE_TASKS, ""):
            task = MoveTask.from_document(record.value)
            if task.status == "RUNNING":
                self._carry_out(task)

    async def close(self) -> None:
        """Stop after what is being moved; running tasks go on at the next start."""
        await asyncio.gather(*[running.stop() for running in list(self._running.values())])

    async def start_message_move_task(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html"""
        source = await self._source(ctx, params)
        destination = await self._destination(ctx, source, params)
        rate: int | None = params.get("MaxNumberOfMessagesPerSecond")
        if rate is not None and not 1 <= rate <= RATE_MAX:
            reason = f"Must be between 1 and {RATE_MAX}, if provided."
            raise invalid_value("MaxNumberOfMessagesPerSecond", rate, reason)
        if not any(queue.redrive and queue.redrive.target == source for queue in await self._directory.all_of(ctx)):
            raise invalid_parameter("Source queue must be configured as a Dead Letter Queue.")
        known = await self._tasks_of(source)
        if any(task.status == "RUNNING" for task in known):
            raise unsupported(
                "There is already a task running. "
                "Only one active task is allowed for a source queue arn at a given time."
            )
        statistics = await self._queues.statistics(source.engine_name)
        started_ms = max([int(self._clock.now() * 1000), *(task.started_ms + 1 for task in known)])
        handle = _handle(source, started_ms)
        task = MoveTask(source, handle, started_ms, destination, rate, statistics.visible)
        old = [Delete(SQS_MOVE_TASKS, one.key) for one in known[LISTED_MAX - 1 :]]
        await self._store.commit([Put(SQS_MOVE_TASKS, task.key, task.to_document(), expect=0), *old])
        self._carry_out(task)
        return {"TaskHandle": handle}

    async def cancel_message_move_task(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CancelMessageMoveTask.html"""
        handle: str | None = params.get("TaskHandle")
        if not handle:
            raise missing_parameter("TaskHandle")
        source = source_of_handle(handle)
        if source is None:
            raise invalid_parameter("Value for parameter TaskHandle is invalid.")
        if source.account != ctx.account:
            raise access_denied(source.arn)
        task = next((one for one in await self._tasks_of(source) if one.handle == handle), None)
        if task is None:
            raise resource_not_found("Task does not exist.")
        running = self._running.get(task.key)
        if task.status != "RUNNING" or running is None:
            raise resource_not_found("Only active tasks can be cancelled.")
        await running.stop()
        task = next(one for one in await self._tasks_of(source) if one.handle == handle)
        if task.status == "RUNNING":
            await self._save(replace(task, status="CANCELLED"))
        return {"ApproximateNumberOfMessagesMoved": task.moved}

    async def list_message_move_tasks(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListMessageMoveTasks.html"""
        source = await self._source(ctx, params)
        limit: int | None = params.get("MaxResults")
        if limit is not None and not 1 <= limit <= LISTED_MAX:
            raise invalid_value("MaxResults", limit, f"Must be between 1 and {LISTED_MAX}, if provided.")
        return {"Results": [_shown(task) for task in (await self._tasks_of(source))[: limit or 1]]}

    # ---- the tasks

    def _carry_out(self, task: MoveTask) -> None:
        to_stop = asyncio.Event()
        work = asyncio.create_task(self._supervised(task, to_stop), name=f"move messages of {task.source.arn}")
        self._running[task.key] = _Running(work, to_stop)
        work.add_done_callback(lambda _: self._running.pop(task.key, None))

    async def _supervised(self, task: MoveTask, to_stop: asyncio.Event) -> None:
        """Whatever goes wrong is told by the task's status, and logged."""
        try:
            await self._move(task, to_stop)
        except (StoreError, StoreFullError) as error:
            logger.warning("a message move task stops until the next start", exc_info=error)
        except Exception:
            logger.exception("a message move task failed", extra={"source_arn": task.source.arn})
            await self._save(replace(task, status="FAILED", failure="AWS.SimpleQueueService.InternalError"))

    async def _move(self, task: MoveTask, to_stop: asyncio.Event) -> None:
        """A batch, then note how far it got; with a rate so many in a second."""
        destination = queue_of_arn(task.destination_arn or "")
        target = destination.engine_name if destination is not None else None
        while not to_stop.is_set():
            count = min(task.rate or _AT_A_TIME, task.to_move - task.moved)
            moved = await self._queues.move(task.source.engine_name, [new_request_id() for _ in range(count)], target)
            task = replace(task, moved=task.moved + moved.count)
            if moved.has_stopped:
                failure = "CouldNotDetermineMessageSource"
                await self._save(replace(task, status="FAILED", failure=failure))
                return
            if moved.count < count or task.moved >= task.to_move:
                await self._save(replace(task, status="COMPLETED"))
                return
            await self._save(task)
            if task.rate is not None:
                await self._nap(to_stop)

    async def _nap(self, to_stop: asyncio.Event) -> None:
        """A turn's time, or until it is to stop."""
        waits = {asyncio.create_task(self._clock.sleep(_TURN_S)), asyncio.create_task(to_stop.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    async def _save(self, task: MoveTask) -> None:
        await self._store.commit([Put(SQS_MOVE_TASKS, task.key, task.to_document())])

    async def _tasks_of(self, source: QueueId) -> list[MoveTask]:
        """The newest first."""
        records = await self._store.scan(SQS_MOVE_TASKS, f"{source.key}/")
        return [MoveTask.from_document(record.value) for record in reversed(records)]

    async def _source(self, ctx: RequestContext, params: Params) -> QueueId:
        arn: str | None = params.get("SourceArn")
        if not arn:
            raise missing_parameter("SourceArn")
        return await self._existing(ctx, "SourceArn", arn)

    async def _destination(self, ctx: RequestContext, source: QueueId, params: Params) -> str | None:
        arn: str | None = params.get("DestinationArn")
        if not arn:
            return None
        destination = await self._existing(ctx, "DestinationArn", arn)
        if destination == source:
            raise invalid_parameter("Source queue arn and destination queue arn cannot be the same.")
        if destination.is_fifo != source.is_fifo:
            raise invalid_parameter("The destination queue must be of the same type as the source queue.")
        return arn

    async def _existing(self, ctx: RequestContext, name: str, arn: str) -> QueueId:
        queue_id = queue_of_arn(arn)
        if queue_id is None:
            raise invalid_parameter(
                f"You must use this format to specify the {name}: "
                "arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
            )
        if queue_id.account != ctx.account:
            raise access_denied(arn)
        if await self._directory.find(queue_id) is None:
            raise resource_not_found(f"The resource that you specified for the {name} parameter doesn't exist.")
        return queue_id


def _shown(task: MoveTask) -> Params:
    return {
        "TaskHandle": task.handle if task.status == "RUNNING" else None,
        "Status": task.status,
        "SourceArn": task.source.arn,
        "DestinationArn": task.destination_arn,
        "MaxNumberOfMessagesPerSecond": task.rate,
        "ApproximateNumberOfMessagesMoved": task.moved,
        "ApproximateNumberOfMessagesToMove": task.to_move,
        "FailureReason": task.failure,
        "StartedTimestamp": task.started_ms,
    }


def _handle(source: QueueId, started_ms: int) -> str:
    document = {"taskId": new_request_id(), "sourceArn": source.arn, "started": started_ms}
    return base64.b64encode(json.dumps(document).encode()).decode()


def source_of_handle(handle: str) -> QueueId | None:
    """The queue a task handle is about; None for what is no handle."""
    try:
        document = json.loads(base64.b64decode(handle, validate=True))
    except (ValueError, binascii.Error):
        return None
    arn = document.get("sourceArn") if isinstance(document, dict) else None
    return queue_of_arn(arn) if isinstance(arn, str) else None
