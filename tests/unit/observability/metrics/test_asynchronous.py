"""What Lambda publishes about asynchronous events: names, dimensions, values, times."""

from __future__ import annotations

import pytest

from lambent.model.arn import FunctionId, FunctionReference
from lambent.model.ids import AccountId, Region
from lambent.observability.metrics.asynchronous import AsynchronousMetrics
from lambent.observability.metrics.statistics import Statistic
from lambent.testing.clock import ManualClock

MINUTE = 1_700_000_040
FUNCTION = FunctionId(AccountId("000000000000"), Region("us-east-1"), "f")
PLAIN, LIVE = FunctionReference(FUNCTION, None), FunctionReference(FUNCTION, "live")
ALL: tuple[tuple[str, str], ...] = ()
OF_F = (("FunctionName", "f"),)


@pytest.fixture
def metrics() -> AsynchronousMetrics:
    return AsynchronousMetrics(ManualClock(MINUTE + 30))


def collected(metrics: AsynchronousMetrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], tuple[str, float]]:
    """Name and dimensions → unit and sum."""
    points, usage = metrics.collect()()
    assert usage == {}
    assert {key[0].namespace for key in points} <= {"AWS/Lambda"}
    assert {key[2] for key in points} <= {MINUTE}
    return {
        (key[0].name, key[0].dimensions): (key[1], Statistic("Sum").of(values) or 0.0) for key, values in points.items()
    }


def test_counts_by_function_and_by_what_was_named(metrics: AsynchronousMetrics) -> None:
    for reference in (PLAIN, PLAIN, LIVE):
        metrics.received(reference)
    metrics.dropped(LIVE)
    metrics.delivery_failed(PLAIN, dead_letter=True)
    metrics.delivery_failed(LIVE, dead_letter=False)
    found = collected(metrics)

    def resource(name: str) -> tuple[tuple[str, str], ...]:
        return (("FunctionName", "f"), ("Resource", name))

    assert {dimensions: value for (name, dimensions), value in found.items() if name == "AsyncEventsReceived"} == {
        ALL: ("Count", 3),
        OF_F: ("Count", 3),
        resource("f"): ("Count", 2),
        resource("f:live"): ("Count", 1),
    }
    for name, where in (
        ("AsyncEventsDropped", resource("f:live")),
        ("DeadLetterErrors", resource("f")),
        ("DestinationDeliveryFailures", resource("f:live")),
    ):
        assert {d: value for (n, d), value in found.items() if n == name} == {
            ALL: ("Count", 1),
            OF_F: ("Count", 1),
            where: ("Count", 1),
        }
    assert collected(metrics) == {}
    assert metrics.totals[FUNCTION]["AsyncEventsReceived"] == 3


def test_ages_are_in_milliseconds(metrics: AsynchronousMetrics) -> None:
    for age_s in (0.25, 1.5):
        metrics.aged(PLAIN, age_s)
    assert collected(metrics)["AsyncEventAge", OF_F] == ("Milliseconds", 1750)
