"""Managed policies: the customer's own, stored, in up to five versions; AWS's, from a data file of the package.

AWS's are those that people attach around Lambda (`aws_managed_policies.json`, written after
https://docs.aws.amazon.com/aws-managed-policy/latest/reference/). Of others the ARN is known to be possible, no more:
they can be attached, and allow nothing (`document_of` answers None).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Final

import orjson

from lambent.iam.access_key_ids import new_unique_id, unique_id_of
from lambent.iam.changes import change_record
from lambent.iam.policy_documents import check_identity_policy
from lambent.iam.policy_holders import delete_conflict, limit_exceeded, no_such_entity, size, store_key
from lambent.iam.tags import tagged, untagged
from lambent.model.errors import ServiceError
from lambent.model.ids import AccountId
from lambent.store.api import POLICIES, Change, ConflictError, Delete, Put, Record, Store

POLICY_MAX_CHARACTERS: Final = 6144  # Managed policy length
VERSIONS_MAX: Final = 5  # Versions of a managed policy that can be stored
FIRST_VERSION_ID: Final = "v1"
AWS: Final = AccountId("aws")
"""The owner of AWS's managed policies, as their ARNs say."""
_POLICY_ARN = re.compile(
    r"arn:aws[a-z-]*:iam::(?P<owner>aws|[0-9]{12}):policy(?P<path>/(?:[\x21-\x7e]+/)?)(?P<name>[\w+=,.@-]+)"
)


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One version. `created_at` in seconds since the epoch."""

    document: str
    created_at: float


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """A managed policy. `document` is its default version's. `created_at` in seconds since the epoch.

    `kept_versions` is empty while there is but the first one, which `versions` then makes up.
    """

    account: AccountId
    name: str
    path: str
    policy_id: str
    document: str
    created_at: float
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    default_version_id: str = FIRST_VERSION_ID
    last_version: int = 1
    kept_versions: Mapping[str, PolicyVersion] = field(default_factory=dict)
    updated_at: float | None = None

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:policy{self.path}{self.name}"

    @property
    def versions(self) -> Mapping[str, PolicyVersion]:
        """Version id → version, in the order made."""
        return self.kept_versions or {self.default_version_id: PolicyVersion(self.document, self.created_at)}


def policy_name_of(arn: str) -> str:
    """The name at the end of a policy's ARN."""
    return arn.rsplit("/", 1)[-1]


