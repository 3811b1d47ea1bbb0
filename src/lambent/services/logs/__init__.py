"""CloudWatch Logs, as far as functions and their operators need it: groups, streams, events.

One file per resource; `operations` is what the endpoint serves. The events lie in `observability.logs`, the settings of
groups (retention, tags, class) in the store's table `LOG_GROUPS`; a group without a document there has none.
"""

from __future__ import annotations

from lambent.aws.context import Operations
from lambent.observability.logs.store import LogStore
from lambent.services.logs.events import LogEvents
from lambent.services.logs.groups import LogGroups
from lambent.services.logs.streams import LogStreams
from lambent.services.logs.tags import Tags
from lambent.store.api import Store


def operations(log_store: LogStore, store: Store) -> Operations:
    """The operations of the API `logs` that are answered here."""
    groups = LogGroups(log_store, store)
    streams = LogStreams(log_store)
    events = LogEvents(log_store, store)
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
        "TagResource": tags.tag_resource,
        "UntagResource": tags.untag_resource,
        "ListTagsForResource": tags.list_tags_for_resource,
        "TagLogGroup": tags.tag_log_group,
        "UntagLogGroup": tags.untag_log_group,
        "ListTagsLogGroup": tags.list_tags_log_group,
    }
