"""Constraint checks driven by the service model, with the words of AWS's framework.

Pure: shapes in, a function from parameters to violations out, compiled once per operation. One request is refused once,
with every violation: `N validation error(s) detected: Value 'v' at 'path' failed to satisfy constraint: …; …`. Members
come in the model's order, the pattern or enumeration of a member before its length or range, as AWS's answers do;
elements of a list and keys and values of a map are reported at the list or map, all their constraints in brackets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from lambent.aws.java_regex import compile_java
from lambent.aws.models import Shape, Traits
from lambent.model.errors import ServiceError

Overrides = Mapping[str, Mapping[str, Any]]
"""Path (`functionName`, `code.s3Bucket`, `layers.member`, `tags.key`, `tags.value`) → constraints that replace the
model's: `min`, `max`, `pattern`, `enum`, `required`; None lifts one. For members a service checks in its own words."""

Violations = list[str]
Check = Callable[[Any, str, Violations], None]
"""Appends to the violations what is wrong with the value at the path."""

Validator = Callable[[Mapping[str, Any]], Violations]

_PATTERN_MAX_CHARACTERS = 8192
"""A value that is longer than its limit and than this is not matched against its pattern: a cost bound."""

_NOT_NULL = "Member must not be null"
_Test = tuple[Callable[[Any], bool], str]  # "is it wrong?", the constraint's words


def validation_error(violations: Sequence[str], code: str = "ValidationException") -> ServiceError:
    """The one error that lists all violations; `code` as the service calls it. No `Type`."""
    noun = "error" if len(violations) == 1 else "errors"
    message = f"{len(violations)} validation {noun} detected: {'; '.join(violations)}"
    return ServiceError(code, message, status=400, members={"Type": None})


def lower_camel(name: str) -> str:
    """A member's name as AWS's messages write it: only the first letter lowered (`kMSKeyArn`)."""
    return name[:1].lower() + name[1:]


def printed(value: object) -> str:
    """A value as Java's `toString` prints it: `[a, b]`, `{k=v}`, `true`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (bytes, bytearray)):
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(printed(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}={printed(item)}' for key, item in value.items())}}}"
    if isinstance(value, datetime):
        return value.strftime("%a %b %d %H:%M:%S UTC %Y")
    return str(value)


def _violation(value: object, path: str, constraint: str, sensitive: bool = False) -> str:
    text = "" if sensitive else " null" if value is None else f" '{printed(value)}'"
    return f"Value{text} at '{path}' failed to satisfy constraint: {constraint}"


def _number(shape: Shape, limit: float) -> str:
    return str(float(limit)) if shape.type in ("float", "double") else str(limit)


def _longer_than(limit: int) -> Callable[[Any], bool]:
    return lambda value: len(value) > limit


def _shorter_than(limit: int) -> Callable[[Any], bool]:
    return lambda value: len(value) < limit


def _greater_than(limit: float) -> Callable[[Any], bool]:
    return lambda value: value > limit


def _less_than(limit: float) -> Callable[[Any], bool]:
    return lambda value: value < limit


def _size_tests(shape: Shape, traits: Traits) -> list[_Test]:
    lowest, highest = traits.get("min"), traits.get("max")
    tests: list[_Test] = []
    if shape.type in ("string", "list", "map", "blob"):
        if highest is not None:
            tests.append((_longer_than(highest), f"Member must have length less than or equal to {highest}"))
        if lowest is not None:
            tests.append((_shorter_than(lowest), f"Member must have length greater than or equal to {lowest}"))
    elif shape.type in ("integer", "long", "short", "byte", "float", "double"):
        if highest is not None:
            words = f"Member must have value less than or equal to {_number(shape, highest)}"
            tests.append((_greater_than(highest), words))
        if lowest is not None:
            words = f"Member must have value greater than or equal to {_number(shape, lowest)}"
            tests.append((_less_than(lowest), words))
    return tests


def _content_tests(shape: Shape, traits: Traits) -> list[_Test]:
    tests: list[_Test] = []
    pattern, enum = traits.get("pattern"), traits.get("enum")
    if shape.type == "string" and pattern and (compiled := compile_java(pattern)):
        matches = compiled.fullmatch
        longest: int = max(traits.get("max") or 0, _PATTERN_MAX_CHARACTERS)
        bounded = bool(traits.get("max"))

        def mismatches(value: str) -> bool:
            return not (bounded and len(value) > longest) and matches(value) is None

        tests.append((mismatches, f"Member must satisfy regular expression pattern: {pattern}"))
    if enum:
        allowed = frozenset(enum)
        tests.append(
            (lambda value: value not in allowed, f"Member must satisfy enum value set: [{', '.join(map(str, enum))}]")
        )
    return tests


class _Compiler:
    """Compiles the checks of one operation's input."""

    def __init__(self, overrides: Overrides) -> None:
        self._overrides = overrides
        self._open: dict[str, list[Check]] = {}

    def _traits(self, shape: Shape, path: str) -> Traits:
        override = self._overrides.get(path)
        return {**shape.traits, **override} if override else shape.traits

    def check(self, shape: Shape, path: str) -> Check | None:
        """The check of a value of `shape`; None when nothing is constrained. `path` is without indexes."""
        traits = self._traits(shape, path)
        never_short = {**traits, "min": None} if traits.get("min") == 0 and shape.type != "integer" else traits
        tests = _content_tests(shape, traits) + _size_tests(shape, never_short)
        checks: list[Check] = [_tests_check(tests, bool(traits.get("sensitive")))] if tests else []
        if shape.type == "structure" and not shape.is_document:
            inner = self._structure_once(shape, path)
        elif shape.type == "list":
            inner = self._list(shape, path)
        elif shape.type == "map":
            inner = self._map(shape, path)
        else:
            inner = None
        if inner is not None:
            checks.append(inner)
        return _all_of(checks)

    def _structure_once(self, shape: Shape, path: str) -> Check | None:
        """The check of a structure, which may contain itself."""
        if shape.name in self._open:
            later = self._open[shape.name]

            def recurse(value: Any, at: str, violations: Violations) -> None:
                for check in later:
                    check(value, at, violations)

            return recurse
        found: list[Check] = []
        self._open[shape.name] = found
        check = self.structure(shape, path)
        del self._open[shape.name]
        if check is not None:
            found.append(check)
        return check

    def structure(self, shape: Shape, path: str) -> Check | None:
        prefix = f"{path}." if path else ""
        members: list[tuple[str, str, bool, Check | None]] = []
        for name, member in shape.members.items():
            inner_path = prefix + lower_camel(name)
            override = self._overrides.get(inner_path, {})
            required = bool(override.get("required", name in shape.required))
            check = self.check(member, inner_path)
            if required or check is not None:
                members.append((name, lower_camel(name), required, check))
        return _structure_check(members) if members else None

    def _list(self, shape: Shape, path: str) -> Check | None:
        element, inner_path = shape.member, f"{path}.member"
        if element.type in ("structure", "list", "map"):
            inner = self.check(element, inner_path)
            return _elements_check(inner) if inner is not None else None
        sparse = bool(shape.traits.get("sparse"))
        tests, sensitive = self._bracket(element, inner_path), _is_sensitive(shape, element)
        return _aspect_check("Member must satisfy constraint", tests, sparse, list, sensitive)

    def _map(self, shape: Shape, path: str) -> Check | None:
        keys = self._bracket(shape.key, f"{path}.key")
        sensitive = _is_sensitive(shape, shape.key, shape.value)
        checks = [_aspect_check("Map keys must satisfy constraint", keys, False, list, sensitive)]
        if shape.value.type in ("structure", "list", "map"):
            inner = self.check(shape.value, f"{path}.value")
            checks.append(_values_check(inner) if inner is not None else None)
        else:
            values, sparse = self._bracket(shape.value, f"{path}.value"), bool(shape.traits.get("sparse"))
            checks.append(_aspect_check("Map value must satisfy constraint", values, sparse, dict.values, sensitive))
        return _all_of([check for check in checks if check is not None])

    def _bracket(self, shape: Shape, path: str) -> list[_Test]:
        """The tests of a scalar element, in the order AWS prints them within brackets."""
        traits = self._traits(shape, path)
        return _size_tests(shape, traits) + _content_tests(shape, traits)


