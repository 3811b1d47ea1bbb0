"""What the request chain must know of Lambda beyond its service model: other constraints, and sizes of requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lambent.aws.service import BodyLimit
from lambent.model import limits

_FUNCTION_SETTINGS: Final[Mapping[str, Mapping[str, Any]]] = {
    "runtime": {"enum": None},  # refused by the service, which lists the runtimes that may be created
    # The model's bounds are those of managed instances
    "timeout": {"max": limits.TIMEOUT_MAX_S},
    "memorySize": {"max": limits.MEMORY_MAX_MB},
    "ephemeralStorage.size": {"max": limits.EPHEMERAL_STORAGE_MAX_MB},
}

OVERRIDES: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    "CreateFunction": _FUNCTION_SETTINGS,
    "UpdateFunctionConfiguration": _FUNCTION_SETTINGS,
}
"""Operation → path → constraints that replace the model's."""

BODY_LIMITS: Final[Mapping[str, BodyLimit]] = {
    "CreateFunction": BodyLimit(limits.CREATE_REQUEST_MAX_BYTES),
    "UpdateFunctionCode": BodyLimit(limits.CREATE_REQUEST_MAX_BYTES),
    "Invoke": BodyLimit(limits.SYNC_REQUEST_MAX_BYTES, "RequestTooLargeException", "InvokeFunction"),
}
