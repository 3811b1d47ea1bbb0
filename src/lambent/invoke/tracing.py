"""The trace header a function is given: continued, or begun; and where its lineage shows a loop, the end of it.

https://docs.aws.amazon.com/lambda/latest/api/API_TracingConfig.html and
https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html. No segments are recorded: the header is what is
passed on, so that what a function sends to X-Ray itself, and what it calls, belongs to the same trace.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final

from lambent.invoke.recursion import LoopSwitches
from lambent.model.arn import FunctionId
from lambent.model.clock import Clock
from lambent.model.errors import RecursiveInvocationException
from lambent.model.function import FunctionVersion
from lambent.model.ids import random_hex
from lambent.model.tracing import Lineage, TraceHeader, mark_of, parse_trace_header

FIXED_RATE: Final = 0.05  # of the requests after the first in each second: X-Ray's default sampling rule
_STOPPED: Final = (
    "Lambda has detected your function being invoked in a recursive loop with other AWS resources and stopped your "
    "function's invocation."
)


class Tracing:
    """Makes trace headers. `draw` answers numbers from 0 to 1 (1 excluded), for sampling."""

    def __init__(self, switches: LoopSwitches, clock: Clock, draw: Callable[[], float] = random.random) -> None:
        self._switches = switches
        self._clock = clock
        self._draw = draw
        self._sampled_at: dict[FunctionId, int] = {}

    async def header(self, version: FunctionVersion, given: str | None) -> str:
        """The header for one run. Raises RecursiveInvocationException."""
        if given is None:
            return self.begun(version)
        header = parse_trace_header(given)
        return self._continued(version, header, await self._lineage(version.function, header.lineage))

    def accepted(self, version: FunctionVersion, given: str | None) -> str:
        """The header to keep with an event: all of its attempts belong to one trace, sampled or not."""
        header = parse_trace_header(given)
        return self._continued(version, header, header.lineage)

    def _continued(self, version: FunctionVersion, header: TraceHeader, lineage: Lineage | None) -> str:
        sampled = header.sampled
        if sampled is None:
            sampled = version.tracing_mode == "Active" and self._decide(version.function)
        return str(TraceHeader(header.root or _new_root(), header.parent or random_hex(8), sampled, lineage))

    def begun(self, version: FunctionVersion) -> str:
        """The header for a run that nothing came before."""
        sampled = version.tracing_mode == "Active" and self._decide(version.function)
        rest = f"Sampled={sampled:d};Lineage=1:{mark_of(version.function)}:0"
        return f"Root={_new_root()};Parent={random_hex(8)};{rest}"

    async def _lineage(self, function: FunctionId, before: Lineage | None) -> Lineage:
        if before is None:
            return Lineage(1, mark_of(function), 0)
        if await self._switches.allows_loops(function):
            return before  # as if it were not there: others in the same loop are still counted
        lineage = before.then(mark_of(function))
        if lineage.is_loop:
            raise RecursiveInvocationException(_STOPPED)
        return lineage

    def _decide(self, function: FunctionId) -> bool:
        """The first request of each second, and a part of the others."""
        second = int(self._clock.now())
        if self._sampled_at.get(function) != second:
            self._sampled_at[function] = second
            return True
        return self._draw() < FIXED_RATE


def _new_root() -> str:
    return f"1-{int(time.time()):08x}-{random_hex(12)}"
