"""The resource-based policies of functions, versions and aliases: read, change, and ask whom they let in.

A policy's revision id is its resource's own, as on AWS: a change of the policy renews it. So each change is one commit
with the function, and with the version or alias, at the revisions it was decided on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from lambent.control_plane.aliases import cannot_find_alias
from lambent.control_plane.commits import ATTEMPTS, committed
from lambent.control_plane.policies import (
    Permission,
    StoredPolicy,
    check_policy_revision,
    checked_length,
    no_policy,
    no_such_resource,
    read_policy,
    statement_of,
    with_statement,
    without_statement,
)
from lambent.control_plane.queries import FunctionQueries, StoredFunction, not_found
from lambent.control_plane.states import update_in_progress
from lambent.iam.principal import Principal
from lambent.iam.resource_policies import PolicyDocumentError, ServicePrincipal, parse_resource_policy, permits
from lambent.model.alias import AliasConfiguration, alias_key, is_alias_name
from lambent.model.arn import LATEST, FunctionReference
from lambent.model.errors import InvalidParameterValueException, ResourceNotFoundException
from lambent.model.function import FunctionVersion, is_version_number, version_key
from lambent.model.ids import RevisionId, new_revision_id
from lambent.model.resource_policy import ResourcePolicy, Statement, function_policy_key
from lambent.store.api import ALIASES, FUNCTIONS, VERSIONS, Change, Put, Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RevisedPolicy:
    """A policy and its RevisionId."""

    policy: ResourcePolicy
    revision_id: RevisionId


@dataclass(frozen=True, slots=True)
class _Target:
    """What a policy belongs to, as stored: the function, and the version or alias of it if it is one's."""

    found: StoredFunction
    stored: StoredPolicy
    part: FunctionVersion | AliasConfiguration | None = None
    part_revision: int = 0

    @property
    def revision_id(self) -> RevisionId:
        return (self.found.record.latest if self.part is None else self.part).revision_id

    def changes(self, policy: ResourcePolicy | None, revision_id: RevisionId) -> list[Change]:
        """Another policy, and the resource's new revision id."""
        record = self.found.record
        function = record.function
        if self.part is None:
            record = record.with_latest(replace(record.latest, revision_id=revision_id))
        changes: list[Change] = [
            Put(FUNCTIONS, function.key, record.to_document(), expect=self.found.revision),
            self.stored.replaced(policy),
        ]
        if self.part is not None:
            renewed = replace(self.part, revision_id=revision_id)
            changes.append(Put(*_place(self.part), renewed.to_document(), expect=self.part_revision))
        return changes


Decide = Callable[[_Target, RevisionId], ResourcePolicy | None]


