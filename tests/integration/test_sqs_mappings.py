"""SQS event source mappings with our own queues, in real sandboxes: failures, refusals, a moved clock, crashes."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

HANDLER = """
import time

def handler(event, context):
    failures = []
    for record in event["Records"]:
        body = record["body"]
        if "poison" in body:
            failures.append({"itemIdentifier": record["messageId"]})
        else:
            time.sleep(0.01)
            print(f"handled {time.time_ns()} {body}")
    return {"batchItemFailures": failures}
"""


def until(condition: Callable[[], Any], what: str, timeout_s: float = 30.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


def make_queue(server: RunningServer, name: str, **attributes: str) -> tuple[str, str]:
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def messages(server: RunningServer, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = server.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
    return sum(int(value) for value in answer["Attributes"].values())


def handled(server: RunningServer, name: str) -> list[tuple[int, str]]:
    """When each message was handled, and its body, in time's order."""
    found = [re.fullmatch(r"handled (\d+) (.*)\n?", line) for line in server.logs(name)]
    return sorted((int(match[1]), match[2]) for match in found if match)


def wait_enabled(server: RunningServer, mapping: str) -> None:
    client = server.client("lambda")
    until(lambda: client.get_event_source_mapping(UUID=mapping)["State"] == "Enabled", "it was not enabled")


def test_every_message_is_handled_and_what_fails_ends_in_the_dead_letter_queue(server: RunningServer) -> None:
    server.deploy("queued", {"app.py": HANDLER}, Timeout=1)
    dead, dead_arn = make_queue(server, "esm-dead")
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": "2"})
    url, arn = make_queue(server, "esm-jobs", VisibilityTimeout="1", RedrivePolicy=redrive)
    mapping = server.client("lambda").create_event_source_mapping(
        FunctionName="queued", EventSourceArn=arn, FunctionResponseTypes=["ReportBatchItemFailures"]
    )["UUID"]
    wait_enabled(server, mapping)
    sqs = server.client("sqs")
    bodies = [f"job {number}" for number in range(29)] + ["poison"]
    for start in range(0, 30, 10):
        entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[start : start + 10])]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    until(lambda: messages(server, url) == 0, "messages were left")
    (left,) = sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=5, AttributeNames=["All"])["Messages"]
    assert left["Body"] == "poison"
    assert sorted(body for _, body in handled(server, "queued")) == sorted(bodies[:-1])
    server.client("lambda").delete_event_source_mapping(UUID=mapping)


def test_a_role_must_be_allowed_to_read(make_server: Callable[..., RunningServer]) -> None:
    server = make_server("--iam", "enforce")
    iam = server.client("iam")
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ]}  # fmt: skip
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    server.deploy("reads", {"app.py": HANDLER}, Role=role)
    url, arn = make_queue(server, "guarded")
    functions = server.client("lambda")
    with pytest.raises(ClientError) as refused:
        functions.create_event_source_mapping(FunctionName="reads", EventSourceArn=arn)
    error = refused.value.response["Error"]
    assert (error["Code"], error["Message"]) == (
        "InvalidParameterValueException",
        "The provided execution role does not have permissions to call ReceiveMessage on SQS",
    )
    policy = "arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole"
    iam.attach_role_policy(RoleName="reader", PolicyArn=policy)
    mapping = functions.create_event_source_mapping(FunctionName="reads", EventSourceArn=arn)["UUID"]
    wait_enabled(server, mapping)
    sqs = server.client("sqs")
    sqs.send_message(QueueUrl=url, MessageBody="allowed")
    until(lambda: messages(server, url) == 0, "the message was left")
    iam.detach_role_policy(RoleName="reader", PolicyArn=policy)
    sqs.send_message(QueueUrl=url, MessageBody="not allowed")  # ends polls that were allowed

    def result() -> str:
        found: str = functions.get_event_source_mapping(UUID=mapping).get("LastProcessingResult", "")
        return found

    assert "AccessDenied" in until(result, "the lost permission was not told")
    server.stop()


def test_a_window_of_a_clock_that_is_moved(make_server: Callable[..., RunningServer]) -> None:
    server = make_server("--dev")
    server.deploy("windowed", {"app.py": "def handler(event, context): print('got', len(event['Records']))"})
    url, arn = make_queue(server, "windowed", VisibilityTimeout="300")
    mapping = server.client("lambda").create_event_source_mapping(
        FunctionName="windowed", EventSourceArn=arn, BatchSize=100, MaximumBatchingWindowInSeconds=200
    )["UUID"]
    wait_enabled(server, mapping)
    server.clock("freeze")
    for number in range(3):
        server.client("sqs").send_message(QueueUrl=url, MessageBody=str(number))
    moved = server.clock("run-until-idle")
    assert messages(server, url) == 0
    assert [line for line in server.logs("windowed") if line.startswith("got")] == ["got 3\n"]
    assert 200 <= moved["moved_seconds"] < 300
    server.stop()


