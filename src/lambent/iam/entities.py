"""Everything IAM keeps, together: what the IAM API and policy evaluation are given."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from lambent.iam.identities import Identities
from lambent.iam.managed_policies import ManagedPolicies
from lambent.iam.open_id_providers import OpenIdProviders
from lambent.iam.roles import Roles
from lambent.iam.users import Groups, Users
from lambent.store.api import Store


@dataclass(frozen=True, slots=True)
class IamEntities:
    """Users, groups, roles, managed policies, access keys and identity providers of this installation."""

    users: Users
    groups: Groups
    roles: Roles
    policies: ManagedPolicies
    identities: Identities
    open_id_providers: OpenIdProviders

    @classmethod
    def of(cls, store: Store, identities: Identities, now: Callable[[], float] = time.time) -> IamEntities:
        """Those in a store."""
        return cls(
            Users(store, now),
            Groups(store, now),
            Roles(store, now),
            ManagedPolicies(store, now),
            identities,
            OpenIdProviders(store, now),
        )
