"""Event source mappings: which source's records which function is to get. Stored; nothing polls the sources yet.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html. A mapping outlives its function, as
AWS's do. As there are no pollers, every mapping is Disabled, and says why.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lambent.control_plane.attachments import touched
from lambent.control_plane.commits import ATTEMPTS, committed
from lambent.control_plane.event_sources import SourceKind, check_source, source_kind, updated, with_defaults
from lambent.control_plane.queries import FunctionQueries
from lambent.control_plane.scan import each
from lambent.control_plane.tenancy import check_no_tenants
from lambent.control_plane.validation import check_tags
from lambent.model.arn import FunctionId, FunctionReference, parse_function_reference
from lambent.model.clock import Clock
from lambent.model.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from lambent.model.ids import AccountId, Region
from lambent.store.api import EVENT_SOURCE_MAPPINGS, Delete, Put, Store


@dataclass(frozen=True, slots=True)
class EventSourceMapping:
    """A mapping. `settings` in the API's shapes (StartingPositionTimestamp in epoch seconds), `function_arn` as
    qualified as it was given; `enabled` is what was asked for."""

    mapping_id: str
    account: AccountId
    region: Region
    kind: SourceKind
    function_arn: str
    settings: Mapping[str, Any]
    enabled: bool
    modified: float
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:event-source-mapping:{self.mapping_id}"

    @property
    def user_reason(self) -> str:
        """AWS's words for what a user asked for."""
        return "USER_INITIATED" if self.kind is SourceKind.SQS else "User action"

    @property
    def reason(self) -> str:
        """Why it is Disabled."""
        if not self.enabled:
            return self.user_reason
        return f"Lambent does not poll {self.kind.value} yet: no record is read."

    @property
    def source(self) -> object:
        """What two mappings of one function must not share."""
        names = ("EventSourceArn", "SelfManagedEventSource", "Topics", "Queues")
        return [self.settings.get(name) for name in names]


@dataclass(frozen=True, slots=True)
class MappingPage:
    """Part of a list. `following` is what to ask for next (`after`), None at the end."""

    mappings: list[EventSourceMapping]
    following: str | None


@dataclass(frozen=True, slots=True)
class MappingPlace:
    """One mapping's account, region and UUID."""

    account: AccountId
    region: Region
    mapping_id: str

    @property
    def key(self) -> str:
        return f"{self.account}/{self.region}/{self.mapping_id}"


