"""The end of an invocation: its last lines in the log, its REPORT, and the outcome that its caller gets.

The order of things is a promise: everything printed is read, END and REPORT follow, all of it is on disk, and only then
does the caller get the answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from lambent.model.execution import Completed, EnvironmentSpec, Invocation, Outcome
from lambent.observability import report
from lambent.worker.failures import Failure
from lambent.worker.output import OutputLog
from lambent.worker.platform_log import PlatformLog

Done = Callable[[Outcome], None]


@dataclass(slots=True)
class Current:
    """The invocation being handled."""

    invocation: Invocation
    done: Done
    started_ns: int
    handed_out: bool = False


class Accounts:
    """Of one environment."""

    def __init__(
        self, spec: EnvironmentSpec, output: OutputLog, log: PlatformLog, memory_used_mb: Callable[[], int]
    ) -> None:
        self._memory_mb = spec.memory_mb
        self._memory_used_mb = memory_used_mb
        self._output = output
        self._log = log
        self.init_duration_ms: float | None = None  # until the first REPORT has said it

    def settle(
        self,
        current: Current,
        payload: bytes,
        *,
        failure: Failure | None = None,
        status: report.Status | None = None,
        duration_ms: float | None = None,
        words: str | None = None,
    ) -> None:
        """The invocation is over: log it, then answer it. `words`: how the runtime process ended."""
        request_id = current.invocation.request_id
        if duration_ms is None:
            duration_ms = (time.monotonic_ns() - current.started_ns) / 1e6
        init_ms, self.init_duration_ms = self.init_duration_ms, None
        billed_ms = report.billed_duration_ms(duration_ms, init_ms)
        output = self._output
        output.drain()
        if words is not None and failure is not None:
            output.say(report.runtime_exit_line(request_id, words, failure.error_type))
        self._log.finished(
            report.Report(
                request_id=request_id,
                duration_ms=duration_ms,
                billed_duration_ms=billed_ms,
                memory_size_mb=self._memory_mb,
                max_memory_used_mb=self._memory_used_mb(),
                init_duration_ms=init_ms,
                status=status,
                error_type=failure.error_type if failure is not None and status == "error" else None,
            ),
            failure.error_type if failure is not None else None,
            len(payload),
        )
        output.flush()
        output.end()
        tail, output.tail = output.tail, None
        log_tail = tail.bytes() if tail is not None else None
        if failure is not None:
            current.done(failure.completed(log_tail, duration_ms, billed_ms))
        else:
            current.done(Completed(payload, None, log_tail, duration_ms, billed_ms))
