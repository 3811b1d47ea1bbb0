"""The pools of environments, and carrying out what `assignment` decides on a worker.

One pool per function version at one revision. This module holds the only mutable state of the data plane besides the
counters: pools, and which environment belongs to which pool. It answers every submitted invocation exactly once,
through its `finished` callback.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from lambent.invoke.assignment import Action, Assignment, Hand, Start, Stop
from lambent.invoke.ports import Worker
from lambent.model.clock import Clock
from lambent.model.errors import (
    InvalidRuntimeException,
    ServiceError,
    ServiceException,
    TooManyRequestsException,
)
from lambent.model.execution import (
    Completed,
    EnvironmentSpec,
    Invocation,
    LaunchFailure,
    LaunchFailureKind,
    NotHandedOff,
    Outcome,
)
from lambent.model.function import FunctionVersion
from lambent.model.ids import EnvironmentId
from lambent.packaging.layers import digests_needed

logger = logging.getLogger(__name__)

HAND_OFF_ATTEMPTS = 3  # environments tried for one invocation before the platform gives up

PoolKey = tuple[str, str]  # qualified ARN, environment revision
MakeSpec = Callable[[FunctionVersion], EnvironmentSpec]


@dataclass(slots=True)
class PendingInvocation:
    """An invocation on its way. `finished` is called once, with how it went or with the error to answer."""

    invocation: Invocation
    finished: Callable[[Completed | ServiceError], None]
    attempts: int = 0


@dataclass(slots=True)
class _Environment:
    pool: Pool
    credentials_expire_at: float
    last_used: float  # by the clock's monotonic time


@dataclass(slots=True)
class Pool:
    """The environments of one function version at one revision."""

    key: PoolKey
    version: FunctionVersion
    assignment: Assignment[PendingInvocation] = field(default_factory=Assignment)


class Pools:
    """Implements `WorkerEvents` for the worker it drives."""

    def __init__(
        self, worker: Worker, make_spec: MakeSpec, clock: Clock, *, idle_timeout_s: float, credentials_margin_s: float
    ) -> None:
        self._worker = worker
        self._make_spec = make_spec
        self._clock = clock
        self._idle_timeout_s = idle_timeout_s
        self._credentials_margin_s = credentials_margin_s
        self._pools: dict[PoolKey, Pool] = {}
        self._environments: dict[EnvironmentId, _Environment] = {}
        self._stopping = False

    def submit(self, version: FunctionVersion, pending: PendingInvocation) -> None:
        """Run an invocation on an environment of this version: a warm one, or a new one."""
        if self._stopping:
            pending.finished(_shutting_down())
            return
        key = (version.qualified_arn, version.environment_revision)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = Pool(key, version)
        self._carry_out(pool, pool.assignment.submit(pending))

    def environment_ready(self, environment_id: EnvironmentId) -> None:
        """See `WorkerEvents`."""
        environment = self._environments.get(environment_id)
        if environment is None:
            return  # stopped meanwhile
        environment.last_used = self._clock.monotonic()
        if environment.credentials_expire_at - self._clock.now() < self._credentials_margin_s:
            self._stop(environment_id, "its credentials expire soon")
            return
        self._carry_out(environment.pool, environment.pool.assignment.ready(environment_id))

    def environment_ended(self, environment_id: EnvironmentId, failure: LaunchFailure | None) -> None:
        """See `WorkerEvents`."""
        environment = self._environments.pop(environment_id, None)
        if environment is None:
            return
        pool = environment.pool
        if failure is not None:
            logger.warning("environment could not be made", extra={"reason": failure.message, "pool": pool.key})
            affected = None if failure.kind is LaunchFailureKind.RUNTIME_MISSING else 1
            for pending in pool.assignment.give_up(affected):
                pending.finished(_launch_error(failure))
        self._carry_out(pool, pool.assignment.ended(environment_id))
        self._forget_if_empty(pool)

    def versions(self, function_key: str) -> list[FunctionVersion]:
        """The versions of a function (account/region/name) that have a pool."""
        return [pool.version for pool in self._pools.values() if pool.version.function.key == function_key]

    def retire(self, keys: Collection[PoolKey]) -> None:
        """End these pools: their function changed. Running invocations finish."""
        for key in keys:
            pool = self._pools.get(key)
            if pool is not None:
                for stop in pool.assignment.retire():
                    self._worker.stop_environment(stop.environment_id, "the function changed")
                self._forget_if_empty(pool)

    def stop_idle(self) -> None:
        """End environments that were idle for too long, or whose credentials expire soon."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        for pool in list(self._pools.values()):
            for environment_id in pool.assignment.idle:
                environment = self._environments[environment_id]
                if monotonic - environment.last_used >= self._idle_timeout_s:
                    self._stop_if_idle(environment_id, "idle for too long")
                elif environment.credentials_expire_at - now < self._credentials_margin_s:
                    self._stop_if_idle(environment_id, "its credentials expire soon")

    def next_to_stop_s(self) -> float:
        """In how many seconds `stop_idle` may have something to do next, if none of the idle ones is used again."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        idle = [self._environments[one] for pool in self._pools.values() for one in pool.assignment.idle]
        unused = min((one.last_used + self._idle_timeout_s - monotonic for one in idle), default=self._idle_timeout_s)
        expiring = (one.credentials_expire_at - self._credentials_margin_s - now for one in idle)
        return min(unused, min(expiring, default=unused))

    def stop_all(self, reason: str) -> None:
        """End every environment, busy ones too, and answer what still waits with an error. Nothing is run after it."""
        self._stopping = True
        for pool in list(self._pools.values()):
            for pending in pool.assignment.give_up():
                pending.finished(_shutting_down())
        for environment_id in list(self._environments):
            self._worker.stop_environment(environment_id, reason)

    def digests_in_use(self) -> set[str]:
        """Code trees that environments (or invocations on their way) may still run from."""
        needed: set[str] = set()
        for pool in self._pools.values():
            needed |= digests_needed(pool.version.code_digest, [layer.digest for layer in pool.version.layers])
        return needed

    @property
    def environments(self) -> int:
        """How many environments there are."""
        return len(self._environments)

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
                    pending.finished(_shutting_down())
                case NotHandedOff(reason=reason) if pending.attempts < HAND_OFF_ATTEMPTS:
                    logger.info("trying another environment", extra={"reason": reason, "pool": pool.key})
                    self._environments.pop(environment_id, None)
                    pool.assignment.ended(environment_id)
                    self._carry_out(pool, pool.assignment.resubmit(pending))
                case _:
                    logger.error("invocation failed in the platform", extra={"reason": outcome.reason})
                    pending.finished(ServiceException(f"The invocation failed in the platform: {outcome.reason}"))

        self._worker.invoke(environment_id, pending.invocation, done)

    def _start(self, pool: Pool) -> None:
        if not self._worker.has_capacity(pool.version.memory_mb) and not self._make_room(pool.version.memory_mb):
            for pending in pool.assignment.give_up(1):
                pending.finished(_throttled())
            return
        spec = self._make_spec(pool.version)
        self._environments[spec.environment_id] = _Environment(
            pool, spec.credentials.expires_at, self._clock.monotonic()
        )
        pool.assignment.started(spec.environment_id)
        self._worker.start_environment(spec, self)

    def _make_room(self, memory_mb: int) -> bool:
        """Under memory pressure, end the environment that was idle longest, of any pool."""
        idle = [(self._environments[i].last_used, i) for pool in self._pools.values() for i in pool.assignment.idle]
        for _, environment_id in sorted(idle):
            self._stop_if_idle(environment_id, "memory pressure")
            return True
        return self._worker.has_capacity(memory_mb)

    def _stop_if_idle(self, environment_id: EnvironmentId, reason: str) -> None:
        environment = self._environments[environment_id]
        if environment.pool.assignment.stop_idle(environment_id):
            self._worker.stop_environment(environment_id, reason)

    def _stop(self, environment_id: EnvironmentId, reason: str) -> None:
        pool = self._environments[environment_id].pool
        follow_up = pool.assignment.ended(environment_id)
        self._worker.stop_environment(environment_id, reason)
        self._carry_out(pool, follow_up)

    def _forget_if_empty(self, pool: Pool) -> None:
        alive = any(environment.pool is pool for environment in self._environments.values())
        if not alive and not pool.assignment.waiting:
            self._pools.pop(pool.key, None)


def _shutting_down() -> ServiceError:
    return ServiceException("The service is shutting down.")


def _throttled() -> ServiceError:
    return TooManyRequestsException("Rate Exceeded.", Reason="ConcurrentInvocationLimitExceeded", retryAfterSeconds="1")


def _launch_error(failure: LaunchFailure) -> ServiceError:
    match failure.kind:
        case LaunchFailureKind.RUNTIME_MISSING | LaunchFailureKind.ARCHITECTURE:
            return InvalidRuntimeException(failure.message)
        case LaunchFailureKind.NO_CAPACITY:
            return _throttled()
        case LaunchFailureKind.SANDBOX:
            return ServiceException(failure.message)
