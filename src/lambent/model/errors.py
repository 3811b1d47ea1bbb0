"""Errors that reach the wire, under AWS's names.

`ServiceError` is an error of any AWS API: a code, a message, and the members its botocore shape names. How it is
rendered (status, header, body, the case of `message`) is the business of `lambent.aws`, from the service model; the
status given here is used only for errors the model does not know. Internal errors end in `Error` and never get here.
"""

from __future__ import annotations

from collections.abc import Mapping


class ServiceError(Exception):
    """An error of an AWS API, as its client will see it.

    `members` are further members of the error's shape (`Reason`, `retryAfterSeconds`, …). `Type` is "User" for most
    Lambda errors; pass `Type: None` in `members` for the handful without.
    """

    def __init__(
        self, code: str, message: str, *, status: int = 400, members: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members: Mapping[str, object] = members or {}


def access_denied(message: str) -> ServiceError:
    """403 `AccessDeniedException`."""
    return ServiceError("AccessDeniedException", message, status=403, members={"Type": None})


class _LambdaError(ServiceError):
    """A Lambda error; subclasses are named as AWS names them."""

    http_status = 400

    def __init__(self, message: str, **members: object) -> None:
        super().__init__(type(self).__name__, message, status=self.http_status, members={"Type": "User"} | members)


class ResourceNotFoundException(_LambdaError):
    """The resource does not exist."""

    http_status = 404


class ResourceConflictException(_LambdaError):
    """The resource already exists, or another operation is in progress."""

    http_status = 409


class ResourceInUseException(_LambdaError):
    """The resource is being changed, or used, and cannot be changed now."""


class InvalidParameterValueException(_LambdaError):
    """One of the parameters is not valid."""


class InvalidRequestContentException(_LambdaError):
    """The request body could not be parsed as JSON."""


class InvalidRuntimeException(_LambdaError):
    """The runtime or its version is not supported."""

    http_status = 502


class PreconditionFailedException(_LambdaError):
    """The RevisionId provided does not match the latest one."""

    http_status = 412


class CodeStorageExceededException(_LambdaError):
    """The account's total code size would be exceeded."""


class PolicyLengthExceededException(_LambdaError):
    """The resource-based policy would be larger than the quota."""


class ProvisionedConcurrencyConfigNotFoundException(_LambdaError):
    """The version or alias has no provisioned concurrency configuration."""

    http_status = 404


class CodeSigningConfigNotFoundException(_LambdaError):
    """The code signing configuration does not exist."""

    http_status = 404


class RequestTooLargeException(_LambdaError):
    """The request payload exceeded the Invoke request body limit."""

    http_status = 413


class RecursiveInvocationException(_LambdaError):
    """The function was invoked in a loop of functions and other resources, and was stopped."""


class TooManyRequestsException(_LambdaError):
    """A concurrency or rate limit was reached. Pass `Reason` (and `retryAfterSeconds`)."""

    http_status = 429


class ServiceException(_LambdaError):
    """Lambent itself failed. The cause is in the server's log."""

    http_status = 500

    def __init__(self, message: str, **members: object) -> None:
        super().__init__(message, **({"Type": "Service"} | members))


def request_entity_too_large(message: str) -> ServiceError:
    """413 `RequestEntityTooLargeException` (not in the model, no `Type`)."""
    return ServiceError("RequestEntityTooLargeException", message, status=413, members={"Type": None})