class EventSourceMappings:
    """CreateEventSourceMapping and its like."""

    def __init__(self, store: Store, queries: FunctionQueries, clock: Clock) -> None:
        self._store = store
        self._queries = queries
        self._clock = clock

    async def create(
        self,
        account: AccountId,
        region: Region,
        function_name: str,
        given: Mapping[str, Any],
        *,
        enabled: bool,
        tags: Mapping[str, str],
    ) -> EventSourceMapping:
        """Raises InvalidParameterValueException (of a missing function too), ResourceConflictException."""
        kind = source_kind(given)
        settings = with_defaults(kind, given)
        check_source(kind, settings, self._clock.now())
        check_tags(tags)
        if kind is SourceKind.MSK:
            settings = _with_consumer_group(settings, "AmazonManagedKafkaEventSourceConfig")
        elif kind is SourceKind.KAFKA:
            settings = _with_consumer_group(settings, "SelfManagedKafkaEventSourceConfig")
        place = MappingPlace(account, region, str(uuid.uuid4()))
        for _ in range(ATTEMPTS):
            reference, owner = await self._function(account, region, function_name)
            mapping = EventSourceMapping(
                place.mapping_id,
                account,
                region,
                kind,
                reference.arn,
                settings,
                enabled,
                self._clock.now(),
                dict(tags),
            )
            await self._check_new(mapping, reference)
            change = Put(EVENT_SOURCE_MAPPINGS, place.key, asdict(mapping), expect=0)
            if await committed(self._store, [owner, change]):
                return mapping
        raise _busy(place.mapping_id)

    async def update(
        self, place: MappingPlace, function_name: str | None, given: Mapping[str, Any], enabled: bool | None
    ) -> EventSourceMapping:
        """What is not given stays; an empty value takes a setting away.

        Raises ResourceNotFoundException, InvalidParameterValueException.
        """
        for _ in range(ATTEMPTS):
            before, revision = await self._read(place)
            settings = updated(before.kind, before.settings, given)
            check_source(before.kind, settings, self._clock.now())
            function_arn = before.function_arn
            if function_name is not None:
                reference, _ = await self._function(place.account, place.region, function_name)
                function_arn = reference.arn
            after = replace(
                before,
                settings=settings,
                function_arn=function_arn,
                enabled=before.enabled if enabled is None else enabled,
                modified=self._clock.now(),
            )
            if await committed(self._store, [Put(EVENT_SOURCE_MAPPINGS, place.key, asdict(after), expect=revision)]):
                return after
        raise _busy(place.mapping_id)

    async def change_tags(self, place: MappingPlace, *, add: Mapping[str, str], remove: Sequence[str]) -> None:
        """Raises ResourceNotFoundException, InvalidParameterValueException."""
        for _ in range(ATTEMPTS):
            before, revision = await self._read(place)
            tags = {key: value for key, value in before.tags.items() if key not in remove} | dict(add)
            check_tags(tags)
            after = asdict(replace(before, tags=tags))
            if await committed(self._store, [Put(EVENT_SOURCE_MAPPINGS, place.key, after, expect=revision)]):
                return
        raise _busy(place.mapping_id)

    async def get(self, place: MappingPlace) -> EventSourceMapping:
        """Raises ResourceNotFoundException."""
        return (await self._read(place))[0]

    async def delete(self, place: MappingPlace) -> EventSourceMapping:
        """The mapping as it was. Raises ResourceNotFoundException."""
        for _ in range(ATTEMPTS):
            before, revision = await self._read(place)
            if await committed(self._store, [Delete(EVENT_SOURCE_MAPPINGS, place.key, expect=revision)]):
                return before
        raise _busy(place.mapping_id)

    async def list_mappings(
        self,
        account: AccountId,
        region: Region,
        source_arn: str | None,
        function: FunctionReference | None,
        after: str | None,
        limit: int,
    ) -> MappingPage:
        """Those of an account in a region, by UUID: all, or those of a source or of a function (or, if it has a
        qualifier, of that version or alias)."""
        found: list[EventSourceMapping] = []
        async for stored in each(self._store, EVENT_SOURCE_MAPPINGS, f"{account}/{region}/"):
            mapping = _mapping(stored.value)
            if after is not None and mapping.mapping_id <= after:
                continue
            if source_arn is not None and mapping.settings.get("EventSourceArn") != source_arn:
                continue
            if function is not None and not _is_of(mapping, function):
                continue
            found.append(mapping)
            if len(found) > limit:
                return MappingPage(found[:limit], found[limit - 1].mapping_id)
        return MappingPage(found, None)

    async def _function(self, account: AccountId, region: Region, name: str) -> tuple[FunctionReference, Put]:
        """The function a mapping is for, and the change that lets another mapping for it see that it comes second."""
        reference = parse_function_reference(name, None, account=account, region=region)
        stored = await self._queries.find(reference.function)
        try:
            if stored is None or reference.function.account != account:
                raise InvalidParameterValueException("Function does not exist")
            _, version = await self._queries.resolve(reference)
        except ResourceNotFoundException as error:
            raise InvalidParameterValueException("Function does not exist") from error
        check_no_tenants(version, "Event source mapping")
        return reference, touched(stored)

    async def _check_new(self, mapping: EventSourceMapping, reference: FunctionReference) -> None:
        prefix = f"{mapping.account}/{mapping.region}/"
        async for stored in each(self._store, EVENT_SOURCE_MAPPINGS, prefix):
            other = _mapping(stored.value)
            if other.function_arn == mapping.function_arn and other.source == mapping.source:
                raise _already_exists(mapping, reference.function, other.mapping_id)

    async def _read(self, place: MappingPlace) -> tuple[EventSourceMapping, int]:
        stored = await self._store.get(EVENT_SOURCE_MAPPINGS, place.key)
        if stored is None:
            raise ResourceNotFoundException("The resource you requested does not exist.")
        return _mapping(stored.value), stored.revision


def _already_exists(mapping: EventSourceMapping, function: FunctionId, other: str) -> ResourceConflictException:
    source = mapping.settings.get("EventSourceArn", "")
    update = f"Please update or delete the existing mapping with UUID {other}"
    if mapping.kind is SourceKind.SQS:
        return ResourceConflictException(
            f'An event source mapping with SQS arn (" {source} ") and function (" {function.name} ") already exists. '
            + update
        )
    if mapping.kind in (SourceKind.MSK, SourceKind.KAFKA):
        topics = ",".join(mapping.settings["Topics"])
        return ResourceConflictException(
            f'An event source mapping with event source ("{source}"), function ("{function.name}"), '
            f'topics ("{topics}") already exists. {update}'
        )
    return ResourceConflictException(
        f'The event source arn (" {source} ") and function (" {function.name} ") provided mapping already exists. '
        + update
    )


def _with_consumer_group(settings: Mapping[str, Any], block: str) -> dict[str, Any]:
    given = settings.get(block, {})
    return {**settings, block: {"ConsumerGroupId": str(uuid.uuid4()), **given}}


def _is_of(mapping: EventSourceMapping, function: FunctionReference) -> bool:
    if function.qualifier is not None:
        return mapping.function_arn == function.arn
    return mapping.function_arn == function.arn or mapping.function_arn.startswith(f"{function.arn}:")


def _mapping(document: Mapping[str, Any]) -> EventSourceMapping:
    return EventSourceMapping(**{**document, "kind": SourceKind(document["kind"])})


def _busy(mapping_id: str) -> ResourceConflictException:
    return ResourceConflictException(
        f"The operation cannot be performed at this time. An update is in progress for resource: {mapping_id}"
    )
