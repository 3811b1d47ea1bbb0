"""Policies as they are evaluated: parsed once, their patterns compiled. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html. What AWS refuses to store is refused
by `lambent.iam.policy_documents`; here only what cannot be evaluated is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from lambent.iam.policy.conditions import Condition, ConditionError, parse_conditions
from lambent.iam.policy.subjects import Naming, PrincipalElement, Subject, parse_principal
from lambent.iam.policy.templates import Keys, Style, Template, action_regex

_VERSION_WITH_VARIABLES: Final = "2012-10-17"
_WILDCARD = re.compile(r"[*?]")


class PolicyError(Exception):
    """A policy that cannot be evaluated; the message says why."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `number` counts from 1. `actions` are exact ones in lower case, `action_patterns` the others.

    `resources` is None when it names none (trust policies); `principals` None in identity-based policies.
    """

    policy: str
    number: int
    sid: str | None
    allows: bool
    actions: frozenset[str]
    action_patterns: tuple[re.Pattern[str], ...]
    excludes_actions: bool
    resources: tuple[Template, ...] | None
    excludes_resources: bool
    principals: PrincipalElement | None
    excludes_principals: bool
    conditions: tuple[Condition, ...]

    def is_about(self, action: str, resource: str, keys: Keys) -> bool:
        """Whether action (in lower case) and resource are among those it speaks of."""
        named = action in self.actions or any(one.fullmatch(action) for one in self.action_patterns)
        return named is not self.excludes_actions and self._has_resource(resource, keys)

    def holds(self, keys: Keys) -> bool:
        """Whether all its conditions hold."""
        return all(condition.holds(keys) for condition in self.conditions)

    def names(self, subject: Subject) -> Naming:
        """How closely it names somebody, in a resource-based policy. One without principals names nobody."""
        if self.principals is None:
            return Naming.NOT
        if not self.excludes_principals:
            return self.principals.names(subject)
        if self.allows:
            return Naming.ANYONE if self.principals.names(subject) is Naming.NOT else Naming.NOT
        return Naming.NOT if self.principals.excepts(subject) else Naming.ANYONE

    @property
    def context_keys(self) -> frozenset[str]:
        """The condition keys it looks at, in conditions and variables, in lower case."""
        return frozenset().union(
            *(condition.context_keys for condition in self.conditions),
            *(resource.variables for resource in self.resources or ()),
        )

    def _has_resource(self, resource: str, keys: Keys) -> bool:
        if self.resources is None:
            return True
        named = any(_is_resource(one, resource, keys) for one in self.resources)
        return named is not self.excludes_resources


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy. `name` tells it apart from others: its ARN, or its name where it is inline."""

    name: str
    statements: tuple[Statement, ...]

    @property
    def context_keys(self) -> frozenset[str]:
        """The condition keys it looks at, in lower case."""
        return frozenset().union(*(statement.context_keys for statement in self.statements))


def parse_policy(document: str | bytes | Mapping[str, Any], name: str = "") -> Policy:
    """A policy from its text or its JSON. Raises PolicyError."""
    try:
        parsed = orjson.loads(document) if isinstance(document, str | bytes) else document
        if not isinstance(parsed, Mapping):
            raise PolicyError("a policy must be an object")
        with_variables = parsed.get("Version") == _VERSION_WITH_VARIABLES
        statements = parsed.get("Statement", [])
        listed = statements if isinstance(statements, list) else [statements]
        return Policy(
            name,
            tuple(_statement(one, name, number, with_variables) for number, one in enumerate(listed, 1)),
        )
    except (orjson.JSONDecodeError, ConditionError, ValueError) as error:
        raise PolicyError(str(error)) from error


def _statement(statement: Any, policy: str, number: int, with_variables: bool) -> Statement:
    if not isinstance(statement, Mapping) or statement.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError(f"statement {number} has no Effect of Allow or Deny")
    actions = [action.lower() for action in _either(statement, "Action", "NotAction") or ()]
    if not actions:
        raise PolicyError(f"statement {number} has no Action")
    resources = _either(statement, "Resource", "NotResource")
    principal = statement.get("Principal", statement.get("NotPrincipal"))
    return Statement(
        policy,
        number,
        statement.get("Sid"),
        statement["Effect"] == "Allow",
        frozenset(action for action in actions if not _WILDCARD.search(action)),
        tuple(action_regex(action) for action in actions if _WILDCARD.search(action)),
        "NotAction" in statement,
        None if resources is None else tuple(Template(one, with_variables=with_variables) for one in resources),
        "NotResource" in statement,
        None if principal is None else parse_principal(principal),
        "NotPrincipal" in statement,
        parse_conditions(statement.get("Condition", {}), with_variables=with_variables),
    )


def _either(statement: Mapping[str, Any], name: str, negated: str) -> list[str] | None:
    if name in statement and negated in statement:
        raise PolicyError(f"a statement cannot have both {name} and {negated}")
    value = statement.get(name, statement.get(negated))
    if value is None:
        return None
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in values):
        raise PolicyError(f"{name} must be text")
    return values


def _is_resource(template: Template, resource: str, keys: Keys) -> bool:
    return template.source == "*" or template.matches(resource, keys, Style.RESOURCE)
