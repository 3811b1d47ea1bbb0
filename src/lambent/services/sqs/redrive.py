"""Which queue is another's dead-letter queue, and which may be. Pure.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from lambent.model.errors import ServiceError
from lambent.services.sqs.errors import invalid_value
from lambent.services.sqs.names import QueueId, queue_of_arn

RECEIVES_MAX: Final = 1000
SOURCES_MAX: Final = 10
_KEYS: Final = ("deadLetterTargetArn", "maxReceiveCount")


@dataclass(frozen=True, slots=True)
class RedrivePolicy:
    """Messages received `max_receives` times go to `target`."""

    target: QueueId
    max_receives: int


def parse_redrive_policy(text: str, source: QueueId) -> RedrivePolicy:
    """Raises InvalidParameterValue."""

    def invalid(reason: str) -> ServiceError:
        return invalid_value("RedrivePolicy", text, reason)

    document = _object(text)
    if document is None:
        raise invalid("Redrive policy is not a valid JSON map.")
    for key in _KEYS:
        if key not in document:
            raise invalid(f"Redrive policy does not contain mandatory attribute: {key}.")
    if unknown := document.keys() - set(_KEYS):
        raise invalid(f"Only following attributes are supported: [{', '.join(_KEYS)}]; not {sorted(unknown)[0]}.")
    target = queue_of_arn(document["deadLetterTargetArn"]) if isinstance(document["deadLetterTargetArn"], str) else None
    if target is None:
        raise invalid("Invalid value for deadLetterTargetArn.")
    count = document["maxReceiveCount"]
    max_receives = int(count) if isinstance(count, int | str) and str(count).isdecimal() and len(str(count)) < 6 else 0
    if not 1 <= max_receives <= RECEIVES_MAX:
        raise invalid(f"Invalid value for maxReceiveCount: {count}, valid values are from 1 to 1000 both inclusive.")
    if (target.account, target.region) != (source.account, source.region):
        raise invalid("Dead-letter target owner should be same as the source.")
    if target.is_fifo != source.is_fifo:
        kind = "FIFO" if source.is_fifo else "standard"
        raise invalid(f"Dead-letter queue must be same type of queue as the source: {kind}.")
    return RedrivePolicy(target, max_receives)


def check_redrive_allow_policy(text: str) -> None:
    """Raises InvalidParameterValue."""

    def invalid(reason: str) -> ServiceError:
        return invalid_value("RedriveAllowPolicy", text, reason)

    document = _object(text)
    if document is None:
        raise invalid("Amazon SQS can't create the redrive allow policy, as it’s in an unsupported format.")
    permission, sources = document.get("redrivePermission"), document.get("sourceQueueArns")
    if permission not in ("allowAll", "denyAll", "byQueue"):
        raise invalid("Amazon SQS can't create the redrive allow policy, as it’s in an unsupported format.")
    if permission != "byQueue":
        if sources is not None:
            raise invalid("sourceQueueArns can only be set if redrivePermission is byQueue.")
        return
    if not isinstance(sources, list) or not 1 <= len(sources) <= SOURCES_MAX:
        raise invalid(f"sourceQueueArns must have from 1 to {SOURCES_MAX} values.")
    if not all(isinstance(arn, str) and queue_of_arn(arn) for arn in sources):
        raise invalid("sourceQueueArns has a value that is not the ARN of a queue.")


def may_redrive_to(allow_policy: str | None, source: QueueId) -> bool:
    """Whether a queue with that (stored) RedriveAllowPolicy takes dead letters of `source`."""
    document = _object(allow_policy or "{}") or {}
    permission = document.get("redrivePermission", "allowAll")
    return permission == "allowAll" or (permission == "byQueue" and source.arn in document["sourceQueueArns"])


def _object(text: str) -> dict[str, Any] | None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
