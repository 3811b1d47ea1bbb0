"""CloudWatch Logs as it registers itself with the request chain."""

from __future__ import annotations

from lambent.aws.context import Operations
from lambent.aws.service import BodyLimit, ServiceDefinition
from lambent.model.limits import MIB
from lambent.observability.insights.engine import LogQueries
from lambent.observability.logs.store import LogStore
from lambent.services.logs.events import LogEvents
from lambent.services.logs.groups import LogGroups
from lambent.services.logs.live_tail import LiveTails
from lambent.services.logs.metric_filters import MetricFilterOperations
from lambent.services.logs.queries import LogInsights
from lambent.services.logs.streams import LogStreams
from lambent.services.logs.tags import Tags
from lambent.store.api import Store

# A batch of 1 MiB of control characters is six times that in JSON.
_BATCH_BODY = BodyLimit(8 * MIB)


def definition(log_store: LogStore, store: Store, queries: LogQueries) -> ServiceDefinition:
    """The service, for the request chain."""
    return ServiceDefinition(
        "logs",
        operations(log_store, store, queries),
        body_limits={"PutLogEvents": _BATCH_BODY},
        validation_code="InvalidParameterException",
    )


def operations(log_store: LogStore, store: Store, queries: LogQueries) -> Operations:
    """The operations of the API `logs` that are answered here."""
    groups = LogGroups(log_store, store)
    streams = LogStreams(log_store)
    events = LogEvents(log_store, store)
    metric_filters = MetricFilterOperations(log_store, store)
    insights = LogInsights(log_store, store, queries)
    live_tails = LiveTails(log_store)
    tags = Tags(log_store, store)
    return {
        "CreateLogGroup": groups.create_log_group,
        "DeleteLogGroup": groups.delete_log_group,
        "DescribeLogGroups": groups.describe_log_groups,
        "PutRetentionPolicy": groups.put_retention_policy,
        "DeleteRetentionPolicy": groups.delete_retention_policy,
        "CreateLogStream": streams.create_log_stream,
        "DeleteLogStream": streams.delete_log_stream,
        "DescribeLogStreams": streams.describe_log_streams,
        "PutLogEvents": events.put_log_events,
        "GetLogEvents": events.get_log_events,
        "FilterLogEvents": events.filter_log_events,
        "PutMetricFilter": metric_filters.put_metric_filter,
        "DeleteMetricFilter": metric_filters.delete_metric_filter,
        "DescribeMetricFilters": metric_filters.describe_metric_filters,
        "TestMetricFilter": metric_filters.test_metric_filter,
        "StartQuery": insights.start_query,
        "GetQueryResults": insights.get_query_results,
        "StopQuery": insights.stop_query,
        "DescribeQueries": insights.describe_queries,
        "DescribeQueryDefinitions": insights.describe_query_definitions,
        "GetLogRecord": insights.get_log_record,
        "StartLiveTail": live_tails.start_live_tail,
        "TagResource": tags.tag_resource,
        "UntagResource": tags.untag_resource,
        "ListTagsForResource": tags.list_tags_for_resource,
        "TagLogGroup": tags.tag_log_group,
        "UntagLogGroup": tags.untag_log_group,
        "ListTagsLogGroup": tags.list_tags_log_group,
    }
