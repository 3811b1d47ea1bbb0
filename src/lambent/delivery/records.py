"""What is sent about an event that ended: the invocation record of a destination, the message of a dead-letter queue.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html. Pure. Payloads are put into records
as they came, byte for byte.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import orjson

from lambent.model.arn import LATEST, FunctionReference
from lambent.model.limits import ASYNC_EVENT_MAX_BYTES

ERROR_MESSAGE_MAX_BYTES: Final = 1_024
SNS_MESSAGE_MAX_BYTES: Final = 256 * 1024
EVENT_MAX_BYTES: Final = 256 * 1024  # of EventBridge
SQS_MESSAGE_MAX_BYTES: Final = 1024 * 1024

_RECORD_MAX: Final = {
    "sns": SNS_MESSAGE_MAX_BYTES,
    "events": EVENT_MAX_BYTES - 2_048,  # the rest of the entry counts as well
    "sqs": SQS_MESSAGE_MAX_BYTES,
    "lambda": ASYNC_EVENT_MAX_BYTES,
}


@dataclass(frozen=True, slots=True)
class Response:
    """How the last run ended. `executed_version` is None for one that was refused before there was one."""

    status_code: int
    executed_version: str | None
    function_error: str | None
    payload: bytes


@dataclass(frozen=True, slots=True)
class EndedEvent:
    """An event of which nothing more is tried. `condition` is AWS's word; `at` epoch seconds."""

    reference: FunctionReference
    request_id: str
    payload: bytes
    condition: str
    count: int
    at: float
    response: Response | None = None

    @property
    def arn(self) -> str:
        """The function's ARN, qualified."""
        return self.reference.function.qualified_arn(self.reference.qualifier or LATEST)


def invocation_record(event: EndedEvent, target: str) -> bytes:
    """The record for a destination. Where it would be larger than `target` (an ARN) takes, without the payloads."""
    record = _record(event, with_payloads=True)
    if len(record) > _RECORD_MAX.get(service_of(target), len(record)):
        return _record(event, with_payloads=False)
    return record


def _record(event: EndedEvent, *, with_payloads: bool) -> bytes:
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": _timestamp(event.at),
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": event.arn,
            "condition": event.condition,
            "approximateInvokeCount": event.count,
        },
    }
    if with_payloads:
        record["requestPayload"] = orjson.Fragment(event.payload)
    response = event.response
    if response is not None:
        context: dict[str, Any] = {"statusCode": response.status_code}
        if response.executed_version is not None:
            context["executedVersion"] = response.executed_version
        if response.function_error is not None:
            context["functionError"] = response.function_error
        record["responseContext"] = context
        if with_payloads:
            record["responsePayload"] = orjson.Fragment(response.payload or b"null")
    return orjson.dumps(record)


@dataclass(frozen=True, slots=True)
class DeadLetterError:
    """The attributes ErrorCode and ErrorMessage of a dead-letter message."""

    code: int
    message: str


def dead_letter_error(event: EndedEvent) -> DeadLetterError:
    """Why an event ended, for its dead-letter message."""
    response = event.response
    if response is None:
        if event.condition == "EventAgeExceeded":
            return DeadLetterError(429, "The event was not run within its maximum age.")
        return DeadLetterError(429, "Rate Exceeded.")
    return DeadLetterError(response.status_code, _cut(_error_message(response.payload)) or "Unknown error")


def _error_message(payload: bytes) -> str:
    try:
        error = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return payload.decode("utf-8", "replace")
    if isinstance(error, dict) and isinstance(error.get("errorMessage"), str):
        return str(error["errorMessage"])
    return payload.decode("utf-8", "replace")


def _cut(text: str) -> str:
    """The first kilobyte, of characters that an attribute may have."""
    allowed = "".join(c for c in text if c in "\t\n\r" or (c >= "\x20" and not "\ud800" <= c <= "\udfff"))
    allowed = allowed.replace("\ufffe", "").replace("\uffff", "")
    return allowed.encode()[:ERROR_MESSAGE_MAX_BYTES].decode("utf-8", "ignore")


def event_bus_entry(record: bytes, source_arn: str, bus_arn: str, *, succeeded: bool) -> dict[str, object]:
    """The entry of a PutEvents for an EventBridge destination."""
    return {
        "Source": "lambda",
        "DetailType": f"Lambda Function Invocation Result - {'Success' if succeeded else 'Failure'}",
        "Resources": [bus_arn, source_arn],
        "Detail": record.decode(),
        "EventBusName": bus_arn,
    }


def object_key(function_name: str, at: float, unique: str) -> str:
    """The key of a record in an S3 destination."""
    moment = dt.datetime.fromtimestamp(at, dt.UTC)
    return f"aws/lambda/async/{function_name}/{moment:%Y/%m/%d}/{moment:%Y-%m-%dT%H.%M.%S}-{unique}"


def service_of(arn: str) -> str:
    """The service in an ARN: sqs, sns, lambda, events, s3."""
    parts = arn.split(":", 3)
    return parts[2] if len(parts) > 3 else ""


def _timestamp(at: float) -> str:
    moment = dt.datetime.fromtimestamp(at, dt.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
