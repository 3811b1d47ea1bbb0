"""Dead-letter queues, and message move tasks back from them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.functional.services.sqs.conftest import MakeQueue, arn_of


def error_of(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def redrive_to(url: str, count: int = 1) -> str:
    return json.dumps({"deadLetterTargetArn": arn_of(url), "maxReceiveCount": count})


Pair = tuple[str, str]


@pytest.fixture(params=["standard", "fifo"])
def pair(request: pytest.FixtureRequest, make_queue: MakeQueue) -> Pair:
    """A queue and its dead-letter queue."""
    kind = {"FifoQueue": "true", "ContentBasedDeduplication": "true"} if request.param == "fifo" else {}
    dead = make_queue("dead", **kind)
    return make_queue("source", **kind, RedrivePolicy=redrive_to(dead), VisibilityTimeout="0"), dead


def send(sqs: Any, url: str, *bodies: str) -> None:
    for body in bodies:
        group = {"MessageGroupId": "g"} if url.endswith(".fifo") else {}
        sqs.send_message(QueueUrl=url, MessageBody=body, **group)


def receive(sqs: Any, url: str) -> list[Any]:
    messages: list[Any] = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"]).get(
        "Messages", []
    )
    return messages


def bury(sqs: Any, source: str, *bodies: str) -> None:
    """Make dead letters."""
    send(sqs, source, *bodies)
    assert len(receive(sqs, source)) == len(bodies)
    assert receive(sqs, source) == []


def test_what_is_received_too_often_is_buried(sqs: Any, pair: Pair) -> None:
    source, dead = pair
    bury(sqs, source, "a", "b")
    letters = receive(sqs, dead)
    assert [letter["Body"] for letter in letters] == ["a", "b"]
    assert {letter["Attributes"]["DeadLetterQueueSourceArn"] for letter in letters} == {arn_of(source)}
    assert {letter["Attributes"]["ApproximateReceiveCount"] for letter in letters} == {"2"}


def test_messages_stay_while_there_is_no_dead_letter_queue(sqs: Any, pair: Pair) -> None:
    source, dead = pair
    sqs.delete_queue(QueueUrl=dead)
    send(sqs, source, "a")
    assert [len(receive(sqs, source)) for _ in range(3)] == [1, 1, 1]


def test_sources_are_listed(sqs: Any, make_queue: MakeQueue) -> None:
    dead = make_queue("dead")
    sources = [make_queue("source", RedrivePolicy=redrive_to(dead)) for _ in range(3)]
    listed = sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"]
    assert sorted(listed) == sorted(sources)
    pages = sqs.get_paginator("list_dead_letter_source_queues").paginate(
        QueueUrl=dead, PaginationConfig={"PageSize": 2}
    )
    assert [len(page["queueUrls"]) for page in pages] == [2, 1]


def test_a_dead_letter_queue_says_who_may_use_it(sqs: Any, make_queue: MakeQueue) -> None:
    dead, friend = make_queue("dead"), make_queue("friend")
    by_queue = json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [arn_of(friend)]})
    sqs.set_queue_attributes(QueueUrl=dead, Attributes={"RedriveAllowPolicy": by_queue})
    sqs.set_queue_attributes(QueueUrl=friend, Attributes={"RedrivePolicy": redrive_to(dead)})
    stranger = make_queue("stranger")
    change = {"QueueUrl": stranger, "Attributes": {"RedrivePolicy": redrive_to(dead)}}
    assert error_of(sqs.set_queue_attributes, **change)[0] == "InvalidParameterValue"
    sqs.set_queue_attributes(QueueUrl=dead, Attributes={"RedriveAllowPolicy": '{"redrivePermission":"denyAll"}'})
    assert error_of(sqs.set_queue_attributes, **change)[0] == "InvalidParameterValue"
    sqs.set_queue_attributes(QueueUrl=dead, Attributes={"RedriveAllowPolicy": ""})
    sqs.set_queue_attributes(**change)


@pytest.mark.parametrize(
    "policy",
    [
        '{"redrivePermission":"byQueue"}',
        '{"redrivePermission":"sometimes"}',
        '{"redrivePermission":"allowAll","sourceQueueArns":["arn:aws:sqs:us-east-1:000000000000:q"]}',
        '{"redrivePermission":"byQueue","sourceQueueArns":["q"]}',
    ],
)
def test_allow_policies_that_are_refused(sqs: Any, queue: str, policy: str) -> None:
    change = {"QueueUrl": queue, "Attributes": {"RedriveAllowPolicy": policy}}
    assert error_of(sqs.set_queue_attributes, **change)[0] == "InvalidParameterValue"


def test_kinds_of_queues_do_not_mix(sqs: Any, fifo: str, queue: str) -> None:
    change = {"QueueUrl": queue, "Attributes": {"RedrivePolicy": redrive_to(fifo)}}
    assert "same type of queue" in error_of(sqs.set_queue_attributes, **change)[1]


def wait_for(sqs: Any, source_arn: str, *statuses: str) -> Any:
    deadline = time.monotonic() + 20
    while True:
        [task] = sqs.list_message_move_tasks(SourceArn=source_arn)["Results"]
        if task["Status"] in statuses:
            return task
        assert time.monotonic() < deadline, task
        time.sleep(0.02)


def test_dead_letters_are_moved_back(sqs: Any, pair: Pair) -> None:
    source, dead = pair
    bury(sqs, source, "a", "b", "c")
    before = {letter["MessageId"] for letter in receive(sqs, source)}
    sqs.start_message_move_task(SourceArn=arn_of(dead))
    task = wait_for(sqs, arn_of(dead), "COMPLETED")
    assert (task["ApproximateNumberOfMessagesMoved"], task["ApproximateNumberOfMessagesToMove"]) == (3, 3)
    assert "TaskHandle" not in task
    assert "DestinationArn" not in task
    moved = receive(sqs, source)
    assert [message["Body"] for message in moved] == ["a", "b", "c"]
    assert {message["Attributes"]["ApproximateReceiveCount"] for message in moved} == {"1"}
    assert not before & {message["MessageId"] for message in moved}


def test_letters_that_come_from_nowhere_need_a_destination(sqs: Any, pair: Pair, make_queue: MakeQueue) -> None:
    _, dead = pair
    send(sqs, dead, "straight")
    sqs.start_message_move_task(SourceArn=arn_of(dead))
    assert wait_for(sqs, arn_of(dead), "FAILED")["FailureReason"] == "CouldNotDetermineMessageSource"
    kind = {"FifoQueue": "true"} if dead.endswith(".fifo") else {}
    elsewhere = make_queue("elsewhere", **kind)
    sqs.start_message_move_task(SourceArn=arn_of(dead), DestinationArn=arn_of(elsewhere))
    assert wait_for(sqs, arn_of(dead), "COMPLETED")["DestinationArn"] == arn_of(elsewhere)
    assert [message["Body"] for message in receive(sqs, elsewhere)] == ["straight"]
    assert len(sqs.list_message_move_tasks(SourceArn=arn_of(dead), MaxResults=10)["Results"]) == 2


def test_a_slow_task_is_cancelled(sqs: Any, pair: Pair) -> None:
    source, dead = pair
    bury(sqs, source, *"abcde")
    handle = sqs.start_message_move_task(SourceArn=arn_of(dead), MaxNumberOfMessagesPerSecond=1)["TaskHandle"]
    code, text = error_of(sqs.start_message_move_task, SourceArn=arn_of(dead))
    assert code == "AWS.SimpleQueueService.UnsupportedOperation"
    assert "already a task running" in text
    [running] = sqs.list_message_move_tasks(SourceArn=arn_of(dead))["Results"]
    assert (running["Status"], running["TaskHandle"], running["MaxNumberOfMessagesPerSecond"]) == ("RUNNING", handle, 1)
    moved = sqs.cancel_message_move_task(TaskHandle=handle)["ApproximateNumberOfMessagesMoved"]
    assert moved < 5
    assert wait_for(sqs, arn_of(dead), "CANCELLED")["ApproximateNumberOfMessagesMoved"] == moved
    assert len(receive(sqs, dead)) == 5 - moved
    assert error_of(sqs.cancel_message_move_task, TaskHandle=handle)[0] == "ResourceNotFoundException"


def test_tasks_that_are_refused(sqs: Any, queue: str) -> None:
    start = sqs.start_message_move_task
    nobody = "arn:aws:sqs:us-east-1:000000000000:nobody"
    assert error_of(start, SourceArn=nobody)[0] == "ResourceNotFoundException"
    assert error_of(start, SourceArn="nonsense")[0] == "InvalidParameterValue"
    assert "configured as a Dead Letter Queue" in error_of(start, SourceArn=arn_of(queue))[1]
    assert error_of(start, SourceArn=arn_of(queue), MaxNumberOfMessagesPerSecond=501)[0] == "InvalidParameterValue"
    assert error_of(sqs.cancel_message_move_task, TaskHandle="x")[0] == "InvalidParameterValue"
    assert error_of(start, SourceArn="arn:aws:sqs:us-east-1:111122223333:theirs")[0] == "AccessDenied"
