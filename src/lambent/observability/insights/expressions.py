"""Expressions of queries: read once, evaluated for every row. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from lambent.observability.insights import functions
from lambent.observability.insights.aggregates import AGGREGATES, PERCENTILES, Aggregate, Percentile
from lambent.observability.insights.functions import FUNCTIONS, PERIODS_MS
from lambent.observability.insights.language import MalformedQueryError, Reader, Token, unquote
from lambent.observability.insights.rows import Row, Value

_COMPARISONS: Final = frozenset({"=", "!=", "<", "<=", ">", ">="})
_DEPTH_MAX: Final = 60
_SPECIAL: Final = re.compile(r"[\\.^$*+?{}\[\]|()]")

Evaluate = Callable[[Row], Value]


@dataclass(frozen=True, slots=True)
class Expression:
    """`text` is how it was written, which is its name when it has no other; `field` is set if it is just a field.

    `literals`: texts that the message of an event must contain for it to be true (one of an `and` suffices to say so).
    """

    evaluate: Evaluate
    text: str
    field: str | None = None
    literals: tuple[str, ...] = ()
    constant: Value = None


@dataclass(slots=True)
class Aggregation:
    """An aggregate function in `stats`: what it is fed, and under which name its result is found in the group's row."""

    make: Callable[[], Aggregate]
    argument: Evaluate
    key: str


@dataclass(slots=True)
class ExpressionReader:
    """Reads expressions; `aggregations` collects those of a `stats` command, None where there may be none."""

    reader: Reader
    aggregations: list[Aggregation] | None = None
    _depth: int = field(default=0)

    def read(self) -> Expression:
        """An expression, which must come."""
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise MalformedQueryError("nested too deeply", self.reader.position)
        start = self.reader.peek().start
        expression = self._or()
        self._depth -= 1
        return Expression(
            expression.evaluate, self.reader.since(start), expression.field, expression.literals, expression.constant
        )

    # From what binds least to what binds most

    def _or(self) -> Expression:
        left = self._and()
        while self.reader.take_word("or"):
            left = _either(left, self._and())
        return left

    def _and(self) -> Expression:
        left = self._not()
        while self.reader.take_word("and"):
            left = _both(left, self._not())
        return left

    def _not(self) -> Expression:
        negations = 0
        while self.reader.take_word("not"):
            negations += 1
        inner = self._comparison()
        if not negations:
            return inner
        evaluate, odd = inner.evaluate, negations % 2 == 1
        return Expression(lambda row: functions.truth(evaluate(row)) is not odd, "")

    def _comparison(self) -> Expression:
        left = self._sum()
        token = self.reader.peek()
        if token.kind == "mark" and token.text in _COMPARISONS:
            operator = self.reader.take().text
            return _comparison(operator, left, self._sum())
        if self.reader.take_mark("=~"):
            return self._like(left)
        negated = token.word == "not"
        if negated:
            self.reader.take()
        word = self.reader.take_word("like", "in")
        if word is None:
            if negated:
                raise self.reader.unexpected()
            return left
        test = self._like(left) if word == "like" else self._in(left)
        evaluate = test.evaluate
        return Expression(lambda row: not evaluate(row), "") if negated else test

    def _like(self, left: Expression) -> Expression:
        value, regex = left.evaluate, self.reader.take_regex()
        if regex is not None:
            search = regex.search
            plain = _SPECIAL.search(regex.pattern) is None and not regex.flags & re.IGNORECASE
            literals = (regex.pattern,) if left.field == "@message" and plain else ()
            return Expression(lambda row: search(functions.text(value(row))) is not None, "", literals=literals)
        right = self._sum()
        wanted, part = right.evaluate, right.constant
        literals = (part,) if left.field == "@message" and isinstance(part, str) else ()
        return Expression(lambda row: functions.text(wanted(row)) in functions.text(value(row)), "", literals=literals)

    def _in(self, left: Expression) -> Expression:
        self.reader.expect_mark("[")
        choices = [self._sum().evaluate]
        while self.reader.take_mark(","):
            choices.append(self._sum().evaluate)
        self.reader.expect_mark("]")
        value = left.evaluate
        return Expression(lambda row: any(functions.compare("=", value(row), choice(row)) for choice in choices), "")

    def _sum(self) -> Expression:
        left = self._product()
        while (token := self.reader.peek()).kind == "mark" and token.text in "+-":
            left = _arithmetic(self.reader.take().text, left, self._product())
        return left

    def _product(self) -> Expression:
        left = self._power()
        while (token := self.reader.peek()).kind == "mark" and token.text in "*/%":
            left = _arithmetic(self.reader.take().text, left, self._power())
        return left

    def _power(self) -> Expression:
        left = self._atom()
        if self.reader.take_mark("^"):
            return _arithmetic("^", left, self._power())
        return left

    def _atom(self) -> Expression:
        token = self.reader.take()
        if token.kind == "mark" and token.text == "(":
            inner = self.read()
            self.reader.expect_mark(")")
            return inner
        if token.kind == "mark" and token.text == "-":
            return _arithmetic("-", _constant(0), self._atom())
        if token.kind == "number":
            value = float(token.text)
            return _constant(int(value) if value.is_integer() and abs(value) < 1e15 else value)
        if token.kind == "string":
            return _constant(unquote(token.text))
        if token.kind == "quoted":
            return _field(token.text[1:-1])
        if token.kind == "name":
            after = self.reader.peek()
            if after.kind == "mark" and after.text == "(" and not token.text.startswith("@"):
                return self._call(token)
            return _field(token.text)
        raise MalformedQueryError(f"unexpected symbol found '{token.text}'", token.start)

    # Functions

    def _call(self, name: Token) -> Expression:
        self.reader.expect_mark("(")
        word = name.text.lower()
        if word in ("bin", "datefloor", "dateceil"):
            return self._time(word)
        if word in AGGREGATES or word in PERCENTILES:
            return self._aggregate(word, name)
        if word not in FUNCTIONS:
            raise MalformedQueryError(f"unknown function {name.text}", name.start)
        least, most, function = FUNCTIONS[word]
        arguments = self._arguments()
        if not least <= len(arguments) <= most:
            raise MalformedQueryError(f"wrong number of arguments for {name.text}", name.start)
        evaluates = [argument.evaluate for argument in arguments]
        return Expression(lambda row: function([evaluate(row) for evaluate in evaluates]), "")

    def _arguments(self) -> list[Expression]:
        if self.reader.take_mark(")"):
            return []
        arguments = [self.read()]
        while self.reader.take_mark(","):
            arguments.append(self.read())
        self.reader.expect_mark(")")
        return arguments

    def _time(self, word: str) -> Expression:
        value: Evaluate = lambda row: row.get("@timestamp")  # noqa: E731  (replaced below)
        if word != "bin":
            value = self.read().evaluate
            self.reader.expect_mark(",")
        period_ms = self._period()
        self.reader.expect_mark(")")
        if word == "dateceil":
            return Expression(lambda row: functions.ceil_to(value(row), period_ms), "")
        return Expression(lambda row: functions.floor_to(value(row), period_ms), "")

    def _period(self) -> int:
        token = self.reader.take()
        match = re.fullmatch(r"(\d+)([a-z]+)", token.text)
        if token.kind != "duration" or match is None or match[2] not in PERIODS_MS or not int(match[1]):
            raise MalformedQueryError(f"'{token.text}' is no period such as 30s, 5m, 1h or 1d", token.start)
        return int(match[1]) * PERIODS_MS[match[2]]

    def _aggregate(self, word: str, name: Token) -> Expression:
        aggregations, self.aggregations = self.aggregations, None  # none within another
        if aggregations is None:
            raise MalformedQueryError(f"{name.text} can be used only in stats", name.start)
        if word == "count" and self.reader.take_mark("*"):
            self.reader.expect_mark(")")
            arguments = []
        else:
            arguments = self._arguments()
        self.aggregations = aggregations
        wanted = 2 if word in PERCENTILES else 1
        if len(arguments) != wanted and not (word == "count" and not arguments):
            raise MalformedQueryError(f"wrong number of arguments for {name.text}", name.start)
        make: Callable[[], Aggregate]
        if word in PERCENTILES:
            percent = functions.number(arguments[1].constant)
            if percent is None or not 0 <= percent <= 100:
                raise MalformedQueryError(f"{name.text} needs a percentage from 0 to 100", name.start)
            make = lambda: Percentile(float(percent))  # noqa: E731
        else:
            make = AGGREGATES[word]
        key = f"\0{len(aggregations)}"
        aggregations.append(Aggregation(make, arguments[0].evaluate if arguments else lambda row: 1, key))
        return Expression(lambda row: row.added.get(key), "")


