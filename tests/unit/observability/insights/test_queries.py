"""Queries: AWS's examples, and everyday ones against a plain evaluation of the same rows."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.observability.insights.language import MalformedQueryError
from lambent.observability.insights.pipeline import QueryRun
from lambent.observability.insights.rows import SourceEvent

IDS = [f"0000000{number}-e9f4-11e8-9739-2dfe598c3fcd" for number in range(4)]


def events_of(*messages: str, step_ms: int = 1000) -> list[SourceEvent]:
    """One event a second; the latest first, as they are fed."""
    made = [
        SourceEvent("0:g", f"s{number % 2}", number * step_ms, number * step_ms, message, number)
        for number, message in enumerate(messages)
    ]
    return made[::-1]


def run(query: str, events: list[SourceEvent], *, batch: int = 3, limit: int | None = None) -> list[dict[str, str]]:
    execution = QueryRun(query, limit)
    for at in range(0, len(events), batch):
        execution.feed(events[at : at + batch])
    execution.finish()
    return [{name: value for name, value in row if name != "@ptr"} for row in execution.results()]


def columns(query: str, *messages: str) -> list[dict[str, str]]:
    return run(query, events_of(*messages))


def report(number: int, duration: float, billed: int, memory: int, used: int, init: float | None = None) -> str:
    line = (
        f"REPORT RequestId: {IDS[number % 4]}\tDuration: {duration:.2f} ms\tBilled Duration: {billed} ms\t"
        f"Memory Size: {memory} MB\tMax Memory Used: {used} MB\t"
    )
    return line + (f"Init Duration: {init:.2f} ms\t\n" if init is not None else "\n")


LINES = ["user=ann, method:GET, latency := 12", "user=bob, method:PUT, latency := 30",
         "user=ann, method:GET, latency := 14", "Exception: a\nb", "exception"]  # fmt: skip


USERS = """parse @message "user=*, method:*, latency := *" as @user, @method, @latency
    | stats avg(@latency) by @method, @user | sort @user"""


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("fields @message | filter @message like /Exception/", [{"@message": LINES[3]}]),
        ("fields @message | filter @message =~ /Exception/", [{"@message": LINES[3]}]),
        ('fields @message | filter @message like "Exception"', [{"@message": LINES[3]}]),
        ("fields @message | filter @message like /(?i)Exception/", [{"@message": LINES[4]}, {"@message": LINES[3]}]),
        ("fields @message | filter @message =~ /^(?i)Exception$/", [{"@message": LINES[4]}]),
        ("filter @message not like 'user'", [
            {"@timestamp": "1970-01-01 00:00:04.000", "@message": LINES[4]},
            {"@timestamp": "1970-01-01 00:00:03.000", "@message": LINES[3]},
        ]),
        (USERS,
         [{"@method": "GET", "@user": "ann", "avg(@latency)": "13"},
          {"@method": "PUT", "@user": "bob", "avg(@latency)": "30"}, {}]),
        (r"parse @message /user=(?<who>\w+), method:(?<how>[A-Z]+)/ | filter ispresent(who) | display who, how",
         [{"who": "ann", "how": "GET"}, {"who": "bob", "how": "PUT"}, {"who": "ann", "how": "GET"}]),
        ("fields @timestamp | sort @timestamp asc | limit 1", [{"@timestamp": "1970-01-01 00:00:00.000"}]),
        ("stats count(*)", [{"count(*)": "5"}]),
        ("stats count(*) as n by @logStream | sort n desc", [{"@logStream": "s0", "n": "3"},
                                                            {"@logStream": "s1", "n": "2"}]),
        ("stats count() by bin(2s)", [{"bin(2s)": "1970-01-01 00:00:04.000", "count()": "1"},
                                      {"bin(2s)": "1970-01-01 00:00:02.000", "count()": "2"},
                                      {"bin(2s)": "1970-01-01 00:00:00.000", "count()": "2"}]),
        ("stats count(*) by bin(2s) | sort count(*) desc, bin(2s) asc | limit 1",
         [{"bin(2s)": "1970-01-01 00:00:00.000", "count(*)": "2"}]),
        ('parse @message "user=*," as user | dedup user | filter ispresent(user) | display user',
         [{"user": "ann"}, {"user": "bob"}]),
        ("fields strlen(@message) as n | sort n desc | limit 2 | display n", [{"n": "35"}, {"n": "35"}]),
        ("# a comment\nfields @logStream // and one more\n| limit 1", [{"@logStream": "s0"}]),
        ("filter @logStream in ['s1', \"s3\"] and not (@message like 'bob') | display @message",
         [{"@message": LINES[3]}]),
        ("filter @timestamp < 1000 | display @logStream", [{"@logStream": "s0"}]),
        ("stats min(@timestamp), max(@timestamp), earliest(@logStream), latest(@message)",
         [{"min(@timestamp)": "1970-01-01 00:00:00.000", "max(@timestamp)": "1970-01-01 00:00:04.000",
           "earliest(@logStream)": "s0", "latest(@message)": "exception"}]),
        ("stats count(*) / 2 as half, count_distinct(@logStream) as streams", [{"half": "2.5", "streams": "2"}]),
        ("stats sum(nothing) as s, count(nothing) as c", [{"c": "0"}]),
    ],
)  # fmt: skip
def test_everyday_queries(query: str, expected: list[dict[str, str]]) -> None:
    assert columns(query, *LINES) == expected


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("2 ^ 3 ^ 2", "512"),
        ("10 % 3", "1"),
        ("-a + 1", "-4"),
        ("7 / 2", "3.5"),
        ("1 / 0", None),
        ("a - b", "2.5"),
        ("abs(b - a)", "2.5"),
        ("ceil(b)", "3"),
        ("floor(b)", "2"),
        ("greatest(1, a, b)", "5"),
        ("least(1, a, b)", "1"),
        ("sqrt(16)", "4"),
        ("log(1)", "0"),
        ("sqrt(-1)", None),
        ("a + text", None),
        ("coalesce(nothing, text)", "  xyZfooxyZ "),
        ("concat(a, '-', b)", "5-2.5"),
        ("trim(text)", "xyZfooxyZ"),
        ('ltrim("xyZfooxyZ", "xyZ")', "fooxyZ"),
        ('rtrim("xyZfooxyZ", "xyZ")', "xyZfoo"),
        ('trim("xyZfooxyZ", "xyZ")', "foo"),
        ('substr("xyZfooxyZ", 3, 3)', "foo"),
        ('substr("xyZfooxyZ", 3)', "fooxyZ"),
        ('replace("foo", "o", "0")', "f00"),
        ('strcontains("foo", "oo")', "1"),
        ('toupper("é")', "É"),
        ('tolower("AB")', "ab"),
        ('strlen("größe")', "5"),
        ("ispresent(a)", "1"),
        ("ispresent(nothing)", "0"),
        ("isempty(nothing)", "1"),
        ("isblank('  ')", "1"),
        ("if(a > 4, 'big', 'small')", "big"),
        ("a = 5 and b < 3", "1"),
        ("a = '5.0'", "1"),
        ("text = 'no' or not a != 5", "1"),
        ("nothing = 1", "0"),
        ("nothing != 1", "0"),
        ("datefloor(@timestamp, 1h)", "1970-01-01 01:00:00.000"),
        ("dateceil(@timestamp, 1h)", "1970-01-01 02:00:00.000"),
        ("bin(1d)", "1970-01-01 00:00:00.000"),
        ("toMillis(@timestamp)", "3661001"),
        ("fromMillis(1)", "1970-01-01 00:00:00.001"),
        ("isIpInSubnet('10.1.2.3', '10.0.0.0/8')", "1"),
        ("isValidIpv6('::1')", "1"),
        ("`with space`", "7"),
        ("o.list.1", "8"),
    ],
)
def test_expressions(expression: str, shown: str | None) -> None:
    document = {"a": 5, "b": "2.5", "text": "  xyZfooxyZ ", "with space": 7, "o": {"list": [1, 8]}}
    event = SourceEvent("0:g", "s", 3_661_001, 0, json.dumps(document), 0)
    [row] = run(f"fields {expression} as x | display x", [event])
    assert row.get("x") == shown


def test_the_examples_for_lambda() -> None:
    messages = [report(0, 10.5, 11, 128, 40, 90.1), report(1, 200, 200, 1024, 90), report(2, 30, 30, 256, 50), "text"]
    recent = """filter @type = "REPORT"
        | fields @timestamp, @requestId, @duration, @billedDuration, @memorySize / 1000000 as memoryMB
        | sort @timestamp desc | limit 2"""
    assert [row["@requestId"] for row in columns(recent, *messages)] == [IDS[2], IDS[1]]
    expensive = """filter @type = "REPORT"
        | fields @requestId, @billedDuration / 1000 * @memorySize / 1024000000 as gbSeconds
        | sort gbSeconds desc | limit 1"""
    assert columns(expensive, *messages) == [{"@requestId": IDS[1], "gbSeconds": "0.2"}]
    overprovisioned = """filter @type = "REPORT"
        | stats max(@memorySize / 1000 / 1000) as provisionedMemoryMB, min(@maxMemoryUsed / 1000 / 1000) as smallest,
            provisionedMemoryMB - smallest as over"""
    [row] = columns(overprovisioned, *messages)
    assert (row["provisionedMemoryMB"], row["smallest"]) == ("1024", "40")
    cold = 'filter @type="REPORT" and ispresent(@initDuration) | stats count(*) as cold, pct(@initDuration, 50) as p50'
    assert columns(cold, *messages) == [{"cold": "1", "p50": "90.1"}]


def test_only_events_have_pointers() -> None:
    execution = QueryRun("fields @message | limit 1")
    execution.feed(events_of("a", "b"))
    assert execution.done
    assert execution.results() == [[("@message", "b"), ("@ptr", "g/1000/1")]]


@pytest.mark.parametrize(
    ("query", "literals"),
    [
        ('filter @type = "REPORT"', (b"REPORT",)),
        ("filter @message like /timed out/ and a > 1", (b"timed out",)),
        ('fields a | parse @message "*" as b | filter @message like "x" | filter @type = "END"', (b"x", b"END")),
        ("filter @message like /a.c/", ()),
        ("filter @message like /(?i)abc/", ()),
        ("filter @message like 'a' or @message like 'b'", ()),
        ("filter not @message like 'a'", ()),
        ("filter @message not like 'a'", ()),
        ("stats count(*) by @message | filter @message like 'a'", ()),
        ("fields 'a' as @message | filter @message like 'a'", ()),
        ("limit 5 | filter @message like 'a'", ()),
    ],
)
def test_what_lets_blocks_be_left_out(query: str, literals: tuple[bytes, ...]) -> None:
    assert QueryRun(query).literals == literals


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "not a command"),
        ("fields", "unexpected symbol"),
        ("fields a |", "not a command"),
        ("filter a =", "unexpected symbol"),
        ("filter (a = 1", "unexpected symbol"),
        ("stats a", "stats needs a function"),
        ("filter count(*) > 1", "only in stats"),
        ("stats avg(sum(a))", "only in stats"),
        ("fields nofunction(a)", "unknown function"),
        ("fields abs()", "wrong number of arguments"),
        ("stats pct(a)", "wrong number of arguments"),
        ("stats pct(a, 101)", "percentage"),
        ("stats count(*) by bin(5)", "no period"),
        ("limit 0", "limit must be"),
        ("limit 1000000", "limit must be"),
        ('parse @message "a * b"', "unexpected"),
        ('parse @message "a * b" as x, y', "a name for each *"),
        ("parse @message /(a)/", "named groups"),
        ("parse @message /(?<a>[/", "invalid regular expression"),
        ("filter a like /[/", "invalid regular expression"),
        ("pattern @message", "not supported"),
        ("fields " + "(" * 500 + "a" + ")" * 500, "nested too deeply"),
        ("fields a; fields b", "unexpected symbol found ;"),
    ],
)
def test_what_is_no_query(query: str, words: str) -> None:
    with pytest.raises(MalformedQueryError) as caught:
        QueryRun(query)
    assert words in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for query in (text, "fields " + text, "filter " + text, "stats " + text):
        try:
            QueryRun(query)
        except MalformedQueryError:
            continue


DOCUMENTS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "n": st.integers(-50, 50) | st.floats(-50, 50).map(lambda x: round(x, 2)),
            "k": st.sampled_from(["a", "b", "c"]),
            "t": st.text("xyz", max_size=3),
        },
    ),
    max_size=40,
)


def shown(value: Any) -> str:
    """A number as the answer shows it."""
    return str(int(value)) if float(value).is_integer() else f"{value:.10g}"


@settings(max_examples=60)
@given(DOCUMENTS, st.integers(1, 7), st.integers(1, 12))
def test_everyday_queries_against_a_plain_evaluation(documents: list[dict[str, Any]], batch: int, limit: int) -> None:
    events = events_of(*map(json.dumps, documents))
    latest = documents[::-1]

    def answer(query: str) -> list[dict[str, str]]:
        return run(query, events, batch=batch)

    big = [d for d in latest if d.get("n", -99) > 0 and d.get("k") != "a" and "k" in d]
    assert (
        answer(f"filter n > 0 and k != 'a' | display n | limit {limit}") == [{"n": shown(d["n"])} for d in big][:limit]
    )

    ordered = sorted((d for d in latest if "n" in d), key=lambda d: -d["n"]) + [d for d in latest if "n" not in d]
    expected = [{"n": shown(d["n"])} if "n" in d else {} for d in ordered][:limit]
    assert answer(f"display n | sort n desc | limit {limit}") == expected

    groups: dict[Any, list[Any]] = defaultdict(list)
    for document in latest:
        groups[document.get("k")].append(document.get("n"))
    got = answer("stats count(*) as c, count(n) as cn, sum(n) as s, avg(n) as a, min(n) as lo, max(n) as hi, "
                 "pct(n, 50) as p, count_distinct(n) as d by k")  # fmt: skip
    assert {row.get("k"): row["c"] for row in got} == {key: str(len(values)) for key, values in groups.items()}
    for row in got:
        numbers = [value for value in groups[row.get("k")] if value is not None]
        assert row["cn"] == str(len(numbers))
        if not numbers:
            assert set(row) - {"k"} == {"c", "cn", "d"}
            continue
        assert float(row["s"]) == pytest.approx(sum(numbers), abs=1e-6)
        assert float(row["a"]) == pytest.approx(statistics.fmean(numbers), abs=1e-6)
        assert (float(row["lo"]), float(row["hi"])) == pytest.approx((min(numbers), max(numbers)))
        assert float(row["p"]) == pytest.approx(statistics.median(numbers), abs=1e-6)
        assert row["d"] == str(len({shown(number) for number in numbers}))

    kept: list[dict[str, Any]] = []
    for document in latest:
        if "k" not in document or document["k"] not in {known.get("k") for known in kept}:
            kept.append(document)
    assert answer("dedup k | display k") == [{"k": d["k"]} if "k" in d else {} for d in kept]

    buckets: dict[int, int] = defaultdict(int)
    for number in range(len(documents)):
        buckets[number // 5 * 5] += 1
    assert [row["c"] for row in answer("stats count(*) as c by bin(5s) as b | sort b asc")] == [
        str(count) for _, count in sorted(buckets.items())
    ]
