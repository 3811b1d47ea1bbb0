"""Logs Insights with boto3: queries over stored events, and what is refused."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

GROUP, OTHER = "/aws/lambda/asked", "/aws/lambda/other"
IDS = [f"0000000{number}-e9f4-11e8-9739-2dfe598c3fcd" for number in range(6)]


@pytest.fixture
def now_ms() -> int:
    return int(time.time()) * 1000 - 60_000


@pytest.fixture
def filled(logs: Any, now_ms: int) -> None:
    """Six invocations in one group, four lines in another between them."""
    for group in (GROUP, OTHER):
        logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName="s")
    lines = []
    for number, request_id in enumerate(IDS):
        at = now_ms + number * 1000
        lines.append((at, f"START RequestId: {request_id} Version: $LATEST\n"))
        lines.append((at + 1, f'{{"level": "INFO", "order": {{"id": {number}}}}}\n'))
        figures = f"Duration: {number}.50 ms\tBilled Duration: {number + 1} ms\tMemory Size: 128 MB\t"
        lines.append((at + 2, f"REPORT RequestId: {request_id}\t{figures}Max Memory Used: {30 + number} MB\t\n"))
    put(logs, GROUP, lines)
    put(logs, OTHER, [(now_ms + number * 1000 + 500, f"other {number}") for number in range(4)])


def put(logs: Any, group: str, lines: list[tuple[int, str]]) -> None:
    events = [{"timestamp": at, "message": message} for at, message in lines]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)


def start(logs: Any, query: str, **parameters: Any) -> str:
    now = int(time.time())
    given = {"logGroupName": GROUP, "startTime": now - 3600, "endTime": now} | parameters
    if any(name in parameters for name in ("logGroupNames", "logGroupIdentifiers")):
        del given["logGroupName"]
    query_id: str = logs.start_query(queryString=query, **given)["queryId"]
    return query_id


def answer(logs: Any, query: str, **parameters: Any) -> list[dict[str, str]]:
    done = wait(logs, start(logs, query, **parameters))
    assert done["status"] == "Complete"
    return [{field["field"]: field["value"] for field in row} for row in done["results"]]


def wait(logs: Any, query_id: str) -> dict[str, Any]:
    while True:
        got: dict[str, Any] = logs.get_query_results(queryId=query_id)
        if got["status"] not in ("Running", "Scheduled"):
            return got
        time.sleep(0.01)


def test_saved_queries_over_reports(logs: Any, filled: None) -> None:
    saved = {one["name"]: one["queryString"] for one in logs.describe_query_definitions()["queryDefinitions"]}
    recent = answer(logs, saved["Lambda/Recent invocations"])
    assert [row["@requestId"] for row in recent] == IDS[::-1]
    assert (recent[0]["@duration"], recent[0]["memorySizeMB"], recent[0]["maxMemoryUsedMB"]) == ("5.5", "128", "35")
    expensive = answer(logs, saved["Lambda/Most expensive invocations"])
    assert [row["@billedDuration"] for row in expensive] == ["6", "5", "4", "3", "2", "1"]
    assert expensive[0]["billedGBSeconds"] == "0.00075"
    [cold] = answer(logs, saved["Lambda/Cold starts"].replace("bin(5m)", "bin(1d)"))
    assert (cold["invocations"], cold["coldStarts"]) == ("6", "0")
    assert answer(logs, saved["Lambda/Errors"]) == []


def test_json_fields_and_statistics(logs: Any, filled: None) -> None:
    query_id = start(logs, "filter order.id > 2 | stats sum(order.id) as s, count(*) as n by level")
    done = wait(logs, query_id)
    [row] = done["results"]
    assert {field["field"]: field["value"] for field in row} == {"level": "INFO", "s": "12", "n": "3"}
    assert (done["statistics"]["recordsScanned"], done["statistics"]["recordsMatched"]) == (18.0, 3.0)


def test_several_groups_are_merged_by_time(logs: Any, filled: None) -> None:
    found = answer(logs, "fields @log, @timestamp", logGroupNames=[GROUP, OTHER])
    assert len(found) == 22
    times = [row["@timestamp"] for row in found]
    assert times == sorted(times, reverse=True)
    assert {row["@log"] for row in found} == {f"000000000000:{GROUP}", f"000000000000:{OTHER}"}
    arn = f"arn:aws:logs:us-east-1:000000000000:log-group:{OTHER}"
    assert len(answer(logs, "fields @message", logGroupIdentifiers=[arn, GROUP])) == 22


def test_the_range_and_the_limit(logs: Any, filled: None, now_ms: int) -> None:
    second = now_ms // 1000
    within = answer(logs, "fields @message | filter @message like 'START'", startTime=second + 1, endTime=second + 2)
    assert [row["@message"].split()[2] for row in within] == [IDS[2], IDS[1]]
    assert len(answer(logs, "fields @message", limit=4)) == 4
    assert len(answer(logs, "fields @message | limit 3", limit=4)) == 3


def test_pages_of_results_and_records(logs: Any, filled: None) -> None:
    query_id = start(logs, "fields @message")
    wait(logs, query_id)
    first = logs.get_query_results(queryId=query_id, maxItems=10)
    second = logs.get_query_results(queryId=query_id, maxItems=10, nextToken=first["nextToken"])
    assert (len(first["results"]), len(second["results"]), "nextToken" in second) == (10, 8, False)
    pointer = next(field["value"] for field in first["results"][0] if field["field"] == "@ptr")
    record = logs.get_log_record(logRecordPointer=pointer)["logRecord"]
    assert record["@requestId"] == IDS[5]
    assert (record["@type"], record["@duration"], record["@log"]) == ("REPORT", "5.5", f"000000000000:{GROUP}")
    assert record["@timestamp"].isdigit()


def test_queries_are_listed_and_stopped(logs: Any, filled: None) -> None:
    query_id = start(logs, "stats count(*)")
    wait(logs, query_id)
    [query] = logs.describe_queries(logGroupName=GROUP)["queries"]
    assert (query["queryId"], query["status"], query["queryString"]) == (query_id, "Complete", "stats count(*)")
    assert logs.describe_queries(status="Running")["queries"] == []
    with pytest.raises(ClientError) as caught:
        logs.stop_query(queryId=query_id)
    assert "is not running" in str(caught.value)
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.get_query_results(queryId="none")


def test_a_query_is_of_its_account(server: Any, logs: Any, filled: None) -> None:
    query_id = start(logs, "stats count(*)")
    other = server.make_client(key="111111111111")
    with pytest.raises(other.exceptions.ResourceNotFoundException):
        other.get_query_results(queryId=query_id)
    assert other.describe_queries()["queries"] == []


def test_a_query_that_never_ends_harms_nobody_and_can_be_stopped(logs: Any, now_ms: int) -> None:
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="s")
    put(logs, GROUP, [(now_ms, "x" * 100)])
    query_id = start(logs, "filter @message like /(x+)+y/")
    assert answer(logs, "stats count(*) as n") == [{"n": "1"}]
    assert logs.get_query_results(queryId=query_id)["status"] == "Running"
    assert logs.stop_query(queryId=query_id)["success"]
    assert wait(logs, query_id)["status"] == "Cancelled"


@pytest.mark.parametrize(
    ("query", "parameters", "code", "words"),
    [
        ("fields", {}, "MalformedQueryException", "unexpected symbol"),
        ("pattern @message", {}, "MalformedQueryException", "not supported"),
        ("fields a", {"logGroupName": "/none"}, "ResourceNotFoundException", "log group does not exist"),
        ("fields a", {"startTime": 10, "endTime": 9}, "InvalidParameterException", "End time"),
        ("fields a", {"queryLanguage": "SQL"}, "InvalidParameterException", "CWLI"),
        ("fields a", {"logGroupNames": []}, "InvalidParameterException", "1 to 50"),
    ],
)
def test_what_is_refused(
    logs: Any, filled: None, query: str, parameters: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(ClientError) as caught:
        start(logs, query, **parameters)
    error = caught.value.response["Error"]
    assert error["Code"] == code
    assert words in error["Message"]


def test_a_malformed_query_says_where(logs: Any, filled: None) -> None:
    with pytest.raises(logs.exceptions.MalformedQueryException) as caught:
        start(logs, "fields a | limit x")
    assert caught.value.response["queryCompileError"]["location"]["startCharOffset"] == 17
