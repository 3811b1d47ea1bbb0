"""FIFO queues: order, groups, deduplication, repeated receives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.functional.services.sqs.conftest import MakeQueue


def error_of(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def send(sqs: Any, queue: str, body: str, group: str = "g", **more: Any) -> Any:
    return sqs.send_message(QueueUrl=queue, MessageBody=body, MessageGroupId=group, **more)


def receive(sqs: Any, queue: str, count: int = 10, **more: Any) -> list[Any]:
    answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=count, AttributeNames=["All"], **more)
    messages: list[Any] = answer.get("Messages", [])
    return messages


def bodies(messages: list[Any]) -> list[str]:
    return [message["Body"] for message in messages]


def test_a_group_is_locked_while_any_of_it_is_in_flight(
    sqs: Any, fifo: str, pass_time: Callable[[float], None]
) -> None:
    for number in range(5):
        send(sqs, fifo, f"a{number}", "a")
    send(sqs, fifo, "b0", "b")
    first = receive(sqs, fifo, 2)
    assert bodies(first) == ["a0", "a1"]
    assert bodies(receive(sqs, fifo)) == ["b0"]
    assert receive(sqs, fifo) == []
    sqs.delete_message(QueueUrl=fifo, ReceiptHandle=first[0]["ReceiptHandle"])
    assert receive(sqs, fifo) == []
    sqs.delete_message(QueueUrl=fifo, ReceiptHandle=first[1]["ReceiptHandle"])
    assert bodies(receive(sqs, fifo, 1)) == ["a2"]
    pass_time(30)
    assert bodies(receive(sqs, fifo)) == ["b0", "a2", "a3", "a4"]  # the group that became free first comes first


def test_a_message_made_visible_again_comes_before_its_successors(sqs: Any, fifo: str) -> None:
    for number in range(3):
        send(sqs, fifo, f"{number}")
    [first] = receive(sqs, fifo, 1)
    sqs.change_message_visibility(QueueUrl=fifo, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0)
    assert bodies(receive(sqs, fifo)) == ["0", "1", "2"]


def test_sequence_numbers_grow(sqs: Any, fifo: str) -> None:
    numbers = [send(sqs, fifo, f"{number}")["SequenceNumber"] for number in range(3)]
    assert numbers == sorted(numbers)
    assert {len(number) for number in numbers} == {20}
    messages = receive(sqs, fifo)
    assert [message["Attributes"]["SequenceNumber"] for message in messages] == numbers
    assert {message["Attributes"]["MessageGroupId"] for message in messages} == {"g"}


def test_duplicates_within_five_minutes_are_dropped(sqs: Any, fifo: str, pass_time: Callable[[float], None]) -> None:
    first = send(sqs, fifo, "same")
    [message] = receive(sqs, fifo)
    sqs.delete_message(QueueUrl=fifo, ReceiptHandle=message["ReceiptHandle"])
    again = send(sqs, fifo, "same")
    assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    send(sqs, fifo, "same", "another-group")
    assert receive(sqs, fifo) == []
    send(sqs, fifo, "same", MessageDeduplicationId="but-not-this")
    assert bodies(receive(sqs, fifo)) == ["same"]
    pass_time(300)
    assert send(sqs, fifo, "same")["MessageId"] != first["MessageId"]


def test_the_token_counts_not_the_body(sqs: Any, make_queue: MakeQueue) -> None:
    queue = make_queue(FifoQueue="true")
    send(sqs, queue, "one", MessageDeduplicationId="token")
    send(sqs, queue, "two", MessageDeduplicationId="token")
    send(sqs, queue, "one", MessageDeduplicationId="other")
    messages = receive(sqs, queue)
    assert bodies(messages) == ["one", "one"]
    assert [one["Attributes"]["MessageDeduplicationId"] for one in messages] == ["token", "other"]


def test_deduplication_within_groups(sqs: Any, make_queue: MakeQueue) -> None:
    queue = make_queue(
        FifoQueue="true",
        ContentBasedDeduplication="true",
        DeduplicationScope="messageGroup",
        FifoThroughputLimit="perMessageGroupId",
    )
    for group in "aab":
        send(sqs, queue, "same", group)
    assert bodies(receive(sqs, queue)) == ["same", "same"]


def test_a_receive_is_repeated_under_its_attempt_id(sqs: Any, fifo: str, pass_time: Callable[[float], None]) -> None:
    for number in range(3):
        send(sqs, fifo, f"{number}")
    attempt = {"ReceiveRequestAttemptId": "try"}
    first = receive(sqs, fifo, 2, **attempt)
    pass_time(20)
    again = receive(sqs, fifo, 2, **attempt)
    assert bodies(again) == ["0", "1"]
    assert [one["Attributes"]["ApproximateReceiveCount"] for one in again] == ["1", "1"]
    pass_time(20)  # the lease began anew
    assert receive(sqs, fifo) == []
    for message in again:
        sqs.delete_message(QueueUrl=fifo, ReceiptHandle=message["ReceiptHandle"])
    assert bodies(first) == ["0", "1"]
    assert bodies(receive(sqs, fifo, 2, **attempt)) == ["2"]


def test_an_old_handle_is_refused(sqs: Any, fifo: str, pass_time: Callable[[float], None]) -> None:
    send(sqs, fifo, "x")
    [message] = receive(sqs, fifo)
    pass_time(30)
    code, text = error_of(sqs.delete_message, QueueUrl=fifo, ReceiptHandle=message["ReceiptHandle"])
    assert code == "InvalidParameterValue"
    assert text.endswith("The receipt handle has expired.")
    assert bodies(receive(sqs, fifo)) == ["x"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ({}, "MissingParameter", "MessageGroupId"),
        ({"MessageGroupId": "a b", "MessageDeduplicationId": "d"}, "InvalidParameterValue", "MessageGroupId"),
        ({"MessageGroupId": "g"}, "InvalidParameterValue", "ContentBasedDeduplication enabled"),
        ({"MessageGroupId": "g", "MessageDeduplicationId": "é"}, "InvalidParameterValue", "MessageDeduplicationId"),
        (
            {"MessageGroupId": "g", "MessageDeduplicationId": "d", "DelaySeconds": 1},
            "InvalidParameterValue",
            "not valid for this queue type",
        ),
    ],
)
def test_messages_that_are_refused(
    sqs: Any, make_queue: MakeQueue, arguments: dict[str, Any], code: str, words: str
) -> None:
    got, text = error_of(sqs.send_message, QueueUrl=make_queue(FifoQueue="true"), MessageBody="x", **arguments)
    assert got == code
    assert words in text


def test_the_queues_delay_keeps_the_order(sqs: Any, make_queue: MakeQueue, pass_time: Callable[[float], None]) -> None:
    queue = make_queue(FifoQueue="true", ContentBasedDeduplication="true", DelaySeconds="60")
    send(sqs, queue, "first")
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"DelaySeconds": "0"})
    send(sqs, queue, "second")
    assert receive(sqs, queue) == []
    pass_time(60)
    assert bodies(receive(sqs, queue)) == ["first", "second"]


def test_order_and_locks_hold_under_concurrency(sqs: Any, fifo: str) -> None:
    groups, each = ("a", "b", "c"), 20

    def produce(group: str) -> None:
        for number in range(each):
            send(sqs, fifo, f"{group}{number}", group)

    got: dict[str, list[int]] = {group: [] for group in groups}
    held: set[str] = set()
    broken: list[str] = []
    lock = threading.Lock()

    def consume() -> None:
        while sum(map(len, got.values())) < each * len(groups) and not broken:
            messages = receive(sqs, fifo, 3, WaitTimeSeconds=1)
            with lock:
                for group in {message["Attributes"]["MessageGroupId"] for message in messages}:
                    if group in held:
                        broken.append(group)
                    held.add(group)
            for message in messages:
                with lock:
                    got[message["Body"][0]].append(int(message["Body"][1:]))
            with lock:
                held.difference_update(message["Attributes"]["MessageGroupId"] for message in messages)
            for message in messages:
                sqs.delete_message(QueueUrl=fifo, ReceiptHandle=message["ReceiptHandle"])

    threads = [threading.Thread(target=produce, args=(group,)) for group in groups]
    threads += [threading.Thread(target=consume) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert broken == []
    assert got == {group: list(range(each)) for group in groups}
