"""Values in policies: wildcards and policy variables. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html,
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html

What a variable is replaced by is taken literally: a user called `*` gains nothing. A variable without a value (its key
is absent or has several values, and there is no default) makes a value that equals nothing and is like nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

Keys = Mapping[str, tuple[str, ...]]
"""The condition keys of a request: name in lower case → its values. An empty tuple counts as absent."""

_VARIABLE = re.compile(r"\$\{(?:(?P<special>[*?$])|\s*(?P<name>[^\s,}{']+)\s*(?:,\s*'(?P<default>[^']*)'\s*)?)\}")
_ARN_RESOURCE_COLON: Final = 5  # colons before the resource part of an ARN


class Style(Enum):
    """Where wildcards reach."""

    TEXT = "over everything"
    RESOURCE = "within a part of the ARN; over all that follows at the very end, and within the resource part"
    ARN = "within a part of the ARN; over everything within the resource part"


@dataclass(frozen=True, slots=True)
class _Literal:
    """Text in which wildcards are ordinary characters."""

    text: str


@dataclass(frozen=True, slots=True)
class _Variable:
    """`name` in lower case."""

    name: str
    default: str | None


_Part = str | _Literal | _Variable  # str: text in which wildcards count


class Template:
    """A value of a policy: a resource, or what a condition compares with."""

    __slots__ = ("_parts", "_regexes", "source", "variables")

    def __init__(self, source: str, *, with_variables: bool = True) -> None:
        """`with_variables`: whether `${…}` means something (it does from policy version 2012-10-17 on)."""
        self.source = source
        self._parts = tuple(_parse(source)) if with_variables else (source,)
        self.variables = frozenset(part.name for part in self._parts if isinstance(part, _Variable))
        self._regexes: dict[Style, re.Pattern[str]] = {}

    def __repr__(self) -> str:
        return f"Template({self.source!r})"

    def text(self, keys: Keys) -> str | None:
        """The value with variables replaced and wildcards taken as they stand; None when a variable has no value."""
        resolved = self._resolve(keys)
        if resolved is None:
            return None
        return "".join(part.text if isinstance(part, _Literal) else part for part in resolved)

    def matches(self, value: str, keys: Keys, style: Style) -> bool:
        """Whether a value is like this one."""
        regex = self._regexes.get(style)
        if regex is None:
            resolved = self._resolve(keys)
            if resolved is None:
                return False
            regex = re.compile(_regex(resolved, style), re.DOTALL)
            if not self.variables:
                self._regexes[style] = regex
        return regex.fullmatch(value) is not None

    def _resolve(self, keys: Keys) -> list[str | _Literal] | None:
        resolved: list[str | _Literal] = []
        for part in self._parts:
            if not isinstance(part, _Variable):
                resolved.append(part)
                continue
            values = keys.get(part.name, ())
            value = values[0] if len(values) == 1 else part.default
            if value is None:
                return None
            resolved.append(_Literal(value))
        return resolved


def action_regex(pattern: str) -> re.Pattern[str]:
    """What an Action pattern matches. Actions are alike whatever their case; here all are in lower case."""
    return re.compile(_regex([pattern.lower()], Style.TEXT), re.DOTALL)


def _parse(source: str) -> list[_Part]:
    parts: list[_Part] = []
    end = 0
    for match in _VARIABLE.finditer(source):
        parts.append(source[end : match.start()])
        special = match["special"]
        parts.append(_Literal(special) if special else _Variable(match["name"].lower(), match["default"]))
        end = match.end()
    parts.append(source[end:])
    return [part for part in parts if part != ""]


def _regex(parts: list[str | _Literal], style: Style) -> str:
    """A regular expression that takes time linear in the value for each wildcard, however many there are.

    What stands between two wildcards is found as early as possible and for good (an atomic group): a later place would
    never serve the rest better.
    """
    colons = 0
    stars: list[str] = []
    chunks: list[str] = [""]
    for number, part in enumerate(parts):
        if isinstance(part, _Literal):
            chunks[-1] += re.escape(part.text)
            continue
        for position, character in enumerate(part):
            at_end = number == len(parts) - 1 and position == len(part) - 1
            within = style is not Style.TEXT and colons < _ARN_RESOURCE_COLON
            colons += character == ":"
            if character == "*":
                stars.append("[^:]*" if within and not (at_end and style is Style.RESOURCE) else ".*")
                chunks.append("")
            else:
                chunks[-1] += ("[^:]" if within else ".") if character == "?" else re.escape(character)
    found = [f"(?>{star}?{chunk})" for star, chunk in zip(stars[:-1], chunks[1:-1], strict=True)]
    last = [stars[-1] + chunks[-1]] if stars else []
    return "".join([chunks[0], *found, *last])


Matcher = Callable[[str, Template, Keys], bool]
"""Value of the request, value of the policy, the request's keys → whether they match."""
