"""StartLiveTail with boto3: what comes, in which order, and what is refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lambent.model.ids import AccountId, Region
from lambent.observability.logs.events import LogEvent, LogStreamId

GROUP = "/aws/lambda/tailed"
ARN = f"arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}"


@pytest.fixture
def tail(server: Any, logs: Any) -> Any:
    """A client whose host names are left as they are."""
    import boto3

    logs.create_log_group(logGroupName=GROUP)
    client = boto3.client(
        "logs",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, inject_host_prefix=False),
    )
    yield client
    client.close()


def say(server: Any, *messages: str, stream: str = "a") -> None:
    identity = LogStreamId(AccountId("000000000000"), Region("us-east-1"), GROUP, stream)
    events = [LogEvent(int(time.time() * 1000), message) for message in messages]
    server.run(lambda store: store.append(identity, events))


def updates(stream: Any) -> Iterator[dict[str, Any]]:
    for event in stream:
        if "sessionUpdate" in event:
            yield event["sessionUpdate"]


def results(stream: Any, count: int) -> list[dict[str, Any]]:
    """The next `count` events."""
    found: list[dict[str, Any]] = []
    for update in updates(stream):
        found += update["sessionResults"]
        if len(found) >= count:
            break
    return found


def test_events_come_as_they_are_written(server: Any, tail: Any) -> None:
    say(server, "before")
    stream = tail.start_live_tail(logGroupIdentifiers=[ARN])["responseStream"]
    start = next(iter(stream))["sessionStart"]
    assert start["logGroupIdentifiers"] == [ARN]
    assert start["sessionId"]
    say(server, "one\n", "zwei é\n")
    say(server, "three", stream="b")
    events = results(stream, 3)
    assert [(event["logStreamName"], event["message"]) for event in events] == [
        ("a", "one\n"), ("a", "zwei é\n"), ("b", "three"),
    ]  # fmt: skip
    assert {event["logGroupIdentifier"] for event in events} == {ARN}
    assert all(event["ingestionTime"] >= event["timestamp"] - 1 for event in events)
    stream.close()


def test_an_update_each_second_even_without_events(tail: Any) -> None:
    stream = tail.start_live_tail(logGroupIdentifiers=[ARN])["responseStream"]
    assert next(updates(stream)) == {"sessionMetadata": {"sampled": False}, "sessionResults": []}
    stream.close()


def test_patterns_and_streams(server: Any, tail: Any) -> None:
    by_pattern = tail.start_live_tail(logGroupIdentifiers=[ARN], logEventFilterPattern="{ $.n > 1 }")["responseStream"]
    by_name = tail.start_live_tail(logGroupIdentifiers=[ARN], logStreamNames=["b"])["responseStream"]
    by_prefix = tail.start_live_tail(logGroupIdentifiers=[ARN], logStreamNamePrefixes=["b"])["responseStream"]
    say(server, '{"n": 1}', '{"n": 2}')
    say(server, "in b", stream="b")
    say(server, "in b2", stream="b2")
    assert [event["message"] for event in results(by_pattern, 1)] == ['{"n": 2}']
    assert [event["message"] for event in results(by_name, 1)] == ["in b"]
    assert [event["message"] for event in results(by_prefix, 2)] == ["in b", "in b2"]
    for stream in (by_pattern, by_name, by_prefix):
        stream.close()


def test_a_slow_client_loses_the_oldest_and_is_told(server: Any, tail: Any) -> None:
    stream = tail.start_live_tail(logGroupIdentifiers=[ARN])["responseStream"]
    for batch in range(40):
        say(server, *[f"{batch}-{number} " + "x" * 2000 for number in range(500)])
    say(server, "the last")
    sampled, seen, last = False, 0, ""
    for update in updates(stream):
        sampled |= update["sessionMetadata"]["sampled"]
        seen += len(update["sessionResults"])
        if update["sessionResults"]:
            last = update["sessionResults"][-1]["message"]
        if last == "the last":
            break
    assert sampled
    assert seen < 40 * 500
    stream.close()


def test_a_closed_session_is_forgotten(server: Any, tail: Any) -> None:
    streams = [tail.start_live_tail(logGroupIdentifiers=[ARN])["responseStream"] for _ in range(3)]
    for stream in streams:
        stream.close()
    deadline = time.monotonic() + 10
    while server.run(lambda store: len(store._followers)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"logGroupIdentifiers": [GROUP]}, "InvalidParameterException"),
        ({"logGroupIdentifiers": [ARN + ":*"]}, "InvalidParameterException"),
        ({"logGroupIdentifiers": [ARN + "-none"]}, "ResourceNotFoundException"),
        ({"logGroupIdentifiers": [ARN], "logEventFilterPattern": "{"}, "InvalidParameterException"),
        (
            {"logGroupIdentifiers": [ARN], "logStreamNames": ["a"], "logStreamNamePrefixes": ["a"]},
            "InvalidParameterException",
        ),
    ],
)
def test_what_is_refused(tail: Any, parameters: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as caught:
        tail.start_live_tail(**parameters)
    assert caught.value.response["Error"]["Code"] == code
