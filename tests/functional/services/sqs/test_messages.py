"""Messages of standard queues: sent, received, deleted, made visible again."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.functional.services.sqs.conftest import MakeQueue, SqsServer


def error_of(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_the_life_of_a_message(sqs: Any, queue: str) -> None:
    sent = sqs.send_message(QueueUrl=queue, MessageBody="hello ✓")
    assert sent["MD5OfMessageBody"] == hashlib.md5("hello ✓".encode()).hexdigest()
    [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert message["Body"] == "hello ✓"
    assert message["MessageId"] == sent["MessageId"]
    assert "Attributes" not in message
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    counts = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessages"] == "0"
    assert counts["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_attributes_come_back_as_asked_for_and_boto3_checks_their_digest(sqs: Any, queue: str) -> None:
    attributes = {
        "text": {"DataType": "String", "StringValue": "ä"},
        "number.one": {"DataType": "Number.int", "StringValue": "-1.5e3"},
        "number.two": {"DataType": "Number", "StringValue": "7"},
        "bytes": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff"},
    }
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
    sent = sqs.send_message(
        QueueUrl=queue,
        MessageBody="x",
        MessageAttributes=attributes,
        MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": trace}},
    )
    assert len(sent["MD5OfMessageSystemAttributes"]) == 32
    asked: dict[str, Any] = {"QueueUrl": queue, "VisibilityTimeout": 0}
    [all_of_them] = sqs.receive_message(**asked, MessageAttributeNames=["All"], AttributeNames=["All"])["Messages"]
    assert all_of_them["MessageAttributes"] == attributes
    assert all_of_them["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    system = all_of_them["Attributes"]
    assert system["AWSTraceHeader"] == trace
    assert system["SenderId"] == "000000000000"
    assert system["ApproximateReceiveCount"] == "1"
    assert abs(int(system["SentTimestamp"]) / 1000 - time.time()) < 60
    assert system["ApproximateFirstReceiveTimestamp"] >= system["SentTimestamp"]
    [prefixed] = sqs.receive_message(**asked, MessageAttributeNames=["number.*"])["Messages"]
    assert set(prefixed["MessageAttributes"]) == {"number.one", "number.two"}
    [named] = sqs.receive_message(
        **asked, MessageAttributeNames=["text"], MessageSystemAttributeNames=["ApproximateReceiveCount"]
    )["Messages"]
    assert set(named["MessageAttributes"]) == {"text"}
    assert named["Attributes"] == {"ApproximateReceiveCount": "3"}


def test_a_message_reappears_when_its_visibility_timeout_ends(
    sqs: Any, make_queue: MakeQueue, pass_time: Callable[[float], None]
) -> None:
    queue = make_queue(VisibilityTimeout="100")
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    [first] = sqs.receive_message(QueueUrl=queue)["Messages"]
    pass_time(99)
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)
    pass_time(1)
    [second] = sqs.receive_message(QueueUrl=queue, AttributeNames=["ApproximateReceiveCount"])["Messages"]
    assert second["Attributes"]["ApproximateReceiveCount"] == "2"
    assert second["ReceiptHandle"] != first["ReceiptHandle"]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=first["ReceiptHandle"])  # succeeds, and deletes nothing
    pass_time(100)
    assert len(sqs.receive_message(QueueUrl=queue)["Messages"]) == 1


def test_visibility_is_changed(sqs: Any, queue: str, pass_time: Callable[[float], None]) -> None:
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
    named = {"QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"]}
    sqs.change_message_visibility(**named, VisibilityTimeout=300)
    pass_time(200)
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)
    code, text = error_of(sqs.change_message_visibility, **named, VisibilityTimeout=43_200)
    assert code == "InvalidParameterValue"
    assert "beyond the limit [43200 seconds]" in text
    assert error_of(sqs.change_message_visibility, **named, VisibilityTimeout=43_201)[0] == "InvalidParameterValue"
    sqs.change_message_visibility(**named, VisibilityTimeout=0)
    assert error_of(sqs.change_message_visibility, **named, VisibilityTimeout=10)[0].endswith("MessageNotInflight")
    assert len(sqs.receive_message(QueueUrl=queue)["Messages"]) == 1
    code, text = error_of(sqs.change_message_visibility, **named, VisibilityTimeout=10)
    assert code == "InvalidParameterValue"
    assert "not available for visibility timeout change" in text


def test_delays_of_queue_and_message(sqs: Any, make_queue: MakeQueue, pass_time: Callable[[float], None]) -> None:
    queue = make_queue(DelaySeconds="60")
    sqs.send_message(QueueUrl=queue, MessageBody="as the queue says")
    sqs.send_message(QueueUrl=queue, MessageBody="at once", DelaySeconds=0)
    sqs.send_message(QueueUrl=queue, MessageBody="later", DelaySeconds=900)

    def received() -> list[str]:
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in messages]

    assert received() == ["at once"]
    delayed = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessagesDelayed"])
    assert delayed["Attributes"] == {"ApproximateNumberOfMessagesDelayed": "2"}
    pass_time(60)
    assert received() == ["as the queue says"]
    pass_time(840)
    assert received() == ["later"]


def test_messages_are_kept_as_long_as_the_queue_says(
    server: SqsServer, sqs: Any, make_queue: MakeQueue, pass_time: Callable[[float], None]
) -> None:
    queue = make_queue(MessageRetentionPeriod="60")
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    pass_time(60)
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)
    sqs.send_message(QueueUrl=queue, MessageBody="y")
    pass_time(60)
    server.look_after()
    counts = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    assert counts == {"ApproximateNumberOfMessages": "0"}


def test_a_batch_succeeds_and_fails_by_its_entries(sqs: Any, queue: str) -> None:
    answer = sqs.send_message_batch(
        QueueUrl=queue,
        Entries=[
            {"Id": "good", "MessageBody": "a"},
            {"Id": "bad-delay", "MessageBody": "b", "DelaySeconds": 901},
            {"Id": "bad-body", "MessageBody": "\x00"},
        ],
    )
    assert [one["Id"] for one in answer["Successful"]] == ["good"]
    assert {one["Id"]: (one["Code"], one["SenderFault"]) for one in answer["Failed"]} == {
        "bad-delay": ("InvalidParameterValue", True),
        "bad-body": ("InvalidMessageContents", True),
    }
    [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
    handle = message["ReceiptHandle"]
    entries = [{"Id": "one", "ReceiptHandle": handle}, {"Id": "two", "ReceiptHandle": "nonsense"}]
    changed = sqs.change_message_visibility_batch(
        QueueUrl=queue, Entries=[{**entry, "VisibilityTimeout": 100} for entry in entries]
    )
    assert [one["Id"] for one in changed["Successful"]] == ["one"]
    assert [(one["Id"], one["Code"]) for one in changed["Failed"]] == [("two", "ReceiptHandleIsInvalid")]
    deleted = sqs.delete_message_batch(QueueUrl=queue, Entries=entries)
    assert [one["Id"] for one in deleted["Successful"]] == ["one"]
    assert [(one["Id"], one["Code"]) for one in deleted["Failed"]] == [("two", "ReceiptHandleIsInvalid")]


def test_large_messages_of_a_batch_are_judged_one_by_one(sqs: Any, queue: str) -> None:
    bodies = {"plain": "x" * 200_000, "wide": "é€" * 40_000, "bad": "x" * 200_000 + "\x0b", "last": "\U0001f600\r\n\t"}
    entries = [{"Id": entry_id, "MessageBody": body} for entry_id, body in bodies.items()]
    answer = sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    assert [one["Id"] for one in answer["Successful"]] == ["plain", "wide", "last"]
    assert [(one["Id"], one["Code"]) for one in answer["Failed"]] == [("bad", "InvalidMessageContents")]
    received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert sorted(message["Body"] for message in received) == sorted(bodies[one] for one in ("plain", "wide", "last"))


_MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ([], "AWS.SimpleQueueService.EmptyBatchRequest"),
        ([("x", "b")] * 2, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"),
        ([(str(i), "b") for i in range(11)], "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"),
        ([("no space", "b")], "AWS.SimpleQueueService.InvalidBatchEntryId"),
        ([("a", "x" * 600_000), ("b", "x" * 600_000)], "AWS.SimpleQueueService.BatchRequestTooLong"),
    ],
    ids=["empty", "same", "many", "name", "long"],
)
def test_batches_that_are_refused_as_a_whole(sqs: Any, queue: str, entries: list[tuple[str, str]], code: str) -> None:
    listed = [{"Id": entry_id, "MessageBody": body} for entry_id, body in entries]
    assert error_of(sqs.send_message_batch, QueueUrl=queue, Entries=listed)[0] == code


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ({"MessageBody": ""}, "MissingParameter", "must contain the parameter MessageBody"),
        ({"MessageBody": "\x0b"}, "InvalidMessageContents", "#x9 | #xA"),
        ({"MessageBody": "\ufffe"}, "InvalidMessageContents", "#x9 | #xA"),
        ({"MessageBody": "x" * 200_000 + "\uffff"}, "InvalidMessageContents", "#x9 | #xA"),
        ({"MessageBody": "x" * (_MIB + 1)}, "InvalidParameterValue", "must be shorter than 1048576 bytes"),
        ({"MessageBody": "x", "DelaySeconds": -1}, "InvalidParameterValue", "DelaySeconds must be >= 0 and <= 900"),
        ({"MessageBody": "x", "MessageDeduplicationId": "d"}, "InvalidParameterValue", "not valid for this queue type"),
        (
            {"MessageBody": "x", "MessageAttributes": {"a": {"DataType": "Date", "StringValue": "1"}}},
            "InvalidParameterValue",
            "supported type prefixes is Binary, Number, and String",
        ),
        (
            {"MessageBody": "x", "MessageAttributes": {"AWS.a": {"DataType": "String", "StringValue": "1"}}},
            "InvalidParameterValue",
            "beginning with 'AWS.'",
        ),
        (
            {"MessageBody": "x", "MessageAttributes": {"a": {"DataType": "String", "StringValue": ""}}},
            "InvalidParameterValue",
            "non-empty value of type 'String'",
        ),
        (
            {
                "MessageBody": "x",
                "MessageAttributes": {f"a{i}": {"DataType": "String", "StringValue": "1"} for i in range(11)},
            },
            "InvalidParameterValue",
            "Number of message attributes [11] exceeds the allowed maximum [10]",
        ),
    ],
)
def test_messages_that_are_refused(sqs: Any, queue: str, arguments: dict[str, Any], code: str, words: str) -> None:
    got, text = error_of(sqs.send_message, QueueUrl=queue, **arguments)
    assert got == code
    assert words in text


def test_a_message_of_the_greatest_size(sqs: Any, queue: str) -> None:
    body = "\n" * _MIB  # two bytes each in JSON
    sqs.send_message(QueueUrl=queue, MessageBody=body)
    assert sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"] == body


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"MaxNumberOfMessages": 11}, "Must be between 1 and 10"),
        ({"MaxNumberOfMessages": 0}, "Must be between 1 and 10"),
        ({"WaitTimeSeconds": 21}, "Must be >= 0 and <= 20"),
        ({"VisibilityTimeout": 43_201}, "Must be between 0 and 43200"),
    ],
)
def test_receives_that_are_refused(sqs: Any, queue: str, arguments: dict[str, Any], words: str) -> None:
    code, text = error_of(sqs.receive_message, QueueUrl=queue, **arguments)
    assert code == "InvalidParameterValue"
    assert words in text


def test_a_send_wakes_a_long_poll(sqs: Any, queue: str) -> None:
    got: list[Any] = []
    waiting = threading.Thread(
        target=lambda: got.append(sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20).get("Messages"))
    )
    waiting.start()
    time.sleep(0.2)
    assert not got
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    waiting.join(15)
    assert [message["Body"] for message in got[0]] == ["x"]


def test_a_long_poll_ends_with_nothing(sqs: Any, make_queue: MakeQueue) -> None:
    assert "Messages" not in sqs.receive_message(QueueUrl=make_queue(ReceiveMessageWaitTimeSeconds="1"))


def test_a_client_that_hangs_up_takes_no_message(server: SqsServer, sqs: Any, queue: str) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    body = f'{{"QueueUrl":"{queue}","WaitTimeSeconds":20}}'
    with socket.create_connection((host, int(port))) as connection:
        head = (
            f"POST / HTTP/1.1\r\nHost: {host}\r\nX-Amz-Target: AmazonSQS.ReceiveMessage\r\n"
            f"Content-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        connection.sendall((head + body).encode())
        time.sleep(0.2)
    time.sleep(0.2)
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    [message] = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5, AttributeNames=["All"])["Messages"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"


def test_handles_of_other_queues_and_mangled_ones_are_invalid(sqs: Any, make_queue: MakeQueue) -> None:
    one, other = make_queue(), make_queue()
    sqs.send_message(QueueUrl=one, MessageBody="x")
    handle = sqs.receive_message(QueueUrl=one)["Messages"][0]["ReceiptHandle"]
    mangled = ("B" if handle[0] == "A" else "A") + handle[1:]
    for url, text in ((other, handle), (one, mangled), (one, "x")):
        assert error_of(sqs.delete_message, QueueUrl=url, ReceiptHandle=text)[0] == "ReceiptHandleIsInvalid"


def test_a_group_in_a_standard_queue_is_kept(sqs: Any, queue: str) -> None:
    sqs.send_message(QueueUrl=queue, MessageBody="x", MessageGroupId="tenant")
    sqs.send_message(QueueUrl=queue, MessageBody="y", MessageGroupId="tenant")
    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, AttributeNames=["All"])["Messages"]
    assert [message["Attributes"]["MessageGroupId"] for message in messages] == ["tenant", "tenant"]
    assert "SequenceNumber" not in messages[0]["Attributes"]


def test_a_traced_caller_leaves_its_trace_in_the_message(sqs: Any, queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As SDKs do within a function."""
    header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0;Lineage=1:e65a2c4d:0"
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": "a", "MessageBody": "y"}])
    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, AttributeNames=["All"])["Messages"]
    assert {message["Attributes"]["AWSTraceHeader"] for message in messages} == {header}
