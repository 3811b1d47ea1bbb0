"""Failures and how they are told: error payloads, stack traces, X-Ray causes.

The texts and the layout are those AWS's runtime sends; callers and log readers match on them.
"""

import os
import sys
import traceback

_OWN_FILES = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + "/"


class FaultError(Exception):
    """A failure the runtime itself found. `trace` is what goes into stackTrace, if anything does."""

    def __init__(self, error_type, message, trace=None):
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.trace = trace


def payload(error_message, error_type, stack_trace, request_id):
    return {
        "errorMessage": error_message or "",
        "errorType": error_type or "",
        "requestId": request_id or "",
        "stackTrace": stack_trace or [],
    }


def describe_fault(fault, request_id):
    """(payload, X-Ray cause) of a failure of the runtime."""
    cause = _xray_cause("LambdaValidationError", fault.message, [])
    return payload(fault.message, fault.error_type, fault.trace, request_id), cause


def describe_exception(request_id):
    """(payload, X-Ray cause) of the exception being handled, without the frames of the runtime."""
    kind, value, trace = sys.exc_info()
    frames = [(frame.filename, frame.lineno, frame.name, frame.line) for frame in traceback.extract_tb(trace)]
    for index, frame in enumerate(frames):
        if not frame[0].startswith(_OWN_FILES):
            frames = frames[index:]
            break
    message = str(value)
    result = payload(message, kind.__name__, traceback.format_list(frames), request_id)
    return result, _xray_cause(kind.__name__, message, frames)


def _xray_cause(error_type, message, frames):
    stack = [{"label": name, "path": path, "line": line} for path, line, name, _ in frames]
    return {
        "working_directory": os.getcwd(),
        "exceptions": [{"message": message, "type": error_type, "stack": stack}],
        "paths": sorted({path for path, _, _, _ in frames}),
    }
