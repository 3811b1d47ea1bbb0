"""An event as it waits: what is written into the queue, and what is remembered of its attempts. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from lambent.model.arn import FunctionId, FunctionReference
from lambent.model.ids import AccountId, Region, RequestId

QUEUE_PREFIX: Final = "async/"


@dataclass(frozen=True, slots=True)
class Event:
    """What was asked to be run. `trace_header` and `tenant_id` are the caller's; a qualifier is resolved when the event
    is run."""

    reference: FunctionReference
    request_id: RequestId
    payload: bytes
    trace_header: str | None = None
    tenant_id: str | None = None

    def to_body(self) -> bytes:
        """As it is stored: a line of JSON, then the payload as it came."""
        head: dict[str, Any] = {}
        if self.reference.qualifier is not None:
            head["qualifier"] = self.reference.qualifier
        if self.trace_header is not None:
            head["trace_header"] = self.trace_header
        if self.tenant_id is not None:
            head["tenant_id"] = self.tenant_id
        return orjson.dumps(head) + b"\n" + self.payload

    @staticmethod
    def from_body(function: FunctionId, request_id: str, body: bytes) -> Event:
        """The inverse."""
        line, _, payload = body.partition(b"\n")
        head = orjson.loads(line)
        reference = FunctionReference(function, head.get("qualifier"))
        return Event(reference, RequestId(request_id), payload, head.get("trace_header"), head.get("tenant_id"))


@dataclass(frozen=True, slots=True)
class Attempts:
    """What came of an event so far: `runs` that ended in a function error; `refusals` for want of concurrency or by
    failures of the platform, `refusals_in_a_row` of them since the last run."""

    runs: int = 0
    refusals: int = 0
    refusals_in_a_row: int = 0

    @property
    def count(self) -> int:
        """How often it was tried."""
        return self.runs + self.refusals

    def with_run(self) -> Attempts:
        """After another function error."""
        return Attempts(self.runs + 1, self.refusals)

    def with_refusal(self) -> Attempts:
        """After another refusal."""
        return replace(self, refusals=self.refusals + 1, refusals_in_a_row=self.refusals_in_a_row + 1)

    def to_attributes(self) -> bytes:
        """As it is stored."""
        return b"%d %d %d" % (self.runs, self.refusals, self.refusals_in_a_row)

    @staticmethod
    def from_attributes(attributes: bytes) -> Attempts:
        """The inverse; nothing stands for none."""
        return Attempts(*map(int, attributes.split()))


def queue_of(function: FunctionId) -> str:
    """The name of a function's event queue."""
    return f"{QUEUE_PREFIX}{function.key}"


def function_of(queue: str) -> FunctionId:
    """The inverse."""
    account, region, name = queue.removeprefix(QUEUE_PREFIX).split("/")
    return FunctionId(AccountId(account), Region(region), name)
