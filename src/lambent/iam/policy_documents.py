"""Policy documents: are they well-formed, and does a role's trust policy let a service in? Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html

For a service asked about ahead of time (`trusts_service`) conditions are left open: what it will act for is not known
yet. Evaluation proper is `lambent.iam.policy`'s.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from lambent.iam.policy.conditions import ConditionError, parse_conditions
from lambent.model.errors import ServiceError

_VERSIONS: Final = ("2012-10-17", "2008-10-17")
_STATEMENT_KEYS: Final = frozenset(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)
_PRINCIPAL_KINDS: Final = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})
_TRUST_ACTION = re.compile(r"\*|sts:[A-Za-z*?]+")

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
