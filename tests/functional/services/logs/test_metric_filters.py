"""Metric filters with boto3."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.model.ids import AccountId, Region
from lambent.observability.logs.events import LogEvent, LogGroupId, LogStreamId
from lambent.observability.logs.metric_filters import MetricFilters, MetricValues
from lambent.observability.logs.store import LogStore
from lambent.services.logs.metric_filters import measure_for_ever
from lambent.store.api import LOG_GROUPS, Delete, Put
from lambent.store.memory import MemoryStore
from lambent.testing.clock import ManualClock

GROUP = "/aws/lambda/measured"
COUNT = {"metricName": "Errors", "metricNamespace": "App", "metricValue": "1"}


@pytest.fixture
def group(logs: Any) -> str:
    logs.create_log_group(logGroupName=GROUP)
    return GROUP


def put(logs: Any, name: str = "errors", pattern: str = "ERROR", **transformation: Any) -> None:
    logs.put_metric_filter(
        logGroupName=GROUP,
        filterName=name,
        filterPattern=pattern,
        metricTransformations=[{**COUNT, **transformation}],
    )


def names(answer: dict[str, Any]) -> list[str]:
    return [entry["filterName"] for entry in answer["metricFilters"]]


def test_put_describe_delete(logs: Any, group: str) -> None:
    put(logs)
    put(logs, "latency", "{ $.latency = * }", metricName="Latency", metricValue="$.latency", unit="Milliseconds")
    [errors, latency] = logs.describe_metric_filters(logGroupName=group)["metricFilters"]
    assert errors == {
        "filterName": "errors",
        "filterPattern": "ERROR",
        "metricTransformations": [COUNT],
        "creationTime": errors["creationTime"],
        "logGroupName": group,
    }
    assert latency["metricTransformations"][0]["unit"] == "Milliseconds"
    assert names(logs.describe_metric_filters(filterNamePrefix="lat", logGroupName=group)) == ["latency"]
    assert names(logs.describe_metric_filters(metricName="Errors", metricNamespace="App")) == ["errors"]
    assert names(logs.get_paginator("describe_metric_filters").paginate(
        PaginationConfig={"PageSize": 1}).build_full_result()) == ["errors", "latency"]  # fmt: skip
    [described] = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert described["metricFilterCount"] == 2

    put(logs, pattern="FATAL")
    [changed] = logs.describe_metric_filters(filterNamePrefix="err", logGroupName=group)["metricFilters"]
    assert (changed["filterPattern"], changed["creationTime"]) == ("FATAL", errors["creationTime"])
    logs.delete_metric_filter(logGroupName=group, filterName="errors")
    assert names(logs.describe_metric_filters()) == ["latency"]
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.delete_metric_filter(logGroupName=group, filterName="errors")
    logs.delete_log_group(logGroupName=group)
    assert names(logs.describe_metric_filters()) == []


def test_test_metric_filter(logs: Any) -> None:
    lines = [
        '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /apache_pb.gif HTTP/1.0" 200 1534',
        '127.0.0.1 - frank [10/Oct/2000:13:35:22 -0700] "GET /apache_pb.gif HTTP/1.0" 500 5324',
        "something else",
    ]
    pattern = "[ip, identity, user_id, timestamp, request, status_code = 5*, size]"
    assert logs.test_metric_filter(filterPattern=pattern, logEventMessages=lines)["matches"] == [
        {
            "eventNumber": 2,
            "eventMessage": lines[1],
            "extractedValues": {
                "$ip": "127.0.0.1",
                "$identity": "-",
                "$user_id": "frank",
                "$timestamp": "10/Oct/2000:13:35:22 -0700",
                "$request": "GET /apache_pb.gif HTTP/1.0",
                "$status_code": "500",
                "$size": "5324",
            },
        }
    ]


@pytest.mark.parametrize(
    ("pattern", "transformation", "words"),
    [
        ("{", {}, "Invalid filter pattern"),
        ("ERROR", {"metricValue": "one"}, "is no number"),
        ("{ $.a = * }", {"dimensions": {"A": "$.a"}, "defaultValue": 0.0}, "mutually exclusive"),
        ("ERROR", {"dimensions": {"A": "$.a"}}, "dimensions need a filter pattern"),
        ("{ $.a = * }", {"dimensions": dict.fromkeys("ABCD", "$.a")}, "more than 3 dimensions"),
    ],
)
def test_what_is_refused(logs: Any, group: str, pattern: str, transformation: dict[str, Any], words: str) -> None:
    with pytest.raises(ClientError) as caught:
        put(logs, pattern=pattern, **transformation)
    assert caught.value.response["Error"]["Code"] == "InvalidParameterException"
    assert words in caught.value.response["Error"]["Message"]


def test_only_of_groups_that_exist(logs: Any) -> None:
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        put(logs)


class Sink:
    def __init__(self) -> None:
        self.values: list[float] = []

    def put_metric_values(self, values: MetricValues) -> None:
        self.values += values.values


async def test_stored_filters_measure_and_changes_take_effect(tmp_path: Path) -> None:
    logs, store, sink = LogStore(tmp_path, ManualClock()), MemoryStore(), Sink()
    await logs.start()
    account, region = AccountId("0" * 12), Region("us-east-1")
    key = LogGroupId(account, region, GROUP).key
    stream = LogStreamId(account, region, GROUP, "s")

    def measured() -> list[float]:
        """What is measured of two events, of which one has a number."""
        sink.values.clear()
        logs.append(stream, [LogEvent(0, '{"n": 7}'), LogEvent(0, "text")])
        return list(sink.values)

    async def change(change: Put | Delete) -> None:
        await store.commit([change])
        for _ in range(10):
            await asyncio.sleep(0)

    def settings(value: str) -> dict[str, Any]:
        transformation = {**COUNT, "metricValue": value}
        return {"metricFilters": {"f": {"filterPattern": "{ $.n = * }", "metricTransformations": [transformation]}}}

    await store.commit([Put(LOG_GROUPS, key, settings("1"))])
    task = asyncio.create_task(measure_for_ever(store, MetricFilters(logs, sink)))
    await asyncio.sleep(0.05)
    assert measured() == [1.0]
    await change(Put(LOG_GROUPS, key, settings("$.n")))
    assert measured() == [7.0]
    await change(Delete(LOG_GROUPS, key))
    assert measured() == []
    task.cancel()
    await asyncio.wait([task])
    await logs.close()
    await store.close()
