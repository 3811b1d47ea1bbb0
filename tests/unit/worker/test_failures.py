"""Error objects in AWS's words."""

import json

import pytest

from lambent.worker import failures
from lambent.worker.sandbox.api import SandboxExit


@pytest.mark.parametrize(
    ("exit_", "error_type", "words"),
    [
        (SandboxExit(status=0), "Runtime.ExitError", "Runtime exited without providing a reason"),
        (SandboxExit(status=127), "Runtime.ExitError", "Runtime exited with error: exit status 127"),
        (SandboxExit(signal=11), "Runtime.ExitError", "Runtime exited with error: signal: segmentation fault"),
        (SandboxExit(signal=9, oom_killed=True), "Runtime.OutOfMemory", "Runtime exited with error: signal: killed"),
        (SandboxExit(status=1, oom_killed=True), "Runtime.OutOfMemory", "Runtime exited with error: signal: killed"),
    ],
)
def test_exits(exit_: SandboxExit, error_type: str, words: str) -> None:
    failure = failures.exited("id", exit_)
    assert json.loads(failure.payload) == {"errorType": error_type, "errorMessage": f"RequestId: id Error: {words}"}


def test_a_timeout_has_two_decimals() -> None:
    assert json.loads(failures.timed_out("id", 1).payload) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "RequestId: id Error: Task timed out after 1.00 seconds",
    }


def test_the_runtimes_own_error_object_is_passed_on() -> None:
    payload = b'{"errorType": "ValueError", "errorMessage": "no"}'
    failure = failures.reported(payload, "Runtime.ImportModuleError")
    assert (failure.payload, failure.error_type) == (payload, "Runtime.ImportModuleError")


@pytest.mark.parametrize("header", [None, "", "nonsense", "Runtime.\r\nX: y", "Runtime." + "x" * 500])
def test_an_unknown_error_type_is_normalised(header: str | None) -> None:
    assert failures.reported(b"{}", header).error_type == "Function.Unknown"


def test_what_is_no_json_becomes_an_error_object() -> None:
    failure = failures.reported(b"\xffoops", "Function.Broken")
    assert json.loads(failure.payload) == {"errorType": "Function.Broken", "errorMessage": "\ufffdoops"}
