"""What each member of each offered operation does here. The coverage page is made from it."""

from __future__ import annotations

from typing import Final

from lambent.aws.support import Support, effective, refused, without_effect

_ONE_ACCOUNT: Final = without_effect("There are no linked accounts: the caller's own groups are described.")
_NOTHING_MASKED: Final = without_effect("Nothing is masked: there are no data protection policies.")

SUPPORT: Final[Support] = {
    "CreateLogGroup": {
        **effective("logGroupName", "tags"),
        "logGroupClass": without_effect("STANDARD and INFREQUENT_ACCESS are stored and behave alike."),
        "kmsKeyId": refused("Log groups are not encrypted."),
        "deletionProtectionEnabled": refused("Log groups cannot be protected.", False),
    },
    "DeleteLogGroup": effective("logGroupName"),
    "DescribeLogGroups": {
        **effective(
            "logGroupNamePrefix", "logGroupNamePattern", "logGroupIdentifiers", "logGroupClass", "limit", "nextToken"
        ),
        "accountIdentifiers": _ONE_ACCOUNT,
        "includeLinkedAccounts": _ONE_ACCOUNT,
    },
    "PutRetentionPolicy": effective("logGroupName", "retentionInDays"),
    "DeleteRetentionPolicy": effective("logGroupName"),
    "CreateLogStream": effective("logGroupName", "logStreamName"),
    "DeleteLogStream": effective("logGroupName", "logStreamName"),
    "DescribeLogStreams": effective(
        "logGroupName", "logGroupIdentifier", "logStreamNamePrefix", "orderBy", "descending", "limit", "nextToken"
    ),
    "PutLogEvents": {
        **effective("logGroupName", "logStreamName", "logEvents"),
        "sequenceToken": without_effect("Not needed any more, as on AWS."),
        "entity": without_effect("There are no entities."),
    },
    "GetLogEvents": {
        **effective(
            *("logGroupName", "logGroupIdentifier", "logStreamName", "startTime", "endTime"),
            *("startFromHead", "limit", "nextToken"),
        ),
        "unmask": _NOTHING_MASKED,
    },
    "FilterLogEvents": {
        **effective(
            *("logGroupName", "logGroupIdentifier", "logStreamNames", "logStreamNamePrefix", "startTime", "endTime"),
            *("filterPattern", "startFromHead", "limit", "nextToken"),
        ),
        "interleaved": without_effect("Events are always interleaved, as on AWS."),
        "unmask": _NOTHING_MASKED,
    },
    "PutMetricFilter": {
        **effective("logGroupName", "filterName", "filterPattern", "metricTransformations"),
        "applyOnTransformedLogs": without_effect("There are no log transformers."),
        "fieldSelectionCriteria": without_effect("Every event of the group is looked at."),
        "emitSystemFieldDimensions": without_effect("There is one account and region in a log group."),
    },
    "DeleteMetricFilter": effective("logGroupName", "filterName"),
    "DescribeMetricFilters": effective(
        "logGroupName", "filterNamePrefix", "metricName", "metricNamespace", "limit", "nextToken"
    ),
    "TestMetricFilter": effective("filterPattern", "logEventMessages"),
    "StartQuery": {
        **effective(
            *("logGroupName", "logGroupNames", "logGroupIdentifiers", "startTime", "endTime", "queryString", "limit"),
        ),
        "queryLanguage": refused("Queries are in CWLI, the language of Logs Insights.", "CWLI"),
    },
    "GetQueryResults": effective("queryId", "nextToken", "maxItems"),
    "StopQuery": effective("queryId"),
    "DescribeQueries": {
        **effective("logGroupName", "status", "maxResults", "nextToken"),
        "queryLanguage": without_effect("All queries are in CWLI."),
    },
    "DescribeQueryDefinitions": {
        **effective("queryDefinitionNamePrefix", "maxResults", "nextToken"),
        "queryLanguage": without_effect("All queries are in CWLI."),
    },
    "GetLogRecord": {**effective("logRecordPointer"), "unmask": _NOTHING_MASKED},
    "StartLiveTail": effective(
        "logGroupIdentifiers", "logStreamNames", "logStreamNamePrefixes", "logEventFilterPattern"
    ),
    "TagResource": effective("resourceArn", "tags"),
    "UntagResource": effective("resourceArn", "tagKeys"),
    "ListTagsForResource": effective("resourceArn"),
    "TagLogGroup": effective("logGroupName", "tags"),
    "UntagLogGroup": effective("logGroupName", "tags"),
    "ListTagsLogGroup": effective("logGroupName"),
}
