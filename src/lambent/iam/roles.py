"""Roles: what is stored about them, and the rules of changing it. Knows the store port and nothing of the wire.

Errors are AWS's: https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html. Names are unlike in more than
case, so the store key is the name in lower case. Policies are stored as the text that was given; evaluating them is
for later, apart from trust policies (`lambent.iam.policy_documents`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from typing import Final

from lambent.iam.access_key_ids import new_unique_id
from lambent.iam.policy_documents import check_identity_policy, check_trust_policy, trusts_service
from lambent.iam.sessions import parse_role_arn
from lambent.iam.tags import tagged, untagged
from lambent.model.errors import ServiceError
from lambent.model.ids import AccountId
from lambent.store.api import ROLES, ConflictError, Delete, Put, Record, Store

MAX_SESSION_DURATION_DEFAULT_S: Final = 3600
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html (sizes in characters without white space)
TRUST_POLICY_MAX_CHARACTERS: Final = 2048  # Role trust policy length
INLINE_POLICIES_MAX_CHARACTERS: Final = 10_240  # Role inline policies, together
ATTACHED_POLICIES_MAX: Final = 10  # Managed policies attached to an IAM role
_CHANGE_ATTEMPTS: Final = 10


@dataclass(frozen=True, slots=True)
class Role:
    """A role. `trust_policy` is its AssumeRolePolicyDocument; `created_at` in seconds since the epoch."""

    account: AccountId
    name: str
    path: str
    role_id: str
    trust_policy: str
    created_at: float
    description: str | None = None
    max_session_duration_s: int = MAX_SESSION_DURATION_DEFAULT_S
    permissions_boundary: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    inline_policies: Mapping[str, str] = field(default_factory=dict)  # name → document
    attached_policies: tuple[str, ...] = ()  # ARNs, in the order attached

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:role{self.path}{self.name}"


class RoleTrust(Enum):
    """What is to be known about a role before a service is given it."""

    TRUSTED = "it exists and lets the service assume it"
    UNTRUSTED = "it exists and does not let the service assume it"
    ABSENT = "there is no such role here"
    NOT_A_ROLE = "it is not the ARN of a role"


class Roles:
    """The roles of this installation. Each method is one durable change, or a read that sees all before it."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now

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
        role = Role(
            account,
            name,
            path,
            new_unique_id("AROA"),
            trust_policy,
            self._now(),
            description,
            max_session_duration_s,
            permissions_boundary,
            tagged({}, tags),
        )
        try:
            await self._store.commit([Put(ROLES, _key(account, name), asdict(role), expect=0)])
        except ConflictError as error:
            raise ServiceError("EntityAlreadyExists", f"Role with name {name} already exists.", status=409) from error
        return role

    async def get(self, account: AccountId, name: str) -> Role:
        """The role with that name. Raises NoSuchEntity."""
        return _role(await self._record(account, name))

    async def find(self, arn: str) -> Role | None:
        """The role with exactly that ARN, or None."""
        parsed = parse_role_arn(arn)
        if parsed is None:
            return None
        record = await self._store.get(ROLES, _key(parsed.account, parsed.name))
        role = None if record is None else _role(record)
        return role if role is not None and role.arn == arn else None

    async def trust_in_service(self, role_arn: str, service: str = "lambda.amazonaws.com") -> RoleTrust:
        """Whether a service may be given that role. The caller decides what follows from it."""
        if parse_role_arn(role_arn) is None:
            return RoleTrust.NOT_A_ROLE
        role = await self.find(role_arn)
        if role is None:
            return RoleTrust.ABSENT
        return RoleTrust.TRUSTED if trusts_service(role.trust_policy, service) else RoleTrust.UNTRUSTED

    async def list_roles(self, account: AccountId, path_prefix: str = "/") -> list[Role]:
        """The account's roles under a path, by name (in lower case)."""
        roles = [_role(record) for record in await self._store.scan(ROLES, f"{account}/")]
        return [role for role in roles if role.path.startswith(path_prefix)]

    async def delete(self, account: AccountId, name: str) -> None:
        """Remove a role. Raises NoSuchEntity, and DeleteConflict while it has policies."""
        for _ in range(_CHANGE_ATTEMPTS):
            record = await self._record(account, name)
            role = _role(record)
            if role.attached_policies:
                raise _delete_conflict("Cannot delete entity, must detach all policies first.")
            if role.inline_policies:
                raise _delete_conflict("Cannot delete entity, must delete policies first.")
            try:
                await self._store.commit([Delete(ROLES, record.key, expect=record.revision)])
            except ConflictError:
                continue
            return
        raise _concurrent_modification(name)

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

    async def set_permissions_boundary(self, account: AccountId, name: str, policy_arn: str | None) -> Role:
        """Set or (None) remove the permissions boundary. Raises NoSuchEntity."""
        return await self._change(account, name, lambda role: replace(role, permissions_boundary=policy_arn))

    async def put_policy(self, account: AccountId, name: str, policy_name: str, document: str) -> Role:
        """Add or replace an inline policy. Raises NoSuchEntity, MalformedPolicyDocument, LimitExceeded."""
        check_identity_policy(document)

        def put(role: Role) -> Role:
            policies = {**role.inline_policies, policy_name: document}
            if sum(map(size, policies.values())) > INLINE_POLICIES_MAX_CHARACTERS:
                limit = INLINE_POLICIES_MAX_CHARACTERS
                raise limit_exceeded(f"Maximum policy size of {limit} bytes exceeded for role {name}")
            return replace(role, inline_policies=policies)

        return await self._change(account, name, put)

    async def get_policy(self, account: AccountId, name: str, policy_name: str) -> str:
        """The document of an inline policy. Raises NoSuchEntity for the role and for the policy."""
        document = (await self.get(account, name)).inline_policies.get(policy_name)
        if document is None:
            raise _no_such_inline_policy(policy_name)
        return document

    async def delete_policy(self, account: AccountId, name: str, policy_name: str) -> Role:
        """Remove an inline policy. Raises NoSuchEntity for the role and for the policy."""

        def remove(role: Role) -> Role:
            if policy_name not in role.inline_policies:
                raise _no_such_inline_policy(policy_name)
            rest = {key: document for key, document in role.inline_policies.items() if key != policy_name}
            return replace(role, inline_policies=rest)

        return await self._change(account, name, remove)

    async def attach_policy(self, account: AccountId, name: str, policy_arn: str) -> Role:
        """Attach a managed policy (which exists: the caller has seen to it). Raises NoSuchEntity, LimitExceeded."""

        def attach(role: Role) -> Role:
            if policy_arn in role.attached_policies:
                return role
            if len(role.attached_policies) >= ATTACHED_POLICIES_MAX:
                raise limit_exceeded(f"Cannot exceed quota for PoliciesPerRole: {ATTACHED_POLICIES_MAX}")
            return replace(role, attached_policies=(*role.attached_policies, policy_arn))

        return await self._change(account, name, attach)

    async def detach_policy(self, account: AccountId, name: str, policy_arn: str) -> Role:
        """Detach a managed policy. Raises NoSuchEntity for the role and for the policy."""

        def detach(role: Role) -> Role:
            if policy_arn not in role.attached_policies:
                raise no_such_entity(f"Policy {policy_arn} was not found.")
            rest = tuple(arn for arn in role.attached_policies if arn != policy_arn)
            return replace(role, attached_policies=rest)

        return await self._change(account, name, detach)

    async def tag(self, account: AccountId, name: str, tags: Iterable[tuple[str, str]]) -> Role:
        """Add or replace tags. Raises NoSuchEntity, InvalidInput, LimitExceeded."""
        added = list(tags)
        return await self._change(account, name, lambda role: replace(role, tags=tagged(role.tags, added)))

    async def untag(self, account: AccountId, name: str, keys: Iterable[str]) -> Role:
        """Remove tags; absent ones are fine. Raises NoSuchEntity."""
        removed = list(keys)
        return await self._change(account, name, lambda role: replace(role, tags=untagged(role.tags, removed)))

    async def _record(self, account: AccountId, name: str) -> Record:
        record = await self._store.get(ROLES, _key(account, name))
        if record is None:
            raise no_such_entity(f"The role with name {name} cannot be found.")
        return record

    async def _change(self, account: AccountId, name: str, change: Callable[[Role], Role]) -> Role:
        """Read, change, write if nobody wrote in between; else once more."""
        for _ in range(_CHANGE_ATTEMPTS):
            record = await self._record(account, name)
            role = change(_role(record))
            try:
                await self._store.commit([Put(ROLES, record.key, asdict(role), expect=record.revision)])
            except ConflictError:
                continue
            return role
        raise _concurrent_modification(name)


