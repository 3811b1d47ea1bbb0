"""What SQS keeps of a message beside its body, and how a received one is shown. Pure."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from lambent.aws.context import Params
from lambent.queues.api import Message
from lambent.services.sqs.message_rules import md5_of_attributes
from lambent.services.sqs.names import queue_of_key

_FIRST_SEQUENCE_NUMBER: Final = 10_000_000_000_000_000_000  # so that they all have 20 digits, and compare as text


def sequence_number(sequence: int) -> str:
    """A message's SequenceNumber."""
    return str(_FIRST_SEQUENCE_NUMBER + sequence)


@dataclass(frozen=True, slots=True)
class Details:
    """Stored with a message, as its attributes in the engine."""

    sender_id: str
    body_md5: str
    attributes: Mapping[str, Params]
    trace_header: str | None
    group: str | None
    deduplication: str | None

    def to_bytes(self) -> bytes:
        document: dict[str, Any] = {"s": self.sender_id, "m": self.body_md5}
        if self.attributes:
            document["a"] = {name: _packed(value) for name, value in self.attributes.items()}
        for key, value in (("t", self.trace_header), ("g", self.group), ("d", self.deduplication)):
            if value is not None:
                document[key] = value
        return orjson.dumps(document)

    @staticmethod
    def from_bytes(content: bytes) -> Details:
        document = orjson.loads(content)
        attributes = {name: _unpacked(value) for name, value in document.get("a", {}).items()}
        return Details(
            document["s"], document["m"], attributes, document.get("t"), document.get("g"), document.get("d")
        )


def _packed(value: Params) -> list[Any]:
    binary = value.get("BinaryValue")
    if binary is not None:
        return [value["DataType"], base64.b64encode(binary).decode(), 1]
    return [value["DataType"], value["StringValue"]]


def _unpacked(packed: Sequence[Any]) -> Params:
    if len(packed) == 3:
        return {"DataType": packed[0], "BinaryValue": base64.b64decode(packed[1])}
    return {"DataType": packed[0], "StringValue": packed[1]}


Shown = Callable[[str], bool]


def shown_attributes(names: Sequence[str]) -> Shown:
    """Which message attributes a receiver asked for: names, `All` or `.*`, prefixes as `foo.*`."""
    if "All" in names or ".*" in names:
        return lambda _: True
    exact = frozenset(names)
    prefixes = tuple(name.removesuffix(".*") for name in names if name.endswith(".*"))
    return lambda name: name in exact or name.startswith(prefixes)


def shown_message(message: Message, handle: str, system_names: Sequence[str], shown: Shown) -> Params:
    """A Message of ReceiveMessage."""
    details = Details.from_bytes(message.attributes)
    answer: Params = {
        "MessageId": message.id,
        "ReceiptHandle": handle,
        "MD5OfBody": details.body_md5,
        "Body": message.body.decode(),
    }
    system = _system_attributes(message, details, system_names)
    if system:
        answer["Attributes"] = system
    attributes = {name: value for name, value in details.attributes.items() if shown(name)}
    if attributes:
        answer["MessageAttributes"] = attributes
        answer["MD5OfMessageAttributes"] = md5_of_attributes(attributes)
    return answer


def _system_attributes(message: Message, details: Details, names: Sequence[str]) -> dict[str, str]:
    if not names:
        return {}
    everything: dict[str, str | None] = {
        "SenderId": details.sender_id,
        "SentTimestamp": str(message.sent_ms),
        "ApproximateReceiveCount": str(message.receives),
        "ApproximateFirstReceiveTimestamp": str(message.first_received_ms),
        "SequenceNumber": sequence_number(message.sequence) if message.group is not None else None,
        "MessageDeduplicationId": details.deduplication,
        "MessageGroupId": details.group,
        "AWSTraceHeader": details.trace_header,
        "DeadLetterQueueSourceArn": queue_of_key(message.moved_from).arn if message.moved_from else None,
    }
    wanted = everything if "All" in names else frozenset(names)
    return {name: value for name, value in everything.items() if value is not None and name in wanted}
