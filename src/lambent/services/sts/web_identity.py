"""AssumeRoleWithWebIdentity: answered as by an account without identity providers, which cannot be made here."""

from __future__ import annotations

import base64
import binascii

import orjson

from lambent.aws.context import Params, RequestContext
from lambent.model.errors import ServiceError


async def assume_role_with_web_identity(_: RequestContext, params: Params) -> Params:
    """Raises InvalidIdentityToken, always: nobody's tokens are trusted."""
    issuer = _issuer(params["WebIdentityToken"])
    if issuer is None:
        text = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
        raise ServiceError("InvalidIdentityToken", text)
    raise ServiceError("InvalidIdentityToken", f"No OpenIDConnect provider found in your account for {issuer}")


def _issuer(token: str) -> str | None:
    """Who a JWT says it is from; nothing of it is verified."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    return issuer if isinstance(issuer, str) else None
