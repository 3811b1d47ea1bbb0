"""What Lambda publishes, from invocations: dimensions, values, times, and what is billed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lambent.invoke.counting import Counting, Permit
from lambent.model.arn import FunctionId
from lambent.model.execution import Completed, FunctionError
from lambent.model.function import FunctionVersion, LoggingConfig
from lambent.model.ids import AccountId, Region, RevisionId
from lambent.observability.metrics import prometheus
from lambent.observability.metrics.database import Usage
from lambent.observability.metrics.invocations import InvocationMetrics
from lambent.observability.metrics.statistics import Statistic, StatisticSet
from lambent.testing.clock import ManualClock

MINUTE = 1_700_000_040
assert MINUTE % 60 == 0
FUNCTION = FunctionId(AccountId("000000000000"), Region("us-east-1"), "f")
Points = dict[tuple[str, tuple[tuple[str, str], ...], int], StatisticSet]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MINUTE + 30)


@pytest.fixture
def counting() -> Counting:
    return Counting(10)


@pytest.fixture
def metrics(clock: ManualClock, counting: Counting) -> InvocationMetrics:
    return InvocationMetrics(clock, counting)


@pytest.fixture
def version() -> FunctionVersion:
    logging = LoggingConfig("Text", "/aws/lambda/f")
    return FunctionVersion(
        *(FUNCTION, "$LATEST", "arn:aws:iam::000000000000:role/r", "digest", "sha256", 1, RevisionId("r"), "e"),
        last_modified="2026-11-23T10:00:00.000+0000",
        logging=logging,
        memory_mb=1024,
        ephemeral_storage_mb=1536,
    )


def _collected(metrics: InvocationMetrics) -> tuple[Points, list[Usage]]:
    points, usage = metrics.collect()()
    assert {key[0].namespace for key in points} <= {"AWS/Lambda"}
    return {(key[0].name, key[0].dimensions, key[2]): values for key, values in points.items()}, list(usage.values())


def _of(points: Points, name: str, statistic: str, *dimensions: tuple[str, str]) -> list[float | None]:
    return [
        Statistic(statistic).of(values)
        for (metric, held, _), values in sorted(points.items())
        if metric == name and held == tuple(sorted(dimensions))
    ]


NAME = ("FunctionName", "f")


def test_every_dimension_set(metrics: InvocationMetrics, version: FunctionVersion) -> None:
    done = Completed(b"", None, None, 100.0, 100)
    for qualifier in (None, "3", "live", "live"):
        metrics.completed(replace(version, version="3"), qualifier, done, 1, 1, 1)
    metrics.completed(replace(version, version="4"), "live", done, 1, 1, 1)
    points, _ = _collected(metrics)
    found = {held: Statistic("Sum").of(v) for (name, held, _), v in points.items() if name == "Invocations"}
    assert found == {
        (): 5,
        (NAME,): 5,
        (NAME, ("Resource", "f")): 1,
        (NAME, ("Resource", "f:3")): 1,
        (NAME, ("Resource", "f:live")): 3,
        (("ExecutedVersion", "3"), NAME, ("Resource", "f:live")): 2,
        (("ExecutedVersion", "4"), NAME, ("Resource", "f:live")): 1,
    }


def test_errors_and_throttles_are_rates(metrics: InvocationMetrics, version: FunctionVersion) -> None:
    for duration in (10.0, 20.0, 30.0, 40.0):
        error = FunctionError.UNHANDLED if duration == 40.0 else None
        metrics.completed(version, None, Completed(b"", error, None, duration, 50), 1, 1, 1)
    metrics.throttled(version, None)
    points, _ = _collected(metrics)
    assert _of(points, "Errors", "Sum", NAME) == [1]
    assert _of(points, "Errors", "Average", NAME) == [0.25]
    assert _of(points, "Throttles", "Sum", NAME) == [1]
    assert _of(points, "Throttles", "SampleCount", NAME) == [5]
    assert _of(points, "Invocations", "Sum", NAME) == [4]
    assert _of(points, "Duration", "Sum", NAME) == [100]
    assert _of(points, "Duration", "p50", NAME) == pytest.approx([20], rel=0.01)
    assert _of(points, "Duration", "Maximum") == [40]


def test_only_throttled(metrics: InvocationMetrics, version: FunctionVersion) -> None:
    metrics.throttled(version, "live")
    points, usage = _collected(metrics)
    assert {name for name, _, _ in points} == {"Throttles"}
    assert usage == []


def test_a_metric_is_of_when_the_invocation_began(metrics: InvocationMetrics, version: FunctionVersion) -> None:
    metrics.completed(version, None, Completed(b"", None, None, 10_000.0, 10_000), 1, 1, 1)
    metrics.completed(version, None, Completed(b"", None, None, 125_000.0, 125_000), 1, 1, 1)
    points, _ = _collected(metrics)
    assert sorted(at - MINUTE for name, held, at in points if name == "Duration" and not held) == [-120, 0]


def test_concurrency(metrics: InvocationMetrics, version: FunctionVersion, counting: Counting) -> None:
    reserved = replace(FUNCTION, name="reserved")
    counting.reserve((FUNCTION.account, FUNCTION.region), {reserved: 4})
    permits = [counting.try_acquire(function) for function in (FUNCTION, FUNCTION, reserved)]
    for permit in permits[:2]:
        assert isinstance(permit, Permit)
        numbers = (permit.function_in_use, permit.account_in_use, permit.unreserved_in_use)
        metrics.completed(version, None, Completed(b"", None, None, 1.0, 1), *numbers)
        permit.release()
    points, _ = _collected(metrics)
    assert _of(points, "ConcurrentExecutions", "Maximum", NAME) == [2]
    assert _of(points, "ConcurrentExecutions", "Maximum", ("FunctionName", "reserved")) == [1]  # it still runs
    assert _of(points, "ConcurrentExecutions", "Maximum") == [2]
    assert _of(points, "UnreservedConcurrentExecutions", "Maximum") == [2]
    assert _of(points, "ClaimedAccountConcurrency", "Maximum") == [6]


def test_what_is_billed_is_exact(metrics: InvocationMetrics, version: FunctionVersion) -> None:
    for billed in (1, 2, 3):
        metrics.completed(version, None, Completed(b"", None, None, 0.5, billed), 1, 1, 1)
    metrics.completed(replace(version, memory_mb=128), "live", Completed(b"", None, None, 0.5, 10), 1, 1, 1)
    _, [usage] = _collected(metrics)
    assert usage == Usage(4, 6 * 1024 + 10 * 128, 16 * 1024)
    assert _collected(metrics) == ({}, [])


def test_totals_for_prometheus(metrics: InvocationMetrics, version: FunctionVersion) -> None:
    for duration in (0.0, 5.0, 200.0):
        metrics.completed(version, None, Completed(b"", None, None, duration, 8), 1, 1, 1)
    metrics.collect()
    metrics.throttled(version, None)
    text = prometheus.function_families(metrics.totals(), {FUNCTION: 2})
    labels = 'account="000000000000",region="us-east-1",function="f"'
    for line in (
        f"lambent_function_invocations_total{{{labels}}} 3",
        f"lambent_function_throttles_total{{{labels}}} 1",
        f"lambent_function_billed_gb_seconds_total{{{labels}}} 0.024",
        f"lambent_function_concurrent_executions{{{labels}}} 2",
        f'lambent_function_duration_seconds_bucket{{{labels},le="0.001"}} 1',
        f'lambent_function_duration_seconds_bucket{{{labels},le="0.01"}} 2',
        f'lambent_function_duration_seconds_bucket{{{labels},le="0.5"}} 3',
        f'lambent_function_duration_seconds_bucket{{{labels},le="+Inf"}} 3',
        f"lambent_function_duration_seconds_sum{{{labels}}} 0.205",
        f"lambent_function_duration_seconds_count{{{labels}}} 3",
    ):
        assert line in text.splitlines()


def test_labels_are_escaped() -> None:
    assert prometheus.family("m", "gauge", "h", [("", {"a": 'x"\\\n'}, 1)]).splitlines()[-1] == 'm{a="x\\"\\\\\\n"} 1'


def test_provisioned_concurrency(metrics: InvocationMetrics, version: FunctionVersion) -> None:
    first = replace(version, version="1")
    done = Completed(b"", None, None, 1.0, 1)
    for in_use in (1, 2, None):
        metrics.completed(first, "live", done, 1, 1, 1)
        metrics.provisioned(first, "live", in_use, 4)
    points, _ = _collected(metrics)
    resource = (NAME, ("Resource", "f:live"))
    assert _of(points, "ProvisionedConcurrencyInvocations", "Sum", *resource) == [2]
    assert _of(points, "ProvisionedConcurrencySpilloverInvocations", "Sum", *resource) == [1]
    assert _of(points, "ProvisionedConcurrentExecutions", "Maximum", *resource) == [2]
    assert _of(points, "ProvisionedConcurrencyUtilization", "Maximum", *resource) == [0.5]


def test_what_is_provisioned_is_claimed(
    metrics: InvocationMetrics, version: FunctionVersion, counting: Counting
) -> None:
    counting.provision(FUNCTION, "1", 3, 3)
    permit = counting.try_acquire(FUNCTION)
    assert isinstance(permit, Permit)
    points, _ = _collected(metrics)
    assert _of(points, "ClaimedAccountConcurrency", "Maximum") == [4]