def _is_sensitive(*shapes: Shape) -> bool:
    return any(shape.traits.get("sensitive") for shape in shapes)


def _all_of(checks: list[Check]) -> Check | None:
    if len(checks) < 2:
        return checks[0] if checks else None

    def check(value: Any, path: str, violations: Violations) -> None:
        for one in checks:
            one(value, path, violations)

    return check


def _tests_check(tests: list[_Test], sensitive: bool) -> Check:
    def check(value: Any, path: str, violations: Violations) -> None:
        for wrong, words in tests:
            if wrong(value):
                violations.append(_violation(value, path, words, sensitive))

    return check


def _structure_check(members: list[tuple[str, str, bool, Check | None]]) -> Check:
    def check(value: Any, path: str, violations: Violations) -> None:
        for name, shown, required, inner in members:
            member = value.get(name)
            if member is None:
                if required:
                    violations.append(_violation(None, f"{path}.{shown}" if path else shown, _NOT_NULL))
            elif inner is not None:
                inner(member, f"{path}.{shown}" if path else shown, violations)

    return check


def _elements_check(inner: Check) -> Check:
    def check(value: Any, path: str, violations: Violations) -> None:
        for index, element in enumerate(value, 1):
            if element is not None:
                inner(element, f"{path}.{index}.member", violations)

    return check


def _values_check(inner: Check) -> Check:
    def check(value: Any, path: str, violations: Violations) -> None:
        for key, element in value.items():
            if element is not None:
                inner(element, f"{path}.{key}.member", violations)

    return check


def _aspect_check(
    aspect: str, tests: list[_Test], sparse: bool, parts: Callable[[Any], Iterable[object]], sensitive: bool
) -> Check | None:
    """Reports a list's elements, or a map's keys or values, once for all of them."""
    if sparse and not tests:
        return None
    words = [constraint for _, constraint in tests] + ([] if sparse else [_NOT_NULL])
    constraint = f"{aspect}: [{', '.join(words)}]"

    def is_wrong(part: object) -> bool:
        return not sparse if part is None else any(wrong(part) for wrong, _ in tests)

    def check(value: Any, path: str, violations: Violations) -> None:
        if any(map(is_wrong, parts(value))):
            violations.append(_violation(value, path, constraint, sensitive))

    return check


def compile_validator(shape: Shape | None, overrides: Overrides) -> Validator | None:
    """A function from an operation's decoded parameters to its violations; None when nothing can be violated."""
    check = _Compiler(overrides).structure(shape, "") if shape is not None else None
    if check is None:
        return None

    def validate(parameters: Mapping[str, Any]) -> Violations:
        violations: Violations = []
        check(parameters, "", violations)
        return violations

    return validate
