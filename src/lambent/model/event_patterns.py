"""Event patterns: does an event match? One language for event source mappings' filters and EventBridge's rules. Pure.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html. A pattern is an object shaped as the
events it matches: objects lead to fields, and a field's list holds what its value may be, any one of it. All fields of
an object must match; `$or` holds objects of which one must. Where the event has a list, one of its elements must match:
for an object in a pattern, one element all of it.

`{"exists": …}` looks at leaves only, as on AWS: a field that holds an object does not exist; and "does not exist" means
nowhere in the event under that path.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lambent.model.pattern_operators import OPERATOR_NAMES, InvalidPatternError, Test, Value, comparison, exact

DEPTH_MAX: Final = 50

Path = tuple[str, ...]
_Rule = Callable[[Mapping[str, Any], Mapping[str, Any]], bool]
"""The object the rule stands in, and the whole event."""


@dataclass(frozen=True, slots=True)
class EventPattern:
    """A compiled pattern. `source` is its JSON."""

    source: Mapping[str, Any]
    _rule: _Rule

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Whether an event (as JSON was read) matches."""
        return self._rule(event, event)


def parse_pattern(text: str) -> EventPattern:
    """From JSON. Raises InvalidPatternError."""
    try:
        source = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidPatternError(f"Event pattern is not valid. Reason: {error}") from None
    return compile_pattern(source)


def compile_pattern(source: object) -> EventPattern:
    """From what JSON had. Raises InvalidPatternError."""
    if not isinstance(source, dict):
        raise InvalidPatternError("Filter is not an object")
    return EventPattern(source, _branch(source, ()))


def _branch(source: Mapping[str, Any], path: Path) -> _Rule:
    if len(path) > DEPTH_MAX:
        raise InvalidPatternError("Event pattern is nested too deeply")
    rules = [_field(name, value, path) for name, value in source.items()]
    return lambda here, event: all(rule(here, event) for rule in rules)


def _field(name: str, value: object, path: Path) -> _Rule:
    if name == "$or" and _is_alternatives(value):
        return _alternatives(value, path)
    if isinstance(value, dict):
        if not value:
            raise InvalidPatternError("Empty objects are not allowed")
        return _below(name, _branch(value, (*path, name)))
    if not isinstance(value, list):
        raise InvalidPatternError(f'"{name}" must be an object or an array')
    if not value:
        raise InvalidPatternError("Empty arrays are not allowed")
    return _leaf(name, value, (*path, name))


def _is_alternatives(value: object) -> bool:
    """Whether `$or` is the operator, rather than a field of that name."""
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(one, dict) and not (len(one) == 1 and set(one) <= OPERATOR_NAMES) for one in value)
    )


def _alternatives(value: Any, path: Path) -> _Rule:
    rules = [_branch(one, path) for one in value if one or _empty_object()]
    return lambda here, event: any(rule(here, event) for rule in rules)


def _empty_object() -> bool:
    raise InvalidPatternError("Empty objects are not allowed")


def _below(name: str, rule: _Rule) -> _Rule:
    def test(here: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
        found = [one for one in _elements(here.get(name, _NOTHING)) if isinstance(one, dict)]
        # An absent object is looked into as an empty one: what is not to exist below it does not.
        return any(rule(one, event) for one in found or (_NO_FIELDS,))

    return test


def _leaf(name: str, listed: list[Any], path: Path) -> _Rule:
    tests: list[Test] = []
    may_be_absent = False
    for one in listed:
        if not isinstance(one, dict):
            tests.append(exact(one))
            continue
        if len(one) != 1:
            raise InvalidPatternError("Only one key allowed in match expression")
        ((operator, operand),) = one.items()
        if operator != "exists":
            tests.append(comparison(operator, operand))
        elif not isinstance(operand, bool):
            raise InvalidPatternError("exists match pattern must be either true or false.")
        elif operand:
            tests.append(_anything)
        else:
            may_be_absent = True

    def rule(here: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
        for value in _elements(here.get(name, _NOTHING)):
            if not isinstance(value, dict) and any(test(value) for test in tests):
                return True
        return may_be_absent and not _has_leaf(event, path)

    return rule


def _anything(_: Value) -> bool:
    return True


def _has_leaf(value: object, path: Path) -> bool:
    """Whether an event has a value that is no object at a path, in whichever element of its lists."""
    for one in _elements(value):
        if not path:
            if not isinstance(one, dict):
                return True
        elif isinstance(one, dict) and path[0] in one and _has_leaf(one[path[0]], path[1:]):
            return True
    return False


def _elements(value: Any) -> Iterator[Any]:
    """A value, or the elements of a list, lists in it taken apart, however deep they are."""
    if value is _NOTHING:
        return
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += reversed(one)
        else:
            yield one


_NOTHING: Final = object()
_NO_FIELDS: Final[Mapping[str, Any]] = {}
