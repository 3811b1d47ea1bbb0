"""What the platform says in a function's log, in the format the function has chosen (LoggingConfig.LogFormat).

In text format START, END and REPORT frame an invocation; in JSON format `platform.*` events do, as far as the system
log level lets them. Lines about a runtime that timed out or exited are text in both, as on AWS. Nothing is written
before the `OutputLog` is flushed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final, Protocol

from lambent.model.execution import EnvironmentSpec
from lambent.observability import platform_events as events
from lambent.observability import report
from lambent.observability.platform_events import PlatformEvent, SystemLogLevel
from lambent.observability.report import Phase, Report
from lambent.worker.output import OutputLog

JSON: Final = "JSON"


@dataclass(frozen=True, slots=True)
class RuntimeVersion:
    """What INIT_START says."""

    label: str  # python:3.12.v1
    arn: str


class PlatformLog(Protocol):
    """The platform's part of an environment's log. Durations in milliseconds."""

    def init_started(self) -> None:
        """The environment is being made."""
        ...

    def initialised(self, duration_ms: float, phase: Phase) -> None:
        """The init phase succeeded."""
        ...

    def init_failed(
        self, duration_ms: float, *, status: report.Status, error_type: str | None = None, phase: Phase = "init"
    ) -> None:
        """The init phase did not succeed; `phase` is "invoke" when it was tried again within an invocation."""
        ...

    def started(self, request_id: str, tenant_id: str | None) -> None:
        """An invocation begins, of this tenant if the function has tenants."""
        ...

    def finished(self, report_: Report, error_type: str | None, produced_bytes: int) -> None:
        """An invocation is over. `error_type`: of an answer that is an error, though `report_` has no status."""
        ...


def platform_log(output: OutputLog, spec: EnvironmentSpec, runtime: RuntimeVersion) -> PlatformLog:
    """The log in the format of the function."""
    return _JsonLog(output, spec, runtime) if spec.log_format == JSON else _TextLog(output, spec, runtime)


class _TextLog:
    def __init__(self, output: OutputLog, spec: EnvironmentSpec, runtime: RuntimeVersion) -> None:
        self._output = output
        self._version = spec.version
        self._runtime = runtime

    def init_started(self) -> None:
        self._output.say(report.init_start_line(self._runtime.label, self._runtime.arn))

    def initialised(self, duration_ms: float, phase: Phase) -> None:
        """Said by the first REPORT."""

    def init_failed(
        self, duration_ms: float, *, status: report.Status, error_type: str | None = None, phase: Phase = "init"
    ) -> None:
        self._output.say(report.init_report_line(duration_ms, status=status, error_type=error_type, phase=phase))

    def started(self, request_id: str, tenant_id: str | None) -> None:
        self._output.say(report.start_line(request_id, self._version))

    def finished(self, report_: Report, error_type: str | None, produced_bytes: int) -> None:
        self._output.say(report.end_line(report_.request_id), report.report_line(report_))


class _JsonLog:
    def __init__(self, output: OutputLog, spec: EnvironmentSpec, runtime: RuntimeVersion) -> None:
        self._output = output
        self._spec = spec
        self._runtime = runtime
        self._lowest = SystemLogLevel[spec.system_log_level or "INFO"]

    def init_started(self) -> None:
        self._say(
            events.init_start(
                initialization_type=self._spec.initialization_type,
                phase="init",
                runtime_version=self._runtime.label,
                runtime_version_arn=self._runtime.arn,
                function_name=self._spec.function.name,
                function_version=self._spec.version,
            )
        )

    def initialised(self, duration_ms: float, phase: Phase) -> None:
        kind = self._spec.initialization_type
        self._say(events.init_runtime_done(initialization_type=kind, phase=phase, status="success"))
        self._say(events.init_report(duration_ms, initialization_type=kind, phase=phase, status="success"))

    def init_failed(
        self, duration_ms: float, *, status: report.Status, error_type: str | None = None, phase: Phase = "init"
    ) -> None:
        kind = self._spec.initialization_type
        self._say(events.init_runtime_done(initialization_type=kind, phase=phase, status=status, error_type=error_type))
        self._say(
            events.init_report(duration_ms, initialization_type=kind, phase=phase, status=status, error_type=error_type)
        )

    def started(self, request_id: str, tenant_id: str | None) -> None:
        self._say(events.start(request_id, self._spec.version, tenant_id))

    def finished(self, report_: Report, error_type: str | None, produced_bytes: int) -> None:
        status: events.Status = report_.status or ("error" if error_type else "success")
        error_type = report_.error_type or (error_type if status == "error" else None)
        self._say(events.runtime_done(report_, status, error_type, produced_bytes))
        self._say(events.invocation_report(report_, status, error_type))

    def _say(self, event: PlatformEvent) -> None:
        if event.level >= self._lowest:
            self._output.say(event.line(time.time_ns() // 1_000_000))
