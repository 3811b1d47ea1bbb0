"""The way in of an event: the checks of an invocation, then its queue. Answered once it is on disk."""

from __future__ import annotations

from collections.abc import Callable

from lambent.async_invoke.events import Event, queue_of
from lambent.async_invoke.ports import AsyncObserver
from lambent.invoke.directory import FunctionDirectory
from lambent.invoke.payload import check_any
from lambent.invoke.tenants import check_tenant
from lambent.invoke.tracing import Tracing
from lambent.model import limits
from lambent.model.arn import FunctionReference
from lambent.model.errors import ServiceException, request_entity_too_large
from lambent.model.ids import RequestId
from lambent.queues.api import NewMessage, Queues
from lambent.store.api import StoreFullError


class Acceptance:
    """`waiting` is told of every queue that has something new."""

    def __init__(
        self,
        directory: FunctionDirectory,
        tracing: Tracing,
        queues: Queues,
        waiting: Callable[[str], None],
        observer: AsyncObserver,
    ) -> None:
        self._directory = directory
        self._tracing = tracing
        self._queues = queues
        self._waiting = waiting
        self._observer = observer

    async def accept(
        self,
        reference: FunctionReference,
        payload: bytes,
        request_id: RequestId,
        trace_header: str | None,
        tenant_id: str | None = None,
    ) -> None:
        """Returns when the event survives a crash.

        Raises ResourceNotFoundException, ResourceConflictException, RequestEntityTooLargeException,
        InvalidRequestContentException, InvalidParameterValueException; ServiceException when the disk is full.
        """
        version = self._directory.cached(reference) or await self._directory.resolve(reference)
        check_tenant(version, tenant_id)
        payload = payload or b"{}"
        if len(payload) > limits.ASYNC_EVENT_MAX_BYTES:
            raise request_entity_too_large(
                f"{len(payload)} byte payload is too large for the Event invocation type "
                f"(limit {limits.ASYNC_EVENT_MAX_BYTES} bytes)"
            )
        await check_any(payload)
        event = Event(reference, request_id, payload, self._tracing.accepted(version, trace_header), tenant_id)
        queue = queue_of(reference.function)
        try:
            await self._queues.send([NewMessage(queue, request_id, event.to_body())])
        except StoreFullError as error:
            raise ServiceException("There is no room to keep the event: the disk is full.") from error
        self._observer.received(reference)
        self._waiting(queue)
