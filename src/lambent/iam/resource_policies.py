"""Resource-based policies: are they well-formed, and do they let somebody in from outside? Pure.

Only what a resource-based policy alone decides, for service principals and other accounts
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html): an explicit Deny wins, an
Allow lets in, and otherwise the door is shut. What is not understood counts against the caller: with an unknown
condition operator an Allow does not apply and a Deny does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from lambent.iam.principal import Principal

Statement = Mapping[str, Any]

_ASSUMED_ROLE = re.compile(r"arn:aws[a-z-]*:sts::(?P<account>\d{12}):assumed-role/(?P<role>[^/]+)/.+")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::(?P<account>\d{12}):role/(?:.*/)?(?P<role>[^/]+)")
_DOCUMENT_KEYS: Final = frozenset({"Version", "Id", "Statement"})
_STATEMENT_KEYS: Final = frozenset(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)


class PolicyDocumentError(Exception):
    """A document that is no resource-based policy; the message says why."""


class Verdict(Enum):
    """What a policy says of a request."""

    ALLOWED = "a statement allows it"
    DENIED = "a statement denies it"
    SILENT = "no statement is about it"


@dataclass(frozen=True, slots=True)
class ServicePrincipal:
    """An AWS service that acts for somebody: `s3.amazonaws.com`."""

    name: str


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """Who wants to do what. `resource`: the ARN as named by the caller; `context`: condition keys → values (the keys'
    case does not matter)."""

    caller: Principal | ServicePrincipal
    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def permits(
    statements: Iterable[Statement],
    caller: Principal | ServicePrincipal,
    action: str,
    resource: str,
    *,
    source_arn: str | None = None,
    source_account: str | None = None,
    context: Mapping[str, str] | None = None,
) -> bool:
    """Whether a policy's statements let a service, or a principal of another account, do something.

    `source_arn` and `source_account`: what the service acts for (the bucket, the rule, and its owner).
    """
    given = {"aws:SourceArn": source_arn, "aws:SourceAccount": source_account, **(context or {})}
    known = {key: value for key, value in given.items() if value is not None}
    return verdict(statements, AccessRequest(caller, action, resource, known)) is Verdict.ALLOWED


def verdict(statements: Iterable[Statement], request: AccessRequest) -> Verdict:
    """What a policy's statements say of a request."""
    context = _context(request)
    found = Verdict.SILENT
    for statement in statements:
        if not _is_about(statement, request):
            continue
        holds = _condition_holds(statement.get("Condition", {}), context)
        if statement["Effect"] == "Deny":
            if holds is not False:
                return Verdict.DENIED
        elif holds is True:
            found = Verdict.ALLOWED
    return found


