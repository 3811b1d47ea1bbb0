"""StartLiveTail: the events of log groups as they are written.

Unlike AWS, which sends an update each second, an update follows within milliseconds of its events; without events
there is an empty one each second, as there.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

from lambent.aws.context import Params, RequestContext
from lambent.aws.protocols import event_stream
from lambent.model.errors import ServiceError
from lambent.observability.logs.events import LogEvent, LogGroupId
from lambent.observability.logs.filter_pattern import InvalidFilterPatternError, parse_filter_pattern
from lambent.observability.logs.live_tail import LiveEvent, LiveTailBuffer, LiveTailQuery
from lambent.observability.logs.store import LogGroupNotFoundError, LogStore
from lambent.services.logs.errors import group_not_found, invalid_parameter
from lambent.services.logs.identifiers import parse_identifier

SESSION_S: Final = 3 * 3600.0
IDLE_S: Final = 1.0
GATHER_S: Final = 0.01  # so that lines printed one by one share an update
SESSIONS_MAX: Final = 100  # AWS: 15 for each account


class LiveTails:
    """The operation, and the sessions there are."""

    def __init__(self, log_store: LogStore) -> None:
        self._logs = log_store
        self._sessions: set[LiveTailSession] = set()

    async def start_live_tail(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartLiveTail.html"""
        groups = self._groups(ctx, params)
        query = _query(params)
        if len(groups) > 1 and (query.streams or query.prefixes):
            raise invalid_parameter("Log streams can be given only with a single log group.")
        if len(self._sessions) >= SESSIONS_MAX:
            raise ServiceError("LimitExceededException", f"There are {SESSIONS_MAX} Live Tail sessions already.")
        session = LiveTailSession(
            self._logs, groups, query, _session_start(ctx, groups, params), self._sessions.discard
        )
        self._sessions.add(session)
        return {"responseStream": session}

    def _groups(self, ctx: RequestContext, params: Params) -> list[LogGroupId]:
        identifiers = params["logGroupIdentifiers"]
        if any(not each.startswith("arn:") or each.endswith("*") for each in identifiers):
            raise invalid_parameter("logGroupIdentifiers must be ARNs of log groups, without an asterisk at the end.")
        groups = [parse_identifier(ctx, identifier) for identifier in dict.fromkeys(identifiers)]
        try:
            for group in groups:
                self._logs.group(group)
        except LogGroupNotFoundError:
            raise group_not_found() from None
        return groups


class LiveTailSession:
    """One session: the frames of its answer, made as they are asked for. Follows the groups from the start."""

    def __init__(
        self,
        log_store: LogStore,
        groups: Sequence[LogGroupId],
        query: LiveTailQuery,
        start: bytes,
        ended: Callable[[LiveTailSession], None],
    ) -> None:
        self._buffer = LiveTailBuffer(query)
        self._start = start
        self._ended = ended
        self._woken = asyncio.Event()
        self._unfollow = [log_store.follow(group, self._follower(group.arn)) for group in groups]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + SESSION_S
        yield event_stream.initial_response()
        yield self._start
        while loop.time() < ends_at:
            if not self._buffer:
                await self._wait()
            events, sampled = self._buffer.update()
            yield _update(events, sampled=sampled)
        yield event_stream.exception("SessionTimeoutException", "The Live Tail session has reached its time limit.")

    async def aclose(self) -> None:
        """The client is gone, or has read everything: follow nothing any more."""
        for unfollow in self._unfollow:
            unfollow()
        self._ended(self)

    async def _wait(self) -> None:
        self._woken.clear()
        try:
            async with asyncio.timeout(IDLE_S):
                await self._woken.wait()
        except TimeoutError:
            return
        await asyncio.sleep(GATHER_S)

    def _follower(self, arn: str) -> Callable[[str, Sequence[LogEvent], int], None]:
        def take_in(stream: str, events: Sequence[LogEvent], ingestion_ms: int) -> None:
            if self._buffer.take_in(arn, stream, events, ingestion_ms):
                self._woken.set()

        return take_in


def _query(params: Params) -> LiveTailQuery:
    names, prefixes = params.get("logStreamNames", ()), params.get("logStreamNamePrefixes", ())
    if names and prefixes:
        raise invalid_parameter("You can specify either logStreamNames or logStreamNamePrefixes, but not both.")
    try:
        pattern = parse_filter_pattern(params.get("logEventFilterPattern", ""))
    except InvalidFilterPatternError as error:
        raise invalid_parameter(str(error)) from None
    return LiveTailQuery(pattern, frozenset(names), tuple(prefixes))


def _session_start(ctx: RequestContext, groups: Sequence[LogGroupId], params: Params) -> bytes:
    members: dict[str, Any] = {
        "requestId": ctx.request_id,
        "sessionId": str(uuid.uuid4()),
        "logGroupIdentifiers": [group.arn for group in groups],
    }
    for name in ("logStreamNames", "logStreamNamePrefixes", "logEventFilterPattern"):
        if name in params:
            members[name] = params[name]
    return event_stream.event("sessionStart", members)


def _update(events: Sequence[LiveEvent], *, sampled: bool) -> bytes:
    results = [
        {
            "logStreamName": event.stream,
            "logGroupIdentifier": event.group,
            "message": event.message.encode("utf-8", "replace").decode(),  # a lone surrogate is no JSON
            "timestamp": event.timestamp_ms,
            "ingestionTime": event.ingestion_ms,
        }
        for event in events
    ]
    return event_stream.event("sessionUpdate", {"sessionMetadata": {"sampled": sampled}, "sessionResults": results})
