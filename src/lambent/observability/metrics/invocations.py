"""What Lambda publishes about invocations, and what it bills for them. Implements `invoke.ports.InvocationObserver`.

https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html, in the namespace AWS/Lambda: for a function,
for what was named to invoke it (Resource: the function, or function:qualifier), for each version an alias ran
(ExecutedVersion), and for all functions of an account in a region (no dimensions). A metric's time is when the
invocation began. The hot path is `completed` (about 2 µs): it counts in one tally per version, qualifier and minute;
tallies become metrics when the store collects them, on its thread.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from lambent.model.alias import is_alias_name
from lambent.model.arn import FunctionId
from lambent.model.clock import Clock
from lambent.model.execution import Completed
from lambent.model.function import FunctionVersion
from lambent.observability.metrics.database import DAY_S, PointKey, Usage, UsageKey, make_way
from lambent.observability.metrics.identity import Dimensions, dimensions_of
from lambent.observability.metrics.lambda_points import add_point, dimension_sets, resource_of
from lambent.observability.metrics.sketch import PER_LOG, ZERO, Buckets, merge
from lambent.observability.metrics.statistics import StatisticSet
from lambent.observability.metrics.store import Batch

FREE_STORAGE_MB: Final = 512

Distribution = dict[int, int]
"""A small whole number → how often it was seen."""


class ConcurrencyInUse(Protocol):
    """The counters of the data plane, as they are now."""

    def functions_in_use(self) -> Mapping[FunctionId, int]: ...

    def in_use_by_account(self, account: str, region: str) -> int: ...

    def unreserved_in_use(self, account: str, region: str) -> int: ...

    def claimed_total(self, account: str, region: str) -> int: ...


class Tally:
    """The invocations of one version by one qualifier that began in one minute."""

    __slots__ = (
        "account_in_use", "billed_ms", "buckets", "completed", "duration_max", "duration_min", "duration_total",
        "errors", "function_in_use", "loops", "provisioned_in_use", "qualifier", "spillovers", "throttles",
        "unreserved_in_use", "utilization", "version",
    )  # fmt: skip

    def __init__(self, version: FunctionVersion, qualifier: str | None) -> None:
        self.version = version
        self.qualifier = qualifier
        self.completed = 0
        self.errors = 0
        self.throttles = 0
        self.loops = 0
        self.billed_ms = 0
        self.duration_total = 0.0
        self.duration_min = math.inf
        self.duration_max = 0.0
        self.buckets: Buckets = {}
        self.function_in_use: Distribution = {}
        self.account_in_use: Distribution = {}
        self.unreserved_in_use: Distribution = {}
        self.provisioned_in_use: Distribution = {}
        self.utilization: Distribution = {}  # in thousandths
        self.spillovers = 0


@dataclass(slots=True)
class Totals:
    """All invocations of a function since the server started. `buckets`: of durations, as in `sketch`."""

    completed: int = 0
    errors: int = 0
    throttles: int = 0
    billed_mb_ms: int = 0
    duration_total: float = 0.0
    buckets: Buckets = field(default_factory=dict)

    def plus(self, other: Totals) -> Totals:
        """Add another one to this."""
        self.completed += other.completed
        self.errors += other.errors
        self.throttles += other.throttles
        self.billed_mb_ms += other.billed_mb_ms
        self.duration_total += other.duration_total
        merge(self.buckets, other.buckets)
        return self


TallyKey = tuple[int, int, str | None]
"""Minute (since the epoch), `id` of the version (which the tally holds), qualifier."""

Samples = list[tuple[FunctionId, int, int, int]]
"""Function, its concurrency, its account's, and that of functions without a reservation."""


