"""Queues as a whole: made, described, changed, listed, purged, deleted, tagged, shared."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.functional.services.sqs.conftest import MakeQueue, SqsServer, arn_of


def error_of(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def attributes_of(sqs: Any, url: str, *names: str) -> dict[str, str]:
    answer: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names) or ["All"])["Attributes"]
    return answer


def test_a_queue_has_aws_defaults(sqs: Any, queue: str) -> None:
    attributes = attributes_of(sqs, queue)
    created = attributes.pop("CreatedTimestamp")
    assert attributes.pop("LastModifiedTimestamp") == created
    assert attributes == {
        "QueueArn": arn_of(queue),
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
        "VisibilityTimeout": "30",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "DelaySeconds": "0",
        "ReceiveMessageWaitTimeSeconds": "0",
        "SqsManagedSseEnabled": "true",
    }
    assert attributes_of(sqs, queue, "DelaySeconds", "QueueArn") == {"DelaySeconds": "0", "QueueArn": arn_of(queue)}
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=queue)


def test_making_a_queue_again(sqs: Any) -> None:
    made = sqs.create_queue(QueueName="again", Attributes={"DelaySeconds": "5"})["QueueUrl"]
    assert sqs.create_queue(QueueName="again")["QueueUrl"] == made
    assert sqs.create_queue(QueueName="again", Attributes={"DelaySeconds": "5"})["QueueUrl"] == made
    with pytest.raises(sqs.exceptions.QueueNameExists) as caught:
        sqs.create_queue(QueueName="again", Attributes={"DelaySeconds": "6"})
    assert caught.value.response["Error"]["Code"] == "QueueAlreadyExists"
    assert "different value for attribute DelaySeconds" in caught.value.response["Error"]["Message"]
    assert sqs.get_queue_url(QueueName="again")["QueueUrl"] == made


_NOBODY = "arn:aws:sqs:us-east-1:000000000000:nobody"


@pytest.mark.parametrize(
    ("name", "attributes", "code"),
    [
        ("no.dots", {}, "InvalidParameterValue"),
        ("x" * 81, {}, "InvalidParameterValue"),
        ("", {}, "InvalidParameterValue"),
        ("x.fifo", {}, "InvalidParameterValue"),
        ("x", {"FifoQueue": "true"}, "InvalidParameterValue"),
        ("x", {"FifoQueue": "false"}, "InvalidAttributeName"),
        ("x", {"ContentBasedDeduplication": "true"}, "InvalidAttributeName"),
        ("x", {"NoSuch": "1"}, "InvalidAttributeName"),
        ("x", {"QueueArn": "1"}, "InvalidAttributeName"),
        ("x", {"DelaySeconds": "901"}, "InvalidAttributeValue"),
        ("x", {"VisibilityTimeout": "-1"}, "InvalidAttributeValue"),
        ("x", {"VisibilityTimeout": "ten"}, "InvalidAttributeValue"),
        ("x", {"MaximumMessageSize": "1048577"}, "InvalidAttributeValue"),
        ("x", {"MessageRetentionPeriod": "59"}, "InvalidAttributeValue"),
        ("x", {"Policy": "{"}, "InvalidAttributeValue"),
        ("x.fifo", {"FifoQueue": "true", "FifoThroughputLimit": "perMessageGroupId"}, "InvalidAttributeValue"),
        ("x", {"RedrivePolicy": "[]"}, "InvalidParameterValue"),
        ("x", {"RedrivePolicy": '{"maxReceiveCount":1}'}, "InvalidParameterValue"),
        (
            "x",
            {"RedrivePolicy": f'{{"maxReceiveCount":1,"deadLetterTargetArn":"{_NOBODY}"}}'},
            "InvalidParameterValue",
        ),
    ],
)
def test_queues_that_are_refused(sqs: Any, name: str, attributes: dict[str, str], code: str) -> None:
    assert error_of(sqs.create_queue, QueueName=name, Attributes=attributes)[0] == code
    assert error_of(sqs.get_queue_url, QueueName=name)[0] == "AWS.SimpleQueueService.NonExistentQueue"


def test_attributes_are_changed_and_taken_away(sqs: Any, queue: str) -> None:
    policy = json.dumps(
        {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": arn_of(queue)}}
    )
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "7", "Policy": policy})
    assert attributes_of(sqs, queue, "VisibilityTimeout", "Policy") == {"VisibilityTimeout": "7", "Policy": policy}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})
    assert "Policy" not in attributes_of(sqs, queue)
    code, text = error_of(sqs.set_queue_attributes, QueueUrl=queue, Attributes={"FifoQueue": "true"})
    assert (code, text) == (
        "InvalidAttributeValue",
        "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.",
    )


def test_keys_of_one_kind(sqs: Any, queue: str) -> None:
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"KmsMasterKeyId": "alias/aws/sqs"})
    described = attributes_of(sqs, queue)
    assert (described["KmsMasterKeyId"], described["SqsManagedSseEnabled"]) == ("alias/aws/sqs", "false")
    assert described["KmsDataKeyReusePeriodSeconds"] == "300"
    both = {"KmsMasterKeyId": "alias/aws/sqs", "SqsManagedSseEnabled": "true"}
    assert error_of(sqs.set_queue_attributes, QueueUrl=queue, Attributes=both)[0] == "InvalidAttributeValue"


def test_queues_are_listed_by_prefix_and_page(server: SqsServer) -> None:
    sqs = server.client(account="111122223333")
    urls = [sqs.create_queue(QueueName=f"{prefix}{number}")["QueueUrl"] for prefix in "ab" for number in range(3)]
    assert sqs.list_queues()["QueueUrls"] == urls
    assert sqs.list_queues(QueueNamePrefix="b")["QueueUrls"] == urls[3:]
    assert (
        "QueueUrls" not in sqs.list_queues(QueueNamePrefix="c") or not sqs.list_queues(QueueNamePrefix="c")["QueueUrls"]
    )
    pages = sqs.get_paginator("list_queues").paginate(PaginationConfig={"PageSize": 4})
    assert [url for page in pages for url in page["QueueUrls"]] == urls
    assert "NextToken" not in sqs.list_queues(MaxResults=6)
    assert error_of(sqs.list_queues, MaxResults=1001)[0] == "InvalidParameterValue"
    assert server.client(account="111122223333", region="eu-west-1").list_queues().get("QueueUrls", []) == []


def test_a_deleted_queue_is_gone_with_its_messages_and_may_be_made_again_at_once(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="short-lived")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    sqs.delete_queue(QueueUrl=url)
    for call in (sqs.receive_message, sqs.delete_queue, sqs.purge_queue, sqs.list_queue_tags):
        assert error_of(call, QueueUrl=url) == (
            "AWS.SimpleQueueService.NonExistentQueue",
            "The specified queue does not exist.",
        )
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.send_message(QueueUrl=url, MessageBody="x")
    sqs.create_queue(QueueName="short-lived")
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def test_a_queue_is_purged_once_a_minute(sqs: Any, queue: str, pass_time: Callable[[float], None]) -> None:
    sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": str(i), "MessageBody": "x"} for i in range(10)])
    sqs.receive_message(QueueUrl=queue)
    sqs.purge_queue(QueueUrl=queue)
    described = attributes_of(sqs, queue)
    assert described["ApproximateNumberOfMessages"] == "0"
    assert described["ApproximateNumberOfMessagesNotVisible"] == "0"
    sqs.send_message(QueueUrl=queue, MessageBody="afterwards")
    code, text = error_of(sqs.purge_queue, QueueUrl=queue)
    assert code == "AWS.SimpleQueueService.PurgeQueueInProgress"
    assert "is allowed every 60 seconds" in text
    assert sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"] == "afterwards"
    pass_time(60)
    sqs.purge_queue(QueueUrl=queue)


def test_tags(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="tagged", tags={"a": "1"})["QueueUrl"]
    sqs.tag_queue(QueueUrl=url, Tags={"a": "2", "b": ""})
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"a": "2", "b": ""}
    sqs.untag_queue(QueueUrl=url, TagKeys=["a", "unknown"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"b": ""}
    too_many = {f"k{number}": "" for number in range(50)}
    assert error_of(sqs.tag_queue, QueueUrl=url, Tags=too_many)[0] == "InvalidParameterValue"


def test_another_account_is_let_in_by_permission(server: SqsServer, sqs: Any, queue: str) -> None:
    other = server.client(account="222233334444")
    assert error_of(other.send_message, QueueUrl=queue, MessageBody="x")[0] == "AccessDenied"
    owner = queue.split("/")[-2]
    grant = {"QueueUrl": queue, "Label": "them", "AWSAccountIds": ["222233334444"]}
    sqs.add_permission(**grant, Actions=["SendMessage", "GetQueueUrl"])
    statement = json.loads(attributes_of(sqs, queue)["Policy"])["Statement"][0]
    assert statement == {
        "Sid": "them",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::222233334444:root"},
        "Action": ["SQS:SendMessage", "SQS:GetQueueUrl"],
        "Resource": arn_of(queue),
    }
    other.send_message(QueueUrl=queue, MessageBody="x")
    other.send_message_batch(QueueUrl=queue, Entries=[{"Id": "1", "MessageBody": "y"}])
    found = other.get_queue_url(QueueName=queue.split("/")[-1], QueueOwnerAWSAccountId=owner)
    assert found["QueueUrl"] == queue
    for call in (other.receive_message, other.delete_queue, other.list_queue_tags):
        assert error_of(call, QueueUrl=queue)[0] == "AccessDenied"
    senders = sqs.receive_message(QueueUrl=queue, AttributeNames=["SenderId"])["Messages"]
    assert senders[0]["Attributes"]["SenderId"] == "222233334444"
    assert error_of(sqs.add_permission, **grant, Actions=["SendMessage"])[1].endswith("Already exists.")
    sqs.remove_permission(QueueUrl=queue, Label="them")
    assert error_of(other.send_message, QueueUrl=queue, MessageBody="x")[0] == "AccessDenied"
    assert error_of(sqs.remove_permission, QueueUrl=queue, Label="them")[1].endswith("can't find label.")
    assert "Policy" not in attributes_of(sqs, queue)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Actions": ["DeleteQueue"]}, "InvalidParameterValue"),
        ({"Actions": ["Nonsense"]}, "InvalidParameterValue"),
        ({"Actions": ["SendMessage"] * 8}, "OverLimit"),
        ({"AWSAccountIds": ["me"]}, "InvalidParameterValue"),
        ({"Label": "a b"}, "InvalidParameterValue"),
    ],
)
def test_permissions_that_are_refused(sqs: Any, queue: str, change: dict[str, Any], code: str) -> None:
    grant: dict[str, Any] = {"Label": "x", "AWSAccountIds": ["222233334444"], "Actions": ["SendMessage"], **change}
    assert error_of(sqs.add_permission, QueueUrl=queue, **grant)[0] == code


@pytest.mark.parametrize("url", ["nonsense", "http://localhost/queue", "http://localhost/000000000000/"])
def test_what_is_no_queue_url(sqs: Any, url: str) -> None:
    assert error_of(sqs.receive_message, QueueUrl=url)[0] == "InvalidAddress"


def test_what_waits_is_measured(server: SqsServer, sqs: Any, queue: str) -> None:
    server.metrics.collect()
    sqs.send_message(QueueUrl=queue, MessageBody="12345")
    sqs.send_message(QueueUrl=queue, MessageBody="1")
    handle = sqs.receive_message(QueueUrl=queue)["Messages"][0]["ReceiptHandle"]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle)
    server.look_after()
    points, _ = server.metrics.collect()()
    name = queue.split("/")[-1]
    found = {key[0].name: values for key, values in points.items() if key[0].dimensions == (("QueueName", name),)}
    assert {metric: values.total for metric, values in found.items()} == {
        "NumberOfMessagesSent": 2,
        "SentMessageSize": 6,
        "NumberOfMessagesReceived": 1,
        "NumberOfMessagesDeleted": 1,
        "ApproximateNumberOfMessagesVisible": 1,
        "ApproximateNumberOfMessagesNotVisible": 0,
        "ApproximateNumberOfMessagesDelayed": 0,
        "ApproximateAgeOfOldestMessage": 0,
    }


def test_urls_are_those_of_the_address_the_client_used(server: SqsServer, make_queue: MakeQueue) -> None:
    assert make_queue().startswith(f"{server.url}/000000000000/queue-")
