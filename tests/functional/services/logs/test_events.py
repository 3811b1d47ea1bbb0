"""PutLogEvents, GetLogEvents and FilterLogEvents with boto3."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.model.ids import AccountId, Region
from lambent.observability.logs.events import LogEvent, LogStreamId

GROUP = "/aws/lambda/greet"
STREAM = "2026/11/23/[$LATEST]0123456789abcdef0123456789abcdef"
OTHER = "2026/11/23/[1]fedcba9876543210fedcba9876543210"
DAY_MS = 86_400_000


def put(logs: Any, stream: str, events: list[tuple[int, str]]) -> Any:
    batch = [{"timestamp": timestamp, "message": message} for timestamp, message in events]
    return logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=batch)


def refusal(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture
def now_ms() -> int:
    return int(time.time() * 1000)


@pytest.fixture
def filled(logs: Any, now_ms: int) -> list[str]:
    """Twenty-five lines in one stream, every fifth an ERROR; three in another."""
    logs.create_log_group(logGroupName=GROUP)
    for stream in (STREAM, OTHER):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
    lines = [f"{'ERROR' if number % 5 == 0 else 'INFO'} line {number}\n" for number in range(25)]
    put(logs, STREAM, [(now_ms + number, line) for number, line in enumerate(lines)])
    put(logs, OTHER, [(now_ms + 10 * number, f"other {number}\n") for number in range(3)])
    return lines


def read(logs: Any, **params: Any) -> Any:
    return logs.get_log_events(logGroupName=GROUP, logStreamName=STREAM, **params)


def messages(page: Any) -> list[str]:
    return [event["message"] for event in page["events"]]


def test_what_a_function_printed_is_read_at_once(server: Any, logs: Any, now_ms: int) -> None:
    stream = LogStreamId(AccountId("000000000000"), Region("us-east-1"), GROUP, STREAM)
    lines = ["START RequestId: 1 Version: $LATEST\n", "två\nlines\n", "END RequestId: 1\n"]
    server.run(lambda store: store.append(stream, [LogEvent(now_ms, line) for line in lines]))
    page = read(logs, startFromHead=True)
    assert messages(page) == lines
    assert page["events"][0]["timestamp"] == now_ms
    assert abs(page["events"][0]["ingestionTime"] - now_ms) < 60_000


def test_groups_go_by_name_and_arn(logs: Any, filled: list[str]) -> None:
    arn = f"arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}"
    for identifier in (GROUP, arn):
        page = logs.get_log_events(logGroupIdentifier=identifier, logStreamName=STREAM, startFromHead=True)
        assert messages(page) == filled
        assert len(logs.filter_log_events(logGroupIdentifier=identifier)["events"]) == 28
    with pytest.raises(ClientError) as caught:
        logs.filter_log_events(logGroupIdentifier=f"{arn}:*")
    assert refusal(caught)[0] == "InvalidParameterException"


def test_forward_to_the_end_and_on(logs: Any, filled: list[str], now_ms: int) -> None:
    found: list[str] = []
    params: dict[str, Any] = {"startFromHead": True, "limit": 7}
    while True:
        page = read(logs, **params)
        found += messages(page)
        if page["nextForwardToken"] == params.get("nextToken"):
            break
        params["nextToken"] = page["nextForwardToken"]
    assert found == filled
    put(logs, STREAM, [(now_ms + 100, "later\n")])
    assert messages(read(logs, **params)) == ["later\n"]


def test_backward_to_the_beginning_and_forward_again(logs: Any, filled: list[str]) -> None:
    pages: list[list[str]] = []
    params: dict[str, Any] = {"limit": 7}
    while True:
        page = read(logs, **params)
        pages.insert(0, messages(page))
        if page["nextBackwardToken"] == params.get("nextToken"):
            break
        params["nextToken"] = page["nextBackwardToken"]
    assert [line for each in pages for line in each] == filled
    assert [len(each) for each in pages] == [0, 4, 7, 7, 7]
    assert messages(read(logs, nextToken=page["nextForwardToken"], limit=3)) == filled[:3]


def test_a_page_holds_together_with_its_neighbours(logs: Any, filled: list[str]) -> None:
    last = read(logs, limit=5)
    assert messages(last) == filled[20:]
    before = read(logs, nextToken=last["nextBackwardToken"], limit=5)
    assert messages(before) == filled[15:20]
    assert messages(read(logs, nextToken=before["nextForwardToken"], limit=5)) == filled[20:]
    nothing = read(logs, nextToken=last["nextForwardToken"])
    assert messages(nothing) == []
    assert nothing["nextForwardToken"] == last["nextForwardToken"]
    assert messages(read(logs, nextToken=nothing["nextBackwardToken"], limit=5)) == filled[20:]


def test_tokens_of_an_empty_stream_wait_for_the_first_event(logs: Any, now_ms: int) -> None:
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName=STREAM)
    page = read(logs)
    assert messages(page) == []
    assert read(logs, nextToken=page["nextForwardToken"])["nextForwardToken"] == page["nextForwardToken"]
    put(logs, STREAM, [(now_ms, "first")])
    assert messages(read(logs, nextToken=page["nextForwardToken"])) == ["first"]


def test_times_of_get_and_filter(logs: Any, filled: list[str], now_ms: int) -> None:
    window = {"startTime": now_ms + 5, "endTime": now_ms + 8}
    assert messages(read(logs, startFromHead=True, **window)) == filled[5:8]
    page = logs.filter_log_events(logGroupName=GROUP, logStreamNames=[STREAM], **window)
    assert messages(page) == filled[5:9]


def test_a_page_is_at_most_a_megabyte(logs: Any, now_ms: int) -> None:
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName=STREAM)
    for number in range(3):
        put(logs, STREAM, [(now_ms + number, str(number) * 700_000)])
    page = read(logs, startFromHead=True)
    assert [event["message"][0] for event in page["events"]] == ["0"]
    page = read(logs, nextToken=page["nextForwardToken"])
    assert [event["message"][0] for event in page["events"]] == ["1"]


def test_filter_finds_by_terms_over_all_streams(logs: Any, filled: list[str], now_ms: int) -> None:
    def search(**params: Any) -> list[str]:
        paginator = logs.get_paginator("filter_log_events")
        return [m for page in paginator.paginate(logGroupName=GROUP, **params) for m in messages(page)]

    errors = [line for line in filled if "ERROR" in line]
    assert search(filterPattern="ERROR") == errors
    assert search(filterPattern="ERROR", limit=2) == errors
    assert search(filterPattern="error") == []
    assert search(filterPattern='"line 7"') == [filled[7]]
    assert search(filterPattern="?ERROR ?other", startTime=now_ms + 16) == [filled[20], "other 2\n"]
    assert search(filterPattern="[level=ERROR, ...]") == errors
    assert search(filterPattern=r"%^ERROR line \d+%") == errors
    assert search(filterPattern="-INFO -ERROR") == ["other 0\n", "other 1\n", "other 2\n"]
    assert search(logStreamNamePrefix="2026/11/23/[1]") == ["other 0\n", "other 1\n", "other 2\n"]
    assert search(logStreamNames=[OTHER], startFromHead=False, limit=1, startTime=now_ms) == [
        "other 2\n",
        "other 1\n",
        "other 0\n",
    ]
    everything = logs.filter_log_events(logGroupName=GROUP, interleaved=True)
    keys = [(event["timestamp"], event["eventId"]) for event in everything["events"]]
    assert len(keys) == 28
    assert keys == sorted(keys)
    assert len({event["eventId"] for event in everything["events"]}) == 28
    assert all(len(event["eventId"]) == 56 for event in everything["events"])
    assert everything["searchedLogStreams"] == []
    assert "nextToken" not in everything


@pytest.mark.parametrize(
    ("operation", "params", "code", "message"),
    [
        (
            "get_log_events",
            {"logGroupName": "none", "logStreamName": STREAM},
            "ResourceNotFoundException",
            "The specified log group does not exist.",
        ),
        (
            "get_log_events",
            {"logGroupName": GROUP, "logStreamName": "none"},
            "ResourceNotFoundException",
            "The specified log stream does not exist.",
        ),
        (
            "get_log_events",
            {"logGroupName": GROUP, "logStreamName": STREAM, "nextToken": "x"},
            "InvalidParameterException",
            "The specified nextToken is invalid.",
        ),
        (
            "get_log_events",
            {"logStreamName": STREAM},
            "InvalidParameterException",
            "You must include either logGroupIdentifier or logGroupName, but not both.",
        ),
        (
            "filter_log_events",
            {"logGroupName": "none"},
            "ResourceNotFoundException",
            "The specified log group does not exist.",
        ),
        (
            "filter_log_events",
            {"logGroupName": GROUP, "nextToken": "WzFd"},
            "InvalidParameterException",
            "The specified nextToken is invalid.",
        ),
        (
            "filter_log_events",
            {"logGroupName": GROUP, "filterPattern": "{ $.a = }"},
            "InvalidParameterException",
            "Invalid filter pattern: a value is missing before ''",
        ),
        (
            "filter_log_events",
            {"logGroupName": GROUP, "logStreamNames": ["none"]},
            "ResourceNotFoundException",
            "The specified log stream does not exist.",
        ),
        (
            "filter_log_events",
            {"logGroupName": GROUP, "startFromHead": False, "startTime": 0},
            "InvalidParameterException",
            "startTime must not be before 1704067200000 if startFromHead is false.",
        ),
        (
            "put_log_events",
            {"logGroupName": "none", "logStreamName": STREAM, "logEvents": [{"timestamp": 1, "message": "x"}]},
            "ResourceNotFoundException",
            "The specified log group does not exist.",
        ),
        (
            "put_log_events",
            {"logGroupName": GROUP, "logStreamName": "none", "logEvents": [{"timestamp": 1, "message": "x"}]},
            "ResourceNotFoundException",
            "The specified log stream does not exist.",
        ),
    ],
)
def test_refusals(
    logs: Any, filled: list[str], operation: str, params: dict[str, Any], code: str, message: str
) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(logs, operation)(**params)
    assert refusal(caught) == (code, message)


def test_batches_that_are_refused(logs: Any, filled: list[str], now_ms: int) -> None:
    for events, message in (
        ([(now_ms, "b"), (now_ms - 1, "a")], "must be in chronological order"),
        ([(now_ms, "x" * 1_048_551)], "Log event too large: 1048577 bytes exceeds limit of 1048576"),
        ([(now_ms, "x" * 600_000)] * 2, "Upload too large: 1200052 bytes exceeds limit of 1048576"),
        ([(now_ms - DAY_MS - 1, "a"), (now_ms, "b")], "cannot span more than 24 hours"),
    ):
        with pytest.raises(ClientError) as caught:
            put(logs, STREAM, events)
        assert refusal(caught)[0] == "InvalidParameterException"
        assert message in refusal(caught)[1]
    assert messages(read(logs, startFromHead=True)) == filled


def test_events_too_old_or_too_new_are_left_out_and_named(logs: Any, filled: list[str], now_ms: int) -> None:
    hour = 3_600_000
    times = [now_ms - 15 * DAY_MS, now_ms - 14 * DAY_MS - hour, now_ms, now_ms + 1, now_ms + 3 * hour]
    answer = put(logs, OTHER, [(timestamp, f"at {number}") for number, timestamp in enumerate(times)])
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 2, "tooNewLogEventStartIndex": 4}
    page = logs.filter_log_events(logGroupName=GROUP, filterPattern="at")
    assert messages(page) == ["at 2", "at 3"]


def test_retention_hides_at_once_and_gives_space_back(server: Any, logs: Any, filled: list[str], now_ms: int) -> None:
    def on_disk() -> int:
        return sum(path.stat().st_size for path in (server.data / "logs").rglob("*.log"))

    for number in range(20):
        put(logs, STREAM, [(now_ms + 1000 + number, "x" * 5000)])
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=1)
    before = on_disk()
    assert server.apply_retention() == 0
    server.clock.offset_s = 25 * 3600
    put(logs, OTHER, [(now_ms + 25 * 3_600_000, "tomorrow")])
    assert messages(logs.filter_log_events(logGroupName=GROUP)) == ["tomorrow"]
    assert messages(read(logs)) == []
    assert server.apply_retention() > 0
    assert on_disk() < before
    logs.delete_retention_policy(logGroupName=GROUP)
    assert messages(logs.filter_log_events(logGroupName=GROUP))[-1] == "tomorrow"
    answer = put(logs, OTHER, [(now_ms + 25 * 3_600_000, "kept")])
    assert "rejectedLogEventsInfo" not in answer
