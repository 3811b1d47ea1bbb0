"""SQS's errors in its words. Codes are the names of the model's shapes; query clients get the older ones."""

from __future__ import annotations

from lambent.model.errors import ServiceError


def queue_does_not_exist() -> ServiceError:
    return ServiceError("QueueDoesNotExist", "The specified queue does not exist.")


def invalid_parameter(message: str) -> ServiceError:
    return ServiceError("InvalidParameterValue", message)


def invalid_value(name: str, value: object, reason: str) -> ServiceError:
    """A parameter has a value it must not have."""
    return invalid_parameter(f"Value {value} for parameter {name} is invalid. Reason: {reason}")


def missing_parameter(name: str) -> ServiceError:
    return ServiceError("MissingParameter", f"The request must contain the parameter {name}.")


def invalid_address(url: str) -> ServiceError:
    return ServiceError("InvalidAddress", f"The address {url[:1000]} is not valid for this endpoint.", status=404)


def unknown_attribute(name: str) -> ServiceError:
    return ServiceError("InvalidAttributeName", f"Unknown Attribute {name[:100]}.")


def invalid_attribute(name: str, reason: str = "") -> ServiceError:
    text = f"Invalid value for the parameter {name}."
    return ServiceError("InvalidAttributeValue", f"{text} Reason: {reason}" if reason else text)


def resource_not_found(message: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", message, status=404)


def unsupported(message: str) -> ServiceError:
    return ServiceError("UnsupportedOperation", message)


def access_denied(resource: str) -> ServiceError:
    return ServiceError("AccessDenied", f"Access to the resource {resource} is denied.", status=403)
