"""The embedded metric format: the specification's own example, and lines that are almost it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.observability.metrics.embedded import EmbeddedMetric, embedded_metrics

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
EXAMPLE: dict[str, Any] = {
    "_aws": {
        "Timestamp": 1574109732004,
        "CloudWatchMetrics": [
            {
                "Namespace": "lambda-function-metrics",
                "Dimensions": [["functionVersion"]],
                "Metrics": [{"Name": "time", "Unit": "Milliseconds", "StorageResolution": 60}],
            }
        ],
    },
    "functionVersion": "$LATEST",
    "time": 100,
    "requestId": "989ffbf8-9ace-4817-a57c-e4dd734019ee",
}


def _with(path: str, value: Any) -> str:
    document = json.loads(json.dumps(EXAMPLE))
    *parents, last = path.split(".")
    here = document
    for name in parents:
        here = here[int(name)] if name.isdecimal() else here[name]
    here[last] = value
    return json.dumps(document)


def test_the_example_of_the_specification() -> None:
    [found] = embedded_metrics(json.dumps(EXAMPLE) + "\n")
    assert found == EmbeddedMetric(
        "lambda-function-metrics",
        "time",
        (("functionVersion", "$LATEST"),),
        "Milliseconds",
        (100.0,),
        1574109732.004,
        fine=False,
    )


DIRECTIVE = "_aws.CloudWatchMetrics.0"


@pytest.mark.parametrize(
    ("path", "value", "dimensions"),
    [
        (f"{DIRECTIVE}.Dimensions", [], [()]),
        (f"{DIRECTIVE}.Dimensions", [[]], [()]),
        (
            f"{DIRECTIVE}.Dimensions",
            [["functionVersion", "requestId"], ["functionVersion"], ["missing"], ["time"]],
            [(("functionVersion", "$LATEST"), ("requestId", EXAMPLE["requestId"])), (("functionVersion", "$LATEST"),)],
        ),
    ],
)
def test_each_set_of_dimensions_is_a_metric(path: str, value: Any, dimensions: list[Any]) -> None:
    assert [found.dimensions for found in embedded_metrics(_with(path, value))] == dimensions


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("time", "fast"),
        ("time", [1, "2"]),
        ("time", True),
        ("time", [1] * 101),
        ("time", 1e300),
        (f"{DIRECTIVE}.Namespace", "AWS/Lambda"),
        (f"{DIRECTIVE}.Namespace", 1),
        (f"{DIRECTIVE}.Metrics", [{"Name": "other"}]),
        (f"{DIRECTIVE}.Metrics", [{"Name": "time", "Unit": "Parsecs"}]),
        (f"{DIRECTIVE}.Metrics", "time"),
        ("_aws.Timestamp", "now"),
        ("_aws.CloudWatchMetrics", {}),
        ("_aws", None),
    ],
)
def test_what_does_not_follow_the_specification_is_left_out(path: str, value: Any) -> None:
    assert list(embedded_metrics(_with(path, value))) == []


def test_several_values_and_high_resolution() -> None:
    line = _with(f"{DIRECTIVE}.Metrics", [{"Name": "time", "StorageResolution": 1}])
    line = line.replace('"time": 100', '"time": [1, 2.5]')
    [found] = embedded_metrics(line)
    assert (found.values, found.unit, found.fine) == ((1.0, 2.5), "None", True)


@pytest.mark.parametrize("line", ["", "{", '["_aws"]', '{"_aws": 1}', 'text with "_aws" in it', '{"_aws": [}'])
def test_other_lines_are_just_lines(line: str) -> None:
    assert list(embedded_metrics(line)) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
PLACES = ["_aws", "_aws.Timestamp", "_aws.CloudWatchMetrics", DIRECTIVE + ".Dimensions", DIRECTIVE + ".Metrics", "time"]


@given(st.sampled_from(PLACES), JSON)
def test_nothing_a_function_prints_raises(path: str, value: Any) -> None:
    list(embedded_metrics(_with(path, value)))
