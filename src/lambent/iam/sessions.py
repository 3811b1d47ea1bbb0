"""Temporary credentials that need no store: everything about a session is in its token. Pure but for `load_secret`.

A token is base64(version, payload, HMAC-SHA256 of both), the payload being JSON (see `_encode`). The secret access key
is an HMAC of the token. So credentials are minted in microseconds, hold after a restart, and another node with the same
installation secret can verify them. The price: a single session cannot be revoked before it expires, only all of them,
by replacing the installation secret. Tokens are authenticated, not encrypted: who holds one can read who it is for.

https://docs.aws.amazon.com/STS/latest/APIReference/API_Credentials.html
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import orjson

from lambent.iam.access_key_ids import TEMPORARY, new_access_key_id, unique_id_of
from lambent.iam.principal import Credentials, Principal, SessionContext
from lambent.iam.refusals import SESSION_EXPIRED_MESSAGE, UNKNOWN_KEY_MESSAGE, Refusal, SignatureError
from lambent.model.ids import AccountId
from lambent.store.api import SETTINGS, ConflictError, Put, Store

_SETTING: Final = "session_secret"
_VERSION: Final = b"\x01"
_TAG_BYTES: Final = 32
_TOKEN_MAX_CHARACTERS: Final = 8192
_ROLE_ARN = re.compile(
    r"arn:aws[a-zA-Z-]*:iam::(?P<account>[0-9]{12}):role(?P<path>/(?:[\x21-\x7e]+/)?)(?P<name>[\w+=,.@-]+)"
)
_SESSION_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RoleArn:
    """A role's ARN taken apart. `path` begins and ends with a slash."""

    account: AccountId
    path: str
    name: str


def parse_role_arn(arn: str) -> RoleArn | None:
    """The parts of a role ARN, or None if it is none."""
    match = _ROLE_ARN.fullmatch(arn)
    return None if match is None else RoleArn(AccountId(match["account"]), match["path"], match["name"])


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its token tells it. Times in seconds since the epoch.

    `role_arn` is None for a session of GetSessionToken, whose principal is the caller itself; `source` is the ARN of
    who asked for the session, or the service it was made for.
    """

    principal: Principal
    session_id: str
    session_name: str
    role_arn: str | None
    source: str
    issued_at: float
    expires_at: float
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionNarrowing:
    """What AssumeRole may add to a session; see `SessionContext`."""

    policies: tuple[str, ...] = ()
    policy_arns: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    transitive_tag_keys: tuple[str, ...] = ()
    source_identity: str | None = None

    def context(self, role_arn: str | None, session_name: str, issued_at: float) -> SessionContext:
        return SessionContext(
            role_arn,
            session_name,
            issued_at,
            self.policies,
            self.policy_arns,
            self.tags,
            self.transitive_tag_keys,
            self.source_identity,
        )


async def load_secret(store: Store) -> bytes:
    """This installation's session secret, made durably at first use."""
    record = await store.get(SETTINGS, _SETTING)
    if record is None:
        with contextlib.suppress(ConflictError):  # if another process was first, its secret it is
            await store.commit([Put(SETTINGS, _SETTING, {"secret": os.urandom(32).hex()}, expect=0)])
        record = await store.get(SETTINGS, _SETTING)
        if record is None:
            raise LookupError("the session secret was removed while it was made")
    return bytes.fromhex(record.value["secret"])


