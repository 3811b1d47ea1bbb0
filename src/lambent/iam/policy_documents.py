"""Policy documents: are they well-formed, and whom does a role's trust policy let in? Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html

Of trust policies this decides what AssumeRole and CreateFunction must know today: Effect, Principal and Action. Of
conditions only `StringEquals` on `sts:ExternalId` is evaluated; for a caller any other condition fails closed (an Allow
does not count, a Deny does), for a service asked about ahead of time (`trusts_service`) conditions are left open.
Identity policies are checked and stored, not yet evaluated; that is for `lambent.iam.policy`, later.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from lambent.iam.policy.conditions import ConditionError, parse_conditions
from lambent.iam.principal import Principal
from lambent.model.errors import ServiceError

_VERSIONS: Final = ("2012-10-17", "2008-10-17")
_STATEMENT_KEYS: Final = frozenset(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)
_PRINCIPAL_KINDS: Final = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})
_TRUST_ACTION = re.compile(r"\*|sts:[A-Za-z*?]+")
_ASSUMED_ROLE = re.compile(r"arn:aws[a-z-]*:sts::(?P<account>[0-9]{12}):assumed-role/(?P<role>[^/]+)/.+")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::(?P<account>[0-9]{12}):role/(?:.*/)?(?P<role>[^/]+)")

Statement = Mapping[str, Any]


def malformed(message: str) -> ServiceError:
    """400 MalformedPolicyDocument."""
    return ServiceError("MalformedPolicyDocument", message)


def check_trust_policy(text: str) -> None:
    """Raise MalformedPolicyDocument unless this may be a role's trust policy."""
    for statement in _checked_statements(text):
        for field in ("Resource", "NotResource"):
            if field in statement:
                raise malformed(f"Has prohibited field {field}")
        if "Principal" not in statement and "NotPrincipal" not in statement:
            raise malformed("Missing required field Principal")
        _check_principal(statement.get("Principal", statement.get("NotPrincipal")))
        if any(not _TRUST_ACTION.fullmatch(action) for action in _texts(statement, "Action", "NotAction")):
            raise malformed("AssumeRole policy may only specify STS AssumeRole actions.")


def check_identity_policy(text: str) -> None:
    """Raise MalformedPolicyDocument unless this may be an inline or managed policy."""
    for statement in _checked_statements(text):
        if "Principal" in statement or "NotPrincipal" in statement:
            raise malformed("Policy document should not specify a principal.")
        if "Resource" not in statement and "NotResource" not in statement:
            raise malformed("Policy statement must contain resources.")
        for action in _texts(statement, "Action", "NotAction"):
            if action != "*" and ":" not in action:
                raise malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
        for resource in _texts(statement, "Resource", "NotResource"):
            if resource != "*" and not resource.startswith("arn:"):
                raise malformed(f'Resource {resource} must be in ARN format or "*".')


def trusts_service(text: str, service: str) -> bool:
    """Whether a trust policy lets a service (`lambda.amazonaws.com`) assume the role."""
    allowed = False
    for statement in _statements(orjson.loads(text)):
        if not _acts(statement) or not _names_service(statement, service):
            continue
        if statement["Effect"] == "Allow":
            allowed = True
        elif "Condition" not in statement:
            return False
    return allowed


def trusts_principal(text: str, principal: Principal, external_id: str | None) -> bool:
    """Whether a trust policy lets a caller assume the role.

    A policy that names an account (or its root) trusts whoever that account lets; as identity policies are not
    evaluated yet, that is every principal of the account.
    """
    allowed = False
    for statement in _statements(orjson.loads(text)):
        if not _acts(statement) or not _names_principal(statement, principal):
            continue
        condition = _condition_holds(statement.get("Condition"), external_id)
        if statement["Effect"] == "Allow":
            allowed = allowed or condition is True
        elif condition is not False:
            return False
    return allowed


def _checked_statements(text: str) -> Iterator[Statement]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise malformed("This policy contains invalid Json") from error
    if not isinstance(document, dict) or not document.keys() <= {"Version", "Id", "Statement"}:
        raise malformed("Syntax errors in policy.")
    if "Version" in document and document["Version"] not in _VERSIONS:
        raise malformed("The policy must contain a valid version string.")
    statements = document.get("Statement")
    if not statements or not isinstance(statements, dict | list):
        raise malformed("Syntax errors in policy.")
    for statement in _statements(document):
        _check_statement(statement)
        yield statement


