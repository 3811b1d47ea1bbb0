"""The kinds of event sources: what each takes, what it defaults to, what AWS says of what it does not take. Pure.

https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html. Parameters are in the API's shapes;
bounds, patterns and enumerations of the service model are checked before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from lambent.control_plane.destinations import destination_of, invalid_destination
from lambent.model import limits
from lambent.model.errors import InvalidParameterValueException
from lambent.model.event_patterns import parse_pattern
from lambent.model.pattern_operators import InvalidPatternError

Settings = Mapping[str, Any]


class SourceKind(StrEnum):
    """An event source as people call it."""

    SQS = "Amazon SQS"
    KINESIS = "Amazon Kinesis"
    DYNAMODB = "Amazon DynamoDB Streams"
    MSK = "Amazon MSK"
    KAFKA = "self-managed Apache Kafka"
    MQ = "Amazon MQ"
    DOCUMENT_DB = "Amazon DocumentDB"


_BY_SERVICE: Final = {
    "sqs": SourceKind.SQS,
    "kinesis": SourceKind.KINESIS,
    "dynamodb": SourceKind.DYNAMODB,
    "kafka": SourceKind.MSK,
    "mq": SourceKind.MQ,
    "rds": SourceKind.DOCUMENT_DB,
}
_COMMON: Final = frozenset(
    {"BatchSize", "MaximumBatchingWindowInSeconds", "FilterCriteria", "KMSKeyArn", "MetricsConfig"}
)
_ERROR_HANDLING: Final = frozenset(
    {"DestinationConfig", "MaximumRecordAgeInSeconds", "MaximumRetryAttempts", "BisectBatchOnFunctionError"}
)
_STREAM: Final = _ERROR_HANDLING | {
    "ParallelizationFactor",
    "StartingPosition",
    "StartingPositionTimestamp",
    "TumblingWindowInSeconds",
    "FunctionResponseTypes",
}
_KAFKA: Final = _ERROR_HANDLING | {
    "StartingPosition",
    "StartingPositionTimestamp",
    "Topics",
    "SourceAccessConfigurations",
    "FunctionResponseTypes",
    "ProvisionedPollerConfig",
    "LoggingConfig",
}
_STREAM_DEFAULTS: Final[Settings] = {
    "BatchSize": 100,
    "MaximumBatchingWindowInSeconds": 0,
    "ParallelizationFactor": 1,
    "BisectBatchOnFunctionError": False,
    "DestinationConfig": {"OnFailure": {}},
    "MaximumRecordAgeInSeconds": -1,
    "MaximumRetryAttempts": -1,
    "TumblingWindowInSeconds": 0,
}


@dataclass(frozen=True, slots=True)
class SourceRules:
    """What a kind takes, needs and defaults to. `is_stream`: read by position, so answers tell the last result."""

    takes: frozenset[str]
    defaults: Settings
    needs: tuple[str, ...] = ()
    is_stream: bool = True
    positions: frozenset[str] = field(default=frozenset({"TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"}))


RULES: Final[Mapping[SourceKind, SourceRules]] = {
    SourceKind.SQS: SourceRules(
        _COMMON | {"ScalingConfig", "FunctionResponseTypes", "ProvisionedPollerConfig"},
        {"BatchSize": 10, "MaximumBatchingWindowInSeconds": 0},
        is_stream=False,
    ),
    SourceKind.KINESIS: SourceRules(_COMMON | _STREAM, _STREAM_DEFAULTS, ("StartingPosition",)),
    SourceKind.DYNAMODB: SourceRules(
        _COMMON | _STREAM,
        _STREAM_DEFAULTS,
        ("StartingPosition",),
        positions=frozenset({"TRIM_HORIZON", "LATEST"}),
    ),
    SourceKind.MSK: SourceRules(
        _COMMON | _KAFKA | {"AmazonManagedKafkaEventSourceConfig"},
        {"BatchSize": 100, "DestinationConfig": {"OnFailure": {}}},
        ("StartingPosition", "Topics"),
    ),
    SourceKind.KAFKA: SourceRules(
        _COMMON | _KAFKA | {"SelfManagedKafkaEventSourceConfig", "SelfManagedEventSource"},
        {"BatchSize": 100, "DestinationConfig": {"OnFailure": {}}},
        ("StartingPosition", "Topics"),
    ),
    SourceKind.MQ: SourceRules(
        _COMMON | {"Queues", "SourceAccessConfigurations"}, {"BatchSize": 100}, ("Queues",), is_stream=False
    ),
    SourceKind.DOCUMENT_DB: SourceRules(
        _COMMON
        | {
            "DocumentDBEventSourceConfig",
            "SourceAccessConfigurations",
            "StartingPosition",
            "StartingPositionTimestamp",
        },
        {"BatchSize": 100},
        ("StartingPosition", "DocumentDBEventSourceConfig"),
    ),
}

IDENTITY: Final = frozenset({"EventSourceArn", "SelfManagedEventSource"})


def source_kind(settings: Settings) -> SourceKind:
    """Of a CreateEventSourceMapping. Raises InvalidParameterValueException."""
    arn = settings.get("EventSourceArn")
    if arn is None:
        if settings.get("SelfManagedEventSource", {}).get("Endpoints"):
            return SourceKind.KAFKA
        raise InvalidParameterValueException("Unrecognized event source.")
    kind = _BY_SERVICE.get(arn.split(":")[2])
    if kind is None:
        raise InvalidParameterValueException(f"Unrecognized event source. Unsupported source arn : {arn}")
    return kind


def check_source(kind: SourceKind, settings: Settings, now: float) -> None:
    """All that can be said of a mapping's settings, as they are after defaults and updates.

    Raises InvalidParameterValueException. `now`: epoch seconds; StartingPositionTimestamp likewise.
    """
    _check_taken(kind, settings)
    _check_needed(kind, settings)
    _check_position(kind, settings, now)
    _check_batches(kind, settings)
    _check_pollers(kind, settings)
    _check_filters(settings)
    if kind in (SourceKind.KINESIS, SourceKind.DYNAMODB, SourceKind.MSK, SourceKind.KAFKA):
        _check_destination(kind, settings.get("DestinationConfig", {}))


def with_defaults(kind: SourceKind, given: Settings) -> dict[str, Any]:
    """The settings of a new mapping. Empty members ask for nothing and are left out."""
    settings = {**RULES[kind].defaults, **{name: value for name, value in given.items() if _says_something(value)}}
    if "DestinationConfig" in settings:
        settings["DestinationConfig"] = _on_failure(settings["DestinationConfig"])
    return settings


def updated(kind: SourceKind, before: Settings, given: Settings) -> dict[str, Any]:
    """The settings after an update: each given member replaces the stored one; an empty one takes it away."""
    after = {name: value for name, value in before.items() if name not in given}
    return with_defaults(kind, {**after, **given})


def _says_something(value: object) -> bool:
    return value not in ("", [], {}, None) and value != {"Filters": []}


def _on_failure(config: Settings) -> dict[str, Any]:
    destination = destination_of(config, "OnFailure")
    kept: dict[str, Any] = {"OnFailure": {"Destination": destination} if destination else {}}
    if destination_of(config, "OnSuccess"):
        kept["OnSuccess"] = dict(config["OnSuccess"])
    return kept


def _check_taken(kind: SourceKind, settings: Settings) -> None:
    if kind is SourceKind.SQS and "StartingPosition" in settings:
        raise InvalidParameterValueException("StartingPosition is not valid for SQS event sources.")
    taken = RULES[kind].takes | IDENTITY
    for name in settings:
        if name not in taken:
            raise unsupported(name)


def unsupported(name: str) -> InvalidParameterValueException:
    """The answer to a parameter that is for other kinds of sources."""
    shown = name[:1].lower() + name[1:]
    return InvalidParameterValueException(f"Unsupported '{shown}' parameter for given event source mapping type.")


def _check_needed(kind: SourceKind, settings: Settings) -> None:
    for name in RULES[kind].needs:
        if not settings.get(name):
            shown = name[:1].lower() + name[1:]
            raise InvalidParameterValueException(
                f"1 validation error detected: Value null at '{shown}' failed to satisfy constraint: "
                "Member must not be null."
            )


def _check_position(kind: SourceKind, settings: Settings, now: float) -> None:
    position, timestamp = settings.get("StartingPosition"), settings.get("StartingPositionTimestamp")
    if position is None:
        return
    if position not in RULES[kind].positions:
        raise InvalidParameterValueException(
            f"Unsupported starting position for arn type: {settings['EventSourceArn']}"
        )
    if position == "AT_TIMESTAMP":
        if timestamp is None:
            raise InvalidParameterValueException(
                "StartingPositionTimestamp is required when StartingPosition is AT_TIMESTAMP."
            )
        if timestamp > now:
            raise InvalidParameterValueException("StartingPositionTimestamp cannot be in the future.")
    elif timestamp is not None:
        raise InvalidParameterValueException(
            "StartingPositionTimestamp can be specified only when StartingPosition is AT_TIMESTAMP."
        )


def _check_batches(kind: SourceKind, settings: Settings) -> None:
    if kind is not SourceKind.SQS:
        return
    size, window = settings["BatchSize"], settings["MaximumBatchingWindowInSeconds"]
    if settings["EventSourceArn"].endswith(".fifo"):
        if window:
            raise InvalidParameterValueException("Batching window is not supported for FIFO queues")
        if size > limits.SQS_BATCH_WITHOUT_WINDOW_MAX:
            raise InvalidParameterValueException(
                f"Batch size must be less than or equal to {limits.SQS_BATCH_WITHOUT_WINDOW_MAX} for FIFO queues"
            )
    elif size > limits.SQS_BATCH_WITHOUT_WINDOW_MAX and not window:
        raise InvalidParameterValueException(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than "
            f"{limits.SQS_BATCH_WITHOUT_WINDOW_MAX}"
        )


def _check_pollers(kind: SourceKind, settings: Settings) -> None:
    pollers = settings.get("ProvisionedPollerConfig")
    if not pollers:
        return
    if settings.get("ScalingConfig", {}).get("MaximumConcurrency") is not None:
        raise InvalidParameterValueException("MaximumConcurrency and ProvisionedPollerConfig cannot be used together.")
    lowest = limits.SQS_POLLERS_MIN if kind is SourceKind.SQS else 1
    highest = limits.SQS_POLLERS_MAX if kind is SourceKind.SQS else limits.KAFKA_POLLERS_MAX
    minimum, maximum = pollers.get("MinimumPollers"), pollers.get("MaximumPollers")
    for name, value in (("MinimumPollers", minimum), ("MaximumPollers", maximum)):
        if value is not None and not lowest <= value <= highest:
            raise InvalidParameterValueException(f"{name} must be between {lowest} and {highest}.")
    if minimum is not None and maximum is not None and minimum > maximum:
        raise InvalidParameterValueException("MinimumPollers must be less than or equal to MaximumPollers.")


def _check_filters(settings: Settings) -> None:
    filters = settings.get("FilterCriteria", {}).get("Filters") or []
    if len(filters) > limits.EVENT_FILTERS_MAX:
        raise InvalidParameterValueException(
            f"Number of filters must be less than or equal to {limits.EVENT_FILTERS_MAX}."
        )
    for one in filters:
        if one.get("Pattern") is not None:
            _check_pattern(one["Pattern"])


def _check_pattern(text: str) -> None:
    try:
        parse_pattern(text)
    except InvalidPatternError as error:
        raise InvalidParameterValueException("Invalid filter pattern definition.") from error


def _check_destination(kind: SourceKind, config: Settings) -> None:
    if destination_of(config, "OnSuccess"):
        raise unsupported("DestinationConfig")
    arn = destination_of(config, "OnFailure")
    if arn is None:
        return
    if arn.startswith("kafka://"):
        if kind not in (SourceKind.MSK, SourceKind.KAFKA):
            raise invalid_destination(arn)
    elif arn.split(":")[2] not in ("sqs", "sns", "s3"):
        raise invalid_destination(arn)
