"""Asynchronous invocation through the API: what is answered, refused, and sent on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:results"


def sent(server: Any, request_id: str) -> Any:
    """What was sent about an event, once it was."""
    for _ in range(500):
        found = [delivery for delivery in list(server.sent) if delivery.request_id == request_id]
        if found:
            return found[0]
        time.sleep(0.01)
    raise AssertionError("nothing was sent")


@pytest.fixture(scope="module")
def asynchronous(client: Any, make_zip: Callable[..., bytes]) -> Any:
    """A client; `events` sends its results to a queue."""
    client.create_function(
        FunctionName="events",
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/r",
        Handler="index.handler",
        Code={"ZipFile": make_zip()},
    )
    destinations = {"OnSuccess": {"Destination": QUEUE}, "OnFailure": {"Destination": QUEUE}}
    client.put_function_event_invoke_config(
        FunctionName="events", MaximumRetryAttempts=0, DestinationConfig=destinations
    )
    return client


def test_event(server: Any, asynchronous: Any) -> None:
    answer = asynchronous.invoke(FunctionName="events", InvocationType="Event", Payload=b'{"a": 1}')
    assert answer["StatusCode"] == 202
    assert answer["Payload"].read() == b""
    assert not {"ExecutedVersion", "FunctionError", "LogResult"} & set(answer)
    request_id = answer["ResponseMetadata"]["RequestId"]
    record = json.loads(sent(server, request_id).body)
    assert record["requestContext"]["condition"] == "Success"
    assert record["requestPayload"] == {"a": 1}
    assert record["responsePayload"]["request_id"] == request_id
    assert record["responsePayload"]["arn"] == f"{ARN}events"


def test_without_a_payload(server: Any, asynchronous: Any) -> None:
    answer = asynchronous.invoke(FunctionName="events", InvocationType="Event")
    assert json.loads(sent(server, answer["ResponseMetadata"]["RequestId"]).body)["requestPayload"] == {}


def test_a_failure(server: Any, asynchronous: Any) -> None:
    answer = asynchronous.invoke(FunctionName="events", InvocationType="Event", Payload=b'{"fail": 1}')
    record = json.loads(sent(server, answer["ResponseMetadata"]["RequestId"]).body)
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["responseContext"]["functionError"] == "Unhandled"


def test_invoke_async(server: Any, asynchronous: Any) -> None:
    answer = asynchronous.invoke_async(FunctionName="events", InvokeArgs=b"[1]")
    assert answer["Status"] == 202
    assert json.loads(sent(server, answer["ResponseMetadata"]["RequestId"]).body)["requestPayload"] == [1]


@pytest.mark.parametrize("call", ["invoke", "invoke_async"])
@pytest.mark.parametrize(
    ("name", "payload", "status", "code", "message"),
    [
        ("nothing", b"{}", 404, "ResourceNotFoundException", f"Function not found: {ARN}nothing:$LATEST"),
        ("events:7", b"{}", 404, "ResourceNotFoundException", f"Function not found: {ARN}events:7"),
        ("events", b"{no", 400, "InvalidRequestContentException", "Could not parse request body into json"),
        (
            "events",
            b'"' + b"x" * 1_048_576 + b'"',
            413,
            "RequestEntityTooLargeException",
            "1048578 byte payload is too large for the Event invocation type (limit 1048576 bytes)",
        ),
    ],
)
def test_refusals(
    asynchronous: Any, call: str, name: str, payload: bytes, status: int, code: str, message: str
) -> None:
    given = {"InvokeArgs": payload} if call == "invoke_async" else {"InvocationType": "Event", "Payload": payload}
    with pytest.raises(ClientError) as refused:
        getattr(asynchronous, call)(FunctionName=name, **given)
    error = refused.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == status
    assert error["Error"]["Code"] == code
    assert error["Error"]["Message"].startswith(message)


def test_the_largest_event(server: Any, asynchronous: Any) -> None:
    payload = b'"' + b"x" * 1_048_574 + b'"'
    answer = asynchronous.invoke(FunctionName="events", InvocationType="Event", Payload=payload)
    delivery = sent(server, answer["ResponseMetadata"]["RequestId"])
    assert "requestPayload" not in json.loads(delivery.body)  # with it the record would be larger than a message may be


def test_another_accounts_function(server: Any, asynchronous: Any) -> None:
    other = server.client(account="111122223333")
    calls: list[Callable[[], object]] = [
        lambda: other.invoke(FunctionName=f"{ARN}events", InvocationType="Event"),
        lambda: other.invoke_async(FunctionName=f"{ARN}events", InvokeArgs=b"{}"),
    ]
    for call in calls:
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
