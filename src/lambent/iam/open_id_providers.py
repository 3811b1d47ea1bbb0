"""OpenID Connect identity providers: whose tokens roles may trust. Knows the store port and nothing of the wire.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html. A provider is known by its URL
without the scheme: that is its name in ARNs and in the condition keys of trust policies.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from lambent.iam.changes import change_record
from lambent.iam.policy_holders import limit_exceeded, no_such_entity
from lambent.iam.tags import tagged, untagged
from lambent.model.errors import ServiceError
from lambent.model.ids import AccountId
from lambent.store.api import OPEN_ID_PROVIDERS, Change, ConflictError, Delete, Put, Record, Store

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
CLIENT_IDS_MAX: Final = 100  # Client IDs per OpenID Connect provider
THUMBPRINTS_MAX: Final = 5  # Thumbprints per OpenID Connect provider
_ARN = re.compile(r"arn:aws[a-z-]*:iam::(?P<account>[0-9]{12}):oidc-provider/(?P<name>.+)")


@dataclass(frozen=True, slots=True)
class OpenIdProvider:
    """`name`: its URL without `https://`. `client_ids`: the audiences it issues tokens for that are accepted.
    `thumbprints`: SHA-1 of certificates (hexadecimal). `created_at` in seconds since the epoch."""

    account: AccountId
    name: str
    created_at: float
    client_ids: tuple[str, ...] = ()
    thumbprints: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:oidc-provider/{self.name}"


class OpenIdProviders:
    """All of this installation. Each method is one durable change, or a read that sees all before it."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now

    async def create(
        self,
        account: AccountId,
        url: str,
        client_ids: Sequence[str] = (),
        thumbprints: Sequence[str] = (),
        tags: Iterable[tuple[str, str]] = (),
    ) -> OpenIdProvider:
        """Raises InvalidInput, EntityAlreadyExists, LimitExceeded."""
        provider = OpenIdProvider(
            account,
            _name(url),
            self._now(),
            _client_ids(client_ids),
            _thumbprints(thumbprints),
            tagged({}, tags),
        )
        try:
            await self._store.commit([Put(OPEN_ID_PROVIDERS, _key(account, provider.name), asdict(provider), expect=0)])
        except ConflictError:
            text = f"Provider with url https://{provider.name} already exists."
            raise ServiceError("EntityAlreadyExists", text, status=409) from None
        return provider

    async def find(self, account: AccountId, issuer: str) -> OpenIdProvider | None:
        """The account's provider whose URL is a token's issuer."""
        name = issuer.removeprefix("https://").rstrip("/")
        record = await self._store.get(OPEN_ID_PROVIDERS, _key(account, name))
        return None if record is None else _loaded(record)

    async def get(self, account: AccountId, arn: str) -> OpenIdProvider:
        """Raises NoSuchEntity, InvalidInput."""
        return _loaded(await self._record(account, arn))

    async def list_all(self, account: AccountId) -> list[OpenIdProvider]:
        """The account's, by URL."""
        return [_loaded(record) for record in await self._store.scan(OPEN_ID_PROVIDERS, f"{account}/")]

    async def delete(self, account: AccountId, arn: str) -> None:
        """Roles that trust it are left with nobody to trust. Raises NoSuchEntity."""
        record = await self._record(account, arn)
        await self._store.commit([Delete(OPEN_ID_PROVIDERS, record.key)])

    async def add_client_id(self, account: AccountId, arn: str, client_id: str) -> None:
        """No matter if it is there already. Raises NoSuchEntity, LimitExceeded."""
        await self._change(account, arn, lambda one: replace(one, client_ids=_client_ids((*one.client_ids, client_id))))

    async def remove_client_id(self, account: AccountId, arn: str, client_id: str) -> None:
        """No matter if it is not there. Raises NoSuchEntity."""
        await self._change(
            account, arn, lambda one: replace(one, client_ids=tuple(id_ for id_ in one.client_ids if id_ != client_id))
        )

    async def set_thumbprints(self, account: AccountId, arn: str, thumbprints: Sequence[str]) -> None:
        """Replaces them. Raises NoSuchEntity, InvalidInput, LimitExceeded."""
        await self._change(account, arn, lambda one: replace(one, thumbprints=_thumbprints(thumbprints)))

    async def tag(self, account: AccountId, arn: str, tags: Iterable[tuple[str, str]]) -> None:
        """Raises NoSuchEntity, InvalidInput, LimitExceeded."""
        added = list(tags)
        await self._change(account, arn, lambda one: replace(one, tags=tagged(one.tags, added)))

    async def untag(self, account: AccountId, arn: str, keys: Sequence[str]) -> None:
        """Raises NoSuchEntity."""
        await self._change(account, arn, lambda one: replace(one, tags=untagged(one.tags, keys)))

    async def _record(self, account: AccountId, arn: str) -> Record:
        parsed = _ARN.fullmatch(arn)
        if parsed is None:
            raise ServiceError("InvalidInput", f"{arn} is not the ARN of an OpenID Connect provider")
        record = None
        if parsed["account"] == account:
            record = await self._store.get(OPEN_ID_PROVIDERS, _key(account, parsed["name"]))
        if record is None:
            raise no_such_entity(f"OpenIDConnect Provider not found for arn {arn}")
        return record

    async def _change(self, account: AccountId, arn: str, change: Callable[[OpenIdProvider], OpenIdProvider]) -> None:
        def put(record: Record) -> tuple[None, Change]:
            document = asdict(change(_loaded(record)))
            return None, Put(OPEN_ID_PROVIDERS, record.key, document, expect=record.revision)

        await change_record(self._store, lambda: self._record(account, arn), put, f"OpenIDConnect Provider {arn}")


def _key(account: AccountId, name: str) -> str:
    return f"{account}/{name}"


def _loaded(record: Record) -> OpenIdProvider:
    value = record.value
    return OpenIdProvider(
        **{**value, "client_ids": tuple(value["client_ids"]), "thumbprints": tuple(value["thumbprints"])}
    )


def _name(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise ServiceError("InvalidInput", "Invalid Open ID Connect Provider URL")
    return url.removeprefix("https://").rstrip("/")


def _client_ids(given: Sequence[str]) -> tuple[str, ...]:
    client_ids = tuple(dict.fromkeys(given))
    if len(client_ids) > CLIENT_IDS_MAX:
        raise limit_exceeded(f"Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {CLIENT_IDS_MAX}")
    return client_ids


def _thumbprints(given: Sequence[str]) -> tuple[str, ...]:
    if len(given) > THUMBPRINTS_MAX:
        raise ServiceError("InvalidInput", f"Thumbprint list must contain fewer than {THUMBPRINTS_MAX} entries.")
    thumbprints = tuple(one.lower() for one in given)
    if not all(re.fullmatch(r"[0-9a-f]{40}", one) for one in thumbprints):
        raise ServiceError("InvalidInput", "Thumbprint must be 40 hexadecimal digits.")
    return thumbprints
