"""What a request says about who signed it: the Authorization header or the X-Amz-* query, read but not believed. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-authentication-methods.html
Reading is apart from verifying (`lambent.iam.sigv4`), so that the body, where it counts, can be hashed in between and
elsewhere (`Signature.covers_body`).
"""

from __future__ import annotations

import base64
import calendar
import email.utils
import hashlib
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote

from lambent.http.messages import RequestHead
from lambent.iam.refusals import Refusal, SignatureError

ALGORITHM: Final = "AWS4-HMAC-SHA256"
TERMINATOR: Final = "aws4_request"
UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
STREAMING_UNSIGNED_PAYLOAD_TRAILER: Final = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
EXPIRES_MAX_S: Final = 7 * 24 * 3600
SINGLE_ENCODED_SERVICES: Final = frozenset({"s3", "s3-object-lambda", "s3-outposts", "s3express"})
"""Services that sign the path as it is on the wire, neither normalised nor encoded again."""

_TIMESTAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_REGION = re.compile(r"[a-z0-9-]{1,64}")
_AUTHORIZATION_FIELDS = frozenset({"Credential", "SignedHeaders", "Signature"})
_CACHEABLE_CHARACTERS = 1024  # longer texts are not worth (or a danger to) a cache


class Claim(NamedTuple):
    """The part of a signature that a client repeats all day: whose key, for what, over which headers."""

    access_key_id: str
    date: str  # YYYYMMDD
    region: str
    service: str
    scope: str  # date/region/service/aws4_request
    signed_headers: tuple[str, ...]
    signed_list: str  # the same, joined by semicolons as given


def make_claim(access_key_id: str, date: str, region: str, service: str, signed_list: str) -> Claim:
    """A claim of these parts."""
    scope = f"{date}/{region}/{service}/{TERMINATOR}"
    return Claim(access_key_id, date, region, service, scope, tuple(signed_list.split(";")), signed_list)


class Signature(NamedTuple):
    """A signature as read from a request.

    `signed_at` is in seconds since the epoch (`timestamp` is its text); `expires_s` is set for presigned requests;
    `payload` is the declared x-amz-content-sha256; `query` is the query as signed, with X-Amz-Signature left out.
    """

    claim: Claim
    value: str
    timestamp: str
    signed_at: float
    session_token: str | None
    payload: str | None
    expires_s: int | None
    query: str

    @property
    def covers_body(self) -> bool:
        """Whether verifying needs the SHA-256 of the body."""
        if self.payload is None:
            return self.expires_s is None or self.claim.service not in SINGLE_ENCODED_SERVICES
        return self.payload not in (UNSIGNED_PAYLOAD, STREAMING_UNSIGNED_PAYLOAD_TRAILER)


def read_signature(head: RequestHead) -> Signature | None:
    """The signature of a request, or None when it carries none. Raises SignatureError when it is not readable."""
    authorization = head.headers.get("authorization")
    if authorization is None:
        if "X-Amz-Signature=" in head.query or "X-Amz-Algorithm=" in head.query:
            return _read_query(head)
        return None
    if "X-Amz-Signature=" in head.query:
        raise SignatureError(
            Refusal.INCOMPLETE,
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
            "parameter or the Authorization header should be specified",
        )
    return _read_header(head, authorization)


class Named(NamedTuple):
    """Who a request says it is from, each part None where it does not say."""

    access_key_id: str | None
    region: str | None
    service: str | None
    session_token: str | None


def read_leniently(head: RequestHead) -> Named:
    """What can be made out of a request's signature, however incomplete. Never raises."""
    text, token = head.headers.get("authorization"), head.headers.get("x-amz-security-token")
    if text is not None:
        text = text.partition(" Signature=")[0]  # what remains is the same all day
    else:
        text = unquote(head.query) if "X-Amz-Credential=" in head.query else ""
        found = re.search(r"(?:^|&)X-Amz-Security-Token=([^&]*)", head.query)
        token = token if found is None else unquote(found[1])
    parts = _named_in(text) if len(text) <= _CACHEABLE_CHARACTERS else _named_in.__wrapped__(text)
    return Named(*parts, token)


