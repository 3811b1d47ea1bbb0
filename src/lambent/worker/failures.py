"""How a function can fail, in AWS's words: error objects and error types. Pure.

The object goes to the caller with `FunctionError: Unhandled`; the same type stands in the REPORT line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import orjson

from lambent.model import limits
from lambent.model.execution import Completed, FunctionError
from lambent.observability.report import exit_reason
from lambent.worker.sandbox.api import SandboxExit

_ERROR_TYPE: Final = re.compile(r"(Runtime|Function|Extension)\.[A-Za-z]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class Failure:
    """What a caller gets instead of a result."""

    error_type: str
    payload: bytes

    def completed(self, log_tail: bytes | None, duration_ms: float = 0.0, billed_duration_ms: int = 0) -> Completed:
        """As the outcome of an invocation."""
        return Completed(self.payload, FunctionError.UNHANDLED, log_tail, duration_ms, billed_duration_ms)


def _failure(error_type: str, message: str) -> Failure:
    return Failure(error_type, orjson.dumps({"errorType": error_type, "errorMessage": message}))


def timed_out(request_id: str, timeout_s: float) -> Failure:
    """The invocation ran into the function's timeout."""
    return _failure("Sandbox.Timedout", f"RequestId: {request_id} Error: Task timed out after {timeout_s:.2f} seconds")


def exited(request_id: str, exit_: SandboxExit) -> Failure:
    """The runtime process ended before it answered: by itself, by a signal, or for want of memory."""
    error_type = "Runtime.OutOfMemory" if exit_.oom_killed else "Runtime.ExitError"
    return _failure(error_type, f"RequestId: {request_id} Error: {exit_words(exit_)}")


def exit_words(exit_: SandboxExit) -> str:
    """How the runtime process ended, in Lambda's words."""
    if exit_.oom_killed:
        return exit_reason(-9)
    return exit_reason(-exit_.signal if exit_.signal else exit_.status or 0)


def invalid_entrypoint(request_id: str, looked_for: tuple[str, ...]) -> Failure:
    """There is no bootstrap to run."""
    message = f"RequestId: {request_id} Error: Couldn't find valid bootstrap(s): [{' '.join(looked_for)}]"
    return _failure("Runtime.InvalidEntrypoint", message)


def response_too_large() -> Failure:
    """The response exceeded 6 MB."""
    size = limits.SYNC_RESPONSE_MAX_BYTES
    message = f"Response payload size exceeded maximum allowed payload size ({size} bytes)."
    return _failure("Function.ResponseSizeTooLarge", message)


def reported(payload: bytes, error_type: str | None) -> Failure:
    """The runtime reported an error: its own object, if it is one."""
    kind = error_type if error_type and _ERROR_TYPE.match(error_type) else "Function.Unknown"
    try:
        orjson.loads(payload)
    except orjson.JSONDecodeError:
        return _failure(
            kind, payload.decode("utf-8", "replace") or "The runtime reported an error without saying which."
        )
    return Failure(kind, payload)
