"""SQS event source mappings: from a send to the function's start, and how many messages a second go through.

Messages are on disk before they are handled and deleted from disk after; polls are signed, verified and authorised.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import processes
from functions import ROLE
from subject import SOON, Lambent
from table import Figure, Row
from topics import Options

START_P50_GOAL_MS = 10.0
HANDLED_GOAL = 5_000
_POLICY = "arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole"


def measure(subject: Lambent, options: Options) -> Iterator[Row]:
    subject.client("iam").attach_role_policy(RoleName=ROLE.rpartition("/")[2], PolicyArn=_POLICY)
    yield _starts(subject, options)
    for batch, window in ((10, 0), (100, 1)):
        yield _through(subject, batch, window, int(4_000 * options.seconds))


def _starts(subject: Lambent, options: Options) -> Row:
    """One message at a time, warm."""
    subject.deploy("received")
    url = _queue(subject, "starts")
    _map(subject, "starts", "received", 10, 0)
    sqs = subject.client("sqs")
    for _ in range(options.repeat * 5):
        sqs.send_message(QueueUrl=url, MessageBody=str(time.time()))
        time.sleep(0.03)
    time.sleep(1)
    events = subject.client("logs").filter_log_events(logGroupName="/aws/lambda/received", filterPattern="late")
    found = [re.search(r"late ([0-9.]+)", event["message"]) for event in events["events"]]
    times = sorted(1000 * float(match[1]) for match in found if match)
    figures = (
        Figure("p50", times[len(times) // 2], "ms", START_P50_GOAL_MS),
        Figure("p99", times[int(len(times) * 0.99)], "ms"),
    )
    return Row("SQS, from a message's send to its function's start, warm", figures)


def _through(subject: Lambent, batch: int, window: int, messages: int) -> Row:
    """A backlog, from the mapping's start until the last message is deleted."""
    name = f"through-{batch}"
    subject.call(subject.create_request("slept", name))
    subject.client("lambda").get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=SOON)
    url = _queue(subject, name)
    sqs = subject.client("sqs")
    entries = [{"Id": str(number), "MessageBody": "x" * 200} for number in range(10)]
    for _ in range(messages // 10):
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    before, begun = processes.cpu_ms([subject.pid]), time.perf_counter()
    mapping = _map(subject, name, name, batch, window)
    while (left := _messages(subject, url)) and time.perf_counter() - begun < 60:
        time.sleep(0.1)
    handled, elapsed = messages - left, time.perf_counter() - begun
    cpu_us = (processes.cpu_ms([subject.pid]) - before) * 1000 / max(1, handled)
    subject.client("lambda").delete_event_source_mapping(UUID=mapping)
    figures = (
        Figure("", handled / elapsed, "/s", HANDLED_GOAL if batch == 100 else None),
        Figure("server CPU", cpu_us, "µs"),
    )
    return Row(f"SQS messages through a function, batches of {batch}", figures, note=f"{left} left" if left else "")


def _queue(subject: Lambent, name: str) -> str:
    url: str = subject.client("sqs").create_queue(QueueName=name, Attributes={"VisibilityTimeout": "120"})["QueueUrl"]
    return url


def _map(subject: Lambent, queue: str, function: str, batch: int, window: int) -> str:
    functions = subject.client("lambda")
    mapping: str = functions.create_event_source_mapping(
        FunctionName=function,
        EventSourceArn=f"arn:aws:sqs:us-east-1:000000000000:{queue}",
        BatchSize=batch,
        MaximumBatchingWindowInSeconds=window,
    )["UUID"]
    while functions.get_event_source_mapping(UUID=mapping)["State"] != "Enabled":
        time.sleep(0.01)
    return mapping


def _messages(subject: Lambent, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = subject.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
    return sum(int(value) for value in answer["Attributes"].values())
