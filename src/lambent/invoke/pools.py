"""The pools of environments, and carrying out what `assignment` decides on a worker.

One pool per function version at one revision, for each tenant of it, and one for its provisioned concurrency. With its
`Population` this is the only mutable state of the data plane besides the counters. It answers every submitted
invocation exactly once, through its `finished` callback.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection
from dataclasses import replace

from lambent.invoke.assignment import Action, Hand, Start, Stop
from lambent.invoke.patience import CHECK_S, Patience
from lambent.invoke.pool import Kept, PendingInvocation, Pool, VersionKey
from lambent.invoke.population import Population
from lambent.invoke.ports import Worker
from lambent.invoke.refusals import launch_error, shutting_down, throttled, too_many_tenants
from lambent.invoke.spares import Spares
from lambent.invoke.specs import template_spec
from lambent.model.arn import FunctionId
from lambent.model.clock import Clock
from lambent.model.errors import ServiceException
from lambent.model.execution import (
    PROVISIONED_CONCURRENCY,
    Completed,
    EnvironmentSpec,
    LaunchFailure,
    LaunchFailureKind,
    NotHandedOff,
    Outcome,
)
from lambent.model.function import FunctionVersion
from lambent.model.ids import EnvironmentId

logger = logging.getLogger(__name__)

_AT_ONCE = (os.cpu_count() or 1) + 1  # short invocations of one pool that may always run at once

HAND_OFF_ATTEMPTS = 3  # environments tried for one invocation before the platform gives up

MakeSpec = Callable[[FunctionVersion], EnvironmentSpec]


class Pools:
    """Implements `WorkerEvents` for the worker it drives."""

    def __init__(
        self,
        worker: Worker,
        make_spec: MakeSpec,
        clock: Clock,
        *,
        idle_timeout_s: float,
        credentials_margin_s: float,
        may_start: Callable[[FunctionId], bool] = lambda _: True,
        tenant_environments_max: int | None = None,
        spare_time: Callable[[], float | None] | None = None,
        spares_max: int = 0,
    ) -> None:
        """`may_start`: may another environment of a function be started on demand, for the rate at which it scales?
        `tenant_environments_max`: of all tenants of an account's functions in a region. `spare_time`: the share of the
        host's processor time that was spare since it last said so, None if that was just now; without it no invocation
        waits for a busy environment. `spares_max`: see `spares`."""
        self._spare_time = spare_time
        self._patience_timer: asyncio.TimerHandle | None = None
        self._worker = worker
        self._spares = Spares(worker, clock, spares_max)
        self._make_spec = make_spec
        self._population = Population(clock, idle_timeout_s=idle_timeout_s, credentials_margin_s=credentials_margin_s)
        self._may_start = may_start
        self._tenant_environments_max = tenant_environments_max
        self._pools = self._population.pools
        self._environments = self._population.environments
        self._stopping = False
        self.provisioned_changed: Callable[[FunctionVersion], None] = lambda _: None

    def submit(self, version: FunctionVersion, pending: PendingInvocation, *, provisioned: bool = False) -> None:
        """Run an invocation on an environment of this version (and of its tenant): a warm one, or a new one."""
        if self._stopping:
            pending.finished(shutting_down())
            return
        key = (version.qualified_arn, version.environment_revision, pending.invocation.tenant_id, provisioned)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = Pool(key, version, pending.invocation.tenant_id, 0 if provisioned else None)
            if not provisioned and self._spare_time is not None:
                pool.assignment.patience = Patience(_AT_ONCE)
        self._carry_out(pool, pool.assignment.submit(pending, time.monotonic()))
        if pool.assignment.patient and self._patience_timer is None:
            self._patience_timer = asyncio.get_running_loop().call_later(CHECK_S, self._look_after_the_patient)

    def keep(self, version: FunctionVersion, target: int) -> None:
        """Have so many provisioned environments of a version: start what is missing, end what is too much."""
        key = (version.qualified_arn, version.environment_revision, None, True)
        pool = self._pools.get(key)
        if pool is None:
            if not target:
                return
            pool = self._pools[key] = Pool(key, version)
        pool.target, pool.failure = target, None
        while pool.assignment.environments < target and not self._stopping:
            if not self._start(pool):
                break
        for environment_id in pool.assignment.idle:
            if pool.assignment.environments <= target:
                break
            self._stop_if_idle(environment_id, "less is provisioned")
        self._tell(pool)
        self._population.forget_if_empty(pool)

    def kept(self, version: FunctionVersion) -> Kept:
        """What there is of a version's provisioned environments."""
        pool = self._pools.get((version.qualified_arn, version.environment_revision, None, True))
        if pool is None:
            return Kept(0, 0, None)
        number = pool.assignment.environments
        return Kept(number, number - pool.assignment.starting, pool.failure)

    def prepare(self, version: FunctionVersion) -> None:
        """An invocation of this version may come soon: it has just been made, or has just changed."""
        if not self._stopping and version.runtime is not None:
            self._worker.prepare(template_spec(version))
            self._spares.changed(version)

    def environment_ready(self, environment_id: EnvironmentId) -> None:
        """See `WorkerEvents`."""
        environment = self._environments.get(environment_id)
        if environment is None:
            return  # stopped meanwhile
        self._population.used(environment)
        if self._population.expires_soon(environment):
            self._stop(environment_id, "its credentials expire soon")
            return
        pool = environment.pool
        if pool.target is not None and pool.assignment.environments > pool.target and not pool.assignment.waiting:
            self._stop(environment_id, "less is provisioned")
            return
        self._carry_out(pool, pool.assignment.ready(environment_id, time.monotonic()))
        if pool.target is not None:
            self._tell(pool)

    def environment_ended(self, environment_id: EnvironmentId, failure: LaunchFailure | None) -> None:
        """See `WorkerEvents`."""
        environment = self._environments.pop(environment_id, None)
        if environment is None:
            return
        pool = environment.pool
        if failure is not None:
            logger.warning("environment could not be made", extra={"reason": failure.message, "pool": pool.key})
            self._give_up(pool, failure)
        self._carry_out(pool, pool.assignment.ended(environment_id))
        if pool.target is not None:
            self._tell(pool)
        self._population.forget_if_empty(pool)

    def versions(self, function_key: str) -> list[FunctionVersion]:
        """The versions of a function (account/region/name) that have a pool or spares."""
        return self._population.versions(function_key) + self._spares.versions(function_key)

    def retire(self, keys: Collection[VersionKey]) -> None:
        """End the pools of these versions: their function changed. Running invocations finish."""
        for pool in list(self._pools.values()):
            if pool.key[:2] in keys:
                pool.target = 0 if pool.target is not None else None
                for stop in pool.assignment.retire():
                    self._worker.stop_environment(stop.environment_id, "the function changed")
                self._population.forget_if_empty(pool)
        self._spares.retire(keys)

    def stop_idle(self) -> None:
        """End environments that were idle for too long, or whose credentials expire soon, and spares nobody wanted."""
        for environment_id, reason in self._population.too_old():
            self._stop_if_idle(environment_id, reason)
        self._spares.review()

    def next_to_stop_s(self) -> float:
        """In how many seconds `stop_idle` may have something to do next, if none of the idle ones is used again."""
        return min(self._population.next_too_old_s(), self._spares.next_review_s())

    def stop_all(self, reason: str) -> None:
        """End every environment, busy ones too, and answer what still waits with an error. Nothing is run after it."""
        self._stopping = True
        if self._patience_timer is not None:
            self._patience_timer.cancel()
        for pool in list(self._pools.values()):
            for pending in pool.assignment.give_up():
                pending.finished(shutting_down())
        for environment_id in list(self._environments):
            self._worker.stop_environment(environment_id, reason)

    def digests_in_use(self) -> set[str]:
        """Code trees that environments (or invocations on their way) may still run from."""
        return self._population.digests_in_use()

    @property
    def environments(self) -> int:
        """How many environments there are."""
        return len(self._environments)

    def _look_after_the_patient(self) -> None:
        """Those who wait for a busy environment: not for too long, and not while the host has time to spare."""
        self._patience_timer = None
        pools = [pool for pool in self._pools.values() if pool.assignment.patient]
        spare_share = self._spare_time() if pools and self._spare_time is not None else None
        now = time.monotonic()
        for pool in pools:
            if pool.assignment.patience is not None and spare_share is not None:
                pool.assignment.patience.adapt(spare_share)
            for action in pool.assignment.overdue(now):
                self._carry_out(pool, action)
        if any(pool.assignment.patient for pool in pools) and not self._stopping:
            self._patience_timer = asyncio.get_running_loop().call_later(CHECK_S, self._look_after_the_patient)

    def _carry_out(self, pool: Pool, action: Action[PendingInvocation] | None) -> None:
        match action:
            case Hand(invocation=pending, environment_id=environment_id):
                self._hand(pool, pending, environment_id)
            case Start(count=count):
                for _ in range(count):
                    self._start(pool)
            case Stop(environment_id=environment_id):
                self._worker.stop_environment(environment_id, "the function changed")
            case None:
                pass

    def _hand(self, pool: Pool, pending: PendingInvocation, environment_id: EnvironmentId) -> None:
        pending.attempts += 1

        def done(outcome: Outcome) -> None:
            match outcome:
                case Completed():
                    pending.finished(outcome)
                case NotHandedOff() if self._stopping:
                    pending.finished(shutting_down())
                case NotHandedOff(reason=reason) if pending.attempts < HAND_OFF_ATTEMPTS:
                    logger.info("trying another environment", extra={"reason": reason, "pool": pool.key})
                    self._environments.pop(environment_id, None)
                    pool.assignment.ended(environment_id)
                    self._carry_out(pool, pool.assignment.resubmit(pending, time.monotonic()))
                case _:
                    logger.error("invocation failed in the platform", extra={"reason": outcome.reason})
                    pending.finished(ServiceException(f"The invocation failed in the platform: {outcome.reason}"))

        self._worker.invoke(environment_id, pending.invocation, done)

    def _give_up(self, pool: Pool, failure: LaunchFailure) -> None:
        """Answer those who waited for an environment that could not be made."""
        if pool.target is not None:
            pool.failure = failure
            for pending in pool.assignment.give_up():
                self.submit(pool.version, pending)  # provisioned ones cannot be had: on demand, then
            return
        affected = None if failure.kind is LaunchFailureKind.RUNTIME_MISSING else 1
        for pending in pool.assignment.give_up(affected):
            pending.finished(launch_error(failure))

    def _start(self, pool: Pool) -> bool:
        """Start an environment, if it may be; else those who wait for it are answered."""
        if pool.target is None and not self._may_start(pool.version.function):
            for pending in pool.assignment.give_up(1):
                pending.finished(throttled())
            return False
        if pool.tenant_id is not None and self._tenants_are_full(pool.version.function):
            for pending in pool.assignment.give_up(1):
                pending.finished(too_many_tenants())
            return False
        if not self._make_room(pool.version.memory_mb):
            self._give_up(pool, LaunchFailure(LaunchFailureKind.NO_CAPACITY, "The host has no memory left for it."))
            return False
        spec = self._make_spec(pool.version)
        if pool.target is not None:
            spec = replace(spec, initialization_type=PROVISIONED_CONCURRENCY)
        self._population.add(spec.environment_id, pool, spec.credentials.expires_at)
        pool.assignment.started(spec.environment_id)
        self._worker.start_environment(spec, self)
        if pool.target is None and not pool.assignment.retired:
            self._spares.cold_start(pool.version, pool.assignment.environments - 1)
        return True

    def _tenants_are_full(self, function: FunctionId) -> bool:
        most = self._tenant_environments_max
        return most is not None and self._population.of_tenants(function) >= most

    def _tell(self, pool: Pool) -> None:
        """Whoever has this pool kept, if there is more or less of it."""
        number = pool.assignment.environments
        now = (number, number - pool.assignment.starting)
        if now != pool.told or pool.failure is not None or number != pool.target:
            pool.told = now
            self.provisioned_changed(pool.version)

    def _make_room(self, memory_mb: int) -> bool:
        """Under memory pressure, end environments of any pool until there is room, those that were idle longest first.
        False if there is none then."""
        while not self._worker.has_capacity(memory_mb):
            environment_id = self._population.longest_idle()
            if environment_id is None:
                return False
            self._stop_if_idle(environment_id, "memory pressure")
        return True

    def _stop_if_idle(self, environment_id: EnvironmentId, reason: str) -> None:
        environment = self._environments[environment_id]
        if environment.pool.assignment.stop_idle(environment_id):
            self._worker.stop_environment(environment_id, reason)

    def _stop(self, environment_id: EnvironmentId, reason: str) -> None:
        pool = self._environments[environment_id].pool
        follow_up = pool.assignment.ended(environment_id)
        self._worker.stop_environment(environment_id, reason)
        self._carry_out(pool, follow_up)
