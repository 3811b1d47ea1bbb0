"""Everything IAM answers. IAM is global: one set of users, roles, policies and keys for an account, in any region."""

from __future__ import annotations

from lambent.aws.context import Operations
from lambent.aws.service import ServiceDefinition
from lambent.iam.entities import IamEntities
from lambent.iam.policy_sources import PolicySource
from lambent.services.iam import access_keys, account, open_id_providers, policies, roles, simulation, users
from lambent.services.iam.holder_policies import policy_operations, tag_and_boundary_operations


def definition(entities: IamEntities, callers: PolicySource) -> ServiceDefinition:
    """The service, for the request chain."""
    return ServiceDefinition("iam", operations(entities, callers))


def operations(entities: IamEntities, callers: PolicySource) -> Operations:
    """Operation name → handler."""
    managed = entities.policies
    return {
        **users.operations(entities),
        **roles.operations(entities),
        **policy_operations("Role", entities.roles, managed),
        **policy_operations("User", entities.users, managed),
        **policy_operations("Group", entities.groups, managed),
        **tag_and_boundary_operations("Role", entities.roles, managed),
        **tag_and_boundary_operations("User", entities.users, managed),
        **policies.operations(entities),
        **access_keys.operations(entities),
        **open_id_providers.operations(entities),
        **account.operations(entities),
        **simulation.operations(entities, callers),
    }