def _constant(value: Value) -> Expression:
    return Expression(lambda row: value, "", constant=value)


def _field(name: str) -> Expression:
    return Expression(lambda row: row.get(name), "", field=name)


def _both(left: Expression, right: Expression) -> Expression:
    a, b = left.evaluate, right.evaluate
    return Expression(
        lambda row: functions.truth(a(row)) and functions.truth(b(row)), "", literals=left.literals + right.literals
    )


def _either(left: Expression, right: Expression) -> Expression:
    a, b = left.evaluate, right.evaluate
    return Expression(lambda row: functions.truth(a(row)) or functions.truth(b(row)), "")


def _is_text(evaluate: Evaluate, wanted: str) -> Evaluate:
    """Whether something is a text that is no number. (What is not there is not the empty text either.)"""
    if not wanted:
        return lambda row: evaluate(row) == ""
    return lambda row: functions.text(evaluate(row)) == wanted


def _comparison(operator: str, left: Expression, right: Expression) -> Expression:
    a, b = left.evaluate, right.evaluate
    literals: tuple[str, ...] = ()
    if operator == "=" and left.field == "@type" and isinstance(right.constant, str):
        literals = (right.constant,)  # a line that is of type REPORT says so
    if operator == "=" and isinstance(right.constant, str) and functions.number(right.constant) is None:
        wanted = right.constant
        return Expression(
            lambda row: functions.text(a(row)) == wanted if wanted else a(row) == "", "", literals=literals
        )
    return Expression(lambda row: functions.compare(operator, a(row), b(row)), "", literals=literals)


def _arithmetic(operator: str, left: Expression, right: Expression) -> Expression:
    a, b = left.evaluate, right.evaluate
    return Expression(lambda row: functions.calculate(operator, a(row), b(row)), "")
