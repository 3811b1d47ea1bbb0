"""Everything IAM answers. IAM is global: one set of roles, policies and keys for an account, whatever the region."""

from __future__ import annotations

from lambent.aws.context import Operations
from lambent.aws.service import ServiceDefinition
from lambent.iam.identities import Identities
from lambent.iam.managed_policies import ManagedPolicies
from lambent.iam.roles import Roles
from lambent.services.iam import access_keys, role_policies
from lambent.services.iam import policies as policy_operations
from lambent.services.iam import roles as role_operations


def definition(roles: Roles, policies: ManagedPolicies, identities: Identities) -> ServiceDefinition:
    """The service, for the request chain."""
    return ServiceDefinition("iam", operations(roles, policies, identities))


def operations(roles: Roles, policies: ManagedPolicies, identities: Identities) -> Operations:
    """Operation name → handler."""
    return {
        **role_operations.operations(roles),
        **role_policies.operations(roles, policies),
        **policy_operations.operations(roles, policies),
        **access_keys.operations(identities),
    }
