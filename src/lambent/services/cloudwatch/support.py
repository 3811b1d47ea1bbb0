"""What each member of each offered operation does here. The coverage page is made from it."""

from __future__ import annotations

from typing import Final

from lambent.aws.support import Support, effective, without_effect

_NO_ENTITIES: Final = without_effect("There are no entities; the data of EntityMetricData are put like all others.")

SUPPORT: Final[Support] = {
    "PutMetricData": {
        **effective("Namespace", "MetricData"),
        "EntityMetricData": _NO_ENTITIES,
        "StrictEntityValidation": _NO_ENTITIES,
    },
    "ListMetrics": {
        **effective("Namespace", "MetricName", "Dimensions", "NextToken", "RecentlyActive", "OwningAccount"),
        "IncludeLinkedAccounts": without_effect("There are no linked accounts: the caller's own metrics are listed."),
    },
    "GetMetricStatistics": effective(
        *("Namespace", "MetricName", "Dimensions", "StartTime", "EndTime", "Period"),
        *("Statistics", "ExtendedStatistics", "Unit"),
    ),
    "GetMetricData": {
        **effective("MetricDataQueries", "StartTime", "EndTime", "NextToken", "ScanBy", "MaxDatapoints"),
        "LabelOptions": without_effect("Labels are taken as they are: what a label computes is not computed."),
    },
}
