"""Where Lambda's own checks say more, or something else, than the constraints of its service model.

Handed to the request chain as overrides of the model: operation → path → constraints.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

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
