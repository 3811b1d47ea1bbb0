"""When a function's runtime is renewed, and whether its loops are stopped.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-update.html,
https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html. Runtime management is stored only: the runtimes
of a host are renewed by who runs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lambent.control_plane.attachments import Attachments
from lambent.control_plane.queries import FunctionQueries
from lambent.model.arn import LATEST, FunctionId, FunctionReference
from lambent.model.errors import InvalidParameterValueException, ResourceNotFoundException
from lambent.model.function import is_version_number
from lambent.store.api import RECURSION_CONFIGS, RUNTIME_MANAGEMENT

AUTO: Final = "Auto"
MANUAL: Final = "Manual"
TERMINATE: Final = "Terminate"


@dataclass(frozen=True, slots=True)
class RuntimeManagement:
    """Of one version. `runtime_version_arn` only in the mode Manual."""

    version: str
    update_runtime_on: str = AUTO
    runtime_version_arn: str | None = None


class RuntimeSettings:
    """Put/GetRuntimeManagementConfig and Put/GetFunctionRecursionConfig."""

    def __init__(self, queries: FunctionQueries, attachments: Attachments) -> None:
        self._queries = queries
        self._attachments = attachments

    async def put_management(
        self, reference: FunctionReference, update_runtime_on: str, runtime_version_arn: str | None
    ) -> RuntimeManagement:
        """Raises ResourceNotFoundException, InvalidParameterValueException."""
        qualifier = await self._version(reference)
        _, version = await self._queries.resolve(reference)
        if update_runtime_on != MANUAL:
            if runtime_version_arn is not None:
                raise InvalidParameterValueException(
                    "RuntimeVersionArn can be specified only when UpdateRuntimeOn is Manual."
                )
        elif runtime_version_arn is None:
            raise InvalidParameterValueException("RuntimeVersionArn is required when UpdateRuntimeOn is Manual.")
        elif runtime_version_arn != version.runtime_version_arn:
            raise InvalidParameterValueException(
                f"Runtime version {runtime_version_arn} is not available: this host has {version.runtime_version_arn} "
                f"for {version.runtime}."
            )
        document = {"update_runtime_on": update_runtime_on, "runtime_version_arn": runtime_version_arn}
        await self._attachments.change(RUNTIME_MANAGEMENT, reference.function, qualifier, lambda _: document)
        return RuntimeManagement(qualifier, update_runtime_on, runtime_version_arn)

    async def management(self, reference: FunctionReference) -> RuntimeManagement:
        """Raises ResourceNotFoundException."""
        qualifier = await self._version(reference)
        stored = await self._attachments.get(RUNTIME_MANAGEMENT, reference.function, qualifier)
        return RuntimeManagement(qualifier) if stored is None else RuntimeManagement(qualifier, **stored)

    async def put_recursion(self, function: FunctionId, recursive_loop: str) -> None:
        """Raises ResourceNotFoundException."""
        document = {"recursive_loop": recursive_loop}
        await self._attachments.change(RECURSION_CONFIGS, function, LATEST, lambda _: document)

    async def recursion(self, function: FunctionId) -> str:
        """Raises ResourceNotFoundException."""
        await self._queries.function(function)
        stored = await self._attachments.get(RECURSION_CONFIGS, function)
        return TERMINATE if stored is None else str(stored["recursive_loop"])

    async def _version(self, reference: FunctionReference) -> str:
        """The version a request is about; aliases have no such configuration. Raises ResourceNotFoundException."""
        qualifier = reference.qualifier or LATEST
        await self._queries.resolve(reference)
        if qualifier != LATEST and not is_version_number(qualifier):
            raise ResourceNotFoundException(f"Function not found: {reference.arn}")
        return qualifier
