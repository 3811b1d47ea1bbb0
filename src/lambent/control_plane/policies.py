"""Resource-based policies: how a permission becomes a statement, and what a policy is after a change. Pure.

For functions, versions, aliases and layer versions alike. Who stores the result does it in one commit with whatever
shows that the resource still exists: see `permissions`. Statements are rendered as AWS renders them, member by member
(https://docs.aws.amazon.com/lambda/latest/dg/permissions-function-services.html).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lambent.model import limits
from lambent.model.errors import (
    InvalidParameterValueException,
    PolicyLengthExceededException,
    PreconditionFailedException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from lambent.model.ids import RevisionId
from lambent.model.resource_policy import ResourcePolicy, Statement
from lambent.store.api import RESOURCE_POLICIES, Delete, Put, Store

_VERSION: Final = "2012-10-17"
_ACCOUNT = re.compile(r"\d{12}")
_SERVICE = re.compile(r"[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)+")
_IAM_PRINCIPAL = re.compile(
    r"arn:aws[a-zA-Z-]*:(iam::\d{12}:(root|(user|role)/.+)|sts::\d{12}:(assumed-role|federated-user)/.+)"
)


@dataclass(frozen=True, slots=True)
class Permission:
    """What AddPermission and AddLayerVersionPermission ask for. `resource` is the ARN it is about, as qualified as it
    was named; `organization_id` is PrincipalOrgID or OrganizationId."""

    resource: str
    statement_id: str
    action: str
    principal: str
    organization_id: str | None = None
    source_arn: str | None = None
    source_account: str | None = None
    event_source_token: str | None = None
    function_url_auth_type: str | None = None
    invoked_via_function_url: bool | None = None


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """What is stored under a key: the policy, if any, and the store's revision (0 if none)."""

    key: str
    policy: ResourcePolicy | None
    revision: int

    def replaced(self, policy: ResourcePolicy | None) -> Put | Delete:
        """The change that stores another policy, or none, in place of this one and of nothing else."""
        if policy is None:
            return Delete(RESOURCE_POLICIES, self.key, expect=self.revision)
        return Put(RESOURCE_POLICIES, self.key, policy.to_document(), expect=self.revision)


async def read_policy(store: Store, key: str) -> StoredPolicy:
    """The policy under a key of `model.resource_policy`."""
    stored = await store.get(RESOURCE_POLICIES, key)
    if stored is None:
        return StoredPolicy(key, None, 0)
    return StoredPolicy(key, ResourcePolicy.from_document(stored.value), stored.revision)


def statement_of(permission: Permission) -> Statement:
    """The statement that grants a permission. Raises InvalidParameterValueException for a principal that is none."""
    statement: dict[str, Any] = {
        "Sid": permission.statement_id,
        "Effect": "Allow",
        "Principal": _principal(permission.principal),
        "Action": permission.action,
        "Resource": permission.resource,
    }
    condition = _condition(permission)
    if condition:
        statement["Condition"] = condition
    return statement


def with_statement(policy: ResourcePolicy | None, statement: Statement, revision_id: RevisionId) -> ResourcePolicy:
    """The policy with one statement more.

    Raises ResourceConflictException when its Sid is taken, PolicyLengthExceededException.
    """
    statements = [] if policy is None else list(policy.statements)
    if any(other.get("Sid") == statement["Sid"] for other in statements):
        raise ResourceConflictException(
            f"The statement id ({statement['Sid']}) provided already exists. "
            "Please provide a new statement id, or remove the existing statement."
        )
    document = {"Version": _VERSION, "Id": "default"} if policy is None else dict(policy.document)
    return checked_length(ResourcePolicy(document | {"Statement": [*statements, statement]}, revision_id))


def without_statement(
    policy: ResourcePolicy | None, statement_id: str, revision_id: RevisionId
) -> ResourcePolicy | None:
    """The policy without a statement; None when it was the last one.

    Raises ResourceNotFoundException when there is no policy, or no such statement in it.
    """
    if policy is None:
        raise no_policy()
    kept = [statement for statement in policy.statements if statement.get("Sid") != statement_id]
    if len(kept) == len(policy.statements):
        raise ResourceNotFoundException(f"Statement {statement_id} is not found in resource policy.")
    return ResourcePolicy(dict(policy.document) | {"Statement": kept}, revision_id) if kept else None


def checked_length(policy: ResourcePolicy) -> ResourcePolicy:
    """The policy itself. Raises PolicyLengthExceededException."""
    size = len(policy.text.encode())
    if size > limits.RESOURCE_POLICY_MAX_BYTES:
        raise PolicyLengthExceededException(
            f"The final policy size ({size}) is bigger than the limit ({limits.RESOURCE_POLICY_MAX_BYTES})."
        )
    return policy


def check_policy_revision(given: str | None, current: RevisionId | None, operation: str = "GetPolicy") -> None:
    """A RevisionId, if one was given, is the current one. `operation`: what tells it (layers have GetLayerPolicy).

    Raises PreconditionFailedException.
    """
    if given is not None and given != current:
        raise PreconditionFailedException(
            "The Revision Id provided does not match the latest Revision Id. "
            f"Call the {operation} API to retrieve the latest Revision Id"
        )


def no_policy() -> ResourceNotFoundException:
    """There is nothing to remove."""
    return ResourceNotFoundException("No policy is associated with the given resource.")


def no_such_resource() -> ResourceNotFoundException:
    """There is nothing to read."""
    return ResourceNotFoundException("The resource you requested does not exist.")


def _principal(given: str) -> str | dict[str, str]:
    if given == "*":
        return given
    if _ACCOUNT.fullmatch(given):
        return {"AWS": f"arn:aws:iam::{given}:root"}
    if _IAM_PRINCIPAL.fullmatch(given):
        return {"AWS": given}
    if _SERVICE.fullmatch(given):
        return {"Service": given}
    raise InvalidParameterValueException(
        "The provided principal was invalid. Please check the principal and try again."
    )


def _condition(permission: Permission) -> dict[str, dict[str, str]]:
    equal: Mapping[str, str | None] = {
        "lambda:FunctionUrlAuthType": permission.function_url_auth_type,
        "aws:PrincipalOrgID": permission.organization_id,
        "AWS:SourceAccount": permission.source_account,
        "lambda:EventSourceToken": permission.event_source_token,
    }
    condition: dict[str, dict[str, str]] = {}
    if any(equal.values()):
        condition["StringEquals"] = {key: value for key, value in equal.items() if value}
    if permission.invoked_via_function_url is not None:
        via_url = str(permission.invoked_via_function_url).lower()
        condition["Bool"] = {"lambda:InvokedViaFunctionUrl": via_url}
    if permission.source_arn:
        condition["ArnLike"] = {"AWS:SourceArn": permission.source_arn}
    return condition
