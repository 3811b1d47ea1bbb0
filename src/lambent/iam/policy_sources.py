"""Which policies have a say about a caller or a resource, compiled and kept. Reads the store; nothing of the wire.

Answers from memory as long as nothing relevant changed: the first request of a caller after a change loads what it
needs (`load`), all others find it (`cached`). A change of a user, group, role or policy drops everything kept before
the commit of it returns, so a request sent after a change was answered is judged by it.
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from lambent.iam.access_key_ids import unique_id_of
from lambent.iam.entities import IamEntities
from lambent.iam.policy.document import Policy, PolicyError, parse_policy
from lambent.iam.policy.subjects import Subject, subject_of
from lambent.iam.policy_holders import PolicyHolder
from lambent.iam.principal import Principal
from lambent.iam.roles import Role
from lambent.model.resource_policy import ResourcePolicy
from lambent.store.api import GROUPS, POLICIES, RESOURCE_POLICIES, ROLES, USERS, Store

logger = logging.getLogger(__name__)

_KEPT_MAX: Final = 4096
_USER = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:user/(?:.*/)?(?P<name>[^/]+)")

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class CallerPolicies:
    """All that limits a caller, and what it is to conditions. `keys`: its condition keys, names in lower case.

    `needs_keys`: whether any of these policies looks at keys at all.
    """

    subject: Subject
    identity: Sequence[Policy] = ()
    boundary: Sequence[Policy] | None = None
    session: Sequence[Policy] | None = None
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    needs_keys: bool = True
    allowed: dict[Hashable, Sequence[Policy]] = field(default_factory=dict, compare=False, repr=False)
    """Frequent accesses that were allowed, and the resource's own policies then (see `enforcement`)."""


class ResourcePolicies(Protocol):
    """Port: the policies that resources have themselves. `table` and `key` say where the resource keeps it."""

    def cached(self, table: str, key: str) -> Sequence[Policy] | None:
        """The policies, or None when they must be loaded."""
        ...

    async def load(self, table: str, key: str) -> Sequence[Policy]:
        """The policies; none for a resource that has none or does not exist."""
        ...


class Kept(Generic[K, V]):
    """What was loaded, until a change makes it stale. Old entries go when there are too many."""

    def __init__(self, store: Store, tables: Iterable[str]) -> None:
        self._values: OrderedDict[K, V] = OrderedDict()
        self._generation = 0
        self._end_watches = [store.watch(table, self._changed) for table in tables]

    def get(self, key: K) -> V | None:
        return self._values.get(key)

    async def load(self, key: K, read: Callable[[], Awaitable[V]]) -> V:
        """Read, and keep it unless something changed meanwhile."""
        generation = self._generation
        value = await read()
        if generation == self._generation:
            self._values[key] = value
            if len(self._values) > _KEPT_MAX:
                self._values.popitem(last=False)
        return value

    def close(self) -> None:
        """Stop following changes. Idempotent; before the store is closed."""
        for end in self._end_watches:
            end()

    def _changed(self, _: str) -> None:
        self._generation += 1
        self._values.clear()


class PolicySource:
    """The policies of callers."""

    def __init__(self, store: Store, entities: IamEntities) -> None:
        self._entities = entities
        self._kept: Kept[Principal, CallerPolicies] = Kept(store, (USERS, GROUPS, ROLES, POLICIES))

    def cached(self, principal: Principal) -> CallerPolicies | None:
        """The policies of a caller, or None when they must be loaded."""
        return self._kept.get(principal)

    async def load(self, principal: Principal) -> CallerPolicies:
        """The policies of a caller. Who does not exist (any more) has none, and so may nothing."""
        return await self._kept.load(principal, lambda: self._read(principal))

    def close(self) -> None:
        """Stop following changes. Idempotent; before the store is closed."""
        self._kept.close()

    async def identity_policies(self, holder: PolicyHolder) -> list[Policy]:
        """The inline and managed policies of a user, group or role, and of a user's groups."""
        policies = [_parsed(text, name) for name, text in holder.inline_policies.items()]
        policies += await self.managed(holder.attached_policies)
        for name in getattr(holder, "groups", ()):
            group = await self._entities.groups.find_named(holder.account, name)
            if group is not None:
                policies += await self.identity_policies(group)
        return policies

    async def managed(self, arns: Iterable[str]) -> list[Policy]:
        """Managed policies; those that are not known here allow nothing, and are logged."""
        policies: list[Policy] = []
        for arn in arns:
            document = await self._entities.policies.document_of(arn)
            if document is None:
                logger.warning("an attached policy is not known and allows nothing", extra={"policy_arn": arn})
            else:
                policies.append(_parsed(document, arn))
        return policies

    async def _read(self, principal: Principal) -> CallerPolicies:
        holder = await self._holder(principal)
        identity = await self.identity_policies(holder) if holder is not None else []
        boundary: list[Policy] | None = None
        if holder is not None and holder.permissions_boundary is not None:
            boundary = await self.managed([holder.permissions_boundary])
        session = principal.session
        narrowed: list[Policy] | None = None
        if session is not None and (session.policies or session.policy_arns):
            narrowed = [_parsed(text, "session policy") for text in session.policies]
            narrowed += await self.managed(session.policy_arns)
        every = [*identity, *(boundary or ()), *(narrowed or ())]
        keys = caller_keys(principal, holder)
        needs_keys = any(policy.context_keys for policy in every)
        return CallerPolicies(subject_of(principal), identity, boundary, narrowed, keys, needs_keys)

    async def _holder(self, principal: Principal) -> PolicyHolder | None:
        """The user or role somebody is; None for root, and for who is gone though a namesake may be there."""
        subject = subject_of(principal)
        if subject.role is not None:
            role = await self._entities.roles.find_named(principal.account, subject.role)
            return role if role is not None and _is_session_of(principal, role) else None
        match = _USER.fullmatch(principal.arn)
        if match is None:
            return None
        user = await self._entities.users.find_named(principal.account, match["name"])
        return user if user is not None and user.user_id == principal.user_id else None


