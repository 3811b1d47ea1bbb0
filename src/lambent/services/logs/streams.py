"""Log streams: create, delete, describe."""

from __future__ import annotations

from lambent.aws.context import Params, RequestContext
from lambent.observability.logs.group import LogGroup, LogStream
from lambent.observability.logs.store import (
    LogGroupNotFoundError,
    LogStore,
    LogStreamExistsError,
    LogStreamNotFoundError,
)
from lambent.services.logs.errors import (
    already_exists,
    group_not_found,
    invalid_parameter,
    stream_not_found,
    unavailable,
)
from lambent.services.logs.identifiers import identified_group, named_stream, page_token, parse_page_token

_DESCRIBE_LIMIT = 50

SEQUENCE_TOKEN = "4" + "9" * 55
"""Sequence tokens mean nothing any more; clients of old still expect one."""


class LogStreams:
    """The operations on log streams."""

    def __init__(self, log_store: LogStore) -> None:
        self._logs = log_store

    async def create_log_stream(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogStream.html"""
        try:
            self._logs.create_stream(named_stream(ctx, params))
        except LogGroupNotFoundError:
            raise group_not_found() from None
        except LogStreamExistsError:
            raise already_exists("log stream") from None
        except OSError as error:
            raise unavailable(error) from error
        return {}

    async def delete_log_stream(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DeleteLogStream.html"""
        try:
            self._logs.delete_stream(named_stream(ctx, params))
        except LogGroupNotFoundError:
            raise group_not_found() from None
        except LogStreamNotFoundError:
            raise stream_not_found() from None
        except OSError as error:
            raise unavailable(error) from error
        return {}

    async def describe_log_streams(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogStreams.html"""
        try:
            group = self._logs.group(identified_group(ctx, params))
        except LogGroupNotFoundError:
            raise group_not_found() from None
        by_time = params.get("orderBy", "LogStreamName") == "LastEventTime"
        prefix = params.get("logStreamNamePrefix")
        if by_time and prefix is not None:
            raise invalid_parameter("Cannot order by LastEventTime with a logStreamNamePrefix.")
        descending = params.get("descending", False)
        streams = [stream for name, stream in group.streams.items() if name.startswith(prefix or "")]
        keyed = sorted(((_key(s, by_time=by_time), s) for s in streams), key=lambda each: each[0], reverse=descending)
        if "nextToken" in params:
            last = tuple(parse_page_token(params["nextToken"], int, str))
            keyed = [each for each in keyed if (each[0] < last if descending else each[0] > last)]
        limit = params.get("limit", _DESCRIBE_LIMIT)
        answer: Params = {"logStreams": [_described(group, stream) for _, stream in keyed[:limit]]}
        if len(keyed) > limit:
            answer["nextToken"] = page_token(keyed[limit - 1][0])
        return answer


def _key(stream: LogStream, *, by_time: bool) -> tuple[int, str]:
    last_ms = stream.total.last_ms if stream.total is not None else 0
    return (last_ms if by_time else 0, stream.name)


def _described(group: LogGroup, stream: LogStream) -> Params:
    entry: Params = {"logStreamName": stream.name, "creationTime": stream.created_ms}
    total = stream.total
    if total is not None:
        entry["firstEventTimestamp"] = total.first_ms
        entry["lastEventTimestamp"] = total.last_ms
        entry["lastIngestionTime"] = total.ingestion_ms
        entry["uploadSequenceToken"] = SEQUENCE_TOKEN
    entry["arn"] = f"{group.id.arn}:log-stream:{stream.name}"
    entry["storedBytes"] = 0  # as AWS answers since 2019
    return entry