def test_a_queue_of_another_server(make_server: Callable[..., RunningServer]) -> None:
    elsewhere = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    elsewhere.start()
    host, port = elsewhere.get_host_and_port()
    server = make_server("--upstream", f"sqs=http://{host}:{port}", "--shutdown-grace", "0")
    server.deploy("reads-elsewhere", {"app.py": HANDLER})
    url, _ = make_queue(server, "there")  # forwarded
    assert f":{port}/" in url
    account = url.split("/")[-2]
    mapping = server.client("lambda").create_event_source_mapping(
        FunctionName="reads-elsewhere",
        EventSourceArn=f"arn:aws:sqs:us-east-1:{account}:there",
        MetricsConfig={"Metrics": ["EventCount"]},
    )["UUID"]
    wait_enabled(server, mapping)
    server.client("sqs").send_message(QueueUrl=url, MessageBody="from there")
    until(lambda: [body for _, body in handled(server, "reads-elsewhere")] == ["from there"], "it was not handled")
    until(lambda: messages(server, url) == 0, "it was not deleted")
    for name in ("PolledEventCount", "InvokedEventCount", "DeletedEventCount"):
        now = time.time()
        answer = server.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName=name,
            Dimensions=[{"Name": "EventSourceMappingUUID", "Value": mapping}],
            StartTime=now - 600,
            EndTime=now + 600,
            Period=3600,
            Statistics=["Sum"],
        )
        assert sum(point["Sum"] for point in answer["Datapoints"]) == 1, name
    server.stop()
    elsewhere.stop()


LOOPING = """
import boto3

client = boto3.client("sqs")

def handler(event, context):
    print("round")
    client.send_message(QueueUrl=URL, MessageBody="again")
"""


def test_a_function_that_feeds_its_own_queue_is_stopped(server: RunningServer) -> None:
    dead, dead_arn = make_queue(server, "loop-dead")
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": "1"})
    url, arn = make_queue(server, "loop", VisibilityTimeout="3", RedrivePolicy=redrive)
    server.deploy("loops", {"app.py": LOOPING.replace("URL,", f"{url!r},")}, Timeout=3)
    mapping = server.client("lambda").create_event_source_mapping(FunctionName="loops", EventSourceArn=arn)["UUID"]
    sqs = server.client("sqs")
    sqs.send_message(QueueUrl=url, MessageBody="first")
    until(lambda: messages(server, dead), "the loop was not ended")
    (left,) = sqs.receive_message(QueueUrl=dead, AttributeNames=["All"])["Messages"]
    assert left["Body"] == "again"
    assert "Lineage=16:" in left["Attributes"]["AWSTraceHeader"]
    assert server.logs("loops").count("round\n") == 16
    server.client("lambda").delete_event_source_mapping(UUID=mapping)


def test_a_moved_clock_takes_a_bad_message_to_the_dead_letter_queue(make_server: Callable[..., RunningServer]) -> None:
    server = make_server("--dev")
    server.deploy("fails", {"app.py": "def handler(event, context): raise ValueError(len(event['Records']))"})
    dead_url, dead_arn = make_queue(server, "dead")
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 4})
    url, arn = make_queue(server, "failing", VisibilityTimeout="3600", RedrivePolicy=redrive)
    mapping = server.client("lambda").create_event_source_mapping(FunctionName="fails", EventSourceArn=arn)["UUID"]
    wait_enabled(server, mapping)
    server.clock("freeze")
    server.client("sqs").send_message(QueueUrl=url, MessageBody="bad")
    moved = server.clock("run-until-idle")
    assert round(moved["moved_seconds"]) == 4 * 3600
    assert (messages(server, url), messages(server, dead_url)) == (0, 1)
    assert sum("ValueError" in line for line in server.logs("fails")) == 4
    server.stop()


def test_groups_stay_in_order_and_nothing_is_lost_over_kill_9(make_server: Callable[..., RunningServer]) -> None:
    server = make_server()
    server.deploy("ordered", {"app.py": HANDLER}, Timeout=2)
    url, arn = make_queue(
        server, "ordered.fifo", FifoQueue="true", ContentBasedDeduplication="true", VisibilityTimeout="2"
    )
    sqs = server.client("sqs")
    groups, each = "abc", 40
    for number in range(each):
        entries = [{"Id": group, "MessageBody": f"{group}{number:02}", "MessageGroupId": group} for group in groups]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    server.client("lambda").create_event_source_mapping(FunctionName="ordered", EventSourceArn=arn, BatchSize=5)
    for _ in range(3):
        seen = len(handled(server, "ordered"))

        def has_more(seen: int = seen) -> bool:
            return len(handled(server, "ordered")) > seen or not messages(server, url)

        until(has_more, "nothing more came")
        server.stop(signal.SIGKILL)
        server.start()
    until(lambda: messages(server, url) == 0, "messages were left", 60)
    done = [body for _, body in handled(server, "ordered")]
    for group in groups:
        first = list(dict.fromkeys(body for body in done if body[0] == group))
        assert first == [f"{group}{number:02}" for number in range(each)]  # again is allowed, out of turn is not
