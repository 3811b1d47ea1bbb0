"""SQS event source mappings at work: states, checks, and messages of another SQS server handled and deleted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

QUICKLY_S = 20.0


@pytest.fixture(scope="module")
def sqs_server() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(scope="module")
def sqs(sqs_server: str) -> Iterator[Any]:
    client = boto3.client(
        "sqs", endpoint_url=sqs_server, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    yield client
    client.close()


@pytest.fixture(scope="module")
def elsewhere(start_lambda: Any, sqs_server: str) -> Any:
    return start_lambda(sqs_url=sqs_server)


@pytest.fixture(scope="module")
def mine(elsewhere: Any, make_zip: Callable[..., bytes]) -> Any:
    client = elsewhere.client()
    client.create_function(
        FunctionName="f",
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/r",
        Handler="index.handler",
        Code={"ZipFile": make_zip()},
        Timeout=25,
        Publish=True,
    )
    return client


def make_queue(sqs: Any, name: str, **attributes: str) -> tuple[str, str]:
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + QUICKLY_S
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return found


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call()
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


def test_life_and_work(mine: Any, elsewhere: Any, sqs: Any) -> None:
    url, arn = make_queue(sqs, "life")
    arn = arn.replace("123456789012", "000000000000")
    answer = mine.create_event_source_mapping(FunctionName="f:1", EventSourceArn=arn)
    mapping = answer["UUID"]
    assert (answer["State"], answer["StateTransitionReason"]) == ("Creating", "USER_INITIATED")

    def state() -> str:
        found: str = mine.get_event_source_mapping(UUID=mapping)["State"]
        return found

    until(lambda: state() == "Enabled")
    sqs.send_message(
        QueueUrl=url,
        MessageBody="hello",
        MessageAttributes={"kind": {"DataType": "String", "StringValue": "greeting"}},
        MessageSystemAttributes={
            "AWSTraceHeader": {
                "DataType": "String",
                "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            }
        },
    )
    invocation = until(lambda: elsewhere.worker.seen and elsewhere.worker.seen[-1])
    (record,) = json.loads(invocation.payload)["Records"]
    assert record["body"] == "hello"
    assert record["messageAttributes"]["kind"]["stringValue"] == "greeting"
    assert record["eventSourceARN"] == arn
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert invocation.invoked_function_arn.endswith(":function:f:1")
    assert invocation.trace_header.startswith("Root=1-5759e988-bd862e3fe1be46a994272793;")

    def count() -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        return sum(int(one) for one in sqs.get_queue_attributes(
            QueueUrl=url, AttributeNames=names)["Attributes"].values())  # fmt: skip

    until(lambda: count() == 0)
    changed = mine.update_event_source_mapping(UUID=mapping, Enabled=False)
    assert changed["State"] == "Disabling"
    until(lambda: state() == "Disabled")
    sqs.send_message(QueueUrl=url, MessageBody="later")
    assert mine.update_event_source_mapping(UUID=mapping, Enabled=True)["State"] == "Enabling"
    until(lambda: count() == 0)
    assert state() == "Enabled"
    assert mine.update_event_source_mapping(UUID=mapping, BatchSize=3)["State"] == "Updating"
    until(lambda: state() == "Enabled")
    deleted = mine.delete_event_source_mapping(UUID=mapping)
    assert deleted["State"] == "Deleting"

    def gone() -> bool:
        try:
            return state() != "Deleting"
        except mine.exceptions.ResourceNotFoundException:
            return True

    until(gone)
    assert refusal(state)[0] == "ResourceNotFoundException"


def test_a_disabled_mapping_is_made_disabled(mine: Any, sqs: Any) -> None:
    _, arn = make_queue(sqs, "disabled")
    mapping = mine.create_event_source_mapping(FunctionName="f", EventSourceArn=arn, Enabled=False)["UUID"]
    until(lambda: mine.get_event_source_mapping(UUID=mapping)["State"] == "Disabled")
    assert mine.get_event_source_mapping(UUID=mapping)["StateTransitionReason"] == "USER_INITIATED"


def test_a_queue_that_is_none(mine: Any) -> None:
    arn = "arn:aws:sqs:us-east-1:000000000000:none"
    assert refusal(lambda: mine.create_event_source_mapping(FunctionName="f", EventSourceArn=arn)) == (
        "InvalidParameterValueException",
        (
            "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
            "SQS Error Message: The specified queue does not exist."
        ),
    )


def test_a_queue_too_hasty_for_its_function(mine: Any, sqs: Any) -> None:
    _, arn = make_queue(sqs, "hasty", VisibilityTimeout="20")
    assert refusal(lambda: mine.create_event_source_mapping(FunctionName="f", EventSourceArn=arn)) == (
        "InvalidParameterValueException",
        "Queue visibility timeout: 20 seconds is less than Function timeout: 25 seconds",
    )


def test_a_queue_that_is_deleted_is_told(mine: Any, sqs: Any) -> None:
    url, arn = make_queue(sqs, "doomed")
    mapping = mine.create_event_source_mapping(FunctionName="f", EventSourceArn=arn)["UUID"]
    until(lambda: mine.get_event_source_mapping(UUID=mapping)["State"] == "Enabled")
    assert "LastProcessingResult" not in mine.get_event_source_mapping(UUID=mapping)
    sqs.delete_queue(QueueUrl=url)
    result = until(lambda: mine.get_event_source_mapping(UUID=mapping).get("LastProcessingResult"))
    assert result.startswith("PROBLEM: ")
    assert "The specified queue does not exist" in result
