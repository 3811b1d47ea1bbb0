"""Managed policies: the customer's own, stored; AWS's, known by the form of their ARN. No evaluation yet.

A policy keeps one version (v1); CreatePolicyVersion is not offered. Of AWS's managed policies we have no documents, so
they can be attached to a role but not read.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from lambent.iam.access_key_ids import new_unique_id
from lambent.iam.policy_documents import check_identity_policy
from lambent.iam.roles import limit_exceeded, no_such_entity, size
from lambent.iam.tags import tagged
from lambent.model.errors import ServiceError
from lambent.model.ids import AccountId
from lambent.store.api import POLICIES, ConflictError, Delete, Put, Record, Store

POLICY_MAX_CHARACTERS: Final = 6144  # Managed policy length
DEFAULT_VERSION_ID: Final = "v1"
_POLICY_ARN = re.compile(
    r"arn:aws[a-z-]*:iam::(?P<owner>aws|[0-9]{12}):policy(?P<path>/(?:[\x21-\x7e]+/)?)(?P<name>[\w+=,.@-]+)"
)


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """A customer managed policy. `created_at` in seconds since the epoch."""

    account: AccountId
    name: str
    path: str
    policy_id: str
    document: str
    created_at: float
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:policy{self.path}{self.name}"


def policy_name_of(arn: str) -> str:
    """The name at the end of a policy's ARN."""
    return arn.rsplit("/", 1)[-1]


class ManagedPolicies:
    """The customer managed policies of this installation."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now

    async def create(
        self,
        account: AccountId,
        name: str,
        document: str,
        *,
        path: str = "/",
        description: str | None = None,
        tags: Iterable[tuple[str, str]] = (),
    ) -> ManagedPolicy:
        """Make a policy. Raises EntityAlreadyExists, MalformedPolicyDocument, LimitExceeded."""
        check_identity_policy(document)
        if size(document) > POLICY_MAX_CHARACTERS:
            raise limit_exceeded(f"Cannot exceed quota for PolicySize: {POLICY_MAX_CHARACTERS}")
        policy = ManagedPolicy(
            account, name, path, new_unique_id("ANPA"), document, self._now(), description, tagged({}, tags)
        )
        try:
            await self._store.commit([Put(POLICIES, _key(account, name), asdict(policy), expect=0)])
        except ConflictError as error:
            raise ServiceError(
                "EntityAlreadyExists",
                f"A policy called {name} already exists. Duplicate names are not allowed.",
                status=409,
            ) from error
        return policy

    async def get(self, arn: str) -> ManagedPolicy:
        """The policy with that ARN. Raises NoSuchEntity, InvalidInput for what is no policy ARN."""
        match = _POLICY_ARN.fullmatch(arn)
        if match is None:
            raise ServiceError("InvalidInput", f"ARN {arn} is not valid.")
        record = await self._store.get(POLICIES, _key(AccountId(match["owner"]), match["name"]))
        policy = None if record is None else _policy(record)
        if policy is None or policy.arn != arn:
            raise no_such_entity(f"Policy {arn} was not found.")
        return policy

    async def check_attachable(self, arn: str) -> None:
        """Raise NoSuchEntity unless there is such a policy, InvalidInput for what is no policy ARN.

        Any ARN in AWS's own namespace passes: which of AWS's managed policies exist is not known here.
        """
        match = _POLICY_ARN.fullmatch(arn)
        if match is not None and match["owner"] == "aws":
            return
        try:
            await self.get(arn)
        except ServiceError as error:
            if error.code != "NoSuchEntity":
                raise
            raise no_such_entity(f"Policy {arn} does not exist or is not attachable.") from error

    async def list_policies(self, account: AccountId, path_prefix: str = "/") -> list[ManagedPolicy]:
        """The account's policies under a path, by name (in lower case)."""
        policies = [_policy(record) for record in await self._store.scan(POLICIES, f"{account}/")]
        return [policy for policy in policies if policy.path.startswith(path_prefix)]

    async def delete(self, arn: str) -> None:
        """Remove a policy nothing is attached to (the caller has seen to it). Raises NoSuchEntity, InvalidInput."""
        policy = await self.get(arn)
        await self._store.commit([Delete(POLICIES, _key(policy.account, policy.name))])


def _key(account: AccountId, name: str) -> str:
    return f"{account}/{name.lower()}"


def _policy(record: Record) -> ManagedPolicy:
    return ManagedPolicy(**record.value)
