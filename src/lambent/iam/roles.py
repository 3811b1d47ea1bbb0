"""Roles: what is stored about them, and the rules of changing it. Knows the store port and nothing of the wire.

What they share with users and groups is in `lambent.iam.policy_holders`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from lambent.iam.access_key_ids import new_unique_id
from lambent.iam.policy_documents import check_trust_policy, trusts_service
from lambent.iam.policy_holders import HolderKind, PolicyHolder, PolicyHolders, limit_exceeded, size
from lambent.iam.sessions import parse_role_arn
from lambent.iam.tags import tagged
from lambent.model.ids import AccountId
from lambent.store.api import ROLES

MAX_SESSION_DURATION_DEFAULT_S: Final = 3600
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html (sizes in characters without white space)
TRUST_POLICY_MAX_CHARACTERS: Final = 2048  # Role trust policy length
INLINE_POLICIES_MAX_CHARACTERS: Final = 10_240  # Role inline policies, together


@dataclass(frozen=True, slots=True, kw_only=True)
class Role(PolicyHolder):
    """A role. `trust_policy` is its AssumeRolePolicyDocument."""

    role_id: str
    trust_policy: str
    description: str | None = None
    max_session_duration_s: int = MAX_SESSION_DURATION_DEFAULT_S

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:role{self.path}{self.name}"


class RoleTrust(Enum):
    """What is to be known about a role before a service is given it."""

    TRUSTED = "it exists and lets the service assume it"
    UNTRUSTED = "it exists and does not let the service assume it"
    ABSENT = "there is no such role here"
    NOT_A_ROLE = "it is not the ARN of a role"


class Roles(PolicyHolders[Role]):
    """The roles of this installation."""

    kind = HolderKind("role", ROLES, lambda value: Role(**value), INLINE_POLICIES_MAX_CHARACTERS)

    async def create(
        self,
        account: AccountId,
        name: str,
        trust_policy: str,
        *,
        path: str = "/",
        description: str | None = None,
        max_session_duration_s: int = MAX_SESSION_DURATION_DEFAULT_S,
        permissions_boundary: str | None = None,
        tags: Iterable[tuple[str, str]] = (),
    ) -> Role:
        """Make a role. Raises EntityAlreadyExists, MalformedPolicyDocument, LimitExceeded."""
        _check_trust_policy(trust_policy)
        return await self._create(
            Role(
                account=account,
                name=name,
                path=path,
                role_id=new_unique_id("AROA"),
                trust_policy=trust_policy,
                created_at=self._now(),
                description=description,
                max_session_duration_s=max_session_duration_s,
                permissions_boundary=permissions_boundary,
                tags=tagged({}, tags),
            )
        )

    async def find(self, arn: str) -> Role | None:
        """The role with exactly that ARN, or None."""
        parsed = parse_role_arn(arn)
        if parsed is None:
            return None
        role = await self.find_named(parsed.account, parsed.name)
        return role if role is not None and role.arn == arn else None

    async def trust_in_service(self, role_arn: str, service: str = "lambda.amazonaws.com") -> RoleTrust:
        """Whether a service may be given that role. The caller decides what follows from it."""
        if parse_role_arn(role_arn) is None:
            return RoleTrust.NOT_A_ROLE
        role = await self.find(role_arn)
        if role is None:
            return RoleTrust.ABSENT
        return RoleTrust.TRUSTED if trusts_service(role.trust_policy, service) else RoleTrust.UNTRUSTED

    async def delete(self, account: AccountId, name: str) -> None:
        """Remove a role. Raises NoSuchEntity, and DeleteConflict while it has policies."""
        await self._delete(account, name, lambda role: None)

    async def update(
        self, account: AccountId, name: str, *, description: str | None, max_session_duration_s: int | None
    ) -> Role:
        """Change what is not None. Raises NoSuchEntity."""
        return await self._change(
            account,
            name,
            lambda role: replace(
                role,
                description=role.description if description is None else description,
                max_session_duration_s=max_session_duration_s or role.max_session_duration_s,
            ),
        )

    async def update_trust_policy(self, account: AccountId, name: str, trust_policy: str) -> Role:
        """Replace the trust policy. Raises NoSuchEntity, MalformedPolicyDocument, LimitExceeded."""
        _check_trust_policy(trust_policy)
        return await self._change(account, name, lambda role: replace(role, trust_policy=trust_policy))


def _check_trust_policy(document: str) -> None:
    check_trust_policy(document)
    if size(document) > TRUST_POLICY_MAX_CHARACTERS:
        raise limit_exceeded(f"Cannot exceed quota for ACLSizePerRole: {TRUST_POLICY_MAX_CHARACTERS}")
