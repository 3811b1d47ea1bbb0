"""Who is calling: the policies an AWS endpoint can be given. Synchronous, in memory; the answer is a `Caller`.

- `AcceptAnyKey` (`--auth none`): believes the access key it is told, and nobody needs one.
- `VerifySignatures` (`--auth sigv4`): every request must be signed by a key or session of this installation.
- `VerifyEnvironment`: the endpoint inside an execution environment. Only that environment's own role credentials pass,
  or those of a role it assumed with them; whatever `--auth` says.

A verified body must be hashed. `covers_body` tells beforehand whether it matters, so that the owner of the event loop
can have a large body hashed in a thread (`lambent.iam.sigv4.payload_digest`) and pass the digest in.
Whether the caller *may* do what it asks is another question, for policy evaluation (later, `lambent.iam.policy`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final, Protocol

from lambent.http.messages import Request, RequestHead
from lambent.iam.identities import Identities, root_principal
from lambent.iam.principal import Principal
from lambent.iam.refusals import (
    NO_SIGNATURE_MESSAGE,
    UNKNOWN_KEY_MESSAGE,
    Refusal,
    SignatureError,
    WireFamily,
    service_error,
)
from lambent.iam.sessions import Session, SessionIssuer
from lambent.iam.signature import Signature, read_leniently, read_signature
from lambent.iam.sigv4 import QUERY_PAST_SKEW_S, SKEW_S, payload_digest, verify
from lambent.model.ids import AccountId, Region
from lambent.model.values import value

INLINE_HASH_MAX_BYTES: Final = 256 * 1024
"""Up to here hashing on the event loop is cheaper than a thread; above, hash elsewhere and pass `body_sha256`."""

_ACCOUNT_ID = re.compile(r"[0-9]{12}")


@value
class Caller:
    """Who calls, and what its credential scope says: the region, and the service (None without a signature)."""

    principal: Principal
    region: Region
    service: str | None

    @property
    def account(self) -> AccountId:
        return self.principal.account


class Authenticate(Protocol):
    """A policy for finding out who is calling."""

    def covers_body(self, head: RequestHead) -> bool:
        """Whether `authenticate` will need the body's digest. Never raises."""
        ...

    def authenticate(self, request: Request, family: WireFamily, body_sha256: str | None = None) -> Caller:
        """The caller. Raises ServiceError, worded for that family of services.

        Pass `body_sha256` (hex) when it was computed already; it is computed here when needed and absent.
        """
        ...


class AcceptAnyKey:
    """Any access key, and none: the account is the 12-digit access key id, or the default one; its root calls.

    Session tokens minted by this installation are recognised as the sessions they are (and refused once expired, so
    that clients refresh them as they would elsewhere). Signatures are not looked at.
    """

    def __init__(self, sessions: SessionIssuer, default_account: AccountId, default_region: Region) -> None:
        self._sessions = sessions
        self._account = default_account
        self._region = default_region

    def covers_body(self, head: RequestHead) -> bool:
        return False

    def authenticate(self, request: Request, family: WireFamily, body_sha256: str | None = None) -> Caller:
        access_key_id, region, service, token = read_leniently(request.head)
        principal = self._session_principal(access_key_id, token, family)
        if principal is None:
            named = access_key_id if access_key_id is not None and _ACCOUNT_ID.fullmatch(access_key_id) else None
            principal = root_principal(AccountId(named) if named else self._account, access_key_id)
        return Caller(principal, Region(region) if region else self._region, service)

    def _session_principal(self, access_key_id: str | None, token: str | None, family: WireFamily) -> Principal | None:
        if access_key_id is None or token is None:
            return None
        try:
            return self._sessions.verify(access_key_id, token).principal
        except SignatureError as error:
            if error.refusal is Refusal.SESSION_EXPIRED:
                raise service_error(error, family) from error
            return None  # somebody else's token: as good as any key here


class VerifySignatures:
    """Only requests signed with an access key or a session of this installation."""

    def __init__(self, identities: Identities, sessions: SessionIssuer, now: Callable[[], float] = time.time) -> None:
        self._identities = identities
        self._sessions = sessions
        self._now = now

    def covers_body(self, head: RequestHead) -> bool:
        return _covers_body(head)

    def authenticate(self, request: Request, family: WireFamily, body_sha256: str | None = None) -> Caller:
        try:
            signature = _signature_of(request)
            principal, secret = self._owner(signature)
            return _verified(request, signature, principal, secret, family, body_sha256, self._now())
        except SignatureError as error:
            raise service_error(error, family) from error

    def _owner(self, signature: Signature) -> tuple[Principal, str]:
        access_key_id = signature.claim.access_key_id
        if signature.session_token is not None:
            session = self._sessions.verify(access_key_id, signature.session_token)
            return session.principal, session.secret_access_key
        key = self._identities.get(access_key_id)
        if key is None:
            raise SignatureError(Refusal.UNKNOWN_KEY, UNKNOWN_KEY_MESSAGE)
        return key.principal, key.secret_access_key


class VerifyEnvironment:
    """Only the credentials of one execution environment, whose role session has that ARN.

    Sessions of roles it assumed with them pass too (their token names it as their source), as they do on AWS.
    """

    def __init__(self, sessions: SessionIssuer, principal_arn: str, now: Callable[[], float] = time.time) -> None:
        self._sessions = sessions
        self._principal_arn = principal_arn
        self._now = now

    def covers_body(self, head: RequestHead) -> bool:
        return _covers_body(head)

    def authenticate(self, request: Request, family: WireFamily, body_sha256: str | None = None) -> Caller:
        try:
            signature = _signature_of(request)
            session = self._own_session(signature)
            return _verified(
                request, signature, session.principal, session.secret_access_key, family, body_sha256, self._now()
            )
        except SignatureError as error:
            raise service_error(error, family) from error

    def _own_session(self, signature: Signature) -> Session:
        if signature.session_token is None:
            raise SignatureError(Refusal.UNKNOWN_KEY, UNKNOWN_KEY_MESSAGE)
        session = self._sessions.verify(signature.claim.access_key_id, signature.session_token)
        if self._principal_arn not in (session.principal.arn, session.source):
            raise SignatureError(Refusal.UNKNOWN_KEY, UNKNOWN_KEY_MESSAGE)
        return session


def _covers_body(head: RequestHead) -> bool:
    try:
        signature = read_signature(head)
    except SignatureError:
        return False  # authenticate will say why
    return signature is not None and signature.covers_body


def _signature_of(request: Request) -> Signature:
    signature = read_signature(request.head)
    if signature is None:
        raise SignatureError(Refusal.NO_SIGNATURE, NO_SIGNATURE_MESSAGE)
    return signature


def _verified(
    request: Request,
    signature: Signature,
    principal: Principal,
    secret_access_key: str,
    family: WireFamily,
    body_sha256: str | None,
    now: float,
) -> Caller:
    if body_sha256 is None and signature.covers_body:
        body_sha256 = payload_digest(request.body)
    past_skew_s = QUERY_PAST_SKEW_S if family in (WireFamily.QUERY, WireFamily.S3) else SKEW_S
    verify(signature, request.head, body_sha256, secret_access_key, now, past_skew_s=past_skew_s)
    return Caller(principal, Region(signature.claim.region), signature.claim.service)
