"""SQS messages as functions get them. Pure. https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambent.event_sources.batches import Record


def sqs_record(message: Mapping[str, Any], queue_arn: str) -> Record:
    """A message in the shape of ReceiveMessage's answer → the record."""
    record: Record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message.get("Body", ""),
        "attributes": dict(message.get("Attributes") or {}),
        "messageAttributes": {
            name: _attribute(value) for name, value in (message.get("MessageAttributes") or {}).items()
        },
    }
    if message.get("MD5OfMessageAttributes"):
        record["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
    return record | {
        "md5OfBody": message.get("MD5OfBody", ""),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    attribute: dict[str, Any] = {}
    for name, shown in (("StringValue", "stringValue"), ("BinaryValue", "binaryValue")):
        if value.get(name) is not None:
            attribute[shown] = value[name]
    return attribute | {"stringListValues": [], "binaryListValues": [], "dataType": value.get("DataType", "")}


def queue_path(queue_arn: str) -> str:
    """`/account/name`: how the URL of a queue ends."""
    _, _, _, _, account, name = queue_arn.split(":", 5)
    return f"/{account}/{name}"