@lru_cache(maxsize=2048)
def _named_in(text: str) -> tuple[str | None, str | None, str | None]:
    """Access key id, region and service of a credential somewhere in a text."""
    match = re.search(r"Credential=\s*([^\s,&]+)", text)
    if match is None:
        return None, None, None
    parts = match[1].rsplit("/", 4)
    if len(parts) != 5:
        return parts[0] or None, None, None
    region = parts[2] if _REGION.fullmatch(parts[2]) else None
    return parts[0] or None, region, parts[3] or None


def _read_header(head: RequestHead, authorization: str) -> Signature:
    prefix, _, value = authorization.rpartition("Signature=")
    if prefix and "," not in value:
        claim = _claim_of(prefix) if len(prefix) <= _CACHEABLE_CHARACTERS else _claim_of.__wrapped__(prefix)
    else:  # the signature is missing, or not the last field
        fields = _fields(authorization, ("Credential", "SignedHeaders", "Signature"))
        claim, value = _claim(fields["Credential"], fields["SignedHeaders"]), fields["Signature"]
    headers = head.headers
    timestamp = headers.get("x-amz-date")
    if timestamp is None:
        timestamp = _timestamp_of_date(headers.get("date"), authorization)
    return Signature(
        claim,
        value,
        timestamp,
        _signed_at(timestamp, claim.date),
        headers.get("x-amz-security-token"),
        headers.get("x-amz-content-sha256"),
        None,
        head.query,
    )


@lru_cache(maxsize=2048)
def _claim_of(prefix: str) -> Claim:
    """The claim in an Authorization header cut off before its signature."""
    fields = _fields(prefix.rstrip(" ,"), ("Credential", "SignedHeaders"))
    return _claim(fields["Credential"], fields["SignedHeaders"])


def _hashed(authorization: str) -> str:
    return base64.b64encode(hashlib.sha256(authorization.encode("utf-8")).digest()).decode()


def _fields(authorization: str, wanted: tuple[str, ...]) -> dict[str, str]:
    algorithm, _, rest = authorization.partition(" ")
    if algorithm.startswith("AWS4-") and algorithm != ALGORITHM:
        raise SignatureError(Refusal.INCOMPLETE, f"Unsupported AWS 'algorithm': '{algorithm}'.")
    fields: dict[str, str] = {}
    for pair in rest.split(",") if algorithm == ALGORITHM else ():
        name, equals, value = pair.strip().partition("=")
        if not equals or name in fields or name not in _AUTHORIZATION_FIELDS:
            raise SignatureError(
                Refusal.INCOMPLETE,
                "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded "
                f"with Base64): '{_hashed(authorization)}'.",
            )
        fields[name] = value
    missing = [name for name in wanted if not fields.get(name)]
    if missing:
        sentences = [f"Authorization header requires '{name}' parameter." for name in missing]
        sentences.append(f"(Hashed with SHA-256 and encoded with Base64) Authorization={_hashed(authorization)}")
        raise SignatureError(Refusal.INCOMPLETE, " ".join(sentences))
    return fields


def _claim(credential: str, signed_headers: str) -> Claim:
    parts = credential.split("/")
    if len(parts) != 5:
        raise SignatureError(
            Refusal.INCOMPLETE,
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got "
            f"'{credential}'",
        )
    access_key_id, date, region, service, terminator = parts
    if terminator != TERMINATOR:
        raise SignatureError(
            Refusal.MISMATCH,
            f"Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{terminator}'.",
        )
    if not _REGION.fullmatch(region):
        raise SignatureError(Refusal.MISMATCH, f"Credential should be scoped to a valid region, not '{region}'.")
    claim = make_claim(access_key_id, date, region, service, signed_headers)
    if "host" not in claim.signed_headers:
        raise SignatureError(
            Refusal.NOT_SIGNED, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
        )
    return claim


