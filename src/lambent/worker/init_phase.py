"""The init phase of an execution environment: launching its session, and how long init takes and may take.

What an init that succeeded or failed means is decided by the environment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from lambent.model import limits
from lambent.model.execution import PROVISIONED_CONCURRENCY, EnvironmentSpec
from lambent.worker.environment_settings import EnvironmentSettings, MakePlan, NoEntrypoint
from lambent.worker.output import OutputLog
from lambent.worker.ports import EndpointHost
from lambent.worker.sandbox.api import Launcher
from lambent.worker.session import Session, SessionOwner, SessionPlan


class NoEntrypointError(Exception):
    """There is nothing to launch."""

    def __init__(self, looked_for: tuple[str, ...]) -> None:
        super().__init__(looked_for)
        self.looked_for = looked_for


class InitPhase:
    """Of one environment; begun again when its first invocation tries once more."""

    def __init__(
        self,
        spec: EnvironmentSpec,
        plan: SessionPlan | NoEntrypoint | MakePlan,
        launcher: Launcher,
        output: OutputLog,
        endpoints: EndpointHost,
        settings: EnvironmentSettings,
    ) -> None:
        self._plan = plan
        self._launcher = launcher
        self._output = output
        self._endpoints = endpoints
        self._settings = settings
        self._begun_ns = 0
        self._timer: asyncio.TimerHandle | None = None
        self.is_provisioned = spec.initialization_type == PROVISIONED_CONCURRENCY
        # Nobody waits for a provisioned environment: its init may take longer.
        longer_s = max(limits.PROVISIONED_INIT_TIMEOUT_MIN_S, spec.timeout_s)
        self.limit_s: float = longer_s if self.is_provisioned else settings.init_timeout_s

    async def launch(self, owner: SessionOwner) -> Session:
        """Begin it. Raises SandboxError, NoEntrypointError."""
        self._begun_ns = time.monotonic_ns()
        plan = await self._plan() if callable(self._plan) else self._plan
        if isinstance(plan, NoEntrypoint):
            raise NoEntrypointError(plan.looked_for)
        return await Session.launch(
            plan, owner, self._launcher, self._output, self._endpoints, self._settings.runtime_api_limits
        )

    def limit(self, timed_out: Callable[[], None]) -> None:
        """Call `timed_out` after `limit_s`, if it is not over by then."""
        self._timer = asyncio.get_running_loop().call_later(self.limit_s, timed_out)

    def elapsed_ms(self) -> float:
        """Since it began."""
        return (time.monotonic_ns() - self._begun_ns) / 1e6

    def over(self) -> None:
        """It is not limited any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
