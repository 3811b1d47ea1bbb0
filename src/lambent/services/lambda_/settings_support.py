"""The part of the table in `support` about what belongs to functions rather than to their configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lambent.aws.support import Effect, Member, Support, effective, refused, without_effect

_NO_POLLER: Final = without_effect("Stored and checked: only SQS queues are polled yet, other mappings stay Disabled.")
_POLLED: Final = Member(
    Effect.EFFECTIVE, "For SQS queues. Other mappings stay Disabled: their sources are not polled yet."
)
_NO_KEY: Final = without_effect("Stored: filter criteria are not encrypted.")
_NO_URL: Final = without_effect("Stored: nothing answers at the URL yet.")
_NOT_SCALED: Final = refused("Functions of capacity providers are not offered yet.")
_FUNCTION: Final = effective("FunctionName")
_QUALIFIED: Final = effective("FunctionName", "Qualifier")
_PAGE: Final = effective("Marker", "MaxItems")

_EVENT_INVOKE: Final[Mapping[str, Member]] = {
    **_QUALIFIED,
    **effective("MaximumRetryAttempts", "MaximumEventAgeInSeconds"),
    "DestinationConfig": Member(
        Effect.EFFECTIVE, "SNS, EventBridge and S3 need an endpoint of theirs: --upstream SERVICE=URL."
    ),
}
_URL: Final[Mapping[str, Member]] = {**_QUALIFIED, "AuthType": _NO_URL, "Cors": _NO_URL, "InvokeMode": _NO_URL}
_SIGNING: Final[Mapping[str, Member]] = {
    **effective("Description"),
    "AllowedPublishers": without_effect("Stored: signatures are not verified yet."),
    "CodeSigningPolicies": Member(Effect.EFFECTIVE, "Warn. Enforce is refused, as signatures are not verified yet."),
}
_MAPPING_UPDATE: Final[Mapping[str, Member]] = {
    **_FUNCTION,
    "KMSKeyArn": _NO_KEY,
    "MetricsConfig": Member(Effect.EFFECTIVE, "EventCount, for SQS queues."),
    "ProvisionedPollerConfig": Member(
        Effect.EFFECTIVE,
        "For SQS queues, as bounds of the concurrency (10 for each poller); PollerGroupName is stored.",
    ),
    **dict.fromkeys(
        (
            "Enabled",
            "BatchSize",
            "FilterCriteria",
            "ScalingConfig",
            "MaximumBatchingWindowInSeconds",
            "FunctionResponseTypes",
        ),
        _POLLED,
    ),
    **dict.fromkeys(
        (
            "LoggingConfig",
            "ParallelizationFactor",
            "DestinationConfig",
            "MaximumRecordAgeInSeconds",
            "BisectBatchOnFunctionError",
            "MaximumRetryAttempts",
            "TumblingWindowInSeconds",
            "SourceAccessConfigurations",
            "AmazonManagedKafkaEventSourceConfig",
            "SelfManagedKafkaEventSourceConfig",
            "DocumentDBEventSourceConfig",
        ),
        _NO_POLLER,
    ),
}

SETTINGS_SUPPORT: Final[Support] = {
    "PutFunctionConcurrency": effective("FunctionName", "ReservedConcurrentExecutions"),
    "GetFunctionConcurrency": _FUNCTION,
    "DeleteFunctionConcurrency": _FUNCTION,
    "PutProvisionedConcurrencyConfig": effective("FunctionName", "Qualifier", "ProvisionedConcurrentExecutions"),
    "GetProvisionedConcurrencyConfig": _QUALIFIED,
    "DeleteProvisionedConcurrencyConfig": _QUALIFIED,
    "ListProvisionedConcurrencyConfigs": {**_FUNCTION, **_PAGE},
    "PutFunctionScalingConfig": {**_QUALIFIED, "FunctionScalingConfig": _NOT_SCALED},
    "GetFunctionScalingConfig": {"FunctionName": _NOT_SCALED, "Qualifier": _NOT_SCALED},
    "PutFunctionEventInvokeConfig": _EVENT_INVOKE,
    "UpdateFunctionEventInvokeConfig": _EVENT_INVOKE,
    "GetFunctionEventInvokeConfig": _QUALIFIED,
    "DeleteFunctionEventInvokeConfig": _QUALIFIED,
    "ListFunctionEventInvokeConfigs": {**_FUNCTION, **_PAGE},
    "CreateFunctionUrlConfig": _URL,
    "UpdateFunctionUrlConfig": _URL,
    "GetFunctionUrlConfig": _QUALIFIED,
    "DeleteFunctionUrlConfig": _QUALIFIED,
    "ListFunctionUrlConfigs": {**_FUNCTION, **_PAGE},
    "CreateCodeSigningConfig": {**_SIGNING, **effective("Tags")},
    "UpdateCodeSigningConfig": {**effective("CodeSigningConfigArn"), **_SIGNING},
    "GetCodeSigningConfig": effective("CodeSigningConfigArn"),
    "DeleteCodeSigningConfig": effective("CodeSigningConfigArn"),
    "ListCodeSigningConfigs": _PAGE,
    "PutFunctionCodeSigningConfig": {
        **_FUNCTION,
        "CodeSigningConfigArn": without_effect("Stored: signatures are not verified yet."),
    },
    "GetFunctionCodeSigningConfig": _FUNCTION,
    "DeleteFunctionCodeSigningConfig": _FUNCTION,
    "ListFunctionsByCodeSigningConfig": {**effective("CodeSigningConfigArn"), **_PAGE},
    "PutRuntimeManagementConfig": {
        **_QUALIFIED,
        "UpdateRuntimeOn": without_effect("Stored: who runs the host renews its runtimes."),
        "RuntimeVersionArn": Member(Effect.EFFECTIVE, "Only the version that the host has."),
    },
    "GetRuntimeManagementConfig": _QUALIFIED,
    "PutFunctionRecursionConfig": effective("FunctionName", "RecursiveLoop"),
    "GetFunctionRecursionConfig": _FUNCTION,
    "CreateEventSourceMapping": {
        **_MAPPING_UPDATE,
        **effective("EventSourceArn", "Tags"),
        "StartingPosition": _NO_POLLER,
        "StartingPositionTimestamp": _NO_POLLER,
        "Topics": _NO_POLLER,
        "Queues": _NO_POLLER,
        "SelfManagedEventSource": _NO_POLLER,
    },
    "UpdateEventSourceMapping": {**effective("UUID"), **_MAPPING_UPDATE},
    "GetEventSourceMapping": effective("UUID"),
    "DeleteEventSourceMapping": effective("UUID"),
    "ListEventSourceMappings": {**effective("EventSourceArn"), **_FUNCTION, **_PAGE},
}
