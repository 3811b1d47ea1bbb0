"""Logs Insights: start, stop and list queries, and get their results; and the events that `@ptr` points to.

Saved queries (query definitions) are those that come with Lambent: the everyday questions about Lambda functions.
"""

from __future__ import annotations

import re
from typing import Final

from lambent.aws.context import Params, RequestContext
from lambent.model.errors import ServiceError
from lambent.observability.insights import functions
from lambent.observability.insights.engine import LogQueries, LogQuery, LogRange, QueryStatus, TooManyQueriesError
from lambent.observability.insights.language import MalformedQueryError
from lambent.observability.insights.rows import Row, SourceEvent
from lambent.observability.logs.events import EventKey, LogGroupId
from lambent.observability.logs.reading import EventQuery
from lambent.observability.logs.store import LogGroupNotFoundError, LogStore
from lambent.services.logs.errors import group_not_found, invalid_parameter
from lambent.services.logs.identifiers import named_group, page_token, parse_identifier, parse_page_token
from lambent.services.logs.settings import read_settings
from lambent.store.api import Store

_GROUPS_MAX: Final = 50
_POINTER: Final = re.compile(r"(.+)/(\d{1,15})/(\d{1,20})")
_RESULTS_MAX: Final = 10_000
_QUERIES: Final = 1000
_SECONDS_BELOW: Final = 100_000_000_000  # a larger time must be in milliseconds

SAVED_QUERIES: Final = {
    "Lambda/Recent invocations": """filter @type = "REPORT"
| fields @timestamp, @requestId, @duration, @billedDuration, @memorySize / 1000000 as memorySizeMB,
    @maxMemoryUsed / 1000000 as maxMemoryUsedMB, @initDuration, @logStream
| sort @timestamp desc
| limit 20""",
    "Lambda/Most expensive invocations": """filter @type = "REPORT"
| fields @timestamp, @requestId, @billedDuration, @memorySize / 1000000 as memorySizeMB,
    @billedDuration / 1000 * @memorySize / 1024000000 as billedGBSeconds, @logStream
| sort billedGBSeconds desc
| limit 20""",
    "Lambda/Recent invocations (JSON format)": """filter @message like "platform.report" and type = "platform.report"
| fields @timestamp, record.requestId, record.status, record.metrics.durationMs, record.metrics.billedDurationMs,
    record.metrics.memorySizeMB, record.metrics.maxMemoryUsedMB, record.metrics.initDurationMs, @logStream
| sort @timestamp desc
| limit 20""",
    "Lambda/Cold starts": """filter @type = "REPORT"
| stats count(*) as invocations, count(@initDuration) as coldStarts, avg(@initDuration) as avgInitMs,
    max(@initDuration) as maxInitMs by bin(5m)""",
    "Lambda/Errors": """filter @message like /ERROR|Task timed out|Runtime.ExitError/
| fields @timestamp, @requestId, @message
| sort @timestamp desc
| limit 20""",
}