def parse_resource_policy(text: str, resource: str) -> dict[str, Any]:
    """The document in a text, if it is a policy of that resource (an ARN). Raises PolicyDocumentError."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PolicyDocumentError("This policy contains invalid Json") from error
    if not isinstance(document, dict) or not document.keys() <= _DOCUMENT_KEYS:
        raise PolicyDocumentError("Syntax errors in policy.")
    if document.get("Version", "2012-10-17") not in ("2012-10-17", "2008-10-17"):
        raise PolicyDocumentError("The policy must contain a valid version string.")
    statements = document.get("Statement")
    statements = statements if isinstance(statements, list) else [statements]
    if not statements:
        raise PolicyDocumentError("Missing required field Statement")
    for statement in statements:
        _check_statement(statement, resource)
    sids = [statement["Sid"] for statement in statements if "Sid" in statement]
    if len(set(sids)) < len(sids):
        raise PolicyDocumentError("Statement IDs (SID) in a single policy must be unique.")
    return document


def _check_statement(statement: object, resource: str) -> None:
    if not isinstance(statement, dict) or not statement.keys() <= _STATEMENT_KEYS:
        raise PolicyDocumentError("Syntax errors in policy.")
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise PolicyDocumentError(f"Invalid effect: {statement.get('Effect')}")
    for one, other in (("Principal", "NotPrincipal"), ("Action", "NotAction"), ("Resource", "NotResource")):
        if (one in statement) == (other in statement):
            raise PolicyDocumentError(f"A statement must have either {one} or {other}")
    if not isinstance(statement.get("Sid", ""), str):
        raise PolicyDocumentError("Syntax errors in policy.")
    _check_principal(statement.get("Principal", statement.get("NotPrincipal")))
    for action in _texts(statement, "Action", "NotAction"):
        if not re.fullmatch(r"\*|lambda:[A-Za-z*?]+", action):
            raise PolicyDocumentError(f"Invalid action: {action}")
    for pattern in _texts(statement, "Resource", "NotResource"):
        if "Resource" in statement and not matches(pattern, resource):
            raise PolicyDocumentError(f"Policy has invalid resource: {pattern}")
    _check_condition(statement.get("Condition", {}))


def _check_principal(principal: object) -> None:
    if principal == "*":
        return
    if not isinstance(principal, dict) or not principal or not principal.keys() <= {"AWS", "Service", "Federated"}:
        raise PolicyDocumentError("Invalid principal in policy")
    for kind in principal:
        _texts(principal, kind)


def _check_condition(condition: object) -> None:
    if not isinstance(condition, dict):
        raise PolicyDocumentError("Syntax errors in policy.")
    for keys in condition.values():
        if not isinstance(keys, dict):
            raise PolicyDocumentError("Syntax errors in policy.")
        for key in keys:
            _texts(keys, key)


def _is_about(statement: Statement, request: AccessRequest) -> bool:
    actions = _texts(statement, "Action", "NotAction")
    acts = any(matches(pattern.lower(), request.action.lower()) for pattern in actions)
    if acts == ("NotAction" in statement):
        return False
    resources = _texts(statement, "Resource", "NotResource")
    if any(matches(pattern, request.resource) for pattern in resources) == ("NotResource" in statement):
        return False
    if "NotPrincipal" in statement:  # with Allow it would let the whole world in: not supported, as AWS advises
        return statement["Effect"] == "Deny" and not _names(statement["NotPrincipal"], request.caller)
    return _names(statement["Principal"], request.caller)


def _names(principal: object, caller: Principal | ServicePrincipal) -> bool:
    if principal == "*":
        return True
    if not isinstance(principal, Mapping):
        return False
    if isinstance(caller, ServicePrincipal):
        return "Service" in principal and caller.name in _texts(principal, "Service")
    return "AWS" in principal and any(_is_principal(value, caller) for value in _texts(principal, "AWS"))


def _is_principal(value: str, caller: Principal) -> bool:
    if value in ("*", caller.arn, caller.account, f"arn:aws:iam::{caller.account}:root"):
        return True
    role, session = _ROLE.fullmatch(value), _ASSUMED_ROLE.fullmatch(caller.arn)
    if role is None or session is None:
        return False
    return (role["account"], role["role"]) == (session["account"], session["role"])


def _context(request: AccessRequest) -> dict[str, str]:
    context = {key.lower(): value for key, value in request.context.items()}
    if isinstance(request.caller, Principal):
        context |= {"aws:principalaccount": request.caller.account, "aws:principalarn": request.caller.arn}
    return context


def _condition_holds(condition: Mapping[str, Any], context: Mapping[str, str]) -> bool | None:
    """Whether all of a condition holds; None when it has parts that are not understood and nothing that fails."""
    understood = True
    for operator, keys in condition.items():
        for key in keys:
            holds = _test_holds(operator, context.get(key.lower()), _texts(keys, key))
            if holds is False:
                return False
            understood = understood and holds is not None
    return True if understood else None


def _test_holds(operator: str, actual: str | None, wanted: Sequence[str]) -> bool | None:
    if operator == "Null":
        return (actual is None) == (wanted[0].lower() == "true")
    name = operator.removesuffix("IfExists")
    positive = name.replace("Not", "", 1)
    test = _TESTS.get(positive)
    if test is None:
        return None
    negated = positive != name
    if actual is None:
        return negated or name != operator
    return any(test(value, actual) for value in wanted) != negated


def matches(pattern: str, value: str) -> bool:
    """Whether a value fits a pattern with `*` (any characters) and `?` (one).

    Not by a regular expression: with many wildcards one could be made to run for hours.
    """
    at = here = resumed = 0
    star = -1
    while here < len(value):
        if at < len(pattern) and pattern[at] == "*":
            star, resumed = at, here
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", value[here]):
            at += 1
            here += 1
        elif star >= 0:  # let the last star take one character more
            at = star + 1
            resumed += 1
            here = resumed
        else:
            return False
    return not pattern[at:].strip("*")


def _arn_matches(pattern: str, value: str) -> bool:
    """Each of the six parts of an ARN is compared with its own: a wildcard does not reach over a colon."""
    patterns, values = pattern.split(":", 5), value.split(":", 5)
    return len(patterns) == len(values) and all(map(matches, patterns, values))


_TESTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "StringEquals": lambda wanted, actual: wanted == actual,
    "StringEqualsIgnoreCase": lambda wanted, actual: wanted.lower() == actual.lower(),
    "StringLike": matches,
    "ArnEquals": _arn_matches,
    "ArnLike": _arn_matches,
    "Bool": lambda wanted, actual: wanted.lower() == actual.lower(),
}


def _texts(mapping: Mapping[str, Any], *names: str) -> list[str]:
    """The texts of the first of these fields there is: one, or a list of them."""
    value: object = next((mapping[name] for name in names if name in mapping), [])
    values = value if isinstance(value, list) else [value]
    texts = [str(one).lower() if isinstance(one, bool) else one for one in values]
    if not texts or not all(isinstance(one, str) for one in texts):
        raise PolicyDocumentError("Syntax errors in policy.")
    return [str(one) for one in texts]
