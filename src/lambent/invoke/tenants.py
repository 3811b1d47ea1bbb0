"""Whose an invocation is: a function with tenant isolation has to be told, any other must not be. Pure."""

from __future__ import annotations

from lambent.model.errors import InvalidParameterValueException
from lambent.model.function import FunctionVersion


def check_tenant(version: FunctionVersion, tenant_id: str | None) -> None:
    """Raise InvalidParameterValueException unless both have a tenant or neither does."""
    if (tenant_id is None) is (version.tenant_isolation_mode is None):
        return
    if tenant_id is None:
        raise InvalidParameterValueException(
            "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your request and try "
            "again."
        )
    raise InvalidParameterValueException(
        "The invoked function is not enabled with tenancy configuration. Remove the tenant ID from your request and "
        "try again."
    )
