"""Invoking a mapping's function with a batch, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from lambent.invoke.frontend import InvokeRequest, InvokeResponse
from lambent.model.arn import FunctionReference
from lambent.model.errors import ServiceError, TooManyRequestsException
from lambent.model.ids import new_request_id
from lambent.model.tracing import parse_trace_header


class Invoke(Protocol):
    """The frontend, as it is seen from here."""

    async def invoke(self, request: InvokeRequest) -> InvokeResponse:
        """See `invoke.frontend`."""
        ...


@dataclass(frozen=True, slots=True)
class Answered:
    """The function ran to its end and answered."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """It failed, or could not be invoked; `reason` in few words."""

    reason: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """It was not let run, for want of concurrency."""


Outcome = Answered | Failed | Throttled


async def invoke(
    frontend: Invoke, reference: FunctionReference, payload: bytes, trace_header: str | None = None
) -> Outcome:
    """One invocation, waited for."""
    request = InvokeRequest(reference, payload, new_request_id(), trace_header=trace_header)
    try:
        response = await frontend.invoke(request)
    except TooManyRequestsException:
        return Throttled()
    except ServiceError as error:
        return Failed(f"{error.code}: {error.message}")
    if response.function_error is not None:
        return Failed(f"function error {response.function_error}")
    return Answered(response.payload)


def trace_header_of(headers: Iterable[str | None]) -> str | None:
    """The one trace header that an invocation with several records gets: of the longest chain of calls, so that a loop
    of functions is found out though other records are read along with those that go round in it."""
    given = [header for header in headers if header]
    if not given:
        return None

    def calls(header: str) -> tuple[int, int]:
        lineage = parse_trace_header(header).lineage
        return (lineage.met, lineage.hops) if lineage is not None else (-1, -1)

    return max(given, key=calls)
