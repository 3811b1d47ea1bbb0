"""What metric filters measure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lambent.model.ids import AccountId, Region
from lambent.observability.logs.events import LogEvent, LogGroupId, LogStreamId
from lambent.observability.logs.metric_filters import (
    InvalidFilterPatternError,
    MetricFilter,
    MetricFilters,
    MetricTransformation,
    MetricValues,
)
from lambent.observability.logs.store import LogStore
from lambent.testing.clock import ManualClock

GROUP = LogGroupId(AccountId("0" * 12), Region("us-east-1"), "g")
APACHE = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /x HTTP/1.0" 404 1534'
COLUMNS = "[ip, user, username, timestamp, request, status, bytes]"


def transformation(value: str, **more: Any) -> MetricTransformation:
    return MetricTransformation("app", "m", value, **more)


@pytest.mark.parametrize(
    ("pattern", "wanted", "message", "measured"),
    [
        ("ERROR", transformation("1"), "an ERROR", (1.0, ())),
        ("ERROR", transformation("1"), "fine", None),
        ("ERROR", transformation("1", default=0.0), "fine", (0.0, ())),
        (COLUMNS, transformation("$bytes"), APACHE, (1534.0, ())),
        (COLUMNS, transformation("$user"), APACHE, None),  # no number
        (COLUMNS, transformation("1", dimensions={"Status": "$status", "User": "$username"}), APACHE,
         (1.0, (("Status", "404"), ("User", "frank")))),
        ("{ $.latency = * }", transformation("$.latency"), '{"latency": 12.5}', (12.5, ())),
        ("{ $.latency = * }", transformation("$.latency"), '{"latency": "slow"}', None),
        ("{ $.level = ERROR }", transformation("$.n"), '{"level": "ERROR"}', None),
        ("{ $.n = * }", transformation("$.n", dimensions={"A": "$.a"}), '{"n": 1, "a": "x"}', (1.0, (("A", "x"),))),
        ("{ $.n = * }", transformation("$.n", dimensions={"A": "$.a"}), '{"n": 1}', (1.0, ())),
    ],
)  # fmt: skip
def test_measures(pattern: str, wanted: MetricTransformation, message: str, measured: object) -> None:
    assert MetricFilter(pattern, wanted).measure(message) == measured


def test_what_is_no_filter() -> None:
    with pytest.raises(InvalidFilterPatternError):
        MetricFilter("{ $.a", transformation("1"))
    with pytest.raises(InvalidFilterPatternError):
        MetricFilter("ERROR", transformation("$.a["))


async def test_values_reach_the_sink_by_minute(tmp_path: Path) -> None:
    class Sink:
        def __init__(self) -> None:
            self.got: list[MetricValues] = []

        def put_metric_values(self, values: MetricValues) -> None:
            self.got.append(values)

    store, sink = LogStore(tmp_path, ManualClock()), Sink()
    await store.start()
    active = MetricFilters(store, sink)
    active.set(GROUP, [MetricFilter("{ $.n = * }", transformation("$.n", unit="Count"))])
    stream = LogStreamId(GROUP.account, GROUP.region, GROUP.name, "s")
    times = [60_000, 61_000, 120_000]
    store.append(stream, [LogEvent(time, f'{{"n": {number}}}') for number, time in enumerate(times)])
    assert sink.got == [
        MetricValues(GROUP, "app", "m", (), "Count", 60.0, (0.0, 1.0)),
        MetricValues(GROUP, "app", "m", (), "Count", 120.0, (2.0,)),
    ]
    active.set(GROUP, [])
    store.append(stream, [LogEvent(1, '{"n": 1}')])
    assert len(sink.got) == 2
    await store.close()
