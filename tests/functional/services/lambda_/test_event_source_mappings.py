"""Event source mappings: stored, checked, and honest about not being polled."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:queue"
STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/stream"
TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-01-01T00:00:00.000"
MSK = "arn:aws:kafka:us-east-1:000000000000:cluster/c/abc-1"
BROKER = "arn:aws:mq:us-east-1:000000000000:broker:b:b-1"
CLUSTER = "arn:aws:rds:us-east-1:000000000000:cluster:docs"
KAFKA = {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["kafka.example.com:9092"]}}
Create = Callable[..., dict[str, Any]]


def refusal(call: Callable[[], Any]) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as refused:
        call()
    answer: Any = refused.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


@pytest.fixture(scope="module")
def mine(start_lambda: Any, make_zip: Callable[..., bytes]) -> Any:
    """A client; the function `f` exists, with version 1."""
    client = start_lambda().client()
    for name in ("f", "g"):
        client.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role="arn:aws:iam::000000000000:role/r",
            Handler="index.handler",
            Code={"ZipFile": make_zip()},
            Publish=True,
        )
    return client


@pytest.fixture
def make(mine: Any) -> Any:
    """Create a mapping of `f`, gone after the test."""
    made: list[str] = []

    def create(**given: Any) -> dict[str, Any]:
        answer: dict[str, Any] = mine.create_event_source_mapping(**({"FunctionName": "f"} | given))
        made.append(answer["UUID"])
        return answer

    yield create
    for mapping in made:
        try:
            mine.delete_event_source_mapping(UUID=mapping)
        except mine.exceptions.ResourceNotFoundException:
            continue


def plain(answer: dict[str, Any]) -> dict[str, Any]:
    left_out = ("ResponseMetadata", "LastModified", "UUID", "EventSourceMappingArn")
    return {name: value for name, value in answer.items() if name not in left_out}


STREAM_DEFAULTS: dict[str, Any] = {
    "BatchSize": 100,
    "MaximumBatchingWindowInSeconds": 0,
    "ParallelizationFactor": 1,
    "BisectBatchOnFunctionError": False,
    "DestinationConfig": {"OnFailure": {}},
    "MaximumRecordAgeInSeconds": -1,
    "MaximumRetryAttempts": -1,
    "TumblingWindowInSeconds": 0,
    "LastProcessingResult": "No records processed",
}
KINDS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    (
        "Amazon SQS",
        {"EventSourceArn": QUEUE},
        {"BatchSize": 10, "MaximumBatchingWindowInSeconds": 0},
        "USER_INITIATED",
    ),
    ("Amazon Kinesis", {"EventSourceArn": STREAM, "StartingPosition": "LATEST"}, STREAM_DEFAULTS, "User action"),
    (
        "Amazon DynamoDB Streams",
        {"EventSourceArn": TABLE, "StartingPosition": "TRIM_HORIZON"},
        STREAM_DEFAULTS,
        "User action",
    ),
    (
        "Amazon MSK",
        {"EventSourceArn": MSK, "StartingPosition": "LATEST", "Topics": ["topic"]},
        {
            "BatchSize": 100,
            "DestinationConfig": {"OnFailure": {}},
            "LastProcessingResult": "No records processed",
        },
        "User action",
    ),
    (
        "self-managed Apache Kafka",
        {"SelfManagedEventSource": KAFKA, "StartingPosition": "LATEST", "Topics": ["topic"]},
        {
            "BatchSize": 100,
            "DestinationConfig": {"OnFailure": {}},
            "LastProcessingResult": "No records processed",
        },
        "User action",
    ),
    ("Amazon MQ", {"EventSourceArn": BROKER, "Queues": ["q"]}, {"BatchSize": 100}, "User action"),
    (
        "Amazon DocumentDB",
        {
            "EventSourceArn": CLUSTER,
            "StartingPosition": "LATEST",
            "DocumentDBEventSourceConfig": {"DatabaseName": "d"},
        },
        {"BatchSize": 100, "LastProcessingResult": "No records processed"},
        "User action",
    ),
]


@pytest.mark.parametrize(("kind", "given", "defaults", "reason"), KINDS, ids=[kind[0] for kind in KINDS])
def test_life(mine: Any, make: Any, kind: str, given: dict[str, Any], defaults: dict[str, Any], reason: str) -> None:
    created = make(**given)
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 202
    answer = plain(created)
    for block in ("AmazonManagedKafkaEventSourceConfig", "SelfManagedKafkaEventSourceConfig"):
        if block in answer:
            assert answer.pop(block)["ConsumerGroupId"]
    state = {"State": "Creating", "StateTransitionReason": reason}
    assert answer == {"FunctionArn": f"{ARN}f", **given, **defaults, **state}
    assert created["EventSourceMappingArn"].endswith(f":event-source-mapping:{created['UUID']}")
    mapping = created["UUID"]
    found = mine.get_event_source_mapping(UUID=mapping)
    assert found["State"] == "Disabled"
    assert found["StateTransitionReason"] == f"Lambent does not poll {kind} yet: no record is read."
    changed = mine.update_event_source_mapping(UUID=mapping, Enabled=False, BatchSize=7, FunctionName="g:1")
    assert changed["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert (changed["State"], changed["BatchSize"], changed["FunctionArn"]) == ("Updating", 7, f"{ARN}g:1")
    assert mine.get_event_source_mapping(UUID=mapping)["StateTransitionReason"] == reason
    deleted = mine.delete_event_source_mapping(UUID=mapping)
    assert (deleted["ResponseMetadata"]["HTTPStatusCode"], deleted["State"]) == (202, "Deleting")
    gone = ("ResourceNotFoundException", 404, "The resource you requested does not exist.")
    assert refusal(lambda: mine.get_event_source_mapping(UUID=mapping)) == gone
    assert refusal(lambda: mine.update_event_source_mapping(UUID=mapping)) == gone
    assert refusal(lambda: mine.delete_event_source_mapping(UUID=mapping)) == gone


def test_settings_come_and_go(mine: Any, make: Any) -> None:
    filters = {"Filters": [{"Pattern": '{"body": ["x"]}'}]}
    created = make(
        EventSourceArn=QUEUE,
        BatchSize=100,
        MaximumBatchingWindowInSeconds=5,
        FilterCriteria=filters,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        ScalingConfig={"MaximumConcurrency": 2},
        MetricsConfig={"Metrics": ["EventCount"]},
    )
    mapping = created["UUID"]
    assert created["FilterCriteria"] == filters
    assert created["ScalingConfig"] == {"MaximumConcurrency": 2}
    same = mine.update_event_source_mapping(UUID=mapping, MaximumBatchingWindowInSeconds=6)
    assert (same["FilterCriteria"], same["BatchSize"]) == (filters, 100)
    less = mine.update_event_source_mapping(
        UUID=mapping, FilterCriteria={}, ScalingConfig={}, FunctionResponseTypes=[], MetricsConfig={"Metrics": []}
    )
    assert not {"FilterCriteria", "ScalingConfig", "FunctionResponseTypes"} & set(less)
    text = "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
    call: Callable[[], Any] = lambda: mine.update_event_source_mapping(UUID=mapping, MaximumBatchingWindowInSeconds=0)  # noqa: E731
    assert refusal(call) == ("InvalidParameterValueException", 400, text)


def test_lists(mine: Any, make: Any) -> None:
    makes = [
        make(EventSourceArn=QUEUE),
        make(EventSourceArn=QUEUE, FunctionName="f:1"),
        make(EventSourceArn=QUEUE, FunctionName="g"),
        make(EventSourceArn=f"{QUEUE}-2"),
        make(EventSourceArn=STREAM, StartingPosition="LATEST"),
    ]
    ids = [one["UUID"] for one in makes]

    def listed(**given: Any) -> set[int]:
        pages = mine.get_paginator("list_event_source_mappings").paginate(**given, PaginationConfig={"PageSize": 2})
        found = [one["UUID"] for page in pages for one in page["EventSourceMappings"]]
        assert len(found) == len(set(found))
        return {ids.index(one) for one in found}

    assert listed() == {0, 1, 2, 3, 4}
    assert listed(EventSourceArn=QUEUE) == {0, 1, 2}
    assert listed(FunctionName="f") == {0, 1, 3, 4}
    assert listed(FunctionName="f:1") == {1}
    assert listed(FunctionName="g", EventSourceArn=QUEUE) == {2}
    assert listed(FunctionName="no") == set()


def test_tags(mine: Any, make: Any) -> None:
    arn = make(EventSourceArn=QUEUE, Tags={"a": "b"})["EventSourceMappingArn"]
    mine.tag_resource(Resource=arn, Tags={"c": "d"})
    mine.untag_resource(Resource=arn, TagKeys=["a"])
    assert mine.list_tags(Resource=arn)["Tags"] == {"c": "d"}


def test_a_mapping_outlives_its_function(mine: Any, make: Any, create: Create) -> None:
    create("short", using=mine)
    mapping = make(FunctionName="short", EventSourceArn=QUEUE)["UUID"]
    mine.delete_function(FunctionName="short")
    assert mine.get_event_source_mapping(UUID=mapping)["FunctionArn"] == f"{ARN}short"


def test_the_same_again(mine: Any, make: Any) -> None:
    update = "already exists. Please update or delete the existing mapping with UUID"
    first = make(EventSourceArn=QUEUE)["UUID"]
    assert refusal(lambda: make(EventSourceArn=QUEUE, FunctionName=f"{ARN}f")) == (
        "ResourceConflictException",
        409,
        f'An event source mapping with SQS arn (" {QUEUE} ") and function (" f ") {update} {first}',
    )
    second = make(EventSourceArn=STREAM, StartingPosition="LATEST")["UUID"]
    assert refusal(lambda: make(EventSourceArn=STREAM, StartingPosition="TRIM_HORIZON")) == (
        "ResourceConflictException",
        409,
        f'The event source arn (" {STREAM} ") and function (" f ") provided mapping {update} {second}',
    )


NULL = "1 validation error detected: Value null at '{0}' failed to satisfy constraint: Member must not be null."
UNSUPPORTED = "Unsupported '{0}' parameter for given event source mapping type."
POSITION = {"StartingPosition": "LATEST"}
ON_QUEUE = {"EventSourceArn": QUEUE}
ON_STREAM = {"EventSourceArn": STREAM, **POSITION}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "Unrecognized event source."),
    ({"EventSourceArn": "arn:aws:s3:::b"}, "Unrecognized event source. Unsupported source arn : arn:aws:s3:::b"),
    ({**ON_QUEUE, "FunctionName": "no"}, "Function does not exist"),
    ({**ON_QUEUE, "FunctionName": "f:9"}, "Function does not exist"),
    ({**ON_QUEUE, "FunctionName": "f:nobody"}, "Function does not exist"),
    ({"EventSourceArn": STREAM}, NULL.format("startingPosition")),
    ({"EventSourceArn": TABLE}, NULL.format("startingPosition")),
    ({"EventSourceArn": MSK, **POSITION}, NULL.format("topics")),
    ({"EventSourceArn": BROKER}, NULL.format("queues")),
    ({"EventSourceArn": CLUSTER, **POSITION}, NULL.format("documentDBEventSourceConfig")),
    (
        {"EventSourceArn": TABLE, "StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1},
        f"Unsupported starting position for arn type: {TABLE}",
    ),
    (
        {"EventSourceArn": STREAM, "StartingPosition": "AT_TIMESTAMP"},
        "StartingPositionTimestamp is required when StartingPosition is AT_TIMESTAMP.",
    ),
    (
        {
            "EventSourceArn": STREAM,
            "StartingPosition": "AT_TIMESTAMP",
            "StartingPositionTimestamp": int(time.time()) + 3600,
        },
        "StartingPositionTimestamp cannot be in the future.",
    ),
    ({**ON_QUEUE, **POSITION}, "StartingPosition is not valid for SQS event sources."),
    ({**ON_QUEUE, "ParallelizationFactor": 2}, UNSUPPORTED.format("parallelizationFactor")),
    ({**ON_QUEUE, "BisectBatchOnFunctionError": True}, UNSUPPORTED.format("bisectBatchOnFunctionError")),
    ({**ON_QUEUE, "Topics": ["topic"]}, UNSUPPORTED.format("topics")),
    ({**ON_STREAM, "ScalingConfig": {"MaximumConcurrency": 2}}, UNSUPPORTED.format("scalingConfig")),
    ({**ON_STREAM, "Queues": ["q"]}, UNSUPPORTED.format("queues")),
    (
        {"EventSourceArn": BROKER, "Queues": ["q"], "FunctionResponseTypes": ["ReportBatchItemFailures"]},
        UNSUPPORTED.format("functionResponseTypes"),
    ),
    (
        {**ON_QUEUE, "BatchSize": 11},
        "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
    ),
    (
        {"EventSourceArn": f"{QUEUE}.fifo", "BatchSize": 11},
        "Batch size must be less than or equal to 10 for FIFO queues",
    ),
    (
        {"EventSourceArn": f"{QUEUE}.fifo", "MaximumBatchingWindowInSeconds": 1},
        "Batching window is not supported for FIFO queues",
    ),
    ({**ON_QUEUE, "FilterCriteria": {"Filters": [{"Pattern": "x"}]}}, "Invalid filter pattern definition."),
    (
        {**ON_QUEUE, "FilterCriteria": {"Filters": [{"Pattern": "{}"}] * 6}},
        "Number of filters must be less than or equal to 5.",
    ),
    (
        {**ON_STREAM, "DestinationConfig": {"OnSuccess": {"Destination": QUEUE}}},
        "Unsupported 'destinationConfig' parameter for given event source mapping type.",
    ),
    (
        {**ON_STREAM, "DestinationConfig": {"OnFailure": {"Destination": f"{ARN}g"}}},
        f"The destination ARN {ARN}g is invalid.",
    ),
    (
        {**ON_STREAM, "DestinationConfig": {"OnFailure": {"Destination": "kafka://topic"}}},
        "The destination ARN kafka://topic is invalid.",
    ),
    (
        {**ON_QUEUE, "ProvisionedPollerConfig": {"MinimumPollers": 1}},
        "MinimumPollers must be between 2 and 10000.",
    ),
    (
        {**ON_QUEUE, "ProvisionedPollerConfig": {"MinimumPollers": 5, "MaximumPollers": 4}},
        "MinimumPollers must be less than or equal to MaximumPollers.",
    ),
    (
        {
            **ON_QUEUE,
            "ProvisionedPollerConfig": {"MinimumPollers": 2},
            "ScalingConfig": {"MaximumConcurrency": 2},
        },
        "MaximumConcurrency and ProvisionedPollerConfig cannot be used together.",
    ),
    ({**ON_QUEUE, "Tags": {str(n): "" for n in range(51)}}, "Number of tags exceeds resource tag limit."),
]


@pytest.mark.parametrize(("given", "text"), REFUSED)
def test_refused(make: Any, given: dict[str, Any], text: str) -> None:
    assert refusal(lambda: make(**given)) == ("InvalidParameterValueException", 400, text)
