"""AWS Signature Version 4: verifying a signature against a secret, and making one. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

    signature = read_signature(head)               # lambent.iam.signature: whose key is it said to be?
    digest = payload_digest(body)                  # only if signature.covers_body; a large body in a thread
    verify(signature, head, digest, secret, now)   # raises SignatureError

The canonical request is what goes wrong between implementations, so what the verifier takes is spelt out here:

- Path: for S3 as it is on the wire; for all others with dot segments and doubled slashes removed and then encoded once
  more (on the wire it is encoded already), as AWS's SDKs sign it.
- Query: the pairs of the wire, sorted. Clients whose wire form is not the canonical encoding may have signed either
  what they sent or what it means; both are accepted, for neither says more than the request does.
- Headers: repeated ones joined by commas, runs of blanks made one. Text beyond ASCII may have been signed as its bytes
  or (botocore) as Latin-1 text in UTF-8.
- `host` and every `x-amz-*` header must be signed; x-amz-content-sha256 always is, as the last line.

Not implemented: AWS4-ECDSA-P256-SHA256 (SigV4A) and bodies signed chunk by chunk
(STREAMING-AWS4-HMAC-SHA256-PAYLOAD, S3 uploads only): refused, saying so.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

from lambent.http.messages import RequestHead
from lambent.iam.principal import Credentials
from lambent.iam.refusals import MISMATCH_MESSAGE, Refusal, SignatureError
from lambent.iam.signature import (
    ALGORITHM,
    SINGLE_ENCODED_SERVICES,
    STREAMING_UNSIGNED_PAYLOAD_TRAILER,
    TERMINATOR,
    UNSIGNED_PAYLOAD,
    Claim,
    Signature,
    make_claim,
)

SKEW_S: Final = 300.0
"""How far a client's clock may be off, in seconds, either way."""

QUERY_PAST_SKEW_S: Final = 900.0
"""What the query services (STS, IAM, …) and S3 allow instead for a signature that is old."""

if TYPE_CHECKING:
    from hashlib import _Hash

_BLANKS = re.compile(r"[ \t]+")
_HEX_SHA256 = re.compile(r"[0-9a-f]{64}")
_CACHEABLE_PATH_CHARACTERS = 512
_DETAIL_MAX_CHARACTERS = 8 * 1024


def payload_digest(body: bytes) -> str:
    """The hex SHA-256 of a body. Takes about 0.6 ms per MiB and lets go of the GIL: large bodies belong in a thread."""
    return hashlib.sha256(body).hexdigest()


def verify(
    signature: Signature,
    head: RequestHead,
    body_sha256: str | None,
    secret_access_key: str,
    now: float,
    *,
    past_skew_s: float = SKEW_S,
) -> None:
    """Raise SignatureError unless the request was signed with that secret and is neither stale nor early.

    `body_sha256` may be None when `signature.covers_body` is false; `now` is in seconds since the epoch. The session
    token is not looked at here beyond being signed.
    """
    _check_time(signature, now, past_skew_s)
    payload = _payload_line(signature, body_sha256)
    claim = signature.claim
    key = _keyed_hashes(secret_access_key, claim.date, claim.region, claim.service)
    provided = signature.value.encode("utf-8")
    canonical = _canonical_request(signature, head, payload)
    text = _string_to_sign(signature.timestamp, claim.scope, canonical)
    if hmac.compare_digest(_mac(key, text), provided):
        return
    for other in _other_canonical_requests(signature, head, payload):
        if hmac.compare_digest(_mac(key, _string_to_sign(signature.timestamp, claim.scope, other)), provided):
            return
    raise SignatureError(Refusal.MISMATCH, MISMATCH_MESSAGE, _detail(canonical, text))


@lru_cache(maxsize=1024)
def signing_key(secret_access_key: str, date: str, region: str, service: str) -> bytes:
    """The derived key for a credential scope. Cached: a client uses one all day."""
    key = f"AWS4{secret_access_key}".encode()
    for part in (date, region, service, TERMINATOR):
        key = hmac.digest(key, part.encode("utf-8"), "sha256")
    return key


@lru_cache(maxsize=1024)
def _keyed_hashes(secret_access_key: str, date: str, region: str, service: str) -> tuple[_Hash, _Hash]:
    """The two halves of HMAC-SHA256 (RFC 2104) with the signing key already taken in: a third of the cost per use."""
    block = signing_key(secret_access_key, date, region, service).ljust(64, b"\0")
    inner, outer = bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)
    return hashlib.sha256(inner), hashlib.sha256(outer)


def _mac(key: tuple[_Hash, _Hash], text: bytes) -> bytes:
    """HMAC-SHA256 in hex."""
    inner, outer = key[0].copy(), key[1].copy()
    inner.update(text)
    outer.update(inner.digest())
    return outer.hexdigest().encode()