def _check_statement(statement: object) -> None:
    if not isinstance(statement, dict) or not statement.keys() <= _STATEMENT_KEYS:
        raise malformed("Syntax errors in policy.")
    if "Effect" not in statement:
        raise malformed("Missing required field Effect")
    if statement["Effect"] not in ("Allow", "Deny"):
        raise malformed(f"Invalid effect: {statement['Effect']}")
    if "Action" not in statement and "NotAction" not in statement:
        raise malformed("Missing required field Action")
    for one, other in (("Action", "NotAction"), ("Principal", "NotPrincipal"), ("Resource", "NotResource")):
        if one in statement and other in statement:
            raise malformed("Syntax errors in policy.")
    if not isinstance(statement.get("Sid", ""), str):
        raise malformed("Syntax errors in policy.")
    try:
        parse_conditions(statement.get("Condition", {}), with_variables=True)
    except ConditionError as error:
        raise malformed("Syntax errors in policy.") from error


def _check_principal(principal: object) -> None:
    if principal == "*":
        return
    if not isinstance(principal, dict) or not principal or not principal.keys() <= _PRINCIPAL_KINDS:
        raise malformed("Syntax errors in policy.")
    for kind in principal:
        for value in _texts(principal, kind):
            if kind == "Service" and not re.fullmatch(
                r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?|[a-z0-9.-]+\.aws\.internal", value
            ):
                raise malformed(f'Invalid principal in policy: "SERVICE":"{value}"')
            if kind == "AWS" and not re.fullmatch(
                r"\*|[0-9]{12}|arn:aws[a-z-]*:(iam|sts)::[0-9]{12}:.+|A[A-Z0-9]{15,}", value
            ):
                raise malformed(f'Invalid principal in policy: "AWS":"{value}"')


def _statements(document: Mapping[str, Any]) -> list[Any]:
    statements = document["Statement"]
    return statements if isinstance(statements, list) else [statements]


def _texts(mapping: Mapping[str, Any], *names: str) -> list[str]:
    """The strings of the first of these fields there is: one, or a list of them."""
    value: object = next((mapping[name] for name in names if name in mapping), [])
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str) for one in values):
        raise malformed("Syntax errors in policy.")
    return [str(one) for one in values]


def _acts(statement: Statement) -> bool:
    """Whether a statement is about sts:AssumeRole."""
    patterns = _texts(statement, "Action", "NotAction")
    named = any(fnmatch.fnmatchcase("sts:assumerole", pattern.lower()) for pattern in patterns)
    return named == ("Action" in statement)


def _names_service(statement: Statement, service: str) -> bool:
    principal = statement.get("Principal")
    if "NotPrincipal" in statement:
        return bool(statement["Effect"] == "Deny")
    return isinstance(principal, dict) and "Service" in principal and service in _texts(principal, "Service")


def _names_principal(statement: Statement, principal: Principal) -> bool:
    named = statement.get("Principal")
    if "NotPrincipal" in statement:
        return bool(statement["Effect"] == "Deny")
    if named == "*":
        return True
    if not isinstance(named, dict) or "AWS" not in named:
        return False
    return any(_is_principal(value, principal) for value in _texts(named, "AWS"))


def _is_principal(value: str, principal: Principal) -> bool:
    if value in ("*", principal.arn, principal.account, f"arn:aws:iam::{principal.account}:root"):
        return True
    role, session = _ROLE.fullmatch(value), _ASSUMED_ROLE.fullmatch(principal.arn)
    if role is None or session is None:
        return False
    return (role["account"], role["role"]) == (session["account"], session["role"])


def _condition_holds(condition: Mapping[str, Any] | None, external_id: str | None) -> bool | None:
    """Whether a condition holds; None when it has parts that are not evaluated."""
    if not condition:
        return True
    if condition.keys() != {"StringEquals"} or not isinstance(condition["StringEquals"], dict):
        return None
    keys = {name.lower(): value for name, value in condition["StringEquals"].items()}
    if keys.keys() != {"sts:externalid"}:
        return None
    return external_id is not None and external_id in _texts(keys, "sts:externalid")
