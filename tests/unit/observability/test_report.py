"""The platform's log lines against lines Lambda wrote."""

from __future__ import annotations

import signal

import pytest

from lambent.observability.report import (
    Report,
    billed_duration_ms,
    end_line,
    exit_reason,
    init_report_line,
    init_start_line,
    report_line,
    runtime_exit_line,
    start_line,
    task_timed_out_line,
)

ID = "1e5c8abd-3d36-461b-8c0f-a56b952715b3"


def test_plain_lines() -> None:
    arn = "arn:aws:lambda:ap-east-2::runtime:6b9e6bda"
    assert init_start_line("python:3.13.v60", arn) == (
        f"INIT_START Runtime Version: python:3.13.v60\tRuntime Version ARN: {arn}\n"
    )
    assert start_line(ID, "$LATEST") == f"START RequestId: {ID} Version: $LATEST\n"
    assert end_line(ID) == f"END RequestId: {ID}\n"


@pytest.mark.parametrize(
    ("report", "rest"),
    [
        (
            Report(ID, 1.994, 2, 128, 30),
            "Duration: 1.99 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 30 MB\t",
        ),
        (
            Report(ID, 12.5, 103, 1769, 95, init_duration_ms=89.6),
            (
                "Duration: 12.50 ms\tBilled Duration: 103 ms\tMemory Size: 1769 MB\tMax Memory Used: 95 MB\t"
                "Init Duration: 89.60 ms\t"
            ),
        ),
        (
            Report(ID, 3000.0, 3068, 128, 35, init_duration_ms=67.49, status="timeout"),
            (
                "Duration: 3000.00 ms\tBilled Duration: 3068 ms\tMemory Size: 128 MB\tMax Memory Used: 35 MB\t"
                "Init Duration: 67.49 ms\tStatus: timeout"
            ),
        ),
        (
            Report(ID, 3000.0, 3000, 128, 35, status="timeout"),
            (
                "Duration: 3000.00 ms\tBilled Duration: 3000 ms\tMemory Size: 128 MB\tMax Memory Used: 35 MB\t"
                "Status: timeout"
            ),
        ),
        (
            Report(ID, 10935.70, 10936, 1024, 1024, status="error", error_type="Runtime.OutOfMemory"),
            (
                "Duration: 10935.70 ms\tBilled Duration: 10936 ms\tMemory Size: 1024 MB\tMax Memory Used: 1024 MB\t"
                "Status: error\tError Type: Runtime.OutOfMemory"
            ),
        ),
    ],
)
def test_report_line(report: Report, rest: str) -> None:
    assert report_line(report) == f"REPORT RequestId: {ID}\t{rest}\n"


@pytest.mark.parametrize(
    ("duration_ms", "init_duration_ms", "billed_ms"),
    [
        (3000.0, 67.49, 3068),
        (600000.0, 476.75, 600477),
        (300000.0, 523.99, 300524),
        (10935.70, None, 10936),
        (10.05, None, 11),
        (0.0, None, 1),
        (0.87, None, 1),
        (7.0, None, 7),
        (7.001, None, 7),  # printed as 7.00
        (1.1, 2.2, 4),
        (0.1, 0.2, 1),
        (0.7, 0.3, 1),  # floating point must not make a millisecond
        (2.675, 0.325, 3),
    ],
)
def test_billed_duration(duration_ms: float, init_duration_ms: float | None, billed_ms: int) -> None:
    assert billed_duration_ms(duration_ms, init_duration_ms) == billed_ms


def test_init_report_line() -> None:
    assert init_report_line(10000.0, status="timeout") == (
        "INIT_REPORT Init Duration: 10000.00 ms\tPhase: init\tStatus: timeout\n"
    )
    assert init_report_line(83.58, status="error", error_type="Runtime.ImportModuleError", phase="invoke") == (
        "INIT_REPORT Init Duration: 83.58 ms\tPhase: invoke\tStatus: error\tError Type: Runtime.ImportModuleError\n"
    )


def test_task_timed_out_line() -> None:
    line = task_timed_out_line(1697772497840, ID, 31.012)
    assert line == f"2023-10-20T03:28:17.840Z {ID} Task timed out after 31.01 seconds\n\n"


@pytest.mark.parametrize(
    ("returncode", "reason"),
    [
        (0, "Runtime exited without providing a reason"),
        (1, "Runtime exited with error: exit status 1"),
        (127, "Runtime exited with error: exit status 127"),
        (-signal.SIGKILL, "Runtime exited with error: signal: killed"),
        (-signal.SIGSEGV, "Runtime exited with error: signal: segmentation fault"),
        (-40, "Runtime exited with error: signal: signal 40"),
    ],
)
def test_runtime_exit(returncode: int, reason: str) -> None:
    assert exit_reason(returncode) == reason
    assert runtime_exit_line(ID, reason) == f"RequestId: {ID} Error: {reason}\nRuntime.ExitError\n"
