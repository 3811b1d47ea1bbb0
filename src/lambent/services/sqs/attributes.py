"""The attributes of queues: which there are, their defaults, what values they take. Pure.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lambent.model.limits import MIB
from lambent.services.sqs.errors import invalid_attribute, unknown_attribute

MESSAGE_MAX_BYTES: Final = MIB
VISIBILITY_MAX_S: Final = 43_200
DELAY_MAX_S: Final = 900
WAIT_MAX_S: Final = 20

_NUMBERS: Final[Mapping[str, tuple[int, int, int]]] = {  # least, most, default
    "VisibilityTimeout": (0, VISIBILITY_MAX_S, 30),
    "MaximumMessageSize": (1024, MESSAGE_MAX_BYTES, MESSAGE_MAX_BYTES),
    "MessageRetentionPeriod": (60, 1_209_600, 345_600),
    "DelaySeconds": (0, DELAY_MAX_S, 0),
    "ReceiveMessageWaitTimeSeconds": (0, WAIT_MAX_S, 0),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400, 300),
}
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "ContentBasedDeduplication": ("true", "false"),
    "DeduplicationScope": ("queue", "messageGroup"),
    "FifoThroughputLimit": ("perQueue", "perMessageGroupId"),
    "SqsManagedSseEnabled": ("true", "false"),
}
_FIFO_ONLY: Final = frozenset({"FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"})
_TEXTS: Final = frozenset({"Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId"})
"""Empty means none."""

_DEFAULTS: Final[Mapping[str, str]] = {
    name: str(default) for name, (_, _, default) in _NUMBERS.items() if name != "KmsDataKeyReusePeriodSeconds"
} | {"SqsManagedSseEnabled": "true"}
_FIFO_DEFAULTS: Final[Mapping[str, str]] = {
    "FifoQueue": "true",
    "ContentBasedDeduplication": "false",
    "DeduplicationScope": "queue",
    "FifoThroughputLimit": "perQueue",
}
COMPUTED: Final = (
    "QueueArn",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
)
ALL: Final = frozenset({*_NUMBERS, *_WORDS, *_FIFO_ONLY, *_TEXTS, *COMPUTED})


def check_attributes(given: Mapping[str, str], is_fifo: bool) -> dict[str, str]:
    """The attributes as stored. Raises InvalidAttributeName, InvalidAttributeValue."""
    checked: dict[str, str] = {}
    for name, value in given.items():
        if name not in ALL or name in COMPUTED or (name in _FIFO_ONLY and not is_fifo):
            raise unknown_attribute(name)
        checked[name] = _checked(name, value)
    return checked


def _checked(name: str, value: str) -> str:
    if name in _NUMBERS:
        least, most, _ = _NUMBERS[name]
        if not (value.isascii() and value.isdecimal() and len(value) < 10 and least <= int(value) <= most):
            raise invalid_attribute(name)
        return str(int(value))
    if name in _WORDS:
        word = value.lower() if _WORDS[name][0] == "true" else value
        if word not in _WORDS[name]:
            raise invalid_attribute(name)
        return word
    if name == "FifoQueue" and value.lower() != "true":
        raise invalid_attribute(name)
    return value.lower() if name == "FifoQueue" else value


def check_together(attributes: Mapping[str, str]) -> None:
    """Raise InvalidAttributeValue for values that do not go with each other."""
    per_group = attributes.get("FifoThroughputLimit") == "perMessageGroupId"
    if per_group and attributes.get("DeduplicationScope") != "messageGroup":
        raise invalid_attribute(
            "FifoThroughputLimit",
            "FifoThroughputLimit can be set to perMessageGroupId only when DeduplicationScope is messageGroup.",
        )
    if attributes.get("KmsMasterKeyId") and attributes.get("SqsManagedSseEnabled") == "true":
        raise invalid_attribute(
            "SqsManagedSseEnabled", "You can use one type of server-side encryption (SSE) at one time."
        )


def with_defaults(attributes: Mapping[str, str], is_fifo: bool) -> dict[str, str]:
    """What a queue answers for its attributes, without those that are none."""
    merged = {**_DEFAULTS, **(_FIFO_DEFAULTS if is_fifo else {}), **attributes}
    if merged.get("KmsMasterKeyId"):
        merged.setdefault("KmsDataKeyReusePeriodSeconds", "300")
        if "SqsManagedSseEnabled" not in attributes:
            merged["SqsManagedSseEnabled"] = "false"
    return {name: value for name, value in merged.items() if value or name not in _TEXTS}
