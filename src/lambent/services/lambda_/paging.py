"""Marker and MaxItems of Lambda's lists. A marker is opaque to the client and bound to its operation."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from lambent.model import limits
from lambent.model.errors import InvalidParameterValueException


def page_size(params: Mapping[str, Any]) -> int:
    """At most 50, whatever is asked for."""
    return min(int(params.get("MaxItems", limits.LIST_ITEMS_MAX)), limits.LIST_ITEMS_MAX)


def marker(operation: str, position: str) -> str:
    """The NextMarker that continues after `position`."""
    return base64.urlsafe_b64encode(f"{operation} {position}".encode()).decode()


def position(operation: str, params: Mapping[str, Any]) -> str | None:
    """Where to continue, or None for the beginning. Raises InvalidParameterValueException."""
    given = params.get("Marker")
    if not given:
        return None
    try:
        name, _, found = base64.b64decode(given, altchars=b"-_", validate=True).decode().partition(" ")
    except (binascii.Error, ValueError):
        name, found = "", ""
    if name != operation:
        raise InvalidParameterValueException("Invalid Marker")
    return found


def continued(answer: dict[str, Any], operation: str, following: str | None) -> dict[str, Any]:
    """The answer of a list, with the NextMarker if there is more."""
    return answer if following is None else {**answer, "NextMarker": marker(operation, following)}
