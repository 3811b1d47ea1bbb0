"""Running a query: batches of rows go in, the answer comes out. Pure.

Rows go through the commands in order. `stats` and `sort` answer at the end; everything else passes rows on at once, so
that a query which only looks at the latest rows can stop early (`done`). Memory is bounded by the answer: a `sort`
keeps as many rows as the `limit` behind it, `stats` one figure per group (and the numbers, for what needs them all).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from lambent.observability.insights import functions
from lambent.observability.insights.aggregates import Aggregate
from lambent.observability.insights.commands import (
    DEFAULT_LIMIT,
    Command,
    Dedup,
    Fields,
    Filter,
    Limit,
    Parse,
    Sort,
    Stats,
    parse_query,
    required_literals,
)
from lambent.observability.insights.rows import Row, SourceEvent, Timestamp, Value

GROUPS_MAX: Final = 100_000
_POINTER: Final = "@ptr"
_OWN_KEYS: Final = (str, Timestamp, type(None))
"""Values that group by themselves; others by how they are shown, so that 1 and 1.0 are one group."""


class QueryTooLargeError(Exception):
    """The query needs more memory than one may have."""


class _Stage(Protocol):
    def feed(self, rows: list[Row]) -> list[Row]:
        """What can be passed on now."""
        ...

    def finish(self) -> list[Row]:
        """What is passed on when all rows were fed."""
        ...


class QueryRun:
    """One run of a query. `limit` is what the caller asks for besides the query. Raises MalformedQueryError."""

    def __init__(self, text: str, limit: int | None = None) -> None:
        commands = parse_query(text)
        commands.append(Limit(limit or (DEFAULT_LIMIT if not _has_limit(commands) else 10**9)))
        self.literals = tuple(literal.encode() for literal in required_literals(commands) if literal)
        self.matched = 0
        self._columns = _shown(commands)
        self._is_of_events = not any(isinstance(command, Stats) for command in commands)
        self._stages = [_stage(command, commands[number + 1 :]) for number, command in enumerate(commands)]
        self._counted_behind = _last_filter(commands)
        self._rows: list[Row] = []
        self._streams = not any(isinstance(stage, _StatsStage | _SortStage) for stage in self._stages)

    @property
    def done(self) -> bool:
        """Whether more rows would change nothing."""
        return self._streams and any(isinstance(stage, _LimitStage) and stage.left == 0 for stage in self._stages)

    def feed(self, events: Sequence[SourceEvent]) -> None:
        """Take in events, the latest first."""
        self._rows += self._through(0, [Row(event) for event in events])

    def finish(self) -> None:
        """There are no more events."""
        for number, stage in enumerate(self._stages):
            self._rows += self._through(number + 1, stage.finish())

    def results(self) -> list[list[tuple[str, str]]]:
        """The rows of the answer, as they are until now: names and values, `@ptr` last where a row is an event."""
        return [self._result(row) for row in self._rows]

    def _through(self, first: int, rows: list[Row]) -> list[Row]:
        for number in range(first, len(self._stages)):
            if number == self._counted_behind:
                self.matched += len(rows)
            if not rows:
                return []
            rows = self._stages[number].feed(rows)
        return rows

    def _result(self, row: Row) -> list[tuple[str, str]]:
        shown = [(name, row.get(name)) for name in self._columns]
        if self._is_of_events:
            shown.append((_POINTER, row.get(_POINTER)))
        return [(name, functions.text(value)) for name, value in shown if value is not None]


def _has_limit(commands: Sequence[Command]) -> bool:
    return any(isinstance(command, Limit) for command in commands)


def _last_filter(commands: Sequence[Command]) -> int:
    """Behind which command rows count as matched: the filters at the beginning."""
    count = 0
    for number, command in enumerate(commands):
        if isinstance(command, Filter):
            count = number + 1
        elif not isinstance(command, Fields | Parse):
            break
    return count


def _shown(commands: Sequence[Command]) -> list[str]:
    """The columns of the answer."""
    columns: list[str] = []
    for command in commands:
        if isinstance(command, Stats):
            columns = [column.name for column in (*command.by, *command.columns)]
        elif isinstance(command, Fields):
            names = [column.name for column in command.columns]
            columns = names if command.only else [*columns, *names]
        elif isinstance(command, Parse) and columns:
            columns = [*columns, *command.names]
    return list(dict.fromkeys(columns)) or ["@timestamp", "@message"]


def _stage(command: Command, following: Sequence[Command]) -> _Stage:
    match command:
        case Fields():
            return _FieldsStage(command)
        case Filter():
            return _FilterStage(command)
        case Parse():
            return _ParseStage(command)
        case Stats():
            return _StatsStage(command)
        case Sort():
            return _SortStage(command, _kept(following))
        case Limit():
            return _LimitStage(command.rows)
        case Dedup():
            return _DedupStage(command)


def _kept(following: Sequence[Command]) -> int:
    """How many sorted rows can get through to the end."""
    for command in following:
        if isinstance(command, Limit):
            return command.rows
        if not isinstance(command, Fields | Parse):
            break
    return 10**9


class _Streaming:
    def finish(self) -> list[Row]:
        return []


class _FieldsStage(_Streaming):
    def __init__(self, command: Fields) -> None:
        self._columns = [column for column in command.columns if not column.is_field]

    def feed(self, rows: list[Row]) -> list[Row]:
        for row in rows:
            for column in self._columns:
                row.added[column.name] = column.evaluate(row)
        return rows


class _FilterStage(_Streaming):
    def __init__(self, command: Filter) -> None:
        self._test = command.test

    def feed(self, rows: list[Row]) -> list[Row]:
        test = self._test
        return [row for row in rows if test(row)]


class _ParseStage(_Streaming):
    def __init__(self, command: Parse) -> None:
        self._command = command

    def feed(self, rows: list[Row]) -> list[Row]:
        source, search, names = self._command.source, self._command.pattern.search, self._command.names
        for row in rows:
            match = search(functions.text(source(row)))
            if match is not None:
                row.added.update(zip(names, match.groups(), strict=True))
        return rows


class _LimitStage(_Streaming):
    def __init__(self, rows: int) -> None:
        self.left = rows

    def feed(self, rows: list[Row]) -> list[Row]:
        passed = rows[: self.left]
        self.left -= len(passed)
        return passed


class _DedupStage(_Streaming):
    def __init__(self, command: Dedup) -> None:
        self._fields = command.fields
        self._seen: set[tuple[str, ...]] = set()

    def feed(self, rows: list[Row]) -> list[Row]:
        passed = []
        for row in rows:
            values = [evaluate(row) for evaluate in self._fields]
            if None not in values:  # what has no value is not the same as anything
                key = tuple(map(functions.text, values))
                if key in self._seen:
                    continue
                if len(self._seen) >= GROUPS_MAX * 10:
                    raise QueryTooLargeError("dedup has seen too many different values")
                self._seen.add(key)
            passed.append(row)
        return passed


class _SortStage:
    def __init__(self, command: Sort, kept: int) -> None:
        self._keys = command.keys
        self._kept = kept
        self._rows: list[Row] = []

    def feed(self, rows: list[Row]) -> list[Row]:
        self._rows += rows
        if len(self._rows) > 2 * self._kept + 1000:
            self._sort()
        return []

    def finish(self) -> list[Row]:
        self._sort()
        return self._rows

    def _sort(self) -> None:
        for evaluate, descending in reversed(self._keys):  # sorts are stable: the first key is sorted by last
            self._rows.sort(key=lambda row: _sort_key(evaluate(row), descending=descending), reverse=descending)
        del self._rows[self._kept :]


def _sort_key(value: Value, *, descending: bool) -> tuple[Any, ...]:
    """What has no value comes last, whichever way."""
    return (not descending,) if value is None else (descending, *functions.order(value))


class _StatsStage:
    def __init__(self, command: Stats) -> None:
        self._command = command
        self._groups: dict[tuple[Value, ...], tuple[list[Value], list[Aggregate]]] = {}

    def feed(self, rows: list[Row]) -> list[Row]:
        command, groups = self._command, self._groups
        columns = [column.evaluate for column in command.by]
        arguments = [each.argument for each in command.aggregations]
        for row in rows:
            by = [evaluate(row) for evaluate in columns]
            key = tuple([value if isinstance(value, _OWN_KEYS) else functions.text(value) for value in by])
            group = groups.get(key)
            if group is None:
                if len(groups) >= GROUPS_MAX:
                    raise QueryTooLargeError(f"stats has more than {GROUPS_MAX} groups")
                group = groups[key] = by, [each.make() for each in command.aggregations]
            at_ms = row.event.timestamp_ms if row.event is not None else 0
            for argument, aggregate in zip(arguments, group[1], strict=True):
                aggregate.add(argument(row), at_ms)
        return []

    def finish(self) -> list[Row]:
        if not self._groups and not self._command.by:
            self._groups[()] = [], [each.make() for each in self._command.aggregations]
        return [self._row(by, aggregates) for by, aggregates in self._groups.values()]

    def _row(self, by: list[Value], aggregates: list[Aggregate]) -> Row:
        row = Row(None, {column.name: value for column, value in zip(self._command.by, by, strict=True)})
        for each, aggregate in zip(self._command.aggregations, aggregates, strict=True):
            row.added[each.key] = aggregate.result()
        row.added |= {column.name: column.evaluate(row) for column in self._command.columns}
        return row
