"""How asynchronous invocations of a function, version or alias are retried, and where their records go.

https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html.
`lambent.async_invoke.settings` reads what is stored here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lambent.control_plane.attachments import Attachment, Attachments
from lambent.control_plane.destinations import check_destinations, normalized
from lambent.control_plane.queries import FunctionQueries
from lambent.model.arn import LATEST, FunctionId, FunctionReference
from lambent.model.clock import Clock
from lambent.model.errors import InvalidParameterValueException, ResourceNotFoundException
from lambent.store.api import EVENT_INVOKE_CONFIGS


@dataclass(frozen=True, slots=True)
class EventInvokeSettings:
    """What a request gives; None for what it does not. `destinations` as the API's DestinationConfig."""

    maximum_retry_attempts: int | None = None
    maximum_event_age_s: int | None = None
    destinations: Mapping[str, Any] | None = None

    @property
    def is_empty(self) -> bool:
        return self.maximum_retry_attempts is None and self.maximum_event_age_s is None and self.destinations is None


@dataclass(frozen=True, slots=True)
class EventInvokeConfig:
    """What is stored. `modified` in epoch seconds; `destinations` has both sides, either may be empty."""

    qualifier: str
    modified: float
    destinations: Mapping[str, Any]
    maximum_retry_attempts: int | None = None
    maximum_event_age_s: int | None = None


@dataclass(frozen=True, slots=True)
class EventInvokeConfigPage:
    """Part of a list; see `attachments.AttachmentPage`."""

    configs: list[EventInvokeConfig]
    following: str | None


class EventInvokeConfigs:
    """PutFunctionEventInvokeConfig and its like."""

    def __init__(self, queries: FunctionQueries, attachments: Attachments, clock: Clock) -> None:
        self._queries = queries
        self._attachments = attachments
        self._clock = clock

    async def put(
        self, reference: FunctionReference, settings: EventInvokeSettings, *, merge: bool = False
    ) -> EventInvokeConfig:
        """Replaces what there was; with `merge` (UpdateFunctionEventInvokeConfig) what is not given stays.

        Raises InvalidParameterValueException, ResourceNotFoundException (the function; with `merge`, the
        configuration).
        """
        if settings.is_empty:
            raise InvalidParameterValueException(
                "You must specify at least one of error handling or destination setting."
            )
        await self._check_exists(reference)
        if settings.destinations is not None:
            check_destinations(settings.destinations, reference.function)
        qualifier = reference.qualifier or LATEST
        given: dict[str, Any] = {
            "maximum_retry_attempts": settings.maximum_retry_attempts,
            "maximum_event_age_s": settings.maximum_event_age_s,
            "destinations": None if settings.destinations is None else normalized(settings.destinations),
            "modified": self._clock.now(),
        }
        given = {name: value for name, value in given.items() if value is not None}
        after: dict[str, Any] = {}

        def decide(stored: Mapping[str, Any] | None) -> dict[str, Any]:
            if stored is None and merge:
                raise _no_config(reference)
            nonlocal after
            after = {"destinations": normalized({}), **(stored if stored is not None and merge else {}), **given}
            return after

        await self._attachments.change(EVENT_INVOKE_CONFIGS, reference.function, qualifier, decide)
        return EventInvokeConfig(qualifier=qualifier, **after)

    async def get(self, reference: FunctionReference) -> EventInvokeConfig:
        """Raises ResourceNotFoundException."""
        qualifier = reference.qualifier or LATEST
        stored = await self._attachments.get(EVENT_INVOKE_CONFIGS, reference.function, qualifier)
        if stored is None:
            raise _no_config(reference)
        return EventInvokeConfig(qualifier=qualifier, **stored)

    async def delete(self, reference: FunctionReference) -> None:
        """Raises ResourceNotFoundException, for the configuration too."""
        await self._check_exists(reference)

        def decide(stored: Mapping[str, Any] | None) -> None:
            if stored is None:
                raise _no_config(reference)

        await self._attachments.change(EVENT_INVOKE_CONFIGS, reference.function, reference.qualifier or LATEST, decide)

    async def list_configs(self, function: FunctionId, after: str | None, limit: int) -> EventInvokeConfigPage:
        """Raises ResourceNotFoundException."""
        await self._check_exists(FunctionReference(function, None))
        page = await self._attachments.page(EVENT_INVOKE_CONFIGS, function, after, limit)
        return EventInvokeConfigPage([_config(one) for one in page.attachments], page.following)

    async def _check_exists(self, reference: FunctionReference) -> None:
        try:
            await self._queries.resolve(reference)
        except ResourceNotFoundException as error:
            raise ResourceNotFoundException("The function doesn't exist.") from error


def _config(attachment: Attachment) -> EventInvokeConfig:
    return EventInvokeConfig(qualifier=attachment.qualifier, **attachment.value)


def _no_config(reference: FunctionReference) -> ResourceNotFoundException:
    arn = reference.function.qualified_arn(reference.qualifier or LATEST)
    return ResourceNotFoundException(f"The function {arn} doesn't have an EventInvokeConfig")
