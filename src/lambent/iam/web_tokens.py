"""ID tokens (JWT) of OpenID Connect providers: read, and verified with the provider's keys. No I/O.

https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation. Signatures are checked by PyJWT, which comes
with the extra `oidc`: cryptography is nothing to write anew.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from lambent.model.errors import ServiceError

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
TAGS_CLAIM: Final = "https://aws.amazon.com/tags"
SOURCE_IDENTITY_CLAIM: Final = "https://aws.amazon.com/source_identity"
_NOT_A_JWT: Final = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"


@dataclass(frozen=True, slots=True)
class WebToken:
    """A token as it was sent; nothing of it is verified yet. `key_id` is None if it names none."""

    text: str
    issuer: str
    key_id: str | None


@dataclass(frozen=True, slots=True)
class WebIdentity:
    """What a verified token says. `audience` is the authorised party if it names one, else the audience."""

    subject: str
    audience: str
    original_audience: str
    methods: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    transitive_tag_keys: tuple[str, ...] = ()
    source_identity: str | None = None


def read(text: str) -> WebToken:
    """Raises InvalidIdentityToken."""
    parts = text.split(".")
    header, claims = (_object(part) for part in parts[:2]) if len(parts) == 3 else (None, None)
    if header is None or claims is None or not isinstance(issuer := claims.get("iss"), str):
        raise invalid_token(_NOT_A_JWT)
    key_id = header.get("kid")
    return WebToken(text, issuer, key_id if isinstance(key_id, str) else None)


def verify(token: WebToken, keys: Sequence[Mapping[str, Any]], client_ids: Sequence[str]) -> WebIdentity:
    """What the token says, once its signature, times and audience hold. `keys`: the provider's (JSON Web Keys).

    Raises InvalidIdentityToken, ExpiredTokenException, NotImplemented (the extra is not installed).
    """
    jwt = _library()
    candidates = [key for key in keys if token.key_id is None or key.get("kid") == token.key_id]
    claims = None
    for key in candidates:
        try:
            claims = jwt.decode(
                token.text,
                jwt.PyJWK(key).key,
                algorithms=list(ALGORITHMS),
                options={"require": ["exp", "iat", "sub", "aud"], "verify_aud": False},
            )
            break
        except jwt.ExpiredSignatureError:
            raise ServiceError(
                "ExpiredTokenException", "Token expired: the current time is after the token's expiration time"
            ) from None
        except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError, jwt.PyJWKError, jwt.InvalidKeyError):
            continue
        except jwt.PyJWTError as error:
            raise invalid_token(f"{_NOT_A_JWT}: {error}") from None
    if claims is None:
        raise no_key()
    return _identity(claims, client_ids)


def _identity(claims: Mapping[str, Any], client_ids: Sequence[str]) -> WebIdentity:
    given = claims["aud"]
    audiences = given if isinstance(given, list) else [given]
    party = claims.get("azp")
    wanted = [party] if isinstance(party, str) else audiences
    accepted = [audience for audience in wanted if audience in client_ids]
    if not accepted or not isinstance(claims["sub"], str):
        raise invalid_token("Incorrect token audience")
    methods = claims.get("amr", [])
    tags, transitive = _tags(claims.get(TAGS_CLAIM))
    source_identity = claims.get(SOURCE_IDENTITY_CLAIM)
    return WebIdentity(
        claims["sub"],
        accepted[0],
        str(audiences[0]),
        tuple(str(method) for method in methods) if isinstance(methods, list) else (),
        tags,
        transitive,
        source_identity if isinstance(source_identity, str) else None,
    )


def _tags(claim: Any) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_adding-assume-role-idp"""
    if claim is None:
        return (), ()
    try:
        tags = tuple((str(key), str(_one(values))) for key, values in claim["principal_tags"].items())
        return tags, tuple(str(key) for key in claim.get("transitive_tag_keys", ()))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise invalid_token("The session tags of the token are not as they must be") from None


def _one(values: Any) -> Any:
    if isinstance(values, str):
        return values
    [value] = values
    return value


def invalid_token(message: str) -> ServiceError:
    """400 InvalidIdentityToken."""
    return ServiceError("InvalidIdentityToken", message)


def no_key() -> ServiceError:
    """The provider has no key that the token could be signed with."""
    return invalid_token(
        "Couldn't retrieve verification key from your identity provider,  please reference "
        "AssumeRoleWithWebIdentity documentation for requirements"
    )


def _object(part: str) -> dict[str, Any] | None:
    try:
        decoded = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError):
        return None
    return decoded if isinstance(decoded, dict) else None


def _library() -> Any:
    try:
        import jwt
    except ImportError:
        raise ServiceError(
            "NotImplemented", "Verifying ID tokens needs PyJWT: pip install 'lambent[oidc]'", status=501
        ) from None
    return jwt
