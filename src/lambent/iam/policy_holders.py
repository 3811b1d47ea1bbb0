"""What roles, users and groups have in common: a name, a path, inline policies and attached managed ones.

Knows the store port and nothing of the wire. Errors are AWS's:
https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html. Names are unlike in more than case, so the
store key is the name in lower case. Policies are stored as the text that was given.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Generic, TypeVar

from lambent.iam.changes import change_record
from lambent.iam.policy_documents import check_identity_policy
from lambent.iam.tags import tagged, untagged
from lambent.model.errors import ServiceError
from lambent.model.ids import AccountId
from lambent.store.api import Change, ConflictError, Delete, Put, Record, Store

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
ATTACHED_POLICIES_MAX: Final = 10  # Managed policies attached to an IAM role, user or group


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyHolder:
    """A role, a user or a group. `created_at` in seconds since the epoch."""

    account: AccountId
    name: str
    path: str = "/"
    created_at: float
    permissions_boundary: str | None = None  # a managed policy's ARN
    tags: Mapping[str, str] = field(default_factory=dict)
    inline_policies: Mapping[str, str] = field(default_factory=dict)  # name → document
    attached_policies: tuple[str, ...] = ()  # ARNs, in the order attached


H = TypeVar("H", bound=PolicyHolder)


@dataclass(frozen=True, slots=True)
class HolderKind(Generic[H]):
    """What differs: `noun` as in AWS's messages, the quota of all inline policies together in characters."""

    noun: str
    table: str
    load: Callable[[Mapping[str, Any]], H]
    inline_max_characters: int


