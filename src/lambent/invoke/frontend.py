"""The way in of an invocation: resolve, check, admit, assign, answer.

Follows https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html for RequestResponse and DryRun. An invocation,
once assigned, runs to its end whether or not the caller still waits for it, and holds its permit that long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lambent.invoke.counting import Counting, Permit, Throttled, ThrottleReason
from lambent.invoke.directory import FunctionDirectory
from lambent.invoke.payload import INLINE_MAX_BYTES, check_any, check_json
from lambent.invoke.pool import PendingInvocation
from lambent.invoke.pools import Pools
from lambent.invoke.ports import InvocationObserver
from lambent.invoke.reservations import Reservations
from lambent.invoke.tenants import check_tenant
from lambent.invoke.tracing import Tracing
from lambent.model import limits
from lambent.model.arn import FunctionId, FunctionReference
from lambent.model.errors import (
    RecursiveInvocationException,
    RequestTooLargeException,
    ServiceError,
    TooManyRequestsException,
)
from lambent.model.execution import Completed, Invocation
from lambent.model.function import FunctionVersion
from lambent.model.ids import RequestId
from lambent.model.values import value


@value
class InvokeRequest:
    """A call of Invoke. `client_context` is the decoded JSON; `payload` the body as sent."""

    reference: FunctionReference
    payload: bytes
    request_id: RequestId
    log_tail: bool = False
    client_context: bytes | None = None
    trace_header: str | None = None
    dry_run: bool = False
    tenant_id: str | None = None


@value
class InvokeResponse:
    """Its answer. `function_error` is None for a success; `log_tail` the last 4 KB of the log, not encoded."""

    payload: bytes
    function_error: str | None
    executed_version: str | None
    log_tail: bytes | None


class Frontend:
    """Synchronous invocation."""

    def __init__(
        self,
        directory: FunctionDirectory,
        counting: Counting,
        pools: Pools,
        reservations: Reservations,
        tracing: Tracing,
        observer: InvocationObserver | None = None,
    ) -> None:
        self._directory = directory
        self._counting = counting
        self._reservations = reservations
        self._pools = pools
        self._tracing = tracing
        self._observer = observer
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def invoke(self, request: InvokeRequest) -> InvokeResponse:
        """Run the function and return what it returned.

        Raises ResourceNotFoundException, ResourceConflictException, RequestTooLargeException,
        InvalidRequestContentException, InvalidParameterValueException, RecursiveInvocationException,
        TooManyRequestsException, InvalidRuntimeException, ServiceException.
        """
        version = self._directory.cached(request.reference) or await self._directory.resolve(request.reference)
        if request.dry_run:
            check_tenant(version, request.tenant_id)
            return InvokeResponse(b"", None, None, None)
        payload = request.payload or b"{}"
        if len(payload) > limits.SYNC_REQUEST_MAX_BYTES:
            raise RequestTooLargeException(
                f"Request must be smaller than {limits.SYNC_REQUEST_MAX_BYTES} bytes for the InvokeFunction operation"
            )
        await check_any(payload)
        trace_header = await self._trace_header(version, request)
        invocation = _invocation(request, payload, version, trace_header)
        outcome = await self._run(version, request.reference.qualifier, invocation)
        return InvokeResponse(outcome.payload, outcome.function_error, version.version, outcome.log_tail)

    async def is_switched_off(self, function: FunctionId) -> bool:
        """Is its reserved concurrency zero?"""
        if not self._reservations.are_current:
            await self._reservations.refresh()
        return self._counting.reserved(function) == 0

    def begin(self, request: InvokeRequest, done: Callable[[InvokeResponse | ServiceError], None]) -> bool:
        """As `invoke`, without a task: `done` is called once, then or later. False, and nothing has happened, when
        something must be awaited first; raises what `invoke` raises."""
        version = self._directory.cached(request.reference)
        payload = request.payload or b"{}"
        if version is None or request.dry_run or request.trace_header is not None or len(payload) > INLINE_MAX_BYTES:
            return False
        if not self._reservations.are_current:
            return False
        check_json(payload)
        executed = version.version

        def answered(outcome: Completed | ServiceError) -> None:
            if isinstance(outcome, Completed):
                done(InvokeResponse(outcome.payload, outcome.function_error, executed, outcome.log_tail))
            else:
                done(outcome)

        invocation = _invocation(request, payload, version, self._tracing.begun(version))
        self._admit(version, request.reference.qualifier, invocation, answered)
        return True

    async def drain(self, grace_s: float) -> None:
        """Wait until nothing runs any more, at most `grace_s` seconds."""
        try:
            async with asyncio.timeout(grace_s):
                await self._idle.wait()
        except TimeoutError:
            pass

    @property
    def name(self) -> str:
        """See `model.idle.Activity`."""
        return "invocations"

    def is_idle(self) -> bool:
        """See `model.idle.Activity`."""
        return not self._in_flight

    def next_due(self) -> None:
        """See `model.idle.Activity`: it does nothing by itself."""

    @property
    def in_flight(self) -> int:
        """How many invocations run now."""
        return self._in_flight

    async def _trace_header(self, version: FunctionVersion, request: InvokeRequest) -> str:
        if request.trace_header is None:
            return self._tracing.begun(version)
        try:
            return await self._tracing.header(version, request.trace_header)
        except RecursiveInvocationException:
            if self._observer is not None:
                self._observer.stopped_in_a_loop(version, request.reference.qualifier)
            raise

    async def _run(self, version: FunctionVersion, qualifier: str | None, invocation: Invocation) -> Completed:
        if not self._reservations.are_current:
            await self._reservations.refresh()
        answer: asyncio.Future[Completed] = asyncio.get_running_loop().create_future()

        def done(outcome: Completed | ServiceError) -> None:
            if answer.done():
                return  # the caller is gone
            if isinstance(outcome, Completed):
                answer.set_result(outcome)
            else:
                answer.set_exception(outcome)

        self._admit(version, qualifier, invocation, done)
        return await answer

    def _admit(
        self,
        version: FunctionVersion,
        qualifier: str | None,
        invocation: Invocation,
        done: Callable[[Completed | ServiceError], None],
    ) -> None:
        """Take a permit, and hand the invocation to its pool; `done` is called once. Raises TooManyRequestsException,
        and InvalidParameterValueException for want of a tenant: nothing comes to a pool but by here.

        The counters must be current.
        """
        if invocation.tenant_id is not None or version.tenant_isolation_mode is not None:
            check_tenant(version, invocation.tenant_id)
        permit = self._counting.try_acquire(version.function, version.version)
        if isinstance(permit, Throttled):
            if self._observer is not None:
                self._observer.throttled(version, qualifier)
            raise _throttled(permit)
        self._in_flight += 1
        if self._in_flight == 1:
            self._idle.clear()

        def finished(outcome: Completed | ServiceError) -> None:
            permit.release()
            self._observe(version, qualifier, permit, outcome)
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()
            done(outcome)

        self._pools.submit(version, PendingInvocation(invocation, finished), provisioned=permit.is_provisioned)

    def _observe(
        self, version: FunctionVersion, qualifier: str | None, permit: Permit, outcome: Completed | ServiceError
    ) -> None:
        if self._observer is None:
            return
        if isinstance(outcome, Completed):
            self._observer.completed(
                version, qualifier, outcome, permit.function_in_use, permit.account_in_use, permit.unreserved_in_use
            )
            if permit.is_provisioned or permit.is_spillover:
                used, allocated = permit.provisioned_in_use, permit.provisioned_allocated
                self._observer.provisioned(version, qualifier, used, allocated)
        elif isinstance(outcome, TooManyRequestsException):
            self._observer.throttled(version, qualifier)


def _throttled(refused: Throttled) -> ServiceError:
    """The header Retry-After is AWS's where waiting a second helps: not for a reservation that is in use."""
    if refused.reason is ThrottleReason.RESERVED_CONCURRENT_INVOCATION_LIMIT_EXCEEDED:
        return TooManyRequestsException("Rate Exceeded.", Reason=refused.reason.value)
    return TooManyRequestsException("Rate Exceeded.", Reason=refused.reason.value, retryAfterSeconds="1")


def _invocation(request: InvokeRequest, payload: bytes, version: FunctionVersion, trace_header: str) -> Invocation:
    return Invocation(
        request_id=request.request_id,
        payload=payload,
        invoked_function_arn=request.reference.arn,
        trace_header=trace_header,
        timeout_s=version.timeout_s,
        client_context=request.client_context,
        log_tail=request.log_tail,
        tenant_id=request.tenant_id,
    )
