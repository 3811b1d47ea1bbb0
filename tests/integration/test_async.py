"""Asynchronous invocation of real functions, and what their SDKs make of the trace header."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

ACCOUNT = "000000000000"
FAILS = "def handler(event, context):\n    print('try', context.aws_request_id)\n    raise ValueError('no')\n"
CALLS_ITSELF = """
import boto3
def handler(event, context):
    print("hop", event)
    boto3.client("lambda").invoke(
        FunctionName=context.function_name, InvocationType="Event", Payload=str(event + 1)
    )
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("async") / "data", ("--dev",)) as made:
        yield made


def lines(server: RunningServer, function: str, text: str) -> list[str]:
    pages = server.client("logs").get_paginator("filter_log_events")
    found = pages.paginate(logGroupName=f"/aws/lambda/{function}", filterPattern=f'"{text}"')
    return [event["message"].strip() for page in found for event in page["events"]]


def wait_until(condition: Callable[[], Any], what: str, timeout_s: float = 30.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


def queue(server: RunningServer, name: str) -> tuple[str, str]:
    """Its URL and ARN."""
    return server.client("sqs").create_queue(QueueName=name)["QueueUrl"], f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"


def receive(server: RunningServer, url: str) -> Any:
    messages = server.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=20, MessageAttributeNames=["All"])
    return messages["Messages"][0]


def test_a_failing_function_is_tried_three_times_and_its_event_ends_in_both_queues(server: RunningServer) -> None:
    failed_url, failed = queue(server, "failed")
    dead_url, dead = queue(server, "dead")
    server.deploy("fails", {"app.py": FAILS}, DeadLetterConfig={"TargetArn": dead})
    functions = server.client("lambda")
    destinations = {"OnFailure": {"Destination": failed}}
    functions.put_function_event_invoke_config(FunctionName="fails", DestinationConfig=destinations)
    answer = functions.invoke(FunctionName="fails", InvocationType="Event", Payload=b'{"a": 1}')
    assert answer["StatusCode"] == 202
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert 179 < server.clock("run-until-idle")["moved_seconds"] < 185
    record, letter = json.loads(receive(server, failed_url)["Body"]), receive(server, dead_url)
    assert lines(server, "fails", "try") == [f"try {request_id}"] * 3
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["responsePayload"]["errorType"] == "ValueError"
    assert letter["Body"] == '{"a": 1}'
    assert letter["MessageAttributes"]["ErrorMessage"]["StringValue"] == "no"


def test_a_function_that_invokes_itself_by_its_sdk_is_stopped(server: RunningServer) -> None:
    stopped_url, stopped = queue(server, "stopped")
    server.deploy("loops", {"app.py": CALLS_ITSELF}, Timeout=30, MemorySize=1024)
    functions = server.client("lambda")
    destinations = {"OnFailure": {"Destination": stopped}}
    functions.put_function_event_invoke_config(FunctionName="loops", DestinationConfig=destinations)
    functions.invoke(FunctionName="loops", InvocationType="Event", Payload=b"1")
    record = json.loads(receive(server, stopped_url)["Body"])
    assert record["requestPayload"] == 17
    assert record["responsePayload"]["errorType"] == "RecursiveInvocationException"
    assert sorted(lines(server, "loops", "hop")) == sorted(f"hop {number}" for number in range(1, 17))


def test_events_are_run_after_a_restart(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        server.deploy(
            "f", {"app.py": "import time\ndef handler(e, c):\n    print('ran', e)\n    time.sleep(e)\n"}, Timeout=9
        )
        functions = server.client("lambda")
        for _ in range(30):  # more than are begun at once
            functions.invoke(FunctionName="f", InvocationType="Event", Payload=b"0.2")
        server.stop()
        server.start()
        wait_until(lambda: len(lines(server, "f", "ran")) >= 30, "events were lost")
