"""Invocation records and dead letters, as AWS words them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from lambent.delivery.records import (
    DeadLetterError,
    EndedEvent,
    Response,
    dead_letter_error,
    event_bus_entry,
    invocation_record,
    object_key,
    service_of,
)
from lambent.model.arn import FunctionId, FunctionReference
from lambent.model.ids import AccountId, Region

FUNCTION = FunctionId(AccountId("123456789012"), Region("us-east-2"), "my-function")
ERROR = b'{"errorMessage": "no", "errorType": "ValueError"}'
SQS = "arn:aws:sqs:us-east-2:123456789012:q"
SNS = "arn:aws:sns:us-east-2:123456789012:t"
S3 = "arn:aws:s3:::bucket"
EVENT = EndedEvent(
    FunctionReference(FUNCTION, None),
    "e4b46cbf-b738-xmpl-8880-a18cdf61200e",
    b'{ "ORDER_IDS": ["9e07af03"], "big": 12345678901234567890123 }',
    "RetriesExhausted",
    3,
    1573755365.568,
    Response(200, "$LATEST", "Unhandled", ERROR),
)


def test_a_record_of_a_failure() -> None:
    assert invocation_record(EVENT, SQS) == (
        b'{"version":"1.0","timestamp":"2019-11-14T18:16:05.568Z","requestContext":{'
        b'"requestId":"e4b46cbf-b738-xmpl-8880-a18cdf61200e",'
        b'"functionArn":"arn:aws:lambda:us-east-2:123456789012:function:my-function:$LATEST",'
        b'"condition":"RetriesExhausted","approximateInvokeCount":3},'
        b'"requestPayload":{ "ORDER_IDS": ["9e07af03"], "big": 12345678901234567890123 },'
        b'"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},'
        b'"responsePayload":{"errorMessage": "no", "errorType": "ValueError"}}'
    )


def test_a_record_of_a_success_by_an_alias() -> None:
    event = replace(
        EVENT,
        reference=FunctionReference(FUNCTION, "live"),
        condition="Success",
        count=1,
        response=Response(200, "7", None, b""),
    )
    record = json.loads(invocation_record(event, SQS))
    assert record["requestContext"]["functionArn"].endswith(":function:my-function:live")
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "7"}
    assert record["responsePayload"] is None


def test_a_record_without_a_run() -> None:
    record = json.loads(invocation_record(replace(EVENT, count=0, response=None), SQS))
    assert not {"responseContext", "responsePayload"} & set(record)


@pytest.mark.parametrize(("target", "size", "whole"), [
    (SNS, 260_000, True), (SNS, 263_000, False), (SQS, 1_000_000, True), (SQS, 1_049_000, False),
    ("arn:aws:events:us-east-2:123456789012:event-bus/b", 263_000, False),
    ("arn:aws:lambda:us-east-2:123456789012:function:other", 1_049_000, False), (S3, 7_000_000, True),
])  # fmt: skip
def test_payloads_that_a_target_does_not_take_are_left_out(target: str, size: int, whole: bool) -> None:
    event = replace(EVENT, payload=b'"' + b"x" * (size - 600) + b'"')
    record: dict[str, Any] = json.loads(invocation_record(event, target))
    assert ("requestPayload" in record) is ("responsePayload" in record) is whole
    assert record["responseContext"]["functionError"] == "Unhandled"


@pytest.mark.parametrize(("event", "error"), [
    (EVENT, DeadLetterError(200, "no")),
    (replace(EVENT, response=Response(200, "1", "Unhandled", b'"text"')), DeadLetterError(200, '"text"')),
    (replace(EVENT, response=Response(200, "1", "Unhandled", b"\xff\x00")), DeadLetterError(200, "\ufffd")),
    (replace(EVENT, response=Response(200, "1", "Unhandled", b"")), DeadLetterError(200, "Unknown error")),
    (replace(EVENT, response=None, condition="ZeroReservedConcurrency"), DeadLetterError(429, "Rate Exceeded.")),
    (
        replace(EVENT, response=None, condition="EventAgeExceeded"),
        DeadLetterError(429, "The event was not run within its maximum age."),
    ),
])  # fmt: skip
def test_dead_letter_errors(event: EndedEvent, error: DeadLetterError) -> None:
    assert dead_letter_error(event) == error


def test_dead_letter_messages_are_cut_to_a_kilobyte() -> None:
    long = json.dumps({"errorMessage": "é" * 2_000}).encode()
    error = dead_letter_error(replace(EVENT, response=Response(200, "1", "Unhandled", long)))
    assert error.message == "é" * 512


def test_entries_and_keys() -> None:
    bus = "arn:aws:events:us-east-2:123456789012:event-bus/b"
    assert event_bus_entry(b"{}", EVENT.arn, bus, succeeded=False) == {
        "Source": "lambda",
        "DetailType": "Lambda Function Invocation Result - Failure",
        "Resources": [bus, EVENT.arn],
        "Detail": "{}",
        "EventBusName": bus,
    }
    key = "aws/lambda/async/my-function/2019/11/14/2019-11-14T18.16.05-unique"
    assert object_key("my-function", EVENT.at, "unique") == key
    assert [service_of(arn) for arn in (SQS, SNS, S3, "x")] == ["sqs", "sns", "s3", ""]