class ManagedPolicies:
    """The managed policies of this installation. Each method is one durable change, or a read that sees all before."""

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
        _check(document)
        policy = ManagedPolicy(
            account, name, path, new_unique_id("ANPA"), document, self._now(), description, tagged({}, tags)
        )
        try:
            await self._store.commit([Put(POLICIES, store_key(account, name), asdict(policy), expect=0)])
        except ConflictError as error:
            raise ServiceError(
                "EntityAlreadyExists",
                f"A policy called {name} already exists. Duplicate names are not allowed.",
                status=409,
            ) from error
        return policy

    async def get(self, arn: str) -> ManagedPolicy:
        """The policy with that ARN, AWS's too. Raises NoSuchEntity, InvalidInput for what is no policy ARN."""
        owner, name = _taken_apart(arn)
        if owner == AWS:
            policy = aws_managed_policies().get(arn)
        else:
            record = await self._store.get(POLICIES, store_key(owner, name))
            policy = None if record is None else _policy(record)
        if policy is None or policy.arn != arn:
            raise no_such_entity(f"Policy {arn} was not found.")
        return policy

    async def document_of(self, arn: str) -> str | None:
        """What a policy says now (its default version); None when it is not known here."""
        try:
            return (await self.get(arn)).document
        except ServiceError as error:
            if error.code not in ("NoSuchEntity", "InvalidInput"):
                raise
            return None

    async def check_attachable(self, arn: str) -> None:
        """Raise NoSuchEntity unless there is such a policy, InvalidInput for what is no policy ARN.

        Any ARN in AWS's own namespace passes: which of AWS's managed policies exist is not known here.
        """
        if _taken_apart(arn)[0] == AWS:
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
        """Remove a policy nothing is attached to (the caller has seen to it).

        Raises NoSuchEntity, InvalidInput, and DeleteConflict while it has versions that are not the default one.
        """
        _refuse_aws(arn)
        policy = await self.get(arn)
        if len(policy.versions) > 1:
            raise delete_conflict(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's "
                "versions. The default version is deleted with the policy."
            )
        await self._store.commit([Delete(POLICIES, store_key(policy.account, policy.name))])

    async def create_version(self, arn: str, document: str, *, as_default: bool) -> tuple[str, ManagedPolicy]:
        """Add a version; its id, and the policy. Raises as `create` and `get`."""
        _check(document)

        def add(policy: ManagedPolicy) -> ManagedPolicy:
            if len(policy.versions) >= VERSIONS_MAX:
                raise limit_exceeded(
                    f"A managed policy can have up to {VERSIONS_MAX} versions. Before you create a new version, you "
                    "must delete an existing version."
                )
            number = policy.last_version + 1
            versions = {**policy.versions, f"v{number}": PolicyVersion(document, self._now())}
            added = replace(policy, kept_versions=versions, last_version=number, updated_at=self._now())
            return replace(added, default_version_id=f"v{number}", document=document) if as_default else added

        policy = await self._change(arn, add)
        return f"v{policy.last_version}", policy

    async def set_default_version(self, arn: str, version_id: str) -> None:
        """Make another version the one that counts. Raises as `get`, NoSuchEntity for the version too."""

        def set_default(policy: ManagedPolicy) -> ManagedPolicy:
            version = version_of(policy, version_id)
            return replace(policy, default_version_id=version_id, document=version.document, updated_at=self._now())

        await self._change(arn, set_default)

    async def delete_version(self, arn: str, version_id: str) -> None:
        """Remove a version. Raises as `get`, NoSuchEntity for the version, DeleteConflict for the default one."""

        def remove(policy: ManagedPolicy) -> ManagedPolicy:
            version_of(policy, version_id)
            if version_id == policy.default_version_id:
                raise delete_conflict("Cannot delete the default version of a policy.")
            rest = {key: version for key, version in policy.versions.items() if key != version_id}
            return replace(policy, kept_versions=rest, updated_at=self._now())

        await self._change(arn, remove)

    async def tag(self, arn: str, tags: Iterable[tuple[str, str]]) -> None:
        """Add or replace tags. Raises as `get`, InvalidInput, LimitExceeded."""
        added = list(tags)
        await self._change(arn, lambda policy: replace(policy, tags=tagged(policy.tags, added)))

    async def untag(self, arn: str, keys: Iterable[str]) -> None:
        """Remove tags; absent ones are fine. Raises as `get`."""
        removed = list(keys)
        await self._change(arn, lambda policy: replace(policy, tags=untagged(policy.tags, removed)))

    async def _change(self, arn: str, change: Callable[[ManagedPolicy], ManagedPolicy]) -> ManagedPolicy:
        _refuse_aws(arn)
        owner, name = _taken_apart(arn)

        async def read() -> Record:
            record = await self._store.get(POLICIES, store_key(owner, name))
            if record is None or _policy(record).arn != arn:
                raise no_such_entity(f"Policy {arn} was not found.")
            return record

        def put(record: Record) -> tuple[ManagedPolicy, Change]:
            changed = change(_policy(record))
            return changed, Put(POLICIES, record.key, asdict(changed), expect=record.revision)

        return await change_record(self._store, read, put, f"Policy {arn}")


def version_of(policy: ManagedPolicy, version_id: str) -> PolicyVersion:
    """That version. Raises NoSuchEntity."""
    version = policy.versions.get(version_id)
    if version is None:
        raise no_such_entity(f"Policy {policy.arn} version {version_id} does not exist or is not attachable.")
    return version


@cache
def aws_managed_policies() -> Mapping[str, ManagedPolicy]:
    """ARN → AWS's managed policies, of those in the data file. Reads it at first use."""
    data = orjson.loads(resources.files("lambent.iam").joinpath("aws_managed_policies.json").read_bytes())
    policies: dict[str, ManagedPolicy] = {}
    for item in data:
        arn = f"arn:aws:iam::aws:policy{item['Path']}{item['Name']}"
        policies[arn] = ManagedPolicy(
            AWS,
            item["Name"],
            item["Path"],
            unique_id_of("ANPA", arn),
            orjson.dumps(item["Document"]).decode(),
            datetime.fromisoformat(item["Created"]).timestamp(),
            item["Description"],
            default_version_id=item["Version"],
        )
    return policies


def _taken_apart(arn: str) -> tuple[AccountId, str]:
    match = _POLICY_ARN.fullmatch(arn)
    if match is None:
        raise ServiceError("InvalidInput", f"ARN {arn} is not valid.")
    return AccountId(match["owner"]), match["name"]


def _refuse_aws(arn: str) -> None:
    if _taken_apart(arn)[0] == AWS:
        raise ServiceError("AccessDenied", f"The AWS managed policy {arn} cannot be changed.", status=403)


def _check(document: str) -> None:
    check_identity_policy(document)
    if size(document) > POLICY_MAX_CHARACTERS:
        raise limit_exceeded(f"Cannot exceed quota for PolicySize: {POLICY_MAX_CHARACTERS}")


def _policy(record: Record) -> ManagedPolicy:
    versions = {key: PolicyVersion(**version) for key, version in record.value.get("kept_versions", {}).items()}
    return ManagedPolicy(**{**record.value, "kept_versions": versions})
