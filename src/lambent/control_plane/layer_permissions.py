"""The policies of layer versions: read and change. Statements and rules are those of `policies`.

https://docs.aws.amazon.com/lambda/latest/dg/permissions-layer-cross-account.html
"""

from __future__ import annotations

from dataclasses import dataclass

from lambent.control_plane.commits import ATTEMPTS, committed
from lambent.control_plane.layer_rules import check_layer_version
from lambent.control_plane.policies import (
    Permission,
    StoredPolicy,
    check_policy_revision,
    no_policy,
    read_policy,
    statement_of,
    with_statement,
    without_statement,
)
from lambent.model.errors import ResourceConflictException, ResourceNotFoundException
from lambent.model.ids import RevisionId, new_revision_id
from lambent.model.layer import LayerId, layer_version_key
from lambent.model.resource_policy import ResourcePolicy, Statement, layer_policy_key
from lambent.store.api import LAYER_VERSIONS, Expect, Store

_TELLS_REVISION = "GetLayerPolicy"  # AWS's word for GetLayerVersionPolicy in this message


@dataclass(frozen=True, slots=True)
class _Target:
    exists: Expect
    stored: StoredPolicy

    @property
    def revision_id(self) -> RevisionId | None:
        return None if self.stored.policy is None else self.stored.policy.revision_id


class LayerPermissions:
    """Policies of all layer versions."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(
        self, layer: LayerId, number: int, permission: Permission, revision_id: str | None
    ) -> tuple[Statement, RevisionId]:
        """AddLayerVersionPermission: the statement, and the policy's new revision id. Raises
        InvalidParameterValueException, ResourceNotFoundException, PreconditionFailedException,
        ResourceConflictException, PolicyLengthExceededException."""
        statement = statement_of(permission)
        for _ in range(ATTEMPTS):
            target = await self._target(layer, number)
            check_policy_revision(revision_id, target.revision_id, _TELLS_REVISION)
            policy = with_statement(target.stored.policy, statement, new_revision_id())
            if await committed(self._store, [target.exists, target.stored.replaced(policy)]):
                return statement, policy.revision_id
        raise _busy(layer, number)

    async def get(self, layer: LayerId, number: int) -> ResourcePolicy:
        """GetLayerVersionPolicy. Raises InvalidParameterValueException, ResourceNotFoundException."""
        policy = (await self._target(layer, number)).stored.policy
        if policy is None:
            raise no_policy()
        return policy

    async def remove(self, layer: LayerId, number: int, statement_id: str, revision_id: str | None) -> None:
        """RemoveLayerVersionPermission. Raises InvalidParameterValueException, ResourceNotFoundException,
        PreconditionFailedException."""
        for _ in range(ATTEMPTS):
            target = await self._target(layer, number)
            if target.stored.policy is None:
                raise no_policy()
            check_policy_revision(revision_id, target.revision_id, _TELLS_REVISION)
            policy = without_statement(target.stored.policy, statement_id, new_revision_id())
            if await committed(self._store, [target.exists, target.stored.replaced(policy)]):
                return
        raise _busy(layer, number)

    async def _target(self, layer: LayerId, number: int) -> _Target:
        check_layer_version(number)
        key = layer_version_key(layer, number)
        stored = await self._store.get(LAYER_VERSIONS, key)
        if stored is None:
            raise ResourceNotFoundException(f"Layer version {layer.version_arn(number)} does not exist.")
        policy_key = layer_policy_key(layer.account, layer.region, layer.name, number)
        return _Target(Expect(LAYER_VERSIONS, key, stored.revision), await read_policy(self._store, policy_key))


def _busy(layer: LayerId, number: int) -> ResourceConflictException:
    return ResourceConflictException(f"Too many changes of the policy of {layer.version_arn(number)} at once.")
