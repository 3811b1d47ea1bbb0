"""How an execution environment is treated, and what it is launched from: plain values."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from lambent.http.limits import HttpLimits
from lambent.model import limits
from lambent.worker.session import SessionPlan

INIT_CPUS = (
    1.0  # what an environment may use during init at least: as on AWS, init is not slowed by a small memory size
)


def _patient() -> HttpLimits:
    """A frozen runtime is not a slow client: it is the function's timeout that ends it.

    Our guests send the answer to one event and ask for the next at once: they need not be woken for the first's 202.

    A runtime needs one connection, and some ten extensions one each. What hostile code holds open is the server's.
    """
    return HttpLimits(
        header_timeout_s=math.inf,
        body_timeout_s=math.inf,
        keep_alive_timeout_s=math.inf,
        hold_pipelined_s=0.005,
        max_connections=64,
        max_held_bytes=4 * limits.SYNC_RESPONSE_MAX_BYTES,
    )


@dataclass(frozen=True, slots=True)
class EnvironmentSettings:
    """Times in seconds."""

    init_timeout_s: float = limits.INIT_TIMEOUT_S
    freeze_after_s: float = 0.05  # a freeze costs up to 0.25 ms: not between two invocations of a busy function
    runtime_api_limits: HttpLimits = field(default_factory=_patient)


@dataclass(frozen=True, slots=True)
class NoEntrypoint:
    """There is nothing to launch: none of these files is there and can be executed."""

    looked_for: tuple[str, ...]


MakePlan = Callable[[], Awaitable[SessionPlan | NoEntrypoint]]
"""What to launch. Asked for at each launch; raises SandboxError."""