class StoredResourcePolicies:
    """Implements `ResourcePolicies`: those the control plane stores, and the trust policies of roles (ROLES, ARN)."""

    def __init__(self, store: Store, entities: IamEntities) -> None:
        self._store = store
        self._entities = entities
        self._kept: Kept[tuple[str, str], Sequence[Policy]] = Kept(store, (RESOURCE_POLICIES, ROLES))

    def cached(self, table: str, key: str) -> Sequence[Policy] | None:
        """See `ResourcePolicies`."""
        return self._kept.get((table, key))

    async def load(self, table: str, key: str) -> Sequence[Policy]:
        """See `ResourcePolicies`."""
        return await self._kept.load((table, key), lambda: self._read(table, key))

    def close(self) -> None:
        """Stop following changes. Idempotent; before the store is closed."""
        self._kept.close()

    async def _read(self, table: str, key: str) -> Sequence[Policy]:
        if table == ROLES:
            role = await self._entities.roles.find(key)
            return () if role is None else (_parsed(role.trust_policy, key),)
        record = await self._store.get(table, key)
        if record is None:
            return ()
        return (_parsed(ResourcePolicy.from_document(record.value).text, key),)


def caller_keys(principal: Principal, holder: PolicyHolder | None) -> dict[str, tuple[str, ...]]:
    """The condition keys a caller brings along.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    subject, session = subject_of(principal), principal.session
    keys: dict[str, str] = {
        "aws:principalaccount": principal.account,
        "aws:principalarn": principal.arn,
        "aws:userid": principal.user_id,
        "aws:principaltype": "Account" if subject.is_root else "User" if subject.role is None else "AssumedRole",
        "aws:principalisawsservice": "false",
        "aws:viaawsservice": "false",
    }
    if isinstance(holder, Role):
        keys["aws:principalarn"] = holder.arn
    elif holder is not None:
        keys["aws:username"] = holder.name
    tags = dict(holder.tags) if holder is not None else {}
    if session is not None:
        keys["aws:tokenissuetime"] = str(int(session.issued_at))
        keys["aws:multifactorauthpresent"] = "false"
        if session.source_identity is not None:
            keys["aws:sourceidentity"] = session.source_identity
        tags |= dict(session.tags)
    keys |= {f"aws:principaltag/{name.lower()}": value for name, value in tags.items()}
    return {name: (value,) for name, value in keys.items()}


def _is_session_of(principal: Principal, role: Role) -> bool:
    """Whether a session is of this very role, not of a deleted one of that name."""
    session = principal.session
    if session is None or session.role_arn != role.arn:
        return False
    # Sessions of execution environments are made from the ARN alone.
    return principal.user_id.partition(":")[0] in (role.role_id, unique_id_of("AROA", role.arn))


def _parsed(text: str, name: str) -> Policy:
    """A stored policy. One that cannot be evaluated denies everything: it may have been meant to deny."""
    try:
        return parse_policy(text, name)
    except PolicyError:
        logger.exception("a policy cannot be evaluated and denies everything", extra={"policy": name})
        return parse_policy(_DENIES_ALL, name)


_DENIES_ALL: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}],
}
