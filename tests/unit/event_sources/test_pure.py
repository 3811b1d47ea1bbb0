"""What event sources decide without I/O: records, filters, batches, answers, scaling."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.event_sources.batch_response import failed_items
from lambent.event_sources.batches import Batch, BatchBuilder, Item, encoded
from lambent.event_sources.filters import Filters
from lambent.event_sources.invoking import trace_header_of
from lambent.event_sources.scaling import LIMIT, START, Scaling, scaling_of
from lambent.event_sources.sqs_records import sqs_record

QUEUE = "arn:aws:sqs:eu-west-1:123456789012:orders"


def test_a_record_is_as_awss() -> None:
    message = {
        "MessageId": "m-1",
        "ReceiptHandle": "r-1",
        "Body": "text",
        "MD5OfBody": "d41d8",
        "MD5OfMessageAttributes": "a1",
        "Attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183", "MessageGroupId": "g"},
        "MessageAttributes": {
            "text": {"StringValue": "v", "DataType": "String"},
            "number": {"StringValue": "1", "DataType": "Number.int"},
            "bytes": {"BinaryValue": "AQI=", "DataType": "Binary"},
        },
    }
    lists: dict[str, Any] = {"stringListValues": [], "binaryListValues": []}
    record = sqs_record(message, QUEUE)
    assert record == {
        "messageId": "m-1",
        "receiptHandle": "r-1",
        "body": "text",
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183", "MessageGroupId": "g"},
        "messageAttributes": {
            "text": {"stringValue": "v", **lists, "dataType": "String"},
            "number": {"stringValue": "1", **lists, "dataType": "Number.int"},
            "bytes": {"binaryValue": "AQI=", **lists, "dataType": "Binary"},
        },
        "md5OfMessageAttributes": "a1",
        "md5OfBody": "d41d8",
        "eventSource": "aws:sqs",
        "eventSourceARN": QUEUE,
        "awsRegion": "eu-west-1",
    }
    assert list(record)[-4:] == ["md5OfBody", "eventSource", "eventSourceARN", "awsRegion"]


JSON_BODY = '{"kind": "new", "n": 5}'


@pytest.mark.parametrize(
    ("patterns", "body", "expected"),
    [
        # https://docs.aws.amazon.com/lambda/latest/dg/with-sqs-filtering.html: format of body × format of pattern
        ([{"body": ["plain"]}], "plain", True),
        ([{"body": ["plain"]}], "other", False),
        ([{"body": {"kind": ["new"]}}], "plain", False),
        ([{"body": {"gone": [{"exists": False}]}}], "plain", False),
        ([{"body": [JSON_BODY]}], JSON_BODY, False),
        ([{"body": [{"exists": False}]}], JSON_BODY, False),
        ([{"body": {"kind": ["new"], "n": [{"numeric": [">", 4]}]}}], JSON_BODY, True),
        ([{"body": {"kind": ["old"]}}], JSON_BODY, False),
        ([{"eventSource": ["aws:sqs"]}], JSON_BODY, True),
        ([{"eventSource": ["aws:sqs"]}], "plain", True),
        ([{"attributes": {"ApproximateReceiveCount": ["2"]}}], "plain", False),
        # One of several patterns is enough.
        ([{"body": ["x"]}, {"body": {"kind": ["new"]}}], JSON_BODY, True),
        ([{"body": ["x"]}, {"body": {"kind": ["new"]}}], "x", True),
        ([{"body": ["x"]}, {"body": ["y"]}], "z", False),
        # What is no object or list is plain text.
        ([{"body": ["42"]}], "42", True),
        ([{"body": [{"prefix": "{"}]}], "{not json", True),
        ([{"body": {"kind": ["new"]}}], '[{"kind": "old"}, {"kind": "new"}]', True),
        ([{"body": {"kind": ["new"]}}], "[" * 1000 + "]" * 1000, False),
        ([{"body": {"kind": ["new"]}}], "[" * 100_000, False),
        ([], "anything", True),
        ([{}], "anything", True),
    ],
)  # fmt: skip
def test_filters(patterns: list[object], body: str, expected: bool) -> None:
    criteria = {"Filters": [{"Pattern": json.dumps(pattern)} for pattern in patterns]}
    record = {"body": body, "eventSource": "aws:sqs", "attributes": {"ApproximateReceiveCount": "1"}}
    assert Filters(criteria, "body").pass_(record) is expected
    assert record["body"] == body


def item(number: int, size: int = 10, group: str | None = None) -> Item:
    return Item(f"m{number}", f"r{number}", b'"%s"' % (b"x" * (size - 2)), group)


def test_batches_are_cut_by_number() -> None:
    builder = BatchBuilder(3)
    for number in range(7):
        builder.add(item(number))
    assert builder.is_full
    assert (builder.count, builder.room) == (7, 2)
    assert [[one.id for one in batch.items] for batch in builder.take()] == [
        ["m0", "m1", "m2"], ["m3", "m4", "m5"], ["m6"],
    ]  # fmt: skip
    assert builder.take() == []


@given(sizes=st.lists(st.integers(2, 120), max_size=30), number=st.integers(1, 10))
def test_no_event_is_larger_than_an_invocation_may_be(sizes: list[int], number: int) -> None:
    builder = BatchBuilder(number, max_bytes=150)
    items = [item(at, size) for at, size in enumerate(sizes)]
    for one in items:
        builder.add(one)
    batches = builder.take()
    assert [one for batch in batches for one in batch.items] == items
    for batch in batches:
        assert len(batch.payload) <= 150
        assert 1 <= len(batch.items) <= number
        assert len(json.loads(batch.payload)["Records"]) == len(batch.items)


def test_an_event_is_the_records() -> None:
    records = [{"body": "é"}, {"body": "2"}]
    batch = Batch(tuple(Item(str(n), "r", encoded(record)) for n, record in enumerate(records)))
    assert json.loads(batch.payload) == {"Records": records}


def test_groups_are_left_out() -> None:
    batch = Batch((item(0, group="a"), item(1, group="b"), item(2, group="a")))
    assert [one.id for one in batch.without_groups({"a"}).items] == ["m1"]


IDS = frozenset({"a", "b", "c"})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("", ()),
        ("null", ()),
        ('""', ()),
        ("[]", ()),
        ("{}", ()),
        ('{"batchItemFailures": null}', ()),
        ('{"batchItemFailures": []}', ()),
        ('{"other": 1}', ()),
        ('{"batchItemFailures": [{"itemIdentifier": "b"}]}', ("b",)),
        ('{"batchItemFailures": [{"itemIdentifier": "b"}, {"itemIdentifier": "a", "x": 1}]}', ("a", "b")),
        ('{"batchItemFailures": [{"itemIdentifier": "b"}, {"itemIdentifier": "b"}]}', ("b",)),
        ('{"batchItemFailures": [{"itemIdentifier": ""}]}', IDS),
        ('{"batchItemFailures": [{"itemIdentifier": null}]}', IDS),
        ('{"batchItemFailures": [{"itemIdentifier": 1}]}', IDS),
        ('{"batchItemFailures": [{"itemIdentifier": "z"}]}', IDS),
        ('{"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "z"}]}', IDS),
        ('{"batchItemFailures": [{"id": "a"}]}', IDS),
        ('{"batchItemFailures": ["a"]}', IDS),
        ('{"batchItemFailures": {"itemIdentifier": "a"}}', IDS),
        ('{"batchItemFailures": "a"}', IDS),
        ('"done"', IDS),
        ("[1]", IDS),
        ("5", IDS),
        ("false", IDS),
        ("{", IDS),
    ],
)
def test_partial_failures(answer: str, expected: tuple[str, ...]) -> None:
    assert failed_items(answer.encode(), IDS) == frozenset(expected)


def test_scaling_goes_up_by_its_rate_and_down_again() -> None:
    scaling = Scaling(5, 40)
    now = 1_000.0
    ups = 0
    while scaling.more_wanted(now) == 0.0:
        ups += 1
    assert (ups, scaling.allowed) == (5, 10)
    for _ in range(600):  # a minute, asked ten times a second
        now += 0.1
        scaling.more_wanted(now)
    assert scaling.allowed == 40
    assert scaling.more_wanted(now) is None
    for _ in range(100):
        scaling.found_nothing()
    assert scaling.allowed == 5


def test_scaling_is_300_a_minute() -> None:
    scaling = Scaling(5, 10_000)
    now = 0.0
    while now < 60.0:
        wait = scaling.more_wanted(now)
        assert wait is not None
        now += wait
    assert 295 <= scaling.allowed - 5 <= 310


def test_throttles_halve() -> None:
    scaling = Scaling(5, 100)
    for expected in (2, 1, 1):
        scaling.throttled()
        assert scaling.allowed == expected
    scaling.found_nothing()
    assert scaling.allowed == 1


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    scaling = Scaling(1, 100)
    while scaling.more_wanted(1_000.0) == 0.0:
        pass
    allowed = scaling.allowed
    assert scaling.more_wanted(0.0) != 0.0
    assert scaling.allowed == allowed


@pytest.mark.parametrize(
    ("settings", "start", "limit"),
    [
        ({}, START, LIMIT),
        ({"ScalingConfig": {"MaximumConcurrency": 2}}, 2, 2),
        ({"ScalingConfig": {"MaximumConcurrency": 50}}, 5, 50),
        ({"ProvisionedPollerConfig": {"MinimumPollers": 7, "MaximumPollers": 9}}, 7, 90),
        ({"ProvisionedPollerConfig": {"MinimumPollers": 2}}, 5, 2_000),
    ],
)
def test_what_mappings_ask_for(settings: dict[str, Any], start: int, limit: int) -> None:
    scaling = scaling_of(settings)
    assert (scaling.allowed, scaling.limit) == (start, limit)


def test_the_trace_of_a_batch_is_the_longest_chain() -> None:
    short = "Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=1:aaaaaaaa:0"
    loop = "Root=1-5759e988-bd862e3fe1be46a994272794;Lineage=9:aaaaaaaa:3"
    plain = "Root=1-5759e988-bd862e3fe1be46a994272795"
    assert trace_header_of([None, plain, short, loop]) == loop
    assert trace_header_of([None, plain]) == plain
    assert trace_header_of([None]) is None