def no_such_entity(message: str) -> ServiceError:
    """404 NoSuchEntity."""
    return ServiceError("NoSuchEntity", message, status=404)


def limit_exceeded(message: str) -> ServiceError:
    """409 LimitExceeded."""
    return ServiceError("LimitExceeded", message, status=409)


def size(document: str) -> int:
    """The size of a policy as the quotas count it: characters without white space."""
    return len("".join(document.split()))


def _check_trust_policy(document: str) -> None:
    check_trust_policy(document)
    if size(document) > TRUST_POLICY_MAX_CHARACTERS:
        raise limit_exceeded(f"Cannot exceed quota for ACLSizePerRole: {TRUST_POLICY_MAX_CHARACTERS}")


def _key(account: AccountId, name: str) -> str:
    return f"{account}/{name.lower()}"


def _role(record: Record) -> Role:
    value = record.value
    return Role(**{**value, "attached_policies": tuple(value["attached_policies"])})


def _no_such_inline_policy(policy_name: str) -> ServiceError:
    return no_such_entity(f"The role policy with name {policy_name} cannot be found.")


def _delete_conflict(message: str) -> ServiceError:
    return ServiceError("DeleteConflict", message, status=409)


def _concurrent_modification(name: str) -> ServiceError:
    return ServiceError(
        "ConcurrentModification",
        f"The role with name {name} was changed by many requests at once. Submit your request again.",
        status=409,
    )
