"""The lines the platform itself writes into a function's log in JSON format, and at which level. Pure.

Records as in https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html, levels as in
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html. Every function here makes one
event; `PlatformEvent.line` is its whole log line. Durations are milliseconds, memory is in MB, times epoch ms.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal

import orjson

from lambent.observability.report import Phase, Report

Status = Literal["success", "error", "timeout"]


class SystemLogLevel(IntEnum):
    """Of LoggingConfig: an event is written if its own level is not lower."""

    DEBUG = 1
    INFO = 2
    WARN = 3


@dataclass(frozen=True, slots=True)
class PlatformEvent:
    """An event of the platform; `record` is what its `type` says of it."""

    type: str
    level: SystemLogLevel
    record: Mapping[str, Any]

    def line(self, time_ms: int) -> str:
        """The log line, its line feed included."""
        moment = dt.datetime.fromtimestamp(time_ms // 1000, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
        document = {"time": f"{moment}.{time_ms % 1000:03d}Z", "type": self.type, "record": self.record}
        return orjson.dumps(document).decode() + "\n"


def init_start(
    *,
    initialization_type: str,
    phase: Phase,
    runtime_version: str,
    runtime_version_arn: str,
    function_name: str,
    function_version: str,
) -> PlatformEvent:
    """The init phase begins."""
    record = {
        "initializationType": initialization_type,
        "phase": phase,
        "runtimeVersion": runtime_version,
        "runtimeVersionArn": runtime_version_arn,
        "functionName": function_name,
        "functionVersion": function_version,
    }
    return PlatformEvent("platform.initStart", SystemLogLevel.INFO, record)


def init_runtime_done(
    *, initialization_type: str, phase: Phase, status: Status, error_type: str | None = None
) -> PlatformEvent:
    """The runtime has initialised itself and the function, or failed to."""
    record = {"initializationType": initialization_type, "phase": phase, **_status(status, error_type)}
    return PlatformEvent("platform.initRuntimeDone", _level(status, SystemLogLevel.DEBUG), record)


def init_report(
    duration_ms: float, *, initialization_type: str, phase: Phase, status: Status, error_type: str | None = None
) -> PlatformEvent:
    """How long the init phase took. That of an on-demand environment stands in its first report too."""
    record = {
        "initializationType": initialization_type,
        "phase": phase,
        **_status(status, error_type),
        "metrics": {"durationMs": round(duration_ms, 3)},
    }
    level = SystemLogLevel.DEBUG if initialization_type == "on-demand" else SystemLogLevel.INFO
    return PlatformEvent("platform.initReport", _level(status, level), record)


def start(request_id: str, version: str, tenant_id: str | None = None) -> PlatformEvent:
    """An invocation begins; `version` is "$LATEST" or a number."""
    record = {"requestId": request_id, "version": version}
    if tenant_id is not None:
        record["tenantId"] = tenant_id
    return PlatformEvent("platform.start", SystemLogLevel.INFO, record)


def runtime_done(report: Report, status: Status, error_type: str | None, produced_bytes: int) -> PlatformEvent:
    """The runtime has answered, or will not; `produced_bytes` is the size of its answer."""
    record = {
        "requestId": report.request_id,
        **_status(status, error_type),
        "metrics": {"durationMs": round(report.duration_ms, 3), "producedBytes": produced_bytes},
    }
    return PlatformEvent("platform.runtimeDone", _level(status, SystemLogLevel.DEBUG), record)


def invocation_report(report: Report, status: Status, error_type: str | None) -> PlatformEvent:
    """What REPORT says in text format."""
    metrics: dict[str, float] = {
        "durationMs": round(report.duration_ms, 3),
        "billedDurationMs": report.billed_duration_ms,
        "memorySizeMB": report.memory_size_mb,
        "maxMemoryUsedMB": report.max_memory_used_mb,
    }
    if report.init_duration_ms is not None:
        metrics["initDurationMs"] = round(report.init_duration_ms, 3)
    record = {"requestId": report.request_id, "metrics": metrics, **_status(status, error_type)}
    return PlatformEvent("platform.report", _level(status, SystemLogLevel.INFO), record)


def _status(status: Status, error_type: str | None) -> dict[str, str]:
    return {"status": status} | ({"errorType": error_type} if error_type else {})


def _level(status: Status, success: SystemLogLevel) -> SystemLogLevel:
    return success if status == "success" else SystemLogLevel.WARN
