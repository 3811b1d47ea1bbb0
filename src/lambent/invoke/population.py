"""Which pools there are, which environment belongs to which, and how long it has been idle. No I/O.

Times are of the policy clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from lambent.invoke.pool import Pool, PoolKey
from lambent.model.arn import FunctionId
from lambent.model.clock import Clock
from lambent.model.function import FunctionVersion
from lambent.model.ids import EnvironmentId
from lambent.packaging.layers import digests_needed


@dataclass(slots=True)
class PooledEnvironment:
    """`credentials_expire_at`: epoch seconds. `last_used`: by the clock's monotonic time."""

    pool: Pool
    credentials_expire_at: float
    last_used: float


class Population:
    """The state behind `Pools`. `idle_timeout_s`: how long an environment on demand may be idle;
    `credentials_margin_s`: how long its credentials must be good for, at least, when it is given work."""

    def __init__(self, clock: Clock, *, idle_timeout_s: float, credentials_margin_s: float) -> None:
        self._clock = clock
        self._idle_timeout_s = idle_timeout_s
        self._credentials_margin_s = credentials_margin_s
        self.pools: dict[PoolKey, Pool] = {}
        self.environments: dict[EnvironmentId, PooledEnvironment] = {}

    def add(self, environment_id: EnvironmentId, pool: Pool, credentials_expire_at: float) -> None:
        """It is about to be started."""
        now = self._clock.monotonic()
        self.environments[environment_id] = PooledEnvironment(pool, credentials_expire_at, now)

    def used(self, environment: PooledEnvironment) -> None:
        """It has just been, or is ready to be."""
        environment.last_used = self._clock.monotonic()

    def expires_soon(self, environment: PooledEnvironment) -> bool:
        """Whether its credentials do: it gets no more work."""
        return environment.credentials_expire_at - self._clock.now() < self._credentials_margin_s

    def too_old(self) -> list[tuple[EnvironmentId, str]]:
        """The environments that were idle for too long, or whose credentials expire soon, and which of the two."""
        now = self._clock.monotonic()
        found: list[tuple[EnvironmentId, str]] = []
        for pool in self.pools.values():
            for environment_id in pool.assignment.idle:
                environment = self.environments[environment_id]
                if pool.target is None and now - environment.last_used >= self._idle_timeout_s:
                    found.append((environment_id, "idle for too long"))
                elif self.expires_soon(environment):
                    found.append((environment_id, "its credentials expire soon"))
        return found

    def next_too_old_s(self) -> float:
        """In how many seconds there may be one `too_old`, if none of the idle ones is used again."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        idle = [self.environments[one] for pool in self.pools.values() for one in pool.assignment.idle]
        on_demand = (one for one in idle if one.pool.target is None)
        ends = (one.last_used + self._idle_timeout_s - monotonic for one in on_demand)
        unused = min(ends, default=self._idle_timeout_s)
        expiring = (one.credentials_expire_at - self._credentials_margin_s - now for one in idle)
        return min(unused, min(expiring, default=unused))

    def longest_idle(self) -> EnvironmentId | None:
        """Of those on demand."""
        pools = [pool for pool in self.pools.values() if pool.target is None]
        idle = [(self.environments[i].last_used, i) for pool in pools for i in pool.assignment.idle]
        return min(idle)[1] if idle else None

    def of_tenants(self, function: FunctionId) -> int:
        """How many environments the functions of this one's account and region have for their tenants."""
        account = (function.account, function.region)
        pools = (one.pool for one in self.environments.values() if one.pool.tenant_id is not None)
        owners = (pool.version.function for pool in pools)
        return sum((owner.account, owner.region) == account for owner in owners)

    def versions(self, function_key: str) -> list[FunctionVersion]:
        """The versions of a function (account/region/name) that have a pool."""
        return [pool.version for pool in self.pools.values() if pool.version.function.key == function_key]

    def digests_in_use(self) -> set[str]:
        """Code trees that environments (or invocations on their way) may still run from."""
        needed: set[str] = set()
        for pool in self.pools.values():
            needed |= digests_needed(pool.version.code_digest, [layer.digest for layer in pool.version.layers])
        return needed

    def forget_if_empty(self, pool: Pool) -> None:
        """A pool with neither environments nor work, that need not have any."""
        if pool.target:
            return
        alive = any(environment.pool is pool for environment in self.environments.values())
        if not alive and not pool.assignment.waiting:
            self.pools.pop(pool.key, None)
