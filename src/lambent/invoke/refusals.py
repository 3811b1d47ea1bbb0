"""What callers are told whose invocation could not be run. Pure."""

from __future__ import annotations

from lambent.model.errors import InvalidRuntimeException, ServiceError, ServiceException, TooManyRequestsException
from lambent.model.execution import LaunchFailure, LaunchFailureKind


def shutting_down() -> ServiceError:
    """The server stops."""
    return ServiceException("The service is shutting down.")


def throttled() -> ServiceError:
    """There is no room for another environment, or the function has started too many just now."""
    return TooManyRequestsException("Rate Exceeded.", Reason="ConcurrentInvocationLimitExceeded", retryAfterSeconds="1")


def too_many_tenants() -> ServiceError:
    """Tenants have all the environments they may have."""
    return TooManyRequestsException("Rate exceeded", retryAfterSeconds="1")


def launch_error(failure: LaunchFailure) -> ServiceError:
    """An environment could not be made."""
    match failure.kind:
        case LaunchFailureKind.RUNTIME_MISSING | LaunchFailureKind.ARCHITECTURE:
            return InvalidRuntimeException(failure.message)
        case LaunchFailureKind.NO_CAPACITY:
            return throttled()
        case LaunchFailureKind.SANDBOX | LaunchFailureKind.INIT:
            return ServiceException(failure.message)