class LogInsights:
    """The operations on queries."""

    def __init__(self, log_store: LogStore, store: Store, queries: LogQueries) -> None:
        self._logs = log_store
        self._store = store
        self._queries = queries

    async def start_query(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html"""
        if params.get("queryLanguage", "CWLI") != "CWLI":
            raise invalid_parameter("Lambent supports queries in the language CWLI only.")
        start_ms, end_ms = _epoch_ms(params["startTime"]), _epoch_ms(params["endTime"])
        if start_ms > end_ms:
            raise invalid_parameter("End time should not be less than start time.")
        ranges = []
        for group in self._groups(ctx, params):
            settings = await read_settings(self._store, group)
            earliest = settings.expired_before_ms(self._logs.now_ms())
            # The last second counts whole: times are given in seconds.
            ranges.append(LogRange(group, max(start_ms, earliest), end_ms + 1000))
        try:
            query = self._queries.start(ctx.account, ctx.region, params["queryString"], ranges, params.get("limit"))
        except MalformedQueryError as error:
            raise _malformed(error) from None
        except TooManyQueriesError:
            raise ServiceError("LimitExceededException", "Too many queries are running.") from None
        return {"queryId": query.query_id}

    async def get_query_results(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetQueryResults.html"""
        query = self._find(ctx, params["queryId"])
        rows = query.rows
        start = parse_page_token(params["nextToken"], int)[0] if "nextToken" in params else 0
        count = params.get("maxItems", _RESULTS_MAX)
        answer: Params = {
            "queryLanguage": "CWLI",
            "status": query.status,
            "results": [
                [{"field": name, "value": value} for name, value in row] for row in rows[start : start + count]
            ],
            "statistics": {
                "recordsMatched": float(query.matched),
                "recordsScanned": float(query.scanned),
                "estimatedRecordsSkipped": 0.0,
                "bytesScanned": float(query.scanned_bytes),
                "estimatedBytesSkipped": 0.0,
                "logGroupsScanned": float(len(query.ranges)),
                "resultCount": float(len(rows)),
            },
        }
        if len(rows) > start + count and query.status is not QueryStatus.RUNNING:
            answer["nextToken"] = page_token([start + count])
        return answer

    async def stop_query(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StopQuery.html"""
        query = self._find(ctx, params["queryId"])
        if not self._queries.stop(query):
            raise invalid_parameter("The specified query is not running.")
        return {"success": True}

    async def describe_queries(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeQueries.html"""
        found = []
        for query in self._queries.all(ctx.account, ctx.region):
            group = query.ranges[0].group.name
            if params.get("status", query.status) == query.status and params.get("logGroupName", group) == group:
                found.append(_described(query, group))
        start = parse_page_token(params["nextToken"], int)[0] if "nextToken" in params else 0
        count = params.get("maxResults", _QUERIES)
        answer: Params = {"queries": found[start : start + count]}
        if len(found) > start + count:
            answer["nextToken"] = page_token([start + count])
        return answer

    async def get_log_record(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogRecord.html"""
        name, timestamp_ms, sequence = _parse_pointer(params["logRecordPointer"])
        group = named_group(ctx, name)
        around = EventQuery(
            limit=1,
            max_bytes=1,
            after=EventKey(timestamp_ms, sequence - 1),
            before=EventKey(timestamp_ms, sequence + 1),
        )
        try:
            page = await self._logs.events(group, around)
        except LogGroupNotFoundError:
            raise group_not_found() from None
        if not page.events:
            raise ServiceError("ResourceNotFoundException", "The specified log record does not exist.")
        [event] = page.events
        log = f"{ctx.account}:{name}"
        row = Row(SourceEvent(log, event.stream, timestamp_ms, event.ingestion_ms, event.message, sequence))
        fields = row.discovered() | {"@timestamp": timestamp_ms, "@ingestionTime": event.ingestion_ms}
        return {"logRecord": {name: functions.text(value) for name, value in fields.items() if value is not None}}

    async def describe_query_definitions(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeQueryDefinitions.html"""
        prefix = params.get("queryDefinitionNamePrefix", "")
        definitions = [
            {
                "queryLanguage": "CWLI",
                "queryDefinitionId": f"lambent-{number}",
                "name": name,
                "queryString": text,
                "logGroupNames": [],
            }
            for number, (name, text) in enumerate(SAVED_QUERIES.items(), 1)
            if name.startswith(prefix)
        ]
        start = parse_page_token(params["nextToken"], int)[0] if "nextToken" in params else 0
        count = params.get("maxResults", _QUERIES)
        answer: Params = {"queryDefinitions": definitions[start : start + count]}
        if len(definitions) > start + count:
            answer["nextToken"] = page_token([start + count])
        return answer

    def _groups(self, ctx: RequestContext, params: Params) -> list[LogGroupId]:
        given = [params[name] for name in ("logGroupName", "logGroupNames", "logGroupIdentifiers") if name in params]
        if len(given) != 1:
            raise invalid_parameter(
                "You must include exactly one of logGroupName, logGroupNames and logGroupIdentifiers."
            )
        names = given[0] if isinstance(given[0], list) else given
        if not names or len(names) > _GROUPS_MAX:
            raise invalid_parameter(f"A query is for 1 to {_GROUPS_MAX} log groups.")
        groups = [parse_identifier(ctx, name) for name in dict.fromkeys(names)]
        try:
            for group in groups:
                self._logs.group(group)
        except LogGroupNotFoundError:
            raise group_not_found() from None
        return groups

    def _find(self, ctx: RequestContext, query_id: str) -> LogQuery:
        query = self._queries.find(ctx.account, ctx.region, query_id)
        if query is None:
            raise ServiceError("ResourceNotFoundException", "The specified query does not exist.")
        return query


def _parse_pointer(pointer: str) -> tuple[str, int, int]:
    """Log group, time and sequence of a `@ptr` (`insights.rows`)."""
    match = _POINTER.fullmatch(pointer)
    if match is None:
        raise invalid_parameter("The specified logRecordPointer is invalid.")
    return match[1], int(match[2]), int(match[3])


def _epoch_ms(time: int) -> int:
    return time * 1000 if time < _SECONDS_BELOW else time


def _described(query: LogQuery, group: str) -> Params:
    entry: Params = {
        "queryLanguage": "CWLI",
        "queryId": query.query_id,
        "queryString": query.text,
        "status": query.status,
        "createTime": query.created_ms,
        "logGroupName": group,
        "bytesScanned": float(query.scanned_bytes),
    }
    if query.status is not QueryStatus.RUNNING:
        entry["queryDuration"] = query.ended_ms - query.created_ms
    return entry


def _malformed(error: MalformedQueryError) -> ServiceError:
    location = {"startCharOffset": error.position, "endCharOffset": error.position}
    compile_error = {"location": location, "message": str(error)}
    return ServiceError("MalformedQueryException", str(error), members={"queryCompileError": compile_error})
