"""The same generated calls to Lambent, MiniStack and moto: what differs is explained by AWS's documentation.

Bodies are unique, so that messages can be told apart without ids. Orders are compared within message groups; of
standard queues no order is promised.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

Seen = Any
Step = tuple[str, dict[str, Any]]

SEEDS = range(8)
STEPS = 30


class World:
    """One endpoint, and what a client remembers of it."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        make: Any = boto3.client
        self.client = make(
            "sqs",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="000000000000" if name == "lambent" else "test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=30),
        )
        self.urls: dict[str, str] = {}
        self.handles: dict[str, str] = {}

    def do(self, step: Step) -> Seen:
        """What a client sees of a step, without what differs by chance; an error is its code."""
        name, arguments = step
        try:
            return getattr(self, name)(**arguments)
        except ClientError as error:
            return error.response["Error"]["Code"]

    def create(self, queue: str, attributes: dict[str, str]) -> Seen:
        self.urls[queue] = self.client.create_queue(QueueName=queue, Attributes=attributes)["QueueUrl"]
        return "created"

    def send(self, queue: str, **message: Any) -> Seen:
        answer = self.client.send_message(QueueUrl=self.urls[queue], **message)
        return answer["MD5OfMessageBody"], answer.get("MD5OfMessageAttributes"), "SequenceNumber" in answer

    def send_batch(self, queue: str, entries: list[dict[str, Any]]) -> Seen:
        answer = self.client.send_message_batch(QueueUrl=self.urls[queue], Entries=entries)
        failed = sorted((one["Id"], one["SenderFault"]) for one in answer.get("Failed", []))
        return sorted(one["Id"] for one in answer.get("Successful", [])), failed

    def receive(self, queue: str, **more: Any) -> Seen:
        answer = self.client.receive_message(
            QueueUrl=self.urls[queue],
            MaxNumberOfMessages=10,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
            **more,
        )
        groups: dict[str, list[Any]] = {}
        for message in answer.get("Messages", []):
            system = message["Attributes"]
            self.handles[message["Body"]] = message["ReceiptHandle"]
            seen = (
                message["Body"],
                message["MD5OfBody"],
                system["ApproximateReceiveCount"],
                system.get("MessageDeduplicationId"),
                sorted(message.get("MessageAttributes", {}).items()),
            )
            groups.setdefault(system.get("MessageGroupId", ""), []).append(seen)
        return {group: seen if queue.endswith(".fifo") else sorted(seen) for group, seen in groups.items()}

    def delete(self, queue: str, body: str) -> Seen:
        self.client.delete_message(QueueUrl=self.urls[queue], ReceiptHandle=self.handles[body])
        return "deleted"

    def delete_batch(self, queue: str, bodies: list[str]) -> Seen:
        entries = [{"Id": str(at), "ReceiptHandle": self.handles[body]} for at, body in enumerate(bodies)]
        answer = self.client.delete_message_batch(QueueUrl=self.urls[queue], Entries=entries)
        return sorted(one["Id"] for one in answer.get("Successful", []))

    def make_visible(self, queue: str, body: str) -> Seen:
        self.client.change_message_visibility(
            QueueUrl=self.urls[queue], ReceiptHandle=self.handles[body], VisibilityTimeout=0
        )
        return "visible"

    def count(self, queue: str) -> Seen:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        return self.client.get_queue_attributes(QueueUrl=self.urls[queue], AttributeNames=names)["Attributes"]

    def raw(self, operation: str, queue: str | None = None, **arguments: Any) -> Seen:
        named = {"QueueUrl": self.urls[queue]} if queue is not None else {}
        getattr(self.client, operation)(**named, **arguments)
        return "done"


