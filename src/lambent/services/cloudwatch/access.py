"""What each CloudWatch operation needs to be allowed: metrics have no ARN, so every action is on every resource.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html. PutMetricData has the
condition key `cloudwatch:namespace`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lambent.aws.authorisation import AccessRule, AccessRules
from lambent.aws.context import Params, RequestContext
from lambent.iam.enforcement import Access


def _put_metric_data(_: RequestContext, params: Params) -> Sequence[Access]:
    keys = {"cloudwatch:namespace": (params["Namespace"],)}
    return (Access("cloudwatch:PutMetricData", keys=keys, is_data_event=True),)


def _reading(action: str) -> AccessRule:
    needed = (Access(f"cloudwatch:{action}", is_data_event=True),)
    return lambda _, __: needed


RULES: Final[AccessRules] = {
    "PutMetricData": _put_metric_data,
    "GetMetricData": _reading("GetMetricData"),
    "GetMetricStatistics": _reading("GetMetricStatistics"),
    "ListMetrics": _reading("ListMetrics"),
}
"""Operation → what it needs."""
