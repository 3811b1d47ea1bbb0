"""The errors of CloudWatch, in its words."""

from __future__ import annotations

from lambent.model.errors import ServiceError
from lambent.observability.metrics.store import MetricStoreError


def invalid_value(message: str) -> ServiceError:
    """400 `InvalidParameterValue`."""
    return ServiceError("InvalidParameterValueException", message)


def missing(message: str) -> ServiceError:
    """400 `MissingParameter`."""
    return ServiceError("MissingRequiredParameterException", message)


def invalid_combination(message: str) -> ServiceError:
    """400 `InvalidParameterCombination`."""
    return ServiceError("InvalidParameterCombinationException", message)


def validation_error(message: str) -> ServiceError:
    """400 `ValidationError`, as GetMetricData words what is wrong with its queries."""
    return ServiceError("ValidationError", message)


def invalid_token() -> ServiceError:
    """400 `InvalidNextToken`."""
    return ServiceError("InvalidNextToken", "The next token specified is invalid.")


def no_room() -> ServiceError:
    """400 `LimitExceeded`: metrics take as much of the disk as they may."""
    return ServiceError("LimitExceededFault", "Metrics take as much of the disk as they may (lambent: --metric-limit).")


def unavailable(error: MetricStoreError) -> ServiceError:
    """500 `InternalServiceError`: the store's file cannot be read or written."""
    return ServiceError("InternalServiceFault", f"The metric store does not answer: {error}", status=500)
