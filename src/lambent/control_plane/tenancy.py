"""Tenant isolation: what functions that have it cannot have besides. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/tenant-isolation.html
"""

from __future__ import annotations

from lambent.model.errors import InvalidParameterValueException
from lambent.model.function import FunctionVersion


def check_no_tenants(version: FunctionVersion, feature: str) -> None:
    """Raise InvalidParameterValueException if the function has tenant isolation. `feature`: what was asked for."""
    if version.tenant_isolation_mode is not None:
        raise InvalidParameterValueException(f"{feature} is not supported for functions with tenant isolation mode.")
