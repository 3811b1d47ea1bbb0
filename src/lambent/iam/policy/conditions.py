"""Conditions: every operator, with IfExists, ForAnyValue, ForAllValues, and Null. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html,
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html

Of a condition's values one must match (OR); for the negated operators none may (NOR). A key that is absent from the
request fails the former and passes the latter. Where a key has several values and the operator no set prefix, the
former asks for one value that matches, the latter for none.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, Final

from lambent.iam.policy.templates import Keys, Matcher, Style, Template

_OPERATOR = re.compile(r"(?:(?P<set>forallvalues|foranyvalue):)?(?P<name>[a-z]+?)(?P<if_exists>ifexists)?")


class ConditionError(Exception):
    """A condition block that is none."""


class Quantifier(Enum):
    """How many of a key's values an operator asks about."""

    SINGLE = ""
    ANY = "ForAnyValue"
    ALL = "ForAllValues"


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key. `key` in lower case; `matches` is None for the operator Null."""

    operator: str
    key: str
    values: tuple[Template, ...]
    matches: Matcher | None
    negated: bool
    if_exists: bool
    quantifier: Quantifier

    def holds(self, keys: Keys) -> bool:
        """Whether a request with those keys fulfils it."""
        present = keys.get(self.key, ())
        if self.matches is None:
            wanted = "false" if present else "true"
            return any((value.text(keys) or "").lower() == wanted for value in self.values)
        if not present:
            return self._holds_without()
        matched = (self._matches_one(value, keys) for value in present)
        match self.quantifier:
            case Quantifier.ALL:
                return not any(matched) if self.negated else all(matched)
            case Quantifier.ANY:
                return not all(matched) if self.negated else any(matched)
            case _:
                return any(matched) is not self.negated

    def _holds_without(self) -> bool:
        if self.if_exists or self.quantifier is Quantifier.ALL:
            return True
        return self.negated and self.quantifier is Quantifier.SINGLE

    def _matches_one(self, value: str, keys: Keys) -> bool:
        matches = self.matches
        return matches is not None and any(matches(value, template, keys) for template in self.values)

    @property
    def context_keys(self) -> frozenset[str]:
        """The keys it looks at, those of its variables too."""
        return frozenset({self.key}).union(*(value.variables for value in self.values))


def parse_conditions(block: object, *, with_variables: bool) -> tuple[Condition, ...]:
    """The conditions of a Condition block. Raises ConditionError."""
    if not isinstance(block, Mapping):
        raise ConditionError("a Condition must be an object")
    conditions: list[Condition] = []
    for name, tests in block.items():
        if not isinstance(tests, Mapping):
            raise ConditionError(f"{name} must be an object")
        for key, values in tests.items():
            conditions.append(_condition(name, key, _texts(name, values), with_variables))
    return tuple(conditions)


def _condition(name: str, key: str, values: Iterable[str], with_variables: bool) -> Condition:
    match = _OPERATOR.fullmatch(name.lower())
    if match is None:
        raise ConditionError(f"{name} is not a condition operator")
    known, quantifier = match["name"], _QUANTIFIERS[match["set"]]
    if known == "null":
        if match["if_exists"]:
            raise ConditionError("Null cannot have IfExists")
        return Condition(name, key.lower(), _templates(values, False), None, False, False, quantifier)
    if known not in _OPERATORS:
        raise ConditionError(f"{name} is not a condition operator")
    matcher, negated, takes_variables = _OPERATORS[known]
    templates = _templates(values, with_variables and takes_variables)
    return Condition(name, key.lower(), templates, matcher, negated, match["if_exists"] is not None, quantifier)


def _templates(values: Iterable[str], with_variables: bool) -> tuple[Template, ...]:
    return tuple(Template(value, with_variables=with_variables) for value in values)


def _texts(name: str, values: Any) -> list[str]:
    texts: list[str] = []
    for value in values if isinstance(values, list) else [values]:
        match value:
            case bool():
                texts.append(str(value).lower())
            case str() | int() | float():
                texts.append(str(value))
            case _:
                raise ConditionError(f"{name} can only compare with text, numbers and booleans")
    return texts


# ---- matchers: does one value of the request match one value of the policy?


def _string_equals(value: str, template: Template, keys: Keys) -> bool:
    return value == template.text(keys)


def _string_equals_ignore_case(value: str, template: Template, keys: Keys) -> bool:
    text = template.text(keys)
    return text is not None and value.casefold() == text.casefold()


def _string_like(value: str, template: Template, keys: Keys) -> bool:
    return template.matches(value, keys, Style.TEXT)


def _arn_like(value: str, template: Template, keys: Keys) -> bool:
    """Each of the six parts by itself. `*` alone is any ARN."""
    if value.count(":") < 5:
        return False
    return template.source == "*" or template.matches(value, keys, Style.ARN)


def _bool(value: str, template: Template, keys: Keys) -> bool:
    return value.lower() == template.source.lower()


def _binary(value: str, template: Template, keys: Keys) -> bool:
    try:
        return base64.b64decode(value, validate=True) == base64.b64decode(template.source, validate=True)
    except (binascii.Error, ValueError):
        return False


def _ip_address(value: str, template: Template, keys: Keys) -> bool:
    try:
        address = ipaddress.ip_address(value)
        network = ipaddress.ip_network(template.source, strict=False)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None and network.version == 4:
        address = address.ipv4_mapped
    return address.version == network.version and address in network


def _numeric(compare: Callable[[Any, Any], bool]) -> Matcher:
    def matches(value: str, template: Template, keys: Keys) -> bool:
        left, right = _number(value), _number(template.source)
        return left is not None and right is not None and compare(left, right)

    return matches


def _date(compare: Callable[[Any, Any], bool]) -> Matcher:
    def matches(value: str, template: Template, keys: Keys) -> bool:
        left, right = _moment(value), _moment(template.source)
        return left is not None and right is not None and compare(left, right)

    return matches


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _moment(text: str) -> Decimal | None:
    """Seconds since the epoch, of these or of ISO 8601 (UTC where it names no zone)."""
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return Decimal(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return Decimal(str((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))


_QUANTIFIERS: Final = {None: Quantifier.SINGLE, "foranyvalue": Quantifier.ANY, "forallvalues": Quantifier.ALL}
# Operator → how one value matches another, whether it is the negation of that, whether its values have variables.
_OPERATORS: Final[Mapping[str, tuple[Matcher, bool, bool]]] = {
    "stringequals": (_string_equals, False, True),
    "stringnotequals": (_string_equals, True, True),
    "stringequalsignorecase": (_string_equals_ignore_case, False, True),
    "stringnotequalsignorecase": (_string_equals_ignore_case, True, True),
    "stringlike": (_string_like, False, True),
    "stringnotlike": (_string_like, True, True),
    "arnequals": (_arn_like, False, True),
    "arnlike": (_arn_like, False, True),
    "arnnotequals": (_arn_like, True, True),
    "arnnotlike": (_arn_like, True, True),
    "numericequals": (_numeric(operator.eq), False, False),
    "numericnotequals": (_numeric(operator.eq), True, False),
    "numericlessthan": (_numeric(operator.lt), False, False),
    "numericlessthanequals": (_numeric(operator.le), False, False),
    "numericgreaterthan": (_numeric(operator.gt), False, False),
    "numericgreaterthanequals": (_numeric(operator.ge), False, False),
    "dateequals": (_date(operator.eq), False, False),
    "datenotequals": (_date(operator.eq), True, False),
    "datelessthan": (_date(operator.lt), False, False),
    "datelessthanequals": (_date(operator.le), False, False),
    "dategreaterthan": (_date(operator.gt), False, False),
    "dategreaterthanequals": (_date(operator.ge), False, False),
    "bool": (_bool, False, False),
    "binaryequals": (_binary, False, False),
    "ipaddress": (_ip_address, False, False),
    "notipaddress": (_ip_address, True, False),
}