class PolicyHolders(Generic[H]):
    """All of a kind. Each method is one durable change, or a read that sees all before it."""

    kind: HolderKind[H]

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now

    async def get(self, account: AccountId, name: str) -> H:
        """The one with that name. Raises NoSuchEntity."""
        return self._loaded(await self._record(account, name))

    async def find_named(self, account: AccountId, name: str) -> H | None:
        """The one with that name, or None."""
        record = await self._store.get(self.kind.table, store_key(account, name))
        return None if record is None else self._loaded(record)

    async def list_all(self, account: AccountId, path_prefix: str = "/") -> list[H]:
        """The account's under a path, by name (in lower case)."""
        found = [self._loaded(record) for record in await self._store.scan(self.kind.table, f"{account}/")]
        return [one for one in found if one.path.startswith(path_prefix)]

    async def set_permissions_boundary(self, account: AccountId, name: str, policy_arn: str | None) -> H:
        """Set or (None) remove the permissions boundary. Raises NoSuchEntity."""
        return await self._change(account, name, lambda holder: replace(holder, permissions_boundary=policy_arn))

    async def put_policy(self, account: AccountId, name: str, policy_name: str, document: str) -> H:
        """Add or replace an inline policy. Raises NoSuchEntity, MalformedPolicyDocument, LimitExceeded."""
        check_identity_policy(document)
        limit = self.kind.inline_max_characters

        def put(holder: H) -> H:
            policies = {**holder.inline_policies, policy_name: document}
            if sum(map(size, policies.values())) > limit:
                raise limit_exceeded(f"Maximum policy size of {limit} bytes exceeded for {self.kind.noun} {name}")
            return replace(holder, inline_policies=policies)

        return await self._change(account, name, put)

    async def get_policy(self, account: AccountId, name: str, policy_name: str) -> str:
        """The document of an inline policy. Raises NoSuchEntity for the holder and for the policy."""
        document = (await self.get(account, name)).inline_policies.get(policy_name)
        if document is None:
            raise self._no_such_inline_policy(policy_name)
        return document

    async def delete_policy(self, account: AccountId, name: str, policy_name: str) -> H:
        """Remove an inline policy. Raises NoSuchEntity for the holder and for the policy."""

        def remove(holder: H) -> H:
            if policy_name not in holder.inline_policies:
                raise self._no_such_inline_policy(policy_name)
            rest = {key: document for key, document in holder.inline_policies.items() if key != policy_name}
            return replace(holder, inline_policies=rest)

        return await self._change(account, name, remove)

    async def attach_policy(self, account: AccountId, name: str, policy_arn: str) -> H:
        """Attach a managed policy (which exists: the caller has seen to it). Raises NoSuchEntity, LimitExceeded."""

        def attach(holder: H) -> H:
            if policy_arn in holder.attached_policies:
                return holder
            if len(holder.attached_policies) >= ATTACHED_POLICIES_MAX:
                noun = self.kind.noun.capitalize()
                raise limit_exceeded(f"Cannot exceed quota for PoliciesPer{noun}: {ATTACHED_POLICIES_MAX}")
            return replace(holder, attached_policies=(*holder.attached_policies, policy_arn))

        return await self._change(account, name, attach)

    async def detach_policy(self, account: AccountId, name: str, policy_arn: str) -> H:
        """Detach a managed policy. Raises NoSuchEntity for the holder and for the policy."""

        def detach(holder: H) -> H:
            if policy_arn not in holder.attached_policies:
                raise no_such_entity(f"Policy {policy_arn} was not found.")
            rest = tuple(arn for arn in holder.attached_policies if arn != policy_arn)
            return replace(holder, attached_policies=rest)

        return await self._change(account, name, detach)

    async def tag(self, account: AccountId, name: str, tags: Iterable[tuple[str, str]]) -> H:
        """Add or replace tags. Raises NoSuchEntity, InvalidInput, LimitExceeded."""
        added = list(tags)
        return await self._change(account, name, lambda holder: replace(holder, tags=tagged(holder.tags, added)))

    async def untag(self, account: AccountId, name: str, keys: Iterable[str]) -> H:
        """Remove tags; absent ones are fine. Raises NoSuchEntity."""
        removed = list(keys)
        return await self._change(account, name, lambda holder: replace(holder, tags=untagged(holder.tags, removed)))

    async def _create(self, holder: H) -> H:
        change = Put(self.kind.table, store_key(holder.account, holder.name), asdict(holder), expect=0)
        try:
            await self._store.commit([change])
        except ConflictError as error:
            noun = self.kind.noun.capitalize()
            text = f"{noun} with name {holder.name} already exists."
            raise ServiceError("EntityAlreadyExists", text, status=409) from error
        return holder

    async def _delete(self, account: AccountId, name: str, check: Callable[[H], None]) -> H:
        """Remove it once `check` raises nothing. Raises NoSuchEntity, and DeleteConflict while it has policies."""

        def delete(record: Record) -> tuple[H, Change]:
            holder = self._loaded(record)
            if holder.attached_policies:
                raise delete_conflict("Cannot delete entity, must detach all policies first.")
            if holder.inline_policies:
                raise delete_conflict("Cannot delete entity, must delete policies first.")
            check(holder)
            return holder, Delete(self.kind.table, record.key, expect=record.revision)

        return await self._change_record(account, name, delete)

    async def _change(self, account: AccountId, name: str, change: Callable[[H], H]) -> H:
        def put(record: Record) -> tuple[H, Change]:
            holder = change(self._loaded(record))
            return holder, Put(self.kind.table, record.key, asdict(holder), expect=record.revision)

        return await self._change_record(account, name, put)

    async def _change_record(self, account: AccountId, name: str, change: Callable[[Record], tuple[H, Change]]) -> H:
        what = f"The {self.kind.noun} with name {name}"
        return await change_record(self._store, lambda: self._record(account, name), change, what)

    async def _record(self, account: AccountId, name: str) -> Record:
        record = await self._store.get(self.kind.table, store_key(account, name))
        if record is None:
            raise self.no_such(name)
        return record

    def _loaded(self, record: Record) -> H:
        value = record.value
        return self.kind.load({**value, "attached_policies": tuple(value["attached_policies"])})

    def no_such(self, name: str) -> ServiceError:
        """404 NoSuchEntity for one of this kind."""
        return no_such_entity(f"The {self.kind.noun} with name {name} cannot be found.")

    def _no_such_inline_policy(self, policy_name: str) -> ServiceError:
        return no_such_entity(f"The {self.kind.noun} policy with name {policy_name} cannot be found.")


def store_key(account: AccountId, name: str) -> str:
    """The store key of what has that name."""
    return f"{account}/{name.lower()}"


def no_such_entity(message: str) -> ServiceError:
    """404 NoSuchEntity."""
    return ServiceError("NoSuchEntity", message, status=404)


def limit_exceeded(message: str) -> ServiceError:
    """409 LimitExceeded."""
    return ServiceError("LimitExceeded", message, status=409)


def delete_conflict(message: str) -> ServiceError:
    """409 DeleteConflict."""
    return ServiceError("DeleteConflict", message, status=409)


def size(document: str) -> int:
    """The size of a policy as the quotas count it: characters without white space."""
    return len("".join(document.split()))
