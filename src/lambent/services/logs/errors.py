"""The errors of CloudWatch Logs, in its words."""

from __future__ import annotations

from lambent.model.errors import ServiceError


def invalid_parameter(message: str) -> ServiceError:
    """400 `InvalidParameterException`."""
    return ServiceError("InvalidParameterException", message)


def group_not_found() -> ServiceError:
    """400 `ResourceNotFoundException` for a log group."""
    return ServiceError("ResourceNotFoundException", "The specified log group does not exist.")


def stream_not_found() -> ServiceError:
    """400 `ResourceNotFoundException` for a log stream."""
    return ServiceError("ResourceNotFoundException", "The specified log stream does not exist.")


def resource_not_found() -> ServiceError:
    """400 `ResourceNotFoundException` for an ARN that names no log group of the caller."""
    return ServiceError("ResourceNotFoundException", "The specified resource does not exist.")


def already_exists(kind: str) -> ServiceError:
    """400 `ResourceAlreadyExistsException`; `kind` is "log group" or "log stream"."""
    return ServiceError("ResourceAlreadyExistsException", f"The specified {kind} already exists")


def aborted() -> ServiceError:
    """400 `OperationAbortedException`: others kept changing the same resource."""
    return ServiceError(
        "OperationAbortedException",
        "A conflicting operation is currently in progress against this resource. Try again.",
    )


def unavailable(error: OSError) -> ServiceError:
    """500 `ServiceUnavailableException`: the disk did not take it."""
    return ServiceError("ServiceUnavailableException", f"The log store cannot be written: {error.strerror}", status=500)
