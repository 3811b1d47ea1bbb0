"""Running events: each attempt, and what follows it."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import Final

import orjson

from lambent.async_invoke import policy
from lambent.async_invoke.events import QUEUE_PREFIX, Attempts, Event, function_of
from lambent.async_invoke.policy import Again, Condition, Ended, Outcome
from lambent.async_invoke.ports import AsyncObserver
from lambent.async_invoke.settings import EventSettings, SettingsView
from lambent.async_invoke.window import Window
from lambent.delivery.consuming import Consumer, Consumers
from lambent.delivery.outbox import Delivery, Outbox
from lambent.delivery.records import EndedEvent, Response, dead_letter_error, invocation_record
from lambent.invoke.directory import FunctionDirectory
from lambent.invoke.frontend import Frontend, InvokeRequest
from lambent.invoke.tracing import Tracing
from lambent.model.arn import LATEST
from lambent.model.clock import Clock
from lambent.model.errors import RecursiveInvocationException, ServiceError, TooManyRequestsException
from lambent.model.function import FunctionVersion
from lambent.queues.api import Message, Queues, Rescheduling

logger = logging.getLogger(__name__)

AT_ONCE: Final = 1_000  # of all functions together


class Dispatcher:
    """Takes events from their queues and sees them to their end. `begin` before use; `close` after."""

    def __init__(
        self,
        queues: Queues,
        frontend: Frontend,
        directory: FunctionDirectory,
        tracing: Tracing,
        settings: SettingsView,
        outbox: Outbox,
        clock: Clock,
        observer: AsyncObserver,
    ) -> None:
        self._queues = queues
        self._frontend = frontend
        self._directory = directory
        self._tracing = tracing
        self._settings = settings
        self._outbox = outbox
        self._clock = clock
        self._observer = observer
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._stopping = False
        self.consumers = Consumers(queues, QUEUE_PREFIX, "event queue", self._consumer)

    async def stop_taking(self) -> None:
        """Start nothing more; what runs goes on."""
        self._stopping = True
        await self.consumers.stop_taking()

    def _consumer(self, queue: str) -> Consumer:
        window = Window()

        async def handle(message: Message) -> None:
            await self._attempt(window, message)

        return Consumer(self._queues, queue, handle, window, self._clock, self._slots)

    async def _attempt(self, window: Window, message: Message) -> None:
        event = Event.from_body(function_of(message.receipt.queue), message.id, message.body)
        attempts = Attempts.from_attributes(message.attributes)
        settings = await self._settings.find(event.reference)
        age_s = self._age_s(message)
        switched_off = await self._frontend.is_switched_off(event.reference.function)
        ended = policy.before(attempts, age_s, settings.retries, switched_off=switched_off)
        self._observer.aged(event.reference, age_s)
        if ended is not None:
            await self._end(message, event, settings, ended, None)
            return
        outcome = await self._run(window, event)
        if outcome is None:
            return
        following = policy.after(outcome, attempts, self._age_s(message), settings.retries)
        if isinstance(following, Again):
            attributes = following.attempts.to_attributes()
            await self._queues.reschedule([Rescheduling(message.receipt, following.delay_s, attributes)])
        else:
            await self._end(message, event, settings, following, outcome)

    async def _run(self, window: Window, event: Event) -> Outcome | None:
        """Run the function. None: the server stops, and the event is left as it is, for the next start."""
        request = InvokeRequest(
            event.reference, event.payload, event.request_id, trace_header=event.trace_header, tenant_id=event.tenant_id
        )
        time = asyncio.get_running_loop().time
        number, begun = window.started(), time()
        outcome: Outcome | None = None
        try:
            outcome = await self._frontend.invoke(request)
        except ServiceError as error:
            outcome = error
            if self._stopping and policy.is_passing(error):
                return None
        finally:
            if isinstance(outcome, TooManyRequestsException):
                window.throttled(number)
            elif outcome is None or isinstance(outcome, ServiceError):
                window.skipped()
            else:
                window.ran(time() - begun)
        return outcome

    async def _end(
        self, message: Message, event: Event, settings: EventSettings, ended: Ended, outcome: Outcome | None
    ) -> None:
        """First what is to be sent is on disk, then the event is forgotten."""
        succeeded = ended.condition is Condition.SUCCESS
        if not succeeded:
            self._observer.dropped(event.reference)
        deliveries = await self._deliveries(event, settings, ended, outcome)
        if deliveries:
            await self._outbox.put(deliveries)
        elif not succeeded:
            _log_dropped(event, ended, outcome)
        await self._queues.acknowledge([message.receipt])

    async def _deliveries(
        self, event: Event, settings: EventSettings, ended: Ended, outcome: Outcome | None
    ) -> list[Delivery]:
        succeeded = ended.condition is Condition.SUCCESS
        destination = settings.on_success if succeeded else settings.on_failure
        if succeeded and destination is None:
            return []
        response = _response(outcome)
        executed = response.executed_version if response is not None else None
        reference = event.reference
        version = await self._directory.read(reference.function, executed or reference.qualifier or LATEST)
        if version is None:
            return []  # it was deleted, and its destinations with it
        ended_event = EndedEvent(
            reference,
            event.request_id,
            event.payload,
            ended.condition.value,
            ended.attempts.count,
            self._clock.now(),
            response,
        )
        delivery = functools.partial(
            Delivery,
            reference=reference,
            request_id=event.request_id,
            role_arn=version.role,
            succeeded=succeeded,
            at=ended_event.at,
            trace_header=await self._trace_header(version, event),
        )
        found = []
        if destination is not None:
            found.append(delivery(target=destination, body=invocation_record(ended_event, destination)))
        dead_letter_target = None if succeeded else _dead_letter_target(version)
        if dead_letter_target is not None:
            error = dead_letter_error(ended_event)
            found.append(
                delivery(
                    target=dead_letter_target,
                    body=event.payload,
                    error_code=error.code,
                    error_message=error.message,
                )
            )
        return found

    async def _trace_header(self, version: FunctionVersion, event: Event) -> str | None:
        """What the function was given: a record that comes back to it is part of the same chain of calls."""
        try:
            return await self._tracing.header(version, event.trace_header)
        except RecursiveInvocationException:
            return event.trace_header

    def _age_s(self, message: Message) -> float:
        return max(0.0, self._clock.now() - message.sent_ms / 1000)


def _response(outcome: Outcome | None) -> Response | None:
    """What a record says of the last run: nothing of a throttle or a failure of the platform, which had no response."""
    if outcome is None:
        return None
    if not isinstance(outcome, ServiceError):
        return Response(200, outcome.executed_version, outcome.function_error, outcome.payload)
    if policy.is_passing(outcome):
        return None
    payload = orjson.dumps({"errorType": outcome.code, "errorMessage": outcome.message})
    return Response(outcome.status, None, outcome.code, payload)


def _dead_letter_target(version: FunctionVersion) -> str | None:
    config = version.without_effect.get("DeadLetterConfig")
    return config.get("TargetArn") if config else None


def _log_dropped(event: Event, ended: Ended, outcome: Outcome | None) -> None:
    reason = outcome.message if isinstance(outcome, ServiceError) else ended.condition.value
    extra = {"function": event.reference.arn, "request_id": event.request_id, "reason": reason}
    logger.warning("an asynchronous event was dropped: it has no destination nor dead-letter queue", extra=extra)
