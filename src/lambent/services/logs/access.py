"""What each CloudWatch Logs operation needs to be allowed: action, resource.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html. A log group goes by
two names in policies: `…:log-group:NAME` and, as AWS names it in denials and people write it, `…:log-group:NAME:*`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lambent.aws.authorisation import AccessRule, AccessRules
from lambent.aws.context import Params, RequestContext
from lambent.iam.enforcement import Access

_ANYWHERE: Final = ""
_DATA_EVENTS: Final = frozenset({"PutLogEvents", "GetLogEvents", "FilterLogEvents", "StartLiveTail", "GetQueryResults"})


def _group(context: RequestContext, action: str, name_or_arn: str, params: Params) -> Access:
    arn = name_or_arn.removesuffix(":*")
    if not arn.startswith("arn:"):
        arn = f"arn:aws:logs:{context.region}:{context.account}:log-group:{arn}"
    account = arn.split(":")[4]
    return Access(
        f"logs:{action}",
        f"{arn}:log-stream:",
        account,
        _tag_keys(params),
        aliases=(arn,),
        is_data_event=action in _DATA_EVENTS,
    )


def _stream(action: str) -> AccessRule:
    def rule(context: RequestContext, params: Params) -> Sequence[Access]:
        name = params.get("logGroupName") or params.get("logGroupIdentifier") or _ANYWHERE
        group = _group(context, action, name, params)
        arn = group.resource + str(params.get("logStreamName", ""))
        return (Access(group.action, arn, group.account, is_data_event=group.is_data_event),)

    return rule


def _groups(action: str) -> AccessRule:
    """Every group that is named, in whichever member; the group without a name when none is."""

    def rule(context: RequestContext, params: Params) -> Sequence[Access]:
        named = [params[member] for member in ("logGroupName", "logGroupIdentifier") if params.get(member)]
        for member in ("logGroupNames", "logGroupIdentifiers"):
            named += params.get(member) or []
        return [_group(context, action, name, params) for name in dict.fromkeys(named or [_ANYWHERE])]

    return rule


def _arn(action: str, member: str) -> AccessRule:
    def rule(context: RequestContext, params: Params) -> Sequence[Access]:
        return (_group(context, action, str(params.get(member) or _ANYWHERE), params),)

    return rule


def _tag_keys(params: Params) -> dict[str, tuple[str, ...]]:
    tags = params.get("tags")
    if isinstance(tags, dict):
        named = {f"aws:requesttag/{key.lower()}": (value,) for key, value in tags.items()}
        return named | {"aws:tagkeys": tuple(tags)} if tags else {}
    keys = params.get("tagKeys") or tags
    return {"aws:tagkeys": tuple(keys)} if keys else {}


RULES: Final[AccessRules] = {
    **{name: _stream(name) for name in (
        "CreateLogStream", "DeleteLogStream", "GetLogEvents", "PutLogEvents",
    )},
    **{name: _groups(name) for name in (
        "AssociateKmsKey", "CreateExportTask", "CreateLogGroup", "DeleteDataProtectionPolicy", "DeleteIndexPolicy",
        "DeleteLogGroup", "DeleteMetricFilter", "DeleteRetentionPolicy", "DeleteSubscriptionFilter",
        "DeleteTransformer", "DescribeFieldIndexes", "DescribeIndexPolicies", "DescribeLogGroups",
        "DescribeLogStreams", "DescribeMetricFilters", "DescribeSubscriptionFilters", "DisassociateKmsKey",
        "FilterLogEvents", "GetDataProtectionPolicy", "GetLogGroupFields", "GetTransformer", "ListTagsLogGroup",
        "PutDataProtectionPolicy", "PutIndexPolicy", "PutLogGroupDeletionProtection", "PutMetricFilter",
        "PutRetentionPolicy", "PutSubscriptionFilter", "PutTransformer", "StartLiveTail", "StartQuery", "TagLogGroup",
        "UntagLogGroup",
    )},
    **{name: _arn(name, "resourceArn") for name in ("ListTagsForResource", "TagResource", "UntagResource")},
}  # fmt: skip
"""Operation → what it needs; others need the action of their name on every resource."""
