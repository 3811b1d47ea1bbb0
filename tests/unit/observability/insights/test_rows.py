"""The fields that are discovered in events."""

from __future__ import annotations

import pytest

from lambent.observability.insights.rows import Row, SourceEvent, Value, embedded_json

ID = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
REPORT = (
    f"REPORT RequestId: {ID}\tDuration: 102.25 ms\tBilled Duration: 200 ms\tMemory Size: 128 MB\t"
    "Max Memory Used: 31 MB\tInit Duration: 121.37 ms\t\n"
)


def row(message: str) -> Row:
    return Row(SourceEvent("000000000000:/aws/lambda/f", "stream", 1_556_625_600_123, 1_556_625_600_200, message, 77))


@pytest.mark.parametrize(
    ("message", "name", "value"),
    [
        ("x", "@message", "x"),
        ("x", "@timestamp", 1_556_625_600_123),
        ("x", "@ingestionTime", 1_556_625_600_200),
        ("x", "@logStream", "stream"),
        ("x", "@log", "000000000000:/aws/lambda/f"),
        ("x", "@ptr", "/aws/lambda/f/1556625600123/77"),
        ("x", "@type", None),
        ("x", "@requestId", None),
        (f"START RequestId: {ID} Version: $LATEST\n", "@type", "START"),
        (f"START RequestId: {ID} Version: $LATEST\n", "@requestId", ID),
        (f"END RequestId: {ID}\n", "@type", "END"),
        (REPORT, "@type", "REPORT"),
        (REPORT, "@requestId", ID),
        (REPORT, "@duration", 102.25),
        (REPORT, "@billedDuration", 200),
        (REPORT, "@memorySize", 128_000_000),
        (REPORT, "@maxMemoryUsed", 31_000_000),
        (REPORT, "@initDuration", 121.37),
        (f"REPORT RequestId: {ID}\tDuration: 1.00 ms\t", "@initDuration", None),
        (f"[ERROR]\t2026-11-23T10:00:00.123Z\t{ID}\tno\n", "@requestId", ID),
        (f"2026-11-23T10:00:00.123Z\t{ID}\tINFO\thello\n", "@requestId", ID),
        (f"2026-11-23T10:00:00.123Z {ID} Task timed out after 3.00 seconds\n\n", "@requestId", None),
        (f"RequestId: {ID} Error: Runtime exited", "@requestId", ID),
        ('{"a": 1}', "a", 1),
        ('{"a": {"b": [{"c": "x"}]}}', "a.b.0.c", "x"),
        ('{"a.b": {"c.d": 1}}', "a.b.c.d", 1),
        ('{"a": {"b": 1}}', "a", '{"b":1}'),
        ('{"a": true}', "a", True),
        ('{"a": null}', "a", None),
        ('{"a": [1]}', "a.1", None),
        ('INFO {"a": 1} and {"a": 2}', "a", 1),
        ('{broken {"a": 1}', "a", 1),
        ('{"@a": 1}', "@@a", None),
        ('{"@a": 1}', "@a", None),
        ("[1]", "0", None),
    ],
)
def test_fields(message: str, name: str, value: Value) -> None:
    if name == "@@a":  # a field that begins with an @ is shown with another
        value = 1
    assert row(message).get(name) == value if value is not None else row(message).get(name) is None


def test_all_fields() -> None:
    fields = row('{"a": {"b": [1, "x"]}, "c": null}').discovered()
    assert {name: fields[name] for name in fields if not name.startswith("@")} == {"a.b.0": 1, "a.b.1": "x", "c": None}
    assert fields["@logStream"] == "stream"
    assert row(REPORT).discovered()["@duration"] == 102.25


def test_braces_that_begin_nothing_cost_little() -> None:
    assert embedded_json("{" * 100_000) is None
