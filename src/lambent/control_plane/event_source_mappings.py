"""Event source mappings: which source's records which function is to get. What is wanted is stored here; pollers
(`lambent.event_sources`) follow it, and store the states that last.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html. A mapping outlives its function, as
AWS's do. Mappings of sources that nothing polls yet are Disabled, and say why.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

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
    ResourceInUseException,
    ResourceNotFoundException,
)
from lambent.model.function import FunctionVersion
from lambent.model.ids import AccountId, Region
from lambent.store.api import EVENT_SOURCE_MAPPINGS, Delete, Put, Store

SETTLE_WAIT_S: Final = 1.0  # how long a change waits for an earlier one before it is refused as AWS refuses it


class MappingState(StrEnum):
    """The states of AWS's EventSourceMappingConfiguration. Enabled and Disabled last; pollers end the others."""

    CREATING = "Creating"
    ENABLING = "Enabling"
    ENABLED = "Enabled"
    DISABLING = "Disabling"
    DISABLED = "Disabled"
    UPDATING = "Updating"
    DELETING = "Deleting"

    @property
    def lasts(self) -> bool:
        return self in (MappingState.ENABLED, MappingState.DISABLED)


@dataclass(frozen=True, slots=True)
class EventSourceMapping:
    """A mapping. `settings` in the API's shapes (StartingPositionTimestamp in epoch seconds), `function_arn` as
    qualified as it was given; `enabled` is what was asked for. `last_result`: what its poller says is wrong."""

    mapping_id: str
    account: AccountId
    region: Region
    kind: SourceKind
    function_arn: str
    settings: Mapping[str, Any]
    enabled: bool
    modified: float
    tags: Mapping[str, str] = field(default_factory=dict)
    state: MappingState = MappingState.DISABLED
    last_result: str | None = None

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:event-source-mapping:{self.mapping_id}"

    @property
    def user_reason(self) -> str:
        """AWS's words for what a user asked for."""
        return "USER_INITIATED" if self.kind is SourceKind.SQS else "User action"

    @property
    def reason(self) -> str:
        """Why it is in its state."""
        if not self.enabled or self.state is not MappingState.DISABLED:
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


CheckNew = Callable[[SourceKind, Mapping[str, Any], FunctionVersion], Awaitable[None]]
"""Looks at the source as the function's execution role. Raises InvalidParameterValueException in AWS's words."""


async def no_check(kind: SourceKind, settings: Mapping[str, Any], version: FunctionVersion) -> None:
    """Whatever there is."""