def _string_to_sign(timestamp: str, scope: str, canonical: bytes) -> bytes:
    return f"{ALGORITHM}\n{timestamp}\n{scope}\n{hashlib.sha256(canonical).hexdigest()}".encode()


def _detail(canonical: bytes, text: bytes) -> str:
    """What some services append to the refusal: it is how people find their encoding mistakes."""
    if len(canonical) > _DETAIL_MAX_CHARACTERS:
        return ""
    return (
        f"\n\nThe Canonical String for this request should have been\n'{canonical.decode('utf-8', 'replace')}'\n\n"
        f"The String-to-Sign should have been\n'{text.decode('utf-8', 'replace')}'\n"
    )


def _check_time(signature: Signature, now: float, past_skew_s: float) -> None:
    age = now - signature.signed_at
    allowed = past_skew_s if signature.expires_s is None else float(signature.expires_s)
    if -SKEW_S <= age <= allowed:
        return
    if age > 0:
        raise SignatureError(
            Refusal.SKEWED,
            f"Signature expired: {signature.timestamp} is now earlier than {timestamp_of(now - allowed)} "
            f"({timestamp_of(now)} - {allowed / 60:.0f} min.)",
        )
    raise SignatureError(
        Refusal.SKEWED,
        f"Signature not yet current: {signature.timestamp} is still later than {timestamp_of(now + SKEW_S)} "
        f"({timestamp_of(now)} + {SKEW_S / 60:.0f} min.)",
    )


def _payload_line(signature: Signature, body_sha256: str | None) -> str:
    """The last line of the canonical request, after holding a declared digest against the body."""
    declared = signature.payload
    if not signature.covers_body:
        return declared or UNSIGNED_PAYLOAD
    if body_sha256 is None:
        raise ValueError("this signature covers the body: its digest is needed")
    if declared is None or declared == body_sha256:
        return body_sha256
    if declared.startswith("STREAMING-"):
        raise SignatureError(
            Refusal.UNSUPPORTED,
            f"A body signed chunk by chunk ({declared}) is not implemented; {STREAMING_UNSIGNED_PAYLOAD_TRAILER} and "
            f"{UNSIGNED_PAYLOAD} are.",
        )
    if not _HEX_SHA256.fullmatch(declared):
        raise SignatureError(
            Refusal.INCOMPLETE,
            f"x-amz-content-sha256 must be {UNSIGNED_PAYLOAD}, {STREAMING_UNSIGNED_PAYLOAD_TRAILER} or a valid "
            "sha256 value.",
        )
    raise SignatureError(Refusal.MISMATCH, MISMATCH_MESSAGE)


def _canonical_request(signature: Signature, head: RequestHead, payload: str) -> bytes:
    """The canonical request as the wire has it.

    Header fields and the request line come as Latin-1 text, which is how one keeps bytes in a str; a presigned
    SignedHeaders is percent-decoded and may hold anything, but then names no header there is.
    """
    return _canonical_text(signature, head, payload, sorted_query(signature.query)).encode("latin-1", "replace")


def _other_canonical_requests(signature: Signature, head: RequestHead, payload: str) -> Iterator[bytes]:
    """The other forms a client may rightly have signed (see the module's text)."""
    query = sorted_query(signature.query)
    encoded = encoded_query(signature.query)
    if encoded != query:
        yield _canonical_text(signature, head, payload, encoded).encode("latin-1", "replace")
    text = _canonical_text(signature, head, payload, query)
    if not text.isascii():
        yield text.encode()


def _canonical_text(signature: Signature, head: RequestHead, payload: str, query: str) -> str:
    claim = signature.claim
    path = canonical_path(head.path, claim.service)
    headers = _canonical_headers(claim.signed_headers, head.headers.items)
    return f"{head.method}\n{path}\n{query}\n{headers}\n{claim.signed_list}\n{payload}"