class Sequence:
    """Steps that make sense in every world that behaves: what is visible and in flight is followed here."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._numbers = itertools.count()
        self._queue, self._other = f"plain-{seed}", f"fifo-{seed}.fifo"
        self._visible: dict[str, dict[str, str]] = {self._queue: {}, self._other: {}}  # queue → body → group
        self._flying: dict[str, dict[str, str]] = {self._queue: {}, self._other: {}}

    def steps(self, count: int) -> Iterator[Step]:
        for queue in (self._queue, self._other):
            fifo = {"FifoQueue": "true"} if queue.endswith(".fifo") else {}
            yield "create", {"queue": queue, "attributes": {"VisibilityTimeout": "600", **fifo}}
        makers = (self._send, self._send, self._batch, self._receive, self._receive, self._delete, self._show)
        for _ in range(count):
            self._queue, self._other = self._dice.choice(((self._queue, self._other), (self._other, self._queue)))
            yield self._dice.choice(makers)() or ("count", {"queue": self._queue})

    def _message(self) -> dict[str, Any]:
        body, group = f"body {next(self._numbers)}", self._dice.choice("ab")
        self._visible[self._queue][body] = group
        if self._queue.endswith(".fifo"):
            return {"MessageBody": body, "MessageGroupId": group, "MessageDeduplicationId": body.replace(" ", "-")}
        return {"MessageBody": body}

    def _has_room(self) -> bool:
        """A receive of ten shall get all there is."""
        return len(self._visible[self._queue]) + len(self._flying[self._queue]) < 8

    def _send(self) -> Step | None:
        if not self._has_room():
            return None
        message = self._message()
        if self._dice.random() < 0.4:
            value = str(self._dice.randrange(99))
            message["MessageAttributes"] = {"n": {"DataType": "Number", "StringValue": value}}
        return "send", {"queue": self._queue, **message}

    def _batch(self) -> Step | None:
        if not self._has_room():
            return None
        return "send_batch", {"queue": self._queue, "entries": [{"Id": str(at), **self._message()} for at in range(2)]}

    def _receive(self) -> Step:
        visible, flying = self._visible[self._queue], self._flying[self._queue]
        locked = set(flying.values()) if self._queue.endswith(".fifo") else set()
        for body in [body for body, group in visible.items() if group not in locked]:
            flying[body] = visible.pop(body)
        return "receive", {"queue": self._queue}

    def _delete(self) -> Step | None:
        flying = self._flying[self._queue]
        if not flying:
            return None
        gone = self._dice.sample(sorted(flying), self._dice.randint(1, len(flying)))
        for body in gone:
            del flying[body]
        if len(gone) == 1:
            return "delete", {"queue": self._queue, "body": gone[0]}
        return "delete_batch", {"queue": self._queue, "bodies": gone}

    def _show(self) -> Step | None:
        flying = self._flying[self._queue]
        if not flying or self._queue.endswith(".fifo"):
            return None
        body = self._dice.choice(sorted(flying))
        self._visible[self._queue][body] = flying.pop(body)
        return "make_visible", {"queue": self._queue, "body": body}


@pytest.fixture(scope="module")
def worlds(ours: str, moto: str, ministack: str) -> Iterator[list[World]]:
    made = [World("lambent", ours), World("moto", moto), World("ministack", ministack)]
    yield made
    for world in made:
        world.client.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_is_seen(worlds: list[World], seed: int) -> None:
    for number, step in enumerate(Sequence(seed).steps(STEPS)):
        seen = {world.name: world.do(step) for world in worlds}
        assert len({repr(one) for one in seen.values()}) == 1, (number, step, seen)


DOCS = "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference"
BAD_VALUE = "InvalidParameterValue"
BATCH = "AWS.SimpleQueueService."

# Operation, arguments, the error; who does otherwise, and where AWS says what is right.
Refusal = tuple[str, dict[str, Any], str, set[str], str]
REFUSALS: list[Refusal] = [
    (
        "send_message",
        {"MessageBody": "x", "DelaySeconds": 901},
        BAD_VALUE,
        {"ministack"},
        f"{DOCS}/API_SendMessage.html",
    ),
    ("send_message", {"MessageBody": "x" * (1024 * 1024 + 1)}, BAD_VALUE, set(), ""),
    ("receive_message", {"MaxNumberOfMessages": 11}, BAD_VALUE, set(), ""),
    ("delete_message", {"ReceiptHandle": "nonsense"}, "ReceiptHandleIsInvalid", set(), ""),
    (
        "set_queue_attributes",
        {"Attributes": {"VisibilityTimeout": "43201"}},
        "InvalidAttributeValue",
        {"moto"},
        f"{DOCS}/API_SetQueueAttributes.html",
    ),
    ("send_message_batch", {"Entries": []}, f"{BATCH}EmptyBatchRequest", set(), ""),
    (
        "send_message_batch",
        {"Entries": [{"Id": "same", "MessageBody": "x"}] * 2},
        f"{BATCH}BatchEntryIdsNotDistinct",
        set(),
        "",
    ),
    (
        "send_message_batch",
        {"Entries": [{"Id": str(at), "MessageBody": "x"} for at in range(11)]},
        f"{BATCH}TooManyEntriesInBatchRequest",
        set(),
        "",
    ),
    ("remove_permission", {"Label": "unknown"}, BAD_VALUE, {"ministack"}, f"{DOCS}/API_RemovePermission.html"),
]


@pytest.mark.parametrize(("operation", "arguments", "error", "otherwise", "documented"), REFUSALS)
def test_the_same_is_refused(
    worlds: list[World], operation: str, arguments: dict[str, Any], error: str, otherwise: set[str], documented: str
) -> None:
    seen: dict[str, Seen] = {}
    for world in worlds:
        world.do(("create", {"queue": "refusals", "attributes": {}}))
        seen[world.name] = world.do(("raw", {"operation": operation, "queue": "refusals", **arguments}))
    assert seen["lambent"] == error
    assert {name for name, one in seen.items() if one != error} == otherwise, documented