def _timestamp_of_date(date: str | None, authorization: str) -> str:
    """The ISO 8601 basic form of a Date header, which may stand in for X-Amz-Date."""
    if date is None:
        raise SignatureError(
            Refusal.INCOMPLETE,
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. (Hashed with "
            f"SHA-256 and encoded with Base64) Authorization={_hashed(authorization)}",
        )
    if _TIMESTAMP.fullmatch(date):
        return date
    parsed = email.utils.parsedate_tz(date)
    if parsed is None:
        raise _not_iso8601(date)
    try:
        return datetime.fromtimestamp(email.utils.mktime_tz(parsed), UTC).strftime("%Y%m%dT%H%M%SZ")
    except (ValueError, OverflowError) as error:
        raise _not_iso8601(date) from error


def _not_iso8601(date: str) -> SignatureError:
    return SignatureError(
        Refusal.INCOMPLETE,
        f"Date must be in ISO-8601 'basic format'. Got '{date}'. See http://en.wikipedia.org/wiki/ISO_8601",
    )


@lru_cache(maxsize=256)
def _signed_at(timestamp: str, scope_date: str) -> float:
    """Seconds since the epoch of an X-Amz-Date, which must fall on the day of the credential scope."""
    if not _TIMESTAMP.fullmatch(timestamp):
        raise _not_iso8601(timestamp)
    try:
        moment = datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise _not_iso8601(timestamp) from error
    if timestamp[:8] != scope_date:
        raise SignatureError(
            Refusal.MISMATCH,
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{scope_date}' != '{timestamp[:8]}', from '{timestamp}'.",
        )
    return float(calendar.timegm(moment.timetuple()))


def _read_query(head: RequestHead) -> Signature:
    kept: list[str] = []
    fields: dict[str, str] = {}
    for pair in head.query.split("&"):
        raw_name, _, value = pair.partition("=")
        name = unquote(raw_name)
        if name != "X-Amz-Signature":
            kept.append(pair)
        if not name.startswith("X-Amz-"):
            continue
        if name in fields:
            raise SignatureError(Refusal.INCOMPLETE, f"Duplicate query parameter '{name}'.")
        fields[name] = unquote(value)
    wanted = ("Algorithm", "Credential", "Signature", "SignedHeaders", "Date")
    missing = [name for name in wanted if not fields.get(f"X-Amz-{name}")]
    if missing:
        sentences = [f"AWS query-string parameters must include 'X-Amz-{name}'." for name in missing]
        raise SignatureError(Refusal.INCOMPLETE, " ".join([*sentences, "Re-examine the query-string parameters."]))
    if fields["X-Amz-Algorithm"] != ALGORITHM:
        raise SignatureError(Refusal.INCOMPLETE, f"Unsupported AWS 'algorithm': '{fields['X-Amz-Algorithm']}'.")
    claim = _claim(fields["X-Amz-Credential"], fields["X-Amz-SignedHeaders"])
    timestamp = fields["X-Amz-Date"]
    payload = fields.get("X-Amz-Content-Sha256") or head.headers.get("x-amz-content-sha256")
    return Signature(
        claim,
        fields["X-Amz-Signature"],
        timestamp,
        _signed_at(timestamp, claim.date),
        fields.get("X-Amz-Security-Token"),
        payload,
        _expires(fields.get("X-Amz-Expires", "")),
        "&".join(kept),
    )


def _expires(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise SignatureError(Refusal.INCOMPLETE, "X-Amz-Expires should be a number")
    expires_s = int(text)
    if expires_s > EXPIRES_MAX_S:
        raise SignatureError(
            Refusal.INCOMPLETE,
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            f"{EXPIRES_MAX_S} seconds",
        )
    return expires_s