class Permissions:
    """Policies of all functions. A reference to `$LATEST` is one to the function."""

    def __init__(self, store: Store, queries: FunctionQueries) -> None:
        self._store = store
        self._queries = queries

    async def add(
        self, reference: FunctionReference, permission: Permission, revision_id: str | None = None
    ) -> Statement:
        """AddPermission: the statement added. Raises InvalidParameterValueException, ResourceNotFoundException,
        PreconditionFailedException, ResourceConflictException, PolicyLengthExceededException."""
        _refuse_latest(reference)
        if permission.function_url_auth_type and permission.action != "lambda:InvokeFunctionUrl":
            raise InvalidParameterValueException(
                "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action"
            )
        statement = statement_of(permission)

        def decide(target: _Target, renewed: RevisionId) -> ResourcePolicy:
            check_policy_revision(revision_id, target.revision_id)
            return with_statement(target.stored.policy, statement, renewed)

        await self._change(reference, decide)
        return statement

    async def remove(self, reference: FunctionReference, statement_id: str, revision_id: str | None = None) -> None:
        """RemovePermission. Raises ResourceNotFoundException, PreconditionFailedException."""

        def decide(target: _Target, renewed: RevisionId) -> ResourcePolicy | None:
            after = without_statement(target.stored.policy, statement_id, renewed)
            check_policy_revision(revision_id, target.revision_id)
            return after

        if await self._queries.find(reference.function) is None:
            raise ResourceNotFoundException(f"No policy found for: {reference.function.arn}")
        await self._change(reference, decide)

    async def put(self, reference: FunctionReference, text: str, revision_id: str | None = None) -> RevisedPolicy:
        """PutResourcePolicy. Raises InvalidParameterValueException, ResourceNotFoundException,
        PreconditionFailedException, PolicyLengthExceededException."""
        _refuse_latest(reference)
        try:
            document = parse_resource_policy(text, reference.arn)
        except PolicyDocumentError as error:
            raise InvalidParameterValueException(str(error)) from error

        def decide(target: _Target, renewed: RevisionId) -> ResourcePolicy:
            check_policy_revision(revision_id, target.revision_id, "GetResourcePolicy")
            return checked_length(ResourcePolicy(document, renewed))

        renewed = await self._change(reference, decide)
        return RevisedPolicy(ResourcePolicy(document, renewed), renewed)

    async def delete(self, reference: FunctionReference, revision_id: str | None = None) -> None:
        """DeleteResourcePolicy. Raises ResourceNotFoundException, PreconditionFailedException."""

        def decide(target: _Target, _: RevisionId) -> None:
            if target.stored.policy is None:
                raise no_policy()
            check_policy_revision(revision_id, target.revision_id, "GetResourcePolicy")

        await self._change(reference, decide)

    async def get(self, reference: FunctionReference) -> RevisedPolicy:
        """GetPolicy, GetResourcePolicy. Raises ResourceNotFoundException."""
        found = await self._queries.function(reference.function)
        stored = await read_policy(self._store, function_policy_key(reference.function, reference.qualifier))
        if stored.policy is None:
            raise no_such_resource()
        target = await self._target(reference, found)
        return RevisedPolicy(stored.policy, target.revision_id)

    async def allows(
        self,
        reference: FunctionReference,
        caller: Principal | ServicePrincipal,
        action: str,
        *,
        source_arn: str | None = None,
        source_account: str | None = None,
    ) -> bool:
        """Whether the policy of exactly what is named lets a service or another account's principal do that to it.

        https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html: with a policy on a version or
        alias "the invoker must use the full ARN of that version or alias".
        """
        stored = await read_policy(self._store, function_policy_key(reference.function, reference.qualifier))
        if stored.policy is None:
            return False
        return permits(
            stored.policy.statements,
            caller,
            action,
            reference.arn,
            source_arn=source_arn,
            source_account=source_account,
        )

    async def _change(self, reference: FunctionReference, decide: Decide) -> RevisionId:
        for _ in range(ATTEMPTS):
            found = await self._queries.function(reference.function)
            target = await self._target(reference, found)
            renewed = new_revision_id()
            if await committed(self._store, target.changes(decide(target, renewed), renewed)):
                logger.info("Policy is stored", extra={"function_arn": reference.arn, "revision_id": renewed})
                return renewed
        raise update_in_progress(found.record.latest)

    async def _target(self, reference: FunctionReference, found: StoredFunction) -> _Target:
        function, qualifier = reference.function, reference.qualifier
        stored = await read_policy(self._store, function_policy_key(function, qualifier))
        if qualifier is None or qualifier == LATEST:
            return _Target(found, stored)
        if is_version_number(qualifier):
            version = await self._store.get(VERSIONS, version_key(function, qualifier))
            if version is None:
                raise not_found(reference)
            return _Target(found, stored, FunctionVersion.from_document(version.value), version.revision)
        if not is_alias_name(qualifier):
            raise no_such_resource()
        alias = await self._queries.alias(function, qualifier)
        if alias is None:
            raise cannot_find_alias(function, qualifier)
        return _Target(found, stored, alias.alias, alias.revision)


def _place(part: FunctionVersion | AliasConfiguration) -> tuple[str, str]:
    if isinstance(part, FunctionVersion):
        return VERSIONS, version_key(part.function, part.version)
    return ALIASES, alias_key(part.function, part.name)


def _refuse_latest(reference: FunctionReference) -> None:
    if reference.qualifier == LATEST:
        raise InvalidParameterValueException("We currently do not support adding policies for $LATEST.")
