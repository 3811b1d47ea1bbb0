"""Commands of a query, as read from its text. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lambent.observability.insights.expressions import Aggregation, Evaluate, Expression, ExpressionReader
from lambent.observability.insights.language import MalformedQueryError, Reader, unquote

LIMIT_MAX: Final = 100_000
DEFAULT_LIMIT: Final = 10_000
_NOT_OFFERED: Final = frozenset(
    {"pattern", "diff", "unmask", "unnest", "anomaly", "filterindex", "source", "lookup", "join", "addtotals"}
)


@dataclass(frozen=True, slots=True)
class Named:
    """A column: its name, and what is in it."""

    name: str
    evaluate: Evaluate
    is_field: bool


@dataclass(frozen=True, slots=True)
class Fields:
    """`fields` (adds columns) or, with `only`, `display` (there are no others)."""

    columns: Sequence[Named]
    only: bool


@dataclass(frozen=True, slots=True)
class Filter:
    """`filter`. `literals`: texts in every message that passes."""

    test: Evaluate
    literals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parse:
    """`parse`: what a match of `pattern` finds in a text becomes fields."""

    source: Evaluate
    pattern: re.Pattern[str]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stats:
    """`stats`: `columns` are computed of the rows of groups that have the same `by`."""

    columns: Sequence[Named]
    by: Sequence[Named]
    aggregations: Sequence[Aggregation]


@dataclass(frozen=True, slots=True)
class Sort:
    """`sort`: what by, and whether the greatest comes first."""

    keys: Sequence[tuple[Evaluate, bool]]


@dataclass(frozen=True, slots=True)
class Limit:
    """`limit`."""

    rows: int


@dataclass(frozen=True, slots=True)
class Dedup:
    """`dedup`: of rows with the same values the first."""

    fields: Sequence[Evaluate]


Command = Fields | Filter | Parse | Stats | Sort | Limit | Dedup


def parse_query(text: str) -> list[Command]:
    """Read a query. Raises MalformedQueryError."""
    reader = Reader(text)
    reader.take_mark("|")
    commands: list[Command] = []
    while True:
        commands.append(_command(reader))
        if reader.peek().kind == "end":
            return commands
        reader.expect_mark("|")


def required_literals(commands: Sequence[Command]) -> tuple[str, ...]:
    """Texts that the messages of all events in the answer contain."""
    found: list[str] = []
    for command in commands:
        if isinstance(command, Filter):
            found += command.literals
        elif isinstance(command, Parse):
            if {"@message", "@type"} & set(command.names):
                break
        elif isinstance(command, Fields):
            if any(column.name in ("@message", "@type") and not column.is_field for column in command.columns):
                break
        elif not isinstance(command, Sort):
            break
    return tuple(found)


def _command(reader: Reader) -> Command:
    token = reader.take()
    match token.word:
        case "fields" | "display":
            return Fields(_columns(reader, []), only=token.word == "display")
        case "filter" | "where":
            expression = ExpressionReader(reader).read()
            return Filter(expression.evaluate, expression.literals)
        case "parse":
            return _parse(reader)
        case "stats":
            return _stats(reader)
        case "sort" | "order":
            reader.take_word("by")
            return _sort(reader)
        case "limit" | "head":
            return _limit(reader)
        case "dedup":
            return Dedup([column.evaluate for column in _columns(reader, None)])
        case word if word in _NOT_OFFERED:
            raise MalformedQueryError(
                f"the command {token.text} is not supported by this version of Lambent", token.start
            )
    raise MalformedQueryError(f"unexpected symbol found '{token.text}': not a command", token.start)


def _columns(reader: Reader, aggregations: list[Aggregation] | None, *, is_stats: bool = False) -> list[Named]:
    columns = [_column(reader, aggregations, is_stats=is_stats)]
    while True:
        token = reader.peek()
        if not reader.take_mark(",") and (token.kind in ("end", "mark") or token.word == "by"):
            return columns
        columns.append(_column(reader, aggregations, is_stats=is_stats))  # commas between columns may be left out


def _column(reader: Reader, aggregations: list[Aggregation] | None, *, is_stats: bool) -> Named:
    expression = ExpressionReader(reader, aggregations).read()
    if aggregations is not None and not is_stats:
        expression = _computed_or(expression)
    if reader.take_word("as"):
        return Named(reader.field_name(), expression.evaluate, is_field=False)
    return Named(_name(expression), expression.evaluate, is_field=expression.field is not None)


def _computed_or(expression: Expression) -> Expression:
    """Behind `stats`, what is written like one of its columns, `count(*)` say, means that column."""
    text, evaluate = expression.text, expression.evaluate
    if expression.field is not None:
        return expression
    return Expression(lambda row: row.added[text] if text in row.added else evaluate(row), text)


def _name(expression: Expression) -> str:
    return expression.field if expression.field is not None else expression.text


def _stats(reader: Reader) -> Stats:
    aggregations: list[Aggregation] = []
    columns = _columns(reader, aggregations, is_stats=True)
    by = _columns(reader, None) if reader.take_word("by") else []
    if not aggregations:
        raise MalformedQueryError("stats needs a function such as count(*)", reader.position)
    return Stats(columns, by, aggregations)


def _sort(reader: Reader) -> Sort:
    keys = []
    while True:
        evaluate = _computed_or(ExpressionReader(reader, []).read()).evaluate
        keys.append((evaluate, reader.take_word("asc", "desc") == "desc"))
        if not reader.take_mark(","):
            return Sort(keys)


def _limit(reader: Reader) -> Limit:
    token = reader.take()
    if token.kind != "number" or not token.text.isdigit() or not 1 <= int(token.text) <= LIMIT_MAX:
        raise MalformedQueryError(f"limit must be a number from 1 to {LIMIT_MAX}", token.start)
    return Limit(int(token.text))


def _parse(reader: Reader) -> Parse:
    source: Evaluate = lambda row: row.get("@message")  # noqa: E731  (unless a field is named)
    pattern = reader.take_regex()
    if pattern is None and reader.peek().kind != "string":
        name = reader.field_name()
        source = lambda row: row.get(name)  # noqa: E731
        pattern = reader.take_regex()
    if pattern is not None:
        return _parse_regex(reader, source, pattern)
    token = reader.take()
    if token.kind != "string":
        raise MalformedQueryError("parse needs a pattern in quotes or between slashes", token.start)
    glob = unquote(token.text)
    names = _names(reader)
    if len(names) != glob.count("*") or not names:
        raise MalformedQueryError(f"parse needs a name for each * of '{glob}'", token.start)
    return Parse(source, _glob(glob), names)


def _parse_regex(reader: Reader, source: Evaluate, pattern: re.Pattern[str]) -> Parse:
    names = _names(reader) if reader.peek().word == "as" else tuple(pattern.groupindex)
    if len(names) != pattern.groups or not names:
        raise MalformedQueryError("the regular expression of parse needs named groups (?<name>...)", reader.position)
    return Parse(source, pattern, names)


def _names(reader: Reader) -> tuple[str, ...]:
    if not reader.take_word("as"):
        raise reader.unexpected()
    names = [reader.field_name()]
    while reader.take_mark(","):
        names.append(reader.field_name())
    return tuple(names)


def _glob(glob: str) -> re.Pattern[str]:
    """Each `*` is as short as what follows allows; the last one, at the end, is all the rest."""
    parts = [re.escape(part) for part in glob.split("*")]
    pattern = "(.*?)".join(parts)
    if not parts[-1]:
        pattern = pattern.removesuffix("(.*?)") + "(.*)"
    return re.compile(pattern, re.DOTALL)
