"""What functions print becomes metrics."""

from __future__ import annotations

import datetime as dt

import pytest

from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

SOURCE = """
import json
def handler(event, context):
    print(json.dumps({"latency": event, "route": "/a"}))
"""


def test_a_metric_filter_measures_what_a_function_prints(server: RunningServer) -> None:
    server.deploy("measured", {"app.py": SOURCE})
    server.invoke("measured", 1)
    transformation = {
        "metricNamespace": "Shop",
        "metricName": "Latency",
        "metricValue": "$.latency",
        "unit": "Milliseconds",
        "dimensions": {"Route": "$.route"},
    }
    server.client("logs").put_metric_filter(
        logGroupName="/aws/lambda/measured",
        filterName="latency",
        filterPattern="{ $.latency > 1 }",
        metricTransformations=[transformation],
    )
    for latency in (1, 20, 30):
        server.invoke("measured", latency)
    now = dt.datetime.now(dt.UTC)
    answer = server.client("cloudwatch").get_metric_statistics(
        Namespace="Shop",
        MetricName="Latency",
        Dimensions=[{"Name": "Route", "Value": "/a"}],
        StartTime=now - dt.timedelta(minutes=10),
        EndTime=now + dt.timedelta(minutes=5),
        Period=3600,
        Statistics=["Sum", "SampleCount"],
    )
    assert sum(point["Sum"] for point in answer["Datapoints"]) == 50
    assert sum(point["SampleCount"] for point in answer["Datapoints"]) == 2
    assert {point["Unit"] for point in answer["Datapoints"]} == {"Milliseconds"}