class EventSourceMappings:
    """CreateEventSourceMapping and its like. `polled`: the kinds of sources that something polls."""

    def __init__(
        self,
        store: Store,
        queries: FunctionQueries,
        clock: Clock,
        polled: Set[SourceKind] = frozenset(),
        check_new: CheckNew = no_check,
    ) -> None:
        self._store = store
        self._queries = queries
        self._clock = clock
        self._polled = polled
        self._check_source = check_new

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
            reference, owner, version = await self._function(account, region, function_name)
            await self._check_source(kind, settings, version)
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
                MappingState.CREATING,
            )
            await self._check_new(mapping, reference)
            change = Put(EVENT_SOURCE_MAPPINGS, place.key, self._to_store(mapping), expect=0)
            if await committed(self._store, [owner, change]):
                return mapping
        raise _busy(place.mapping_id)

    async def update(
        self, place: MappingPlace, function_name: str | None, given: Mapping[str, Any], enabled: bool | None
    ) -> EventSourceMapping:
        """What is not given stays; an empty value takes a setting away.

        Raises ResourceNotFoundException, InvalidParameterValueException, ResourceInUseException.
        """
        for _ in range(ATTEMPTS):
            before, revision = await self._settled(place, "update")
            settings = updated(before.kind, before.settings, given)
            check_source(before.kind, settings, self._clock.now())
            function_arn = before.function_arn
            if function_name is not None:
                reference, _, _ = await self._function(place.account, place.region, function_name)
                function_arn = reference.arn
            after = replace(
                before,
                settings=settings,
                function_arn=function_arn,
                enabled=before.enabled if enabled is None else enabled,
                modified=self._clock.now(),
                last_result=None,
            )
            after = replace(after, state=_updating(before, after))
            change = Put(EVENT_SOURCE_MAPPINGS, place.key, self._to_store(after), expect=revision)
            if await committed(self._store, [change]):
                return after
        raise _busy(place.mapping_id)

    async def change_tags(self, place: MappingPlace, *, add: Mapping[str, str], remove: Sequence[str]) -> None:
        """Raises ResourceNotFoundException, InvalidParameterValueException."""
        for _ in range(ATTEMPTS):
            before, revision = await self._read(place)
            tags = {key: value for key, value in before.tags.items() if key not in remove} | dict(add)
            check_tags(tags)
            after = stored_mapping(replace(before, tags=tags))
            if await committed(self._store, [Put(EVENT_SOURCE_MAPPINGS, place.key, after, expect=revision)]):
                return
        raise _busy(place.mapping_id)

    async def get(self, place: MappingPlace) -> EventSourceMapping:
        """Raises ResourceNotFoundException."""
        return (await self._read(place))[0]

    async def delete(self, place: MappingPlace) -> EventSourceMapping:
        """The mapping as it is now. Raises ResourceNotFoundException, ResourceInUseException."""
        for _ in range(ATTEMPTS):
            before, revision = await self._settled(place, "delete")
            after = replace(before, state=MappingState.DELETING, enabled=False, modified=self._clock.now())
            change: Put | Delete
            if before.kind in self._polled:
                change = Put(EVENT_SOURCE_MAPPINGS, place.key, stored_mapping(after), expect=revision)
            else:
                change = Delete(EVENT_SOURCE_MAPPINGS, place.key, expect=revision)
            if await committed(self._store, [change]):
                return after
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
            mapping = read_mapping(stored.value)
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

    async def _function(
        self, account: AccountId, region: Region, name: str
    ) -> tuple[FunctionReference, Put, FunctionVersion]:
        """The function a mapping is for, the change that lets another mapping for it see that it comes second, and
        the version it names now."""
        reference = parse_function_reference(name, None, account=account, region=region)
        stored = await self._queries.find(reference.function)
        try:
            if stored is None or reference.function.account != account:
                raise InvalidParameterValueException("Function does not exist")
            _, version = await self._queries.resolve(reference)
        except ResourceNotFoundException as error:
            raise InvalidParameterValueException("Function does not exist") from error
        check_no_tenants(version, "Event source mapping")
        return reference, touched(stored), version

    async def _check_new(self, mapping: EventSourceMapping, reference: FunctionReference) -> None:
        prefix = f"{mapping.account}/{mapping.region}/"
        async for stored in each(self._store, EVENT_SOURCE_MAPPINGS, prefix):
            other = read_mapping(stored.value)
            if other.function_arn == mapping.function_arn and other.source == mapping.source:
                raise _already_exists(mapping, reference.function, other.mapping_id)

    async def _read(self, place: MappingPlace) -> tuple[EventSourceMapping, int]:
        stored = await self._store.get(EVENT_SOURCE_MAPPINGS, place.key)
        if stored is None:
            raise ResourceNotFoundException("The resource you requested does not exist.")
        return read_mapping(stored.value), stored.revision

    async def _settled(self, place: MappingPlace, to_do: str) -> tuple[EventSourceMapping, int]:
        """The mapping once no change is under way any more. Raises ResourceInUseException if that takes long."""
        changed = asyncio.Event()
        unwatch = self._store.watch(EVENT_SOURCE_MAPPINGS, lambda key: changed.set() if key == place.key else None)
        try:
            async with asyncio.timeout(SETTLE_WAIT_S):
                while True:
                    mapping, revision = await self._read(place)
                    if mapping.state.lasts:
                        return mapping, revision
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            raise ResourceInUseException(f"Cannot {to_do} the event source mapping because it is in use.") from None
        finally:
            unwatch()

    def _to_store(self, mapping: EventSourceMapping) -> dict[str, Any]:
        """What nothing polls is Disabled at once."""
        if mapping.kind not in self._polled:
            mapping = replace(mapping, state=MappingState.DISABLED)
        return stored_mapping(mapping)


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


def read_mapping(document: Mapping[str, Any]) -> EventSourceMapping:
    """A mapping as it is stored."""
    state = MappingState(document.get("state", MappingState.DISABLED))
    return EventSourceMapping(**{**document, "kind": SourceKind(document["kind"]), "state": state})


def stored_mapping(mapping: EventSourceMapping) -> dict[str, Any]:
    """How a mapping is stored."""
    return asdict(mapping)


def _updating(before: EventSourceMapping, after: EventSourceMapping) -> MappingState:
    if before.state is MappingState.DISABLED and after.enabled and not before.enabled:
        return MappingState.ENABLING
    if before.state is MappingState.ENABLED and not after.enabled:
        return MappingState.DISABLING
    return MappingState.UPDATING


def _busy(mapping_id: str) -> ResourceConflictException:
    return ResourceConflictException(
        f"The operation cannot be performed at this time. An update is in progress for resource: {mapping_id}"
    )