class SessionIssuer:
    """Mints and verifies temporary credentials. Synchronous; safe to call from any thread."""

    def __init__(self, secret: bytes, now: Callable[[], float] = time.time) -> None:
        if len(secret) < 32:
            raise ValueError("the session secret must have 32 bytes or more")
        self._token_key = hmac.digest(secret, b"lambent session token", "sha256")
        self._secret_key = hmac.digest(secret, b"lambent session secret access key", "sha256")
        self._now = now
        # Decoding is a pure function of the token; forged ones raise, and what raises is not cached.
        self._decode = lru_cache(maxsize=1024)(self._decode_uncached)

    def assume_role(
        self,
        role_arn: str,
        session_name: str,
        duration_s: float,
        *,
        role_id: str | None = None,
        source: str = "",
        narrowed: SessionNarrowing | None = None,
    ) -> tuple[Credentials, Principal]:
        """Credentials for a session of a role, and the principal they are.

        `role_id` is the role's AROA… id; None for a role that is not in the store. Raises ValueError for what is not
        a role ARN or a session name, or a token that would be too long. Whether the caller may is for the caller of
        this to decide.
        """
        role = parse_role_arn(role_arn)
        if role is None:
            raise ValueError(f"not a role ARN: {role_arn}")
        if not _SESSION_NAME.fullmatch(session_name):
            raise ValueError(f"not a role session name: {session_name}")
        unique_id = role_id if role_id is not None else unique_id_of("AROA", role_arn)
        arn = f"arn:aws:sts::{role.account}:assumed-role/{role.name}/{session_name}"
        principal = Principal(role.account, arn, f"{unique_id}:{session_name}")
        return self._mint(principal, session_name, role_arn, source, duration_s, narrowed or SessionNarrowing())

    def session_token(self, principal: Principal, duration_s: float) -> tuple[Credentials, Principal]:
        """Credentials for a session of the principal itself (STS GetSessionToken)."""
        return self._mint(principal, "", None, principal.arn, duration_s, SessionNarrowing())

    def verify(self, access_key_id: str, token: str, now: float | None = None) -> Session:
        """The session of a token. Raises SignatureError when it was not minted here, is not that key's, or is over.

        `now` in seconds since the epoch; by default the present. The caller must still check the signature against
        `Session.secret_access_key`: a token alone is no proof.
        """
        session = self._decode(token) if len(token) <= _TOKEN_MAX_CHARACTERS else None
        if session is None or session.principal.access_key_id != access_key_id:
            raise _unknown_token()
        if (self._now() if now is None else now) >= session.expires_at:
            raise SignatureError(Refusal.SESSION_EXPIRED, SESSION_EXPIRED_MESSAGE)
        return session

    def _mint(
        self,
        principal: Principal,
        session_name: str,
        role_arn: str | None,
        source: str,
        duration_s: float,
        narrowed: SessionNarrowing,
    ) -> tuple[Credentials, Principal]:
        issued_at = self._now()
        access_key_id = new_access_key_id(TEMPORARY, principal.account)
        context = narrowed.context(role_arn, session_name, issued_at)
        session = Session(
            Principal(principal.account, principal.arn, principal.user_id, access_key_id, context),
            os.urandom(8).hex(),
            session_name,
            role_arn,
            source,
            issued_at,
            float(int(issued_at + duration_s)),
            "",
        )
        body = _VERSION + _encode(session)
        token = base64.urlsafe_b64encode(body + hmac.digest(self._token_key, body, "sha256")).rstrip(b"=").decode()
        if len(token) > _TOKEN_MAX_CHARACTERS:
            raise ValueError(f"the session token would have {len(token)} characters")
        credentials = Credentials(access_key_id, self._secret_of(token), token, session.expires_at)
        return credentials, session.principal

    def _decode_uncached(self, token: str) -> Session:
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise _unknown_token() from error
        body, tag = raw[:-_TAG_BYTES], raw[-_TAG_BYTES:]
        if not hmac.compare_digest(hmac.digest(self._token_key, body, "sha256"), tag) or body[:1] != _VERSION:
            raise _unknown_token()
        if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != token:
            raise _unknown_token()  # other bits in the last character: the same bytes, but not the token that was given
        return _decode(body[1:], self._secret_of(token))

    def _secret_of(self, token: str) -> str:
        return base64.b64encode(hmac.new(self._secret_key, token.encode(), hashlib.sha256).digest()[:30]).decode()


def _unknown_token() -> SignatureError:
    return SignatureError(Refusal.UNKNOWN_KEY, UNKNOWN_KEY_MESSAGE)


def _encode(session: Session) -> bytes:
    principal = session.principal
    fields: list[object] = [
        principal.access_key_id,
        principal.account,
        principal.arn,
        principal.user_id,
        session.session_id,
        session.session_name,
        session.role_arn,
        session.source,
        session.issued_at,
        session.expires_at,
    ]
    context = principal.session
    if context is not None and context != SessionContext(context.role_arn, context.session_name, context.issued_at):
        fields.append([
            context.policies, context.policy_arns, context.tags, context.transitive_tag_keys, context.source_identity,
        ])  # fmt: skip
    return orjson.dumps(fields)


def _decode(payload: bytes, secret_access_key: str) -> Session:
    """Only for a payload whose tag was good: its shape is then our own."""
    key_id, account, arn, user_id, session_id, name, role_arn, source, issued_at, expires_at, *rest = orjson.loads(
        payload
    )
    narrowed = SessionNarrowing()
    if rest:
        policies, policy_arns, tags, transitive, source_identity = rest[0]
        pairs = tuple((key, value) for key, value in tags)
        narrowed = SessionNarrowing(tuple(policies), tuple(policy_arns), pairs, tuple(transitive), source_identity)
    context = narrowed.context(role_arn, name, issued_at)
    principal = Principal(AccountId(account), arn, user_id, key_id, context)
    return Session(principal, session_id, name, role_arn, source, issued_at, expires_at, secret_access_key)
