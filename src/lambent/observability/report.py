"""The lines the platform itself writes into a function's log, exactly as Lambda writes them (text format). Pure.

https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-view.html and
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html (INIT_REPORT). Every function here returns
one whole log event, its line feed included. Durations are milliseconds, memory is in MB (MiB, as AWS counts it).
"""

from __future__ import annotations

import datetime as dt
import math
import signal
from typing import Final, Literal

from lambent.model.values import value

Status = Literal["timeout", "error"]
Phase = Literal["init", "invoke"]

# As Go spells them (`syscall.Signal`), since Lambda prints that.
_SIGNALS: Final[dict[int, str]] = {
    signal.SIGABRT: "aborted",
    signal.SIGALRM: "alarm clock",
    signal.SIGBUS: "bus error",
    signal.SIGFPE: "floating point exception",
    signal.SIGHUP: "hangup",
    signal.SIGILL: "illegal instruction",
    signal.SIGINT: "interrupt",
    signal.SIGKILL: "killed",
    signal.SIGPIPE: "broken pipe",
    signal.SIGQUIT: "quit",
    signal.SIGSEGV: "segmentation fault",
    signal.SIGSYS: "bad system call",
    signal.SIGTERM: "terminated",
    signal.SIGTRAP: "trace/breakpoint trap",
    signal.SIGUSR1: "user defined signal 1",
    signal.SIGUSR2: "user defined signal 2",
    signal.SIGXCPU: "CPU time limit exceeded",
    signal.SIGXFSZ: "file size limit exceeded",
}


@value
class Report:
    """What the REPORT line says of one invocation.

    `init_duration_ms` only for the first invocation of an environment whose init phase was not part of it.
    `status` is None for an invocation that ended with an answer, also when the handler raised; `error_type` (such as
    "Runtime.ExitError", "Runtime.OutOfMemory") goes with "error".
    """

    request_id: str
    duration_ms: float
    billed_duration_ms: int
    memory_size_mb: int
    max_memory_used_mb: int
    init_duration_ms: float | None = None
    status: Status | None = None
    error_type: str | None = None


def billed_duration_ms(duration_ms: float, init_duration_ms: float | None = None) -> int:
    """What an invocation is billed: whole milliseconds, rounded up, at least one.

    `init_duration_ms` is the init phase of an on-demand cold start, billed since August 2025; pass None where init is
    not part of this bill (warm, or an environment of provisioned concurrency). Computed from the two figures as they
    are printed, so that a REPORT line always adds up.
    """
    total = round(duration_ms, 2) + round(init_duration_ms or 0.0, 2)
    return max(1, math.ceil(round(total, 2)))


def init_start_line(runtime_version: str, runtime_version_arn: str) -> str:
    """The first event of an environment; `runtime_version` is like "python:3.12.v36"."""
    return f"INIT_START Runtime Version: {runtime_version}\tRuntime Version ARN: {runtime_version_arn}\n"


def start_line(request_id: str, version: str) -> str:
    """The event that opens an invocation; `version` is "$LATEST" or a number."""
    return f"START RequestId: {request_id} Version: {version}\n"


def end_line(request_id: str) -> str:
    """The event after everything the function printed."""
    return f"END RequestId: {request_id}\n"


def report_line(report: Report) -> str:
    """The event that closes an invocation. A line without status ends with a tab, one with status does not."""
    line = (
        f"REPORT RequestId: {report.request_id}\tDuration: {report.duration_ms:.2f} ms\t"
        f"Billed Duration: {report.billed_duration_ms} ms\tMemory Size: {report.memory_size_mb} MB\t"
        f"Max Memory Used: {report.max_memory_used_mb} MB\t"
    )
    if report.init_duration_ms is not None:
        line += f"Init Duration: {report.init_duration_ms:.2f} ms\t"
    return line + _status(report.status, report.error_type) + "\n"


def init_report_line(
    init_duration_ms: float, *, status: Status, error_type: str | None = None, phase: Phase = "init"
) -> str:
    """The event of an init that did not succeed; `phase` is "invoke" when it was retried within an invocation."""
    return f"INIT_REPORT Init Duration: {init_duration_ms:.2f} ms\tPhase: {phase}\t{_status(status, error_type)}\n"


def task_timed_out_line(time_ms: int, request_id: str, timeout_s: float) -> str:
    """The event of an invocation that ran into its timeout, with AWS's two line feeds. `time_ms`: epoch.

    Lambda wrote it before END for years; newer workers say it only as `Status: timeout` in the REPORT line.
    """
    moment = dt.datetime.fromtimestamp(time_ms // 1000, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{time_ms % 1000:03d}Z {request_id} Task timed out after {timeout_s:.2f} seconds\n\n"


def runtime_exit_line(request_id: str, reason: str, error_type: str = "Runtime.ExitError") -> str:
    """The event of a runtime process that ended before it answered; `reason` as from `exit_reason`."""
    return f"RequestId: {request_id} Error: {reason}\n{error_type}\n"


def exit_reason(returncode: int) -> str:
    """How a process ended, in Lambda's words. `returncode` as Python gives it: negative for a signal."""
    if returncode == 0:
        return "Runtime exited without providing a reason"
    if returncode > 0:
        return f"Runtime exited with error: exit status {returncode}"
    name = _SIGNALS.get(-returncode, f"signal {-returncode}")
    return f"Runtime exited with error: signal: {name}"


def _status(status: Status | None, error_type: str | None) -> str:
    if status is None:
        return ""
    return f"Status: {status}" + (f"\tError Type: {error_type}" if error_type else "")