class InvocationMetrics:
    """Counts invocations. `collect` is for the metric store, `totals` for Prometheus."""

    def __init__(self, clock: Clock, in_use: ConcurrencyInUse) -> None:
        self._now = clock.now
        self._in_use = in_use
        self._tallies: dict[TallyKey, Tally] = {}
        self._totals: dict[FunctionId, Totals] = {}
        self._collected: dict[int, Mapping[TallyKey, Tally]] = {}  # on their way to the totals
        self._collections = itertools.count()
        self._adding = threading.Lock()

    def completed(
        self,
        version: FunctionVersion,
        qualifier: str | None,
        outcome: Completed,
        function_in_use: int,
        account_in_use: int,
        unreserved_in_use: int,
    ) -> None:
        """See `invoke.ports.InvocationObserver`."""
        duration = outcome.duration_ms
        key = (int((self._now() - duration / 1000) // 60), id(version), qualifier)
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally(version, qualifier)
        tally.completed += 1
        if outcome.function_error is not None:
            tally.errors += 1
        tally.billed_ms += outcome.billed_duration_ms
        tally.duration_total += duration
        if duration < tally.duration_min:
            tally.duration_min = duration
        if duration > tally.duration_max:
            tally.duration_max = duration
        bucket = math.ceil(math.log(duration) * PER_LOG) if duration > 0 else ZERO
        buckets = tally.buckets
        buckets[bucket] = buckets.get(bucket, 0) + 1
        seen = tally.function_in_use
        seen[function_in_use] = seen.get(function_in_use, 0) + 1
        seen = tally.account_in_use
        seen[account_in_use] = seen.get(account_in_use, 0) + 1
        seen = tally.unreserved_in_use
        seen[unreserved_in_use] = seen.get(unreserved_in_use, 0) + 1

    def provisioned(self, version: FunctionVersion, qualifier: str | None, in_use: int | None, allocated: int) -> None:
        """See `invoke.ports.InvocationObserver`."""
        key = (int(self._now() // 60), id(version), qualifier)
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally(version, qualifier)
        if in_use is None:
            tally.spillovers += 1
            return
        tally.provisioned_in_use[in_use] = tally.provisioned_in_use.get(in_use, 0) + 1
        thousandths = round(1000 * in_use / allocated) if allocated else 1000
        tally.utilization[thousandths] = tally.utilization.get(thousandths, 0) + 1

    def throttled(self, version: FunctionVersion, qualifier: str | None) -> None:
        """See `invoke.ports.InvocationObserver`."""
        key = (int(self._now() // 60), id(version), qualifier)
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally(version, qualifier)
        tally.throttles += 1

    def stopped_in_a_loop(self, version: FunctionVersion, qualifier: str | None) -> None:
        """See `invoke.ports.InvocationObserver`."""
        key = (int(self._now() // 60), id(version), qualifier)
        self._tallies.setdefault(key, Tally(version, qualifier)).loops += 1

    def totals(self) -> dict[FunctionId, Totals]:
        """Since the server started, by function."""
        with self._adding:
            summed = {function: Totals().plus(totals) for function, totals in self._totals.items()}
            for tallies in (*self._collected.values(), self._tallies):
                _add_totals(summed, tallies.values())
        return summed

    def collect(self) -> Callable[[], Batch]:
        """See `store.Source`. Also samples the concurrency of what runs now, so that a long invocation shows in every
        minute it runs."""
        tallies, self._tallies = self._tallies, {}
        collection = next(self._collections)
        with self._adding:
            self._collected[collection] = tallies
        counters = self._in_use
        samples: Samples = []
        for function, count in counters.functions_in_use().items():
            pool = (function.account, function.region)
            samples.append((function, count, counters.in_use_by_account(*pool), counters.unreserved_in_use(*pool)))
        functions = [tally.version.function for tally in tallies.values()] + [sample[0] for sample in samples]
        pools: set[tuple[str, str]] = {(function.account, function.region) for function in functions}
        reserved = {pool: counters.claimed_total(*pool) for pool in pools}
        minute = int(self._now() // 60)

        def make() -> Batch:
            with self._adding:
                _add_totals(self._totals, self._collected.pop(collection).values())
            return _batch(tallies, samples, minute, reserved)

        return make


def _add_totals(totals: dict[FunctionId, Totals], tallies: Iterable[Tally]) -> None:
    for tally in tallies:
        version = tally.version
        totals.setdefault(version.function, Totals()).plus(
            Totals(
                tally.completed,
                tally.errors,
                tally.throttles,
                tally.billed_ms * version.memory_mb,
                tally.duration_total,
                tally.buckets,
            )
        )


def _batch(
    tallies: Mapping[TallyKey, Tally], samples: Samples, minute: int, reserved: Mapping[tuple[str, str], int]
) -> Batch:
    points: dict[PointKey, StatisticSet] = {}
    usage: dict[UsageKey, Usage] = {}
    for number, ((began, _, _), tally) in enumerate(tallies.items()):
        make_way(number * 16)
        function = tally.version.function
        for dimensions in _dimension_sets(tally):
            for name, unit, values in _invocation_metrics(tally):
                if name == "ConcurrentExecutions" and len(dimensions) != 1:
                    continue  # counted by function; and by account, below
                add_point(points, function, name, unit, dimensions, began, values)
        for name, seen in _account_metrics(tally, reserved[function.account, function.region]):
            add_point(points, function, name, "Count", (), began, _values(seen))
        _bill(usage, tally, began)
    for function, count, in_account, unreserved in samples:
        of_function = dimensions_of([("FunctionName", function.name)])
        claimed = unreserved + reserved[function.account, function.region]
        for name, dimensions, number in (
            ("ConcurrentExecutions", of_function, count),
            ("ConcurrentExecutions", (), in_account),
            ("UnreservedConcurrentExecutions", (), unreserved),
            ("ClaimedAccountConcurrency", (), claimed),
        ):
            add_point(points, function, name, "Count", dimensions, minute, _values({number: 1}))
    return points, usage


def _dimension_sets(tally: Tally) -> Iterator[Dimensions]:
    """The function; what was named; of an alias, the version that ran; and everything."""
    function, qualifier = tally.version.function, tally.qualifier
    yield from dimension_sets(function, qualifier)
    if qualifier is not None and is_alias_name(qualifier):
        version = ("ExecutedVersion", tally.version.version)
        resource = ("Resource", resource_of(function, qualifier))
        yield dimensions_of([version, ("FunctionName", function.name), resource])


def _invocation_metrics(tally: Tally) -> Iterator[tuple[str, str, StatisticSet]]:
    """Name, unit and values. Errors and Throttles are 0 or 1 for each invocation, so that their average is a rate."""
    if tally.completed:
        yield "Invocations", "Count", _values({1: tally.completed})
        yield "Errors", "Count", _values({1: tally.errors, 0: tally.completed - tally.errors})
        durations = StatisticSet(
            tally.completed, tally.duration_total, tally.duration_min, tally.duration_max, dict(tally.buckets)
        )
        yield "Duration", "Milliseconds", durations
        yield "ConcurrentExecutions", "Count", _values(tally.function_in_use)
    yield "Throttles", "Count", _values({1: tally.throttles, 0: tally.completed})
    if tally.provisioned_in_use:
        yield "ProvisionedConcurrencyInvocations", "Count", _values({1: sum(tally.provisioned_in_use.values())})
        yield "ProvisionedConcurrentExecutions", "Count", _values(tally.provisioned_in_use)
        yield "ProvisionedConcurrencyUtilization", "None", _values(tally.utilization, 1000)
    if tally.spillovers:
        yield "ProvisionedConcurrencySpilloverInvocations", "Count", _values({1: tally.spillovers})
    if tally.loops:
        yield "RecursiveInvocationsDropped", "Count", _values({1: tally.loops})


def _account_metrics(tally: Tally, reserved: int) -> Iterator[tuple[str, Mapping[int, int]]]:
    if tally.completed:
        yield "ConcurrentExecutions", tally.account_in_use
        yield "UnreservedConcurrentExecutions", tally.unreserved_in_use
        claimed = {number + reserved: count for number, count in tally.unreserved_in_use.items()}
        yield "ClaimedAccountConcurrency", claimed


def _values(seen: Mapping[int, int], unit: int = 1) -> StatisticSet:
    values = StatisticSet()
    for number, count in seen.items():
        if count:
            values.add(number / unit, count)
    return values


def _bill(usage: dict[UsageKey, Usage], tally: Tally, minute: int) -> None:
    if not tally.completed:
        return
    version, function = tally.version, tally.version.function
    key = (function.account, function.region, minute * 60 // DAY_S, function.name, version.architectures[0])
    used = usage.setdefault(key, Usage())
    used.requests += tally.completed
    used.mb_ms += tally.billed_ms * version.memory_mb
    used.storage_mb_ms += tally.billed_ms * max(0, version.ephemeral_storage_mb - FREE_STORAGE_MB)
