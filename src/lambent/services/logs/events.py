"""Log events: put, get, filter.

Pagination tokens of GetLogEvents are event ids: `f/ID/s` goes on behind that event, `b/ID/s` before it, so a token
stays good whatever is written meanwhile, and at an end the token passed in comes back.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Final

from lambent.aws.context import Params, RequestContext
from lambent.observability.logs.events import (
    AFTER_ALL,
    BEFORE_ALL,
    EventKey,
    LogEvent,
    LogGroupId,
    event_id,
    parse_event_id,
)
from lambent.observability.logs.filter_pattern import InvalidFilterPatternError, parse_filter_pattern
from lambent.observability.logs.group import LogGroup
from lambent.observability.logs.reading import EventPage, EventQuery
from lambent.observability.logs.store import LogGroupNotFoundError, LogStore
from lambent.services.logs.errors import group_not_found, invalid_parameter, stream_not_found, unavailable
from lambent.services.logs.identifiers import identified_group, named_stream, page_token, parse_page_token
from lambent.services.logs.settings import DAY_MS, read_settings
from lambent.services.logs.streams import SEQUENCE_TOKEN
from lambent.store.api import Store

_PAGE_EVENTS: Final = 10_000
_PAGE_BYTES: Final = 1_048_576
_BATCH_MAX_BYTES: Final = 1_048_576
_EVENT_COST_BYTES: Final = 26
_EVENT_MAX_BYTES: Final = 1_048_576
_LATEST_FIRST_SINCE_MS: Final = 1_704_067_200_000  # 1 January 2024: FilterLogEvents goes backward no further
_OLDEST_MS: Final = 14 * DAY_MS
_NEWEST_MS: Final = 2 * 60 * 60 * 1000


class LogEvents:
    """The operations on log events."""

    def __init__(self, log_store: LogStore, store: Store) -> None:
        self._logs = log_store
        self._store = store

    async def put_log_events(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html"""
        stream = named_stream(ctx, params)
        settings = await read_settings(self._store, stream.group_id)
        group = self._find(stream.group_id)
        if stream.stream not in group.streams:
            raise stream_not_found()
        events = [LogEvent(event["timestamp"], event["message"]) for event in params["logEvents"]]
        _check_batch(events)
        now_ms = self._logs.now_ms()
        expired = sum(event.timestamp_ms < settings.expired_before_ms(now_ms) for event in events)
        old = sum(event.timestamp_ms < now_ms - _OLDEST_MS for event in events)
        new = sum(event.timestamp_ms > now_ms + _NEWEST_MS for event in events)
        accepted = events[max(expired, old) : len(events) - new]
        if accepted and accepted[-1].timestamp_ms - accepted[0].timestamp_ms > DAY_MS:
            raise invalid_parameter(
                "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
            )
        try:
            self._logs.write(stream, accepted, message_bytes=_EVENT_MAX_BYTES)
        except OSError as error:
            raise unavailable(error) from error
        rejected: Params = {}
        if new:
            rejected["tooNewLogEventStartIndex"] = len(events) - new
        if old:
            rejected["tooOldLogEventEndIndex"] = old
        if expired:
            rejected["expiredLogEventEndIndex"] = expired
        answer: Params = {"nextSequenceToken": SEQUENCE_TOKEN}
        return answer | ({"rejectedLogEventsInfo": rejected} if rejected else {})

    async def get_log_events(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html"""
        identity = identified_group(ctx, params)
        stream = params["logStreamName"]
        token = _parse_position(params["nextToken"]) if "nextToken" in params else None
        backward = token[0] == "b" if token else not params.get("startFromHead", False)
        query = EventQuery(
            limit=params.get("limit", _PAGE_EVENTS),
            max_bytes=_PAGE_BYTES,
            streams=(stream,),
            start_ms=await self._start_ms(identity, params),
            descending=backward,
        )
        if "endTime" in params:
            query = replace(query, end_ms=params["endTime"])
        if token:
            query = replace(query, before=token[1]) if backward else replace(query, after=token[1])
        if stream not in self._find(identity).streams:
            raise stream_not_found()
        page = await self._page(identity, query)
        events = page.events[::-1] if backward else page.events
        first = events[0].key if events else None
        last = events[-1].key if events else None
        # Where neither events nor a token say where we are: at the beginning, everything to come lies forward.
        here = token[1] if token else BEFORE_ALL
        if backward:
            behind = page.resume or first or here
            ahead = last or (EventKey(here.timestamp_ms, here.sequence - 1) if here > BEFORE_ALL else here)
        else:
            behind = first or EventKey(here.timestamp_ms, here.sequence + 1)
            ahead = page.resume or last or here
        return {
            "events": [
                {"timestamp": e.key.timestamp_ms, "message": e.message, "ingestionTime": e.ingestion_ms} for e in events
            ],
            "nextForwardToken": _position("f", ahead),
            "nextBackwardToken": _position("b", behind),
        }

    async def filter_log_events(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html"""
        identity = identified_group(ctx, params)
        try:
            pattern = parse_filter_pattern(params.get("filterPattern", ""))
        except InvalidFilterPatternError as error:
            raise invalid_parameter(str(error)) from None
        backward = not params.get("startFromHead", True)
        after, before = BEFORE_ALL, AFTER_ALL
        if "nextToken" in params:
            direction, *position = parse_page_token(params["nextToken"], str, int, int)
            backward = direction == "b"
            after, before = (after, EventKey(*position)) if backward else (EventKey(*position), before)
        elif backward and params.get("startTime", _LATEST_FIRST_SINCE_MS) < _LATEST_FIRST_SINCE_MS:
            raise invalid_parameter(f"startTime must not be before {_LATEST_FIRST_SINCE_MS} if startFromHead is false.")
        start_ms = await self._start_ms(identity, params)
        group = self._find(identity)
        query = EventQuery(
            limit=params.get("limit", _PAGE_EVENTS),
            max_bytes=_PAGE_BYTES,
            streams=_filtered_streams(group, params),
            start_ms=start_ms,
            after=after,
            before=before,
            descending=backward,
            matches=None if pattern.matches_all else pattern.matches,
            required=pattern.required,
        )
        if "endTime" in params:
            query = replace(query, end_ms=params["endTime"] + 1)
        page = await self._page(identity, query)
        answer: Params = {
            "events": [
                {
                    "logStreamName": event.stream,
                    "timestamp": event.key.timestamp_ms,
                    "message": event.message,
                    "ingestionTime": event.ingestion_ms,
                    "eventId": event_id(event.key, group.salt),
                }
                for event in page.events
            ],
            "searchedLogStreams": [],
        }
        if page.resume is not None:
            answer["nextToken"] = page_token(["b" if backward else "f", *page.resume])
        return answer

    async def _start_ms(self, group: LogGroupId, params: Params) -> int:
        """The asked start, or later where the retention has already taken effect."""
        settings = await read_settings(self._store, group)
        asked: int = params.get("startTime", 0)
        return max(asked, settings.expired_before_ms(self._logs.now_ms()))

    async def _page(self, group: LogGroupId, query: EventQuery) -> EventPage:
        try:
            return await self._logs.events(group, query)
        except LogGroupNotFoundError:
            raise group_not_found() from None

    def _find(self, group: LogGroupId) -> LogGroup:
        try:
            return self._logs.group(group)
        except LogGroupNotFoundError:
            raise group_not_found() from None


def _check_batch(events: list[LogEvent]) -> None:
    sizes = [len(event.message.encode("utf-8", "replace")) + _EVENT_COST_BYTES for event in events]
    if max(sizes) > _EVENT_MAX_BYTES:
        raise invalid_parameter(f"Log event too large: {max(sizes)} bytes exceeds limit of {_EVENT_MAX_BYTES}")
    if sum(sizes) > _BATCH_MAX_BYTES:
        raise invalid_parameter(f"Upload too large: {sum(sizes)} bytes exceeds limit of {_BATCH_MAX_BYTES}")
    if any(earlier.timestamp_ms > later.timestamp_ms for earlier, later in itertools.pairwise(events)):
        raise invalid_parameter("Log events in a single PutLogEvents request must be in chronological order.")


def _filtered_streams(group: LogGroup, params: Params) -> list[str] | None:
    names, prefix = params.get("logStreamNames"), params.get("logStreamNamePrefix")
    if names is not None and prefix is not None:
        raise invalid_parameter("You can specify either logStreamNames or logStreamNamePrefix, but not both.")
    if names is not None:
        if any(name not in group.streams for name in names):
            raise stream_not_found()
        return list(names)
    if prefix is not None:
        return [name for name in group.streams if name.startswith(prefix)]
    return None


def _position(direction: str, key: EventKey) -> str:
    return f"{direction}/{event_id(key)}/s"


def _parse_position(token: str) -> tuple[str, EventKey]:
    direction, _, rest = token.partition("/")
    try:
        if direction not in ("f", "b"):
            raise ValueError(token)
        return direction, parse_event_id(rest.removesuffix("/s"))
    except ValueError:
        raise invalid_parameter("The specified nextToken is invalid.") from None
