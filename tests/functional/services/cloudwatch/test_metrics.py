"""PutMetricData, ListMetrics, GetMetricStatistics and GetMetricData with botocore, in all three protocols."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.functional.services.cloudwatch.conftest import PROTOCOLS, CloudWatchServer, running

NOW = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=30)


@pytest.fixture
def namespace() -> str:
    return f"Test/{uuid.uuid4().hex}"


def _at(minute: int) -> datetime:
    return NOW + timedelta(minutes=minute)


def _statistics(cloudwatch: Any, namespace: str, name: str, **further: Any) -> list[dict[str, Any]]:
    request = {"StartTime": NOW, "EndTime": _at(20), "Period": 60} | further
    answer = cloudwatch.get_metric_statistics(Namespace=namespace, MetricName=name, **request)
    assert answer["Label"] == name
    return sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])


def test_every_form_of_datum(cloudwatch: Any, namespace: str) -> None:
    cloudwatch.put_metric_data(
        Namespace=namespace,
        MetricData=[
            {"MetricName": "A", "Value": 2.5, "Unit": "Seconds", "Timestamp": NOW},
            {"MetricName": "A", "Values": [1.0, 4.0], "Counts": [3.0, 1.0], "Unit": "Seconds", "Timestamp": _at(1)},
            {
                "MetricName": "A",
                "StatisticValues": {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 5},
                "Unit": "Seconds",
                "Timestamp": _at(2),
            },
        ],
    )
    every = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"]
    points = _statistics(cloudwatch, namespace, "A", Statistics=every)
    assert [[point[name] for name in every] for point in points] == [
        [1, 2.5, 2.5, 2.5, 2.5],
        [4, 1.75, 7, 1, 4],
        [4, 2.5, 10, 1, 5],
    ]
    assert [point["Timestamp"] for point in points] == [NOW, _at(1), _at(2)]
    assert {point["Unit"] for point in points} == {"Seconds"}
    [together] = _statistics(cloudwatch, namespace, "A", Statistics=every, Period=1200)
    assert [together[name] for name in every] == [9, 19.5 / 9, 19.5, 1, 5]
    percentiles = _statistics(cloudwatch, namespace, "A", ExtendedStatistics=["p50", "p99"])
    assert [point["ExtendedStatistics"]["p50"] for point in percentiles] == pytest.approx([2.5, 1.0], rel=0.01)


def test_dimensions_and_units_tell_metrics_apart(cloudwatch: Any, namespace: str) -> None:
    both = [{"Name": "X", "Value": "1"}, {"Name": "Y", "Value": "2"}]
    cloudwatch.put_metric_data(
        Namespace=namespace,
        MetricData=[
            {"MetricName": "A", "Value": 1, "Timestamp": NOW},
            {"MetricName": "A", "Value": 2, "Timestamp": NOW, "Dimensions": both[:1]},
            {"MetricName": "A", "Value": 4, "Timestamp": NOW, "Dimensions": both},
            {"MetricName": "A", "Value": 8, "Timestamp": NOW, "Dimensions": both[::-1], "Unit": "Bytes"},
        ],
    )
    found = [
        [(point["Sum"], point["Unit"]) for point in _statistics(cloudwatch, namespace, "A", Statistics=["Sum"], **more)]
        for more in (
            {},
            {"Dimensions": both[:1]},
            {"Dimensions": both},
            {"Dimensions": both, "Unit": "Bytes"},
            {"Dimensions": both[1:]},
        )
    ]
    assert found == [[(1, "None")], [(2, "None")], [(8, "Bytes"), (4, "None")], [(8, "Bytes")], []]


def test_metrics_are_listed(cloudwatch: Any, namespace: str) -> None:
    data = [
        {"MetricName": "Orders", "Value": 1, "Dimensions": [{"Name": "Kind", "Value": "book"}]},
        {"MetricName": "Orders", "Value": 1, "Dimensions": [{"Name": "Kind", "Value": "film"}]},
        {"MetricName": "Visits", "Value": 1, "Timestamp": NOW - timedelta(days=1)},
    ]
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)

    def listed(**filters: Any) -> list[tuple[str, list[str]]]:
        answer = cloudwatch.list_metrics(Namespace=namespace, **filters)
        assert {metric["Namespace"] for metric in answer["Metrics"]} <= {namespace}
        return [(one["MetricName"], [each["Value"] for each in one["Dimensions"]]) for one in answer["Metrics"]]

    assert listed() == [("Orders", ["book"]), ("Orders", ["film"]), ("Visits", [])]
    assert listed(MetricName="Visits") == [("Visits", [])]
    assert listed(Dimensions=[{"Name": "Kind"}]) == [("Orders", ["book"]), ("Orders", ["film"])]
    assert listed(Dimensions=[{"Name": "Kind", "Value": "film"}]) == [("Orders", ["film"])]
    assert listed(RecentlyActive="PT3H") == [("Orders", ["book"]), ("Orders", ["film"])]


def test_many_metrics_are_listed_in_pages(cloudwatch: Any, namespace: str) -> None:
    names = [f"M{number:04d}" for number in range(1200)]
    for start in range(0, 1200, 400):  # large enough to be sent compressed
        data = [{"MetricName": name, "Value": 1.0} for name in names[start : start + 400]]
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    pages = list(cloudwatch.get_paginator("list_metrics").paginate(Namespace=namespace))
    assert [len(page["Metrics"]) for page in pages] == [500, 500, 200]
    assert [metric["MetricName"] for page in pages for metric in page["Metrics"]] == names


def test_accounts_see_their_own(in_account: Callable[[str], Any], namespace: str) -> None:
    in_account("111111111111").put_metric_data(Namespace=namespace, MetricData=[{"MetricName": "A", "Value": 1}])
    assert in_account("222222222222").list_metrics(Namespace=namespace)["Metrics"] == []
    assert len(in_account("111111111111").list_metrics(Namespace=namespace)["Metrics"]) == 1


def test_percentiles_of_many_values(cloudwatch: Any, namespace: str) -> None:
    draw = random.Random(3)
    values = [draw.lognormvariate(4, 1.5) for _ in range(3000)]
    for start in range(0, 3000, 150):
        datum = {"MetricName": "A", "Values": values[start : start + 150], "Timestamp": NOW}
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=[datum])
    names = ["p1", "p50", "p90", "p99", "p99.9"]
    [point] = _statistics(cloudwatch, namespace, "A", ExtendedStatistics=names)
    ordered = sorted(values)
    for name in names:
        true = ordered[-(-int(float(name[1:]) * 10) * 3000 // 1000) - 1]
        assert point["ExtendedStatistics"][name] == pytest.approx(true, rel=0.0101), name


def test_data_and_expressions_together(cloudwatch: Any, namespace: str) -> None:
    calls, errors = [10, 20, 40], [1, 0, 10]
    for minute in range(3):
        data = [
            {"MetricName": "Calls", "Value": calls[minute], "Timestamp": _at(minute)},
            {"MetricName": "Errors", "Value": errors[minute], "Timestamp": _at(minute)},
        ]
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)

    def stat(name: str, **more: Any) -> dict[str, Any]:
        metric = {"Namespace": namespace, "MetricName": name}
        return {"Id": name.lower(), "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}, **more}

    answer = cloudwatch.get_metric_data(
        StartTime=NOW,
        EndTime=_at(5),
        ScanBy="TimestampAscending",
        MetricDataQueries=[
            {"Id": "rate", "Expression": "100 * errors / calls", "Label": "Error rate"},
            stat("Calls", ReturnData=False),
            stat("Errors"),
            {"Id": "all", "Expression": "SUM(METRICS())"},
            {"Id": "late", "Expression": "FILL(rate, 0)"},
            {"Id": "bad", "Expression": "IF(rate > 9, rate)"},
            {"Id": "share", "Expression": "calls / SUM(calls)"},
            {"Id": "speed", "Expression": "RATE(calls) * PERIOD(calls)"},
        ],
    )
    results = {result["Id"]: result for result in answer["MetricDataResults"]}
    assert list(results) == ["rate", "errors", "all", "late", "bad", "share", "speed"]
    assert {key: result["Values"] for key, result in results.items()} == {
        "rate": [10, 0, 25],
        "errors": [1, 0, 10],
        "all": [11, 20, 50],
        "late": [10, 0, 25, 0, 0],
        "bad": [10, 25],
        "share": pytest.approx([1 / 7, 2 / 7, 4 / 7]),
        "speed": pytest.approx([10, 20]),
    }
    assert results["rate"]["Timestamps"] == [_at(0), _at(1), _at(2)]
    assert results["bad"]["Timestamps"] == [_at(0), _at(2)]
    assert [results[name]["Label"] for name in ("rate", "errors", "all")] == ["Error rate", "Errors", "all"]
    assert {result["StatusCode"] for result in results.values()} == {"Complete"}


@pytest.mark.parametrize("scan_by", ["TimestampAscending", "TimestampDescending"])
def test_data_come_in_pages(cloudwatch: Any, namespace: str, scan_by: str) -> None:
    for minute in range(7):
        data = [{"MetricName": name, "Value": minute, "Timestamp": _at(minute)} for name in ("A", "B")]
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    queries = [
        {
            "Id": name.lower(),
            "MetricStat": {"Metric": {"Namespace": namespace, "MetricName": name}, "Period": 60, "Stat": "Average"},
        }
        for name in ("A", "B", "C")
    ]
    request = {"MetricDataQueries": queries, "StartTime": NOW, "EndTime": _at(20), "ScanBy": scan_by}
    pages, token = [], None
    while True:
        more: dict[str, str] = {"NextToken": token} if token else {}
        page = cloudwatch.get_metric_data(**request, MaxDatapoints=4, **more)
        pages.append(page["MetricDataResults"])
        assert sum(len(result["Values"]) for result in pages[-1]) <= 4
        token = page.get("NextToken")
        if token is None:
            break
    expected = list(range(7)) if scan_by == "TimestampAscending" else list(range(6, -1, -1))
    for name in ("a", "b"):
        parts = [result for page in pages for result in page if result["Id"] == name]
        assert [value for part in parts for value in part["Values"]] == expected
        assert [part["StatusCode"] for part in parts] == ["PartialData"] * (len(parts) - 1) + ["Complete"]
    assert [len(page) for page in pages][-1] >= 1


def test_high_resolution(cloudwatch: Any, namespace: str) -> None:
    now = datetime.fromtimestamp(time.time() // 60 * 60 - 60, UTC)
    for second in (0, 5, 6, 31):
        datum = {"MetricName": "A", "Value": 1, "StorageResolution": 1, "Timestamp": now + timedelta(seconds=second)}
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=[datum])
    request = {"StartTime": now, "EndTime": now + timedelta(seconds=60), "Statistics": ["Sum"]}
    for period, sums in ((1, [1, 1, 1, 1]), (10, [3, 1]), (30, [3, 1]), (60, [4])):
        points = _statistics(cloudwatch, namespace, "A", Period=period, **request)
        assert [point["Sum"] for point in points] == sums


@pytest.mark.parametrize(
    ("datum", "code"),
    [
        ({}, "MissingParameter"),
        ({"Value": 1.0, "Values": [1.0]}, "InvalidParameterCombination"),
        ({"Value": 2.0**361}, "InvalidParameterValue"),
        ({"Values": [1.0, 2.0], "Counts": [1.0]}, "InvalidParameterValue"),
        ({"Values": [1.0], "Counts": [0.0]}, "InvalidParameterValue"),
        ({"Values": [1.0] * 151}, "InvalidParameterValue"),
        ({"Value": 1.0, "StorageResolution": 30}, "InvalidParameterValue"),
        ({"Value": 1.0, "Timestamp": NOW - timedelta(days=15)}, "InvalidParameterValue"),
        ({"Value": 1.0, "Timestamp": NOW + timedelta(hours=3)}, "InvalidParameterValue"),
        (
            {"StatisticValues": {"SampleCount": 1, "Sum": 1, "Minimum": 2, "Maximum": 1}},
            "InvalidParameterValue",
        ),
    ],
)
def test_wrong_data_are_refused_whole(cloudwatch: Any, namespace: str, datum: dict[str, Any], code: str) -> None:
    data = [{"MetricName": "Fine", "Value": 1.0}, {"MetricName": "A", **datum}]
    with pytest.raises(ClientError) as refused:
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    assert refused.value.response["Error"]["Code"] == code
    assert "MetricData.member.2" in refused.value.response["Error"]["Message"]
    assert cloudwatch.list_metrics(Namespace=namespace)["Metrics"] == []


def test_aws_namespaces_are_not_to_be_written(cloudwatch: Any) -> None:
    with pytest.raises(ClientError, match="The value AWS/ for parameter Namespace is invalid"):
        cloudwatch.put_metric_data(Namespace="AWS/Lambda", MetricData=[{"MetricName": "A", "Value": 1}])


def test_not_a_number_is_no_value(cloudwatch: Any, namespace: str) -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ClientError, match="InvalidParameterValue"):
            cloudwatch.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": "A", "Value": value}])


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({}, "MissingParameter"),
        ({"Statistics": ["Sum"], "ExtendedStatistics": ["p50"]}, "InvalidParameterCombination"),
        ({"Statistics": ["Sum"], "Period": 90}, "InvalidParameterValue"),
        ({"ExtendedStatistics": ["p200"]}, "InvalidParameterValue"),
        ({"Statistics": ["Sum"], "EndTime": NOW - timedelta(hours=1)}, "InvalidParameterValue"),
        ({"Statistics": ["Sum"], "StartTime": NOW - timedelta(days=3)}, "InvalidParameterCombination"),
    ],
)
def test_wrong_questions_are_refused(cloudwatch: Any, namespace: str, request_: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as refused:
        _statistics(cloudwatch, namespace, "A", **request_)
    assert refused.value.response["Error"]["Code"] == code


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("1 +", "ends too early"),
        ("nothing * 2", "no query with the id"),
        ("NOSUCH(a)", "not offered"),
        ("SUM(a)", "must be a time series"),
        ("e * 2", "need each other"),
        ("a $ 2", "unexpected"),
        ("(" * 500, "nested too deeply"),
    ],
)
def test_wrong_expressions_are_refused(cloudwatch: Any, namespace: str, expression: str, message: str) -> None:
    metric = {"Namespace": namespace, "MetricName": "A"}
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": "A", "Value": 1, "Timestamp": NOW}])
    queries = [
        {"Id": "a", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}},
        {"Id": "e", "Expression": expression},
    ]
    with pytest.raises(ClientError, match=message) as refused:
        cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=NOW, EndTime=_at(5))
    assert refused.value.response["Error"]["Code"] == "ValidationError"


def test_tokens_of_others_are_refused(cloudwatch: Any, namespace: str) -> None:
    with pytest.raises(ClientError, match="InvalidNextToken"):
        cloudwatch.list_metrics(Namespace=namespace, NextToken="nonsense")


def test_what_is_not_offered_says_so(cloudwatch: Any) -> None:
    with pytest.raises(ClientError, match="Lambent does not offer cloudwatch:DescribeAlarms yet"):
        cloudwatch.describe_alarms()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_disk_that_metrics_may_take_no_more_of_is_told(tmp_path: Path, protocol: str) -> None:
    with running(CloudWatchServer(tmp_path, custom_below_bytes=1)) as server:
        cloudwatch = server.client(protocol)
        with pytest.raises(ClientError, match="--metric-limit") as refused:
            cloudwatch.put_metric_data(Namespace="shop", MetricData=[{"MetricName": "A", "Value": 1}])
        assert refused.value.response["Error"]["Code"] == "LimitExceeded"
        assert cloudwatch.list_metrics()["Metrics"] == []
