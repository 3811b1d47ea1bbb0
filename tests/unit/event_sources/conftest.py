"""A queue and a function that live in the test's memory, on its clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lambent.aws_client.client import AwsCaller
from lambent.aws_client.errors import AwsError
from lambent.aws_client.sqs import FailedEntry, Message, Sqs
from lambent.control_plane.event_source_mappings import EventSourceMapping, MappingState
from lambent.control_plane.event_sources import SourceKind
from lambent.event_sources.sqs_poller import SqsTools
from lambent.iam.principal import Credentials
from lambent.invoke.frontend import InvokeRequest, InvokeResponse
from lambent.model.arn import FunctionReference
from lambent.model.errors import ServiceError, TooManyRequestsException
from lambent.model.function import FunctionVersion
from lambent.model.ids import AccountId, Region
from lambent.testing.clock import ManualClock

ARN = "arn:aws:sqs:us-east-1:000000000000:orders"


@dataclass
class Stored:
    """A message in the queue."""

    id: str
    body: str
    group: str | None
    visible_at: float = 0.0
    receives: int = 0
    attributes: dict[str, str] = field(default_factory=dict)


class MemoryQueue(Sqs):
    """SQS with one queue: visibility, groups, long polls that wake; `error` is raised instead of receiving."""

    def __init__(self, clock: ManualClock, visibility_s: int = 30) -> None:
        self.clock = clock
        self.visibility_s = visibility_s
        self.messages: list[Stored] = []
        self.error: Exception | None = None
        self.undeletable = 0
        self.polls = 0
        self.given_back: list[str] = []
        self._changed = asyncio.Event()

    def put(self, *bodies: str, group: str | None = None, **attributes: str) -> None:
        for body in bodies:
            self.messages.append(Stored(f"m-{body[:20]}", body, group, attributes=attributes))
        self.wake()

    def wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def bodies(self) -> list[str]:
        return [message.body for message in self.messages]

    async def receive(self, caller: AwsCaller, queue_url: str, *, limit: int = 10, wait_s: int = 20) -> list[Message]:
        self.polls += 1
        assert 1 <= limit <= 10
        assert 0 <= wait_s <= 20
        until = self.clock.now() + wait_s
        while True:
            if self.error is not None:
                raise self.error
            found = self._visible(limit)
            if found or self.clock.now() >= until:
                return found
            changed = asyncio.ensure_future(self._changed.wait())
            timer = asyncio.ensure_future(self.clock.sleep(until - self.clock.now()))
            try:
                await asyncio.wait({changed, timer}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                changed.cancel()
                timer.cancel()

    def _visible(self, limit: int) -> list[Message]:
        now = self.clock.now()
        blocked = {one.group for one in self.messages if one.visible_at > now and one.group}
        found: list[Message] = []
        for message in self.messages:
            if len(found) == limit:
                break
            if message.visible_at > now or message.group in blocked:
                continue
            message.visible_at = now + self.visibility_s
            message.receives += 1
            attributes = {"ApproximateReceiveCount": str(message.receives), **message.attributes}
            if message.group:
                attributes["MessageGroupId"] = message.group
            found.append(
                {
                    "MessageId": message.id,
                    "ReceiptHandle": f"{message.id}/{message.receives}",
                    "Body": message.body,
                    "Attributes": attributes,
                }
            )
        return found

    async def delete(self, caller: AwsCaller, queue_url: str, receipt_handles: Mapping[str, str]) -> list[FailedEntry]:
        assert len(receipt_handles) <= 10
        if self.undeletable:
            self.undeletable -= 1
            return [FailedEntry(id_, "InternalError", "later") for id_ in receipt_handles]
        ids = {handle.split("/")[0] for handle in receipt_handles.values()}
        self.messages = [message for message in self.messages if message.id not in ids]
        self.wake()
        return []

    async def change_visibility(
        self, caller: AwsCaller, queue_url: str, receipt_handles: Mapping[str, str], timeout_s: int
    ) -> list[FailedEntry]:
        for handle in receipt_handles.values():
            id_ = handle.split("/")[0]
            self.given_back.append(id_)
            for message in self.messages:
                if message.id == id_:
                    message.visible_at = self.clock.now() + timeout_s
        self.wake()
        return []

    async def get_queue_attributes(self, caller: AwsCaller, queue_url: str, names: Sequence[str]) -> dict[str, str]:
        return {"VisibilityTimeout": str(self.visibility_s)}


class Function:
    """A frontend with one function, which answers as `answer` says, at once or after `takes_s` of the clock."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.batches: list[list[str]] = []
        self.requests: list[InvokeRequest] = []
        self.times: list[float] = []
        self.takes_s = 0.0
        self.running = 0
        self.most = 0
        self.throttles = 0
        self.fails: Callable[[list[str]], bool] = lambda bodies: False
        self.answer: Callable[[list[str]], object] = lambda bodies: None
        self.error: ServiceError | None = None

    async def invoke(self, request: InvokeRequest) -> InvokeResponse:
        bodies = [record["body"] for record in json.loads(request.payload)["Records"]]
        self.requests.append(request)
        self.times.append(self.clock.now())
        if self.throttles:
            self.throttles -= 1
            raise TooManyRequestsException("Rate Exceeded.")
        if self.error is not None:
            raise self.error
        self.batches.append(bodies)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self.takes_s:
                await self.clock.sleep(self.takes_s)
            error = "Unhandled" if self.fails(bodies) else None
            return InvokeResponse(json.dumps(self.answer(bodies)).encode(), error, "1", None)
        finally:
            self.running -= 1


class Directory:
    """Knows one version; `error` is raised instead."""

    def __init__(self) -> None:
        self.error: ServiceError | None = None

    async def resolve(self, reference: FunctionReference) -> FunctionVersion:
        if self.error is not None:
            raise self.error
        version = SimpleNamespace(role="arn:aws:iam::000000000000:role/r", function=reference.function, timeout_s=3)
        return cast("FunctionVersion", version)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def queue(clock: ManualClock) -> MemoryQueue:
    return MemoryQueue(clock)


@pytest.fixture
def function(clock: ManualClock) -> Function:
    return Function(clock)


@pytest.fixture
def directory() -> Directory:
    return Directory()


@pytest.fixture
def tools(clock: ManualClock, queue: MemoryQueue, function: Function, directory: Directory) -> SqsTools:
    caller = AwsCaller(Credentials("ASIA", "secret", "token"), Region("us-east-1"))
    return SqsTools(queue, function, directory, lambda role, name, region: caller, clock, "http://sqs", cancels=True)


def mapping_of(enabled: bool = True, state: MappingState = MappingState.ENABLED, **settings: Any) -> EventSourceMapping:
    given = {"EventSourceArn": ARN, "BatchSize": 10, "MaximumBatchingWindowInSeconds": 0, **settings}
    return EventSourceMapping(
        "11111111-2222-4333-8444-555555555555",
        AccountId("000000000000"),
        Region("us-east-1"),
        SourceKind.SQS,
        "arn:aws:lambda:us-east-1:000000000000:function:f",
        given,
        enabled,
        0.0,
        {},
        state,
    )


def broken(code: str = "AccessDenied", message: str = "no") -> AwsError:
    return AwsError(code, message, 403)
