"""What the request chain must know of Lambda beyond its service model: other constraints, and sizes of requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lambent.aws.service import BodyLimit
from lambent.model import limits
from lambent.model.limits import Limits


def overrides(quotas: Limits) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """Operation → path → constraints that replace the model's."""
    function_settings: Mapping[str, Mapping[str, Any]] = {
        "runtime": {"enum": None},  # refused by the service, which lists the runtimes that may be created
        # The model's bounds are those of managed instances
        "timeout": {"max": quotas.timeout_max_s},
        "memorySize": {"max": quotas.memory_max_mb},
        "ephemeralStorage.size": {"max": quotas.ephemeral_storage_max_mb},
    }
    return {"CreateFunction": function_settings, "UpdateFunctionConfiguration": function_settings}


OVERRIDES: Final = overrides(limits.AWS_LIMITS)
"""With AWS's own quotas."""

BODY_LIMITS: Final[Mapping[str, BodyLimit]] = {
    "CreateFunction": BodyLimit(limits.CREATE_REQUEST_MAX_BYTES),
    "UpdateFunctionCode": BodyLimit(limits.CREATE_REQUEST_MAX_BYTES),
    "PublishLayerVersion": BodyLimit(limits.CREATE_REQUEST_MAX_BYTES),
    "Invoke": BodyLimit(limits.SYNC_REQUEST_MAX_BYTES, "RequestTooLargeException", "InvokeFunction"),
    "InvokeAsync": BodyLimit(limits.SYNC_REQUEST_MAX_BYTES),
}
