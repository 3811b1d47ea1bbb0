"""Provisioned concurrency: what versions and aliases are to have ready.

https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html. This is desired state: the data plane reads
it from the store and keeps the environments. How far that is, is asked of it by `Progress`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lambent.control_plane.attachments import Attachments
from lambent.control_plane.concurrency import Concurrency
from lambent.control_plane.queries import FunctionQueries
from lambent.control_plane.tenancy import check_no_tenants
from lambent.model import limits
from lambent.model.arn import LATEST, FunctionId, FunctionReference
from lambent.model.clock import Clock
from lambent.model.errors import (
    InvalidParameterValueException,
    ProvisionedConcurrencyConfigNotFoundException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from lambent.model.execution import ProvisionedProgress
from lambent.model.function import is_version_number
from lambent.store.api import PROVISIONED_CONCURRENCY, Change

Progress = Callable[[FunctionId, str, int], ProvisionedProgress]
"""Function, qualifier, how much was asked for."""


@dataclass(frozen=True, slots=True)
class ProvisionedConfig:
    """What was asked for, and what there is of it. `modified` in epoch seconds."""

    qualifier: str
    requested: int
    modified: float
    progress: ProvisionedProgress


@dataclass(frozen=True, slots=True)
class ProvisionedPage:
    """Part of a list; see `attachments.AttachmentPage`."""

    configs: list[ProvisionedConfig]
    following: str | None


class ProvisionedConcurrency:
    """PutProvisionedConcurrencyConfig and its like."""

    def __init__(
        self,
        queries: FunctionQueries,
        attachments: Attachments,
        concurrency: Concurrency,
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._queries = queries
        self._attachments = attachments
        self._concurrency = concurrency
        self._clock = clock
        self._progress = progress

    async def put(self, reference: FunctionReference, requested: int) -> ProvisionedConfig:
        """Raises ResourceNotFoundException, ResourceConflictException, InvalidParameterValueException."""
        qualifier = reference.qualifier or LATEST
        if qualifier == LATEST:
            raise _unpublished()

        async def check() -> Sequence[Change]:
            """Holds as long as the function is not touched, and every change that matters here touches it."""
            await self._check_owner(reference)
            await self._check_share(reference.function, qualifier, requested)
            return ()

        await check()
        document = {"requested": requested, "modified": self._clock.now()}
        await self._attachments.change(
            PROVISIONED_CONCURRENCY, reference.function, qualifier, lambda _: document, also=check
        )
        return self._config(reference.function, qualifier, document)

    async def get(self, reference: FunctionReference) -> ProvisionedConfig:
        """Raises ResourceNotFoundException, ProvisionedConcurrencyConfigNotFoundException."""
        qualifier = await self._published(reference)
        stored = await self._attachments.get(PROVISIONED_CONCURRENCY, reference.function, qualifier)
        if stored is None:
            raise ProvisionedConcurrencyConfigNotFoundException(
                "No Provisioned Concurrency Config found for this function"
            )
        return self._config(reference.function, qualifier, stored)

    async def delete(self, reference: FunctionReference) -> None:
        """One that does not exist is fine. Raises ResourceNotFoundException."""
        qualifier = await self._published(reference)
        await self._attachments.change(PROVISIONED_CONCURRENCY, reference.function, qualifier, lambda _: None)

    async def list_configs(self, function: FunctionId, after: str | None, limit: int) -> ProvisionedPage:
        """Raises ResourceNotFoundException."""
        await self._queries.function(function)
        page = await self._attachments.page(PROVISIONED_CONCURRENCY, function, after, limit)
        configs = [self._config(function, one.qualifier, one.value) for one in page.attachments]
        return ProvisionedPage(configs, page.following)

    def _config(self, function: FunctionId, qualifier: str, stored: Mapping[str, Any]) -> ProvisionedConfig:
        requested = stored["requested"]
        return ProvisionedConfig(
            qualifier, requested, stored["modified"], self._progress(function, qualifier, requested)
        )

    async def _published(self, reference: FunctionReference) -> str:
        qualifier = reference.qualifier or LATEST
        if qualifier == LATEST:
            raise InvalidParameterValueException(
                "The function resource provided must be an alias or a published version."
            )
        await self._queries.resolve(reference)
        return qualifier

    async def _check_owner(self, reference: FunctionReference) -> None:
        """A version has provisioned concurrency of its own or through one alias, never both."""
        function, qualifier = reference.function, reference.qualifier or LATEST
        _, version = await self._queries.resolve(reference)
        if version.is_latest:
            raise _unpublished()
        check_no_tenants(version, "Provisioned Concurrency")
        others = [
            one.qualifier
            for one in (await self._attachments.page(PROVISIONED_CONCURRENCY, function)).attachments
            if one.qualifier != qualifier
        ]
        if not is_version_number(qualifier):
            if version.version in others:
                raise ResourceConflictException(
                    "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
                )
            return
        for alias in others:
            if not is_version_number(alias) and await self._version_of(FunctionReference(function, alias)) == qualifier:
                raise ResourceConflictException("Version is pointed by a Provisioned Concurrency alias")

    async def _version_of(self, alias: FunctionReference) -> str | None:
        try:
            _, version = await self._queries.resolve(alias)
        except ResourceNotFoundException:
            return None  # deleted meanwhile
        return version.version

    async def _check_share(self, function: FunctionId, qualifier: str, requested: int) -> None:
        others = sum(
            one.value["requested"]
            for one in (await self._attachments.page(PROVISIONED_CONCURRENCY, function)).attachments
            if one.qualifier != qualifier
        )
        shares = await self._concurrency.shares(function.account, function.region)
        reserved = shares.reserved.get(function.name)
        if reserved is not None:
            if requested + others > reserved:
                raise InvalidParameterValueException(
                    "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for "
                    "function",
                    Type=None,
                )
            return
        if requested > shares.unreserved:
            raise InvalidParameterValueException(
                "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency "
                f"[{shares.unreserved}].",
                Type=None,
            )
        if shares.unreserved - requested - others < min(limits.UNRESERVED_CONCURRENCY_MIN, shares.limit):
            raise InvalidParameterValueException(
                "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below "
                f"its minimum value of [{shares.unreserved_minimum}].",
                Type=None,
            )


def _unpublished() -> InvalidParameterValueException:
    return InvalidParameterValueException(
        "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
    )
