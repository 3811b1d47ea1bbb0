"""The public keys of an OpenID Connect provider, fetched where its discovery document says, and kept for a while.

https://openid.net/specs/openid-connect-discovery-1_0.html. The provider's certificate must be trusted by this host, or
be one whose SHA-1 is among the provider's thumbprints.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import ssl
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

TIMEOUT_S: Final = 5.0  # AWS gives a provider as long
KEPT_S: Final = 300.0
ASKED_AGAIN_S: Final = 10.0  # when a token names a key that is not among those kept
_DOCUMENT_MAX_BYTES: Final = 256 * 1024
_PROVIDERS_MAX: Final = 100

Keys = list[Mapping[str, Any]]


class IssuerUnreachableError(Exception):
    """The keys cannot be had; the message says why."""


@dataclass(frozen=True, slots=True)
class _Kept:
    keys: Keys
    fetched: float  # of the monotonic clock


class OpenIdKeys:
    """Keys by issuer. Concurrent calls may each fetch them."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    async def __call__(self, issuer: str, thumbprints: Collection[str], key_id: str | None) -> Keys:
        """The keys of `issuer` (an https URL), with the one called `key_id` if it has it. Raises
        IssuerUnreachableError."""
        kept, now = self._kept.get(issuer), time.monotonic()
        if kept is not None:
            is_known = key_id is None or any(key.get("kid") == key_id for key in kept.keys)
            if now - kept.fetched < (KEPT_S if is_known else ASKED_AGAIN_S):
                return kept.keys
        try:
            keys = await asyncio.to_thread(_fetch, issuer, frozenset(thumbprints))
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            raise IssuerUnreachableError(f"{type(error).__name__}: {error}") from error
        if len(self._kept) >= _PROVIDERS_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[issuer] = _Kept(keys, now)
        return keys


def _fetch(issuer: str, thumbprints: frozenset[str]) -> Keys:
    discovered = _get(issuer.rstrip("/") + "/.well-known/openid-configuration", thumbprints)
    keys = _get(discovered["jwks_uri"], thumbprints)["keys"]
    return [key for key in keys if isinstance(key, dict)]


def _get(url: str, thumbprints: frozenset[str]) -> Any:
    """A JSON document. Redirects are not followed: keys come from where the provider says."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError(f"{url!r} is not an https address")
    connection = _connect(parts.hostname, parts.port or 443, thumbprints)
    try:
        path = parts.path or "/"
        connection.request("GET", f"{path}?{parts.query}" if parts.query else path, headers={"Accept": "*/*"})
        response = connection.getresponse()
        body = response.read(_DOCUMENT_MAX_BYTES + 1)
        if response.status != 200 or len(body) > _DOCUMENT_MAX_BYTES:
            raise ValueError(f"{url} answered {response.status} with {len(body)} bytes")
        return orjson.loads(body)
    finally:
        connection.close()


def _connect(host: str, port: int, thumbprints: frozenset[str]) -> http.client.HTTPSConnection:
    connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.connect()
    except ssl.SSLCertVerificationError:
        connection.close()
        if not thumbprints:
            raise
        return _connect_pinned(host, port, thumbprints)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_pinned(host: str, port: int, thumbprints: frozenset[str]) -> http.client.HTTPSConnection:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the certificate itself is compared
    connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
    try:
        connection.connect()
        certificate = connection.sock.getpeercert(binary_form=True)
        digest = hashlib.sha1(certificate or b"", usedforsecurity=False).hexdigest()
        if digest not in thumbprints:
            raise ssl.SSLCertVerificationError(f"the certificate of {host} (SHA-1 {digest}) is not trusted")
    except BaseException:
        connection.close()
        raise
    return connection