def _canonical_headers(signed: tuple[str, ...], items: tuple[tuple[str, str], ...]) -> str:
    values = dict(items)
    if len(values) != len(items):
        values = _joined(items)
    for name in values:
        if name[:6] == "x-amz-" and name not in signed and name != "x-amz-content-sha256":
            raise SignatureError(Refusal.NOT_SIGNED, f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")
    get = values.get
    text = "".join([f"{name}:{get(name, '')}\n" for name in signed])
    if "  " in text or "\t" in text:
        text = "".join([f"{name}:{_BLANKS.sub(' ', get(name, ''))}\n" for name in signed])
    return text


def _joined(items: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Header fields by name, repeated ones joined by commas."""
    values: dict[str, str] = {}
    for name, value in items:
        values[name] = f"{values[name]},{value}" if name in values else value
    return values


def canonical_path(path: str, service: str) -> str:
    """The path (percent-encoded, as on the wire) as it stands in the canonical request of that service."""
    if service in SINGLE_ENCODED_SERVICES:
        return path or "/"
    if len(path) > _CACHEABLE_PATH_CHARACTERS:
        return _normalised(path)
    return _cached_normalised(path)


def _normalised(path: str) -> str:
    """Without dot segments and doubled slashes (RFC 3986, 5.2.4), then percent-encoded once more."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    slash = "/" if path.endswith("/") and kept else ""
    return quote(f"/{'/'.join(kept)}{slash}".encode("latin-1", "replace"), safe="/~")


_cached_normalised = lru_cache(maxsize=2048)(_normalised)


def sorted_query(query: str) -> str:
    """The pairs of a query string as they are, sorted by name and then value."""
    if not query:
        return ""
    if "&" not in query:
        return query if "=" in query else f"{query}="
    pairs = [pair.partition("=") for pair in query.split("&")]
    return "&".join([f"{name}={value}" for name, _, value in sorted(pairs)])


def encoded_query(query: str) -> str:
    """The pairs of a query string in AWS's encoding (all but unreserved characters as %XX, a plus as a blank)."""
    if not query:
        return ""
    pairs = [pair.partition("=") for pair in query.split("&")]
    return "&".join(f"{name}={value}" for name, value in sorted((_encoded(name), _encoded(v)) for name, _, v in pairs))


def _encoded(text: str) -> str:
    return quote_from_bytes(unquote_to_bytes(text.replace("+", " ").encode("latin-1", "replace")), safe="-_.~")


def timestamp_of(moment: float) -> str:
    """Seconds since the epoch as X-Amz-Date has it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y%m%dT%H%M%SZ")


def sign(
    head: RequestHead, body_sha256: str, credentials: Credentials, *, region: str, service: str, now: float
) -> tuple[tuple[str, str], ...]:
    """The header fields to add to a request (which has its Host) so that it is signed: X-Amz-Date, Authorization, …

    `body_sha256` is the body's hex digest or UNSIGNED-PAYLOAD; `now` is in seconds since the epoch.
    """
    added = [("x-amz-date", timestamp_of(now))]
    if credentials.session_token is not None:
        added.append(("x-amz-security-token", credentials.session_token))
    if service in SINGLE_ENCODED_SERVICES or body_sha256 == UNSIGNED_PAYLOAD:
        added.append(("x-amz-content-sha256", body_sha256))
    fields = [*head.headers.items, *added]
    claim = _claim_for(credentials, fields, region, service, now)
    value = _signature_of(head, fields, encoded_query(head.query), body_sha256, credentials, claim, now)
    authorization = (
        f"{ALGORITHM} Credential={claim.access_key_id}/{claim.scope}, "
        f"SignedHeaders={claim.signed_list}, Signature={value}"
    )
    return (*added, ("authorization", authorization))


def presign(
    head: RequestHead, credentials: Credentials, *, region: str, service: str, now: float, expires_s: int
) -> str:
    """The query string that makes a request without body good for `expires_s` seconds (1 to 604800)."""
    claim = _claim_for(credentials, head.headers.items, region, service, now)
    parameters = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{claim.access_key_id}/{claim.scope}",
        "X-Amz-Date": timestamp_of(now),
        "X-Amz-Expires": str(expires_s),
        "X-Amz-SignedHeaders": claim.signed_list,
    }
    if credentials.session_token is not None:
        parameters["X-Amz-Security-Token"] = credentials.session_token
    pairs = [head.query] if head.query else []
    pairs += [f"{name}={quote(value, safe='-_.~')}" for name, value in parameters.items()]
    query = "&".join(pairs)
    payload = UNSIGNED_PAYLOAD if service in SINGLE_ENCODED_SERVICES else payload_digest(b"")
    value = _signature_of(head, head.headers.items, encoded_query(query), payload, credentials, claim, now)
    return f"{query}&X-Amz-Signature={value}"


def _claim_for(
    credentials: Credentials, fields: Sequence[tuple[str, str]], region: str, service: str, now: float
) -> Claim:
    signed = {name for name, _ in fields if name in ("host", "content-type") or name.startswith("x-amz-")}
    return make_claim(credentials.access_key_id, timestamp_of(now)[:8], region, service, ";".join(sorted(signed)))


def _signature_of(
    head: RequestHead,
    fields: Sequence[tuple[str, str]],
    query: str,
    payload: str,
    credentials: Credentials,
    claim: Claim,
    now: float,
) -> str:
    values: dict[str, list[str]] = {}
    for name, value in fields:
        values.setdefault(name, []).append(_BLANKS.sub(" ", value.strip(" \t")))
    headers = "".join(f"{name}:{','.join(values[name])}\n" for name in claim.signed_headers)
    path = canonical_path(head.path, claim.service)
    canonical = f"{head.method}\n{path}\n{query}\n{headers}\n{claim.signed_list}\n{payload}"
    key = signing_key(credentials.secret_access_key, claim.date, claim.region, claim.service)
    text = _string_to_sign(timestamp_of(now), claim.scope, canonical.encode("latin-1"))
    return hmac.digest(key, text, "sha256").hex()
