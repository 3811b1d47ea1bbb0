"""What each member of each offered operation does here. The coverage page is made from it."""

from __future__ import annotations

from typing import Final

from lambent.aws.support import Support, effective, refused, without_effect

_CONTEXTS: Final = refused("There are no context providers.")
_MFA: Final = refused("There are no MFA devices.")
_TOKEN_SIZE: Final = without_effect("Tokens have the size they need.")

SUPPORT: Final[Support] = {
    "GetCallerIdentity": {},
    "AssumeRole": {
        **effective(
            "RoleArn",
            "RoleSessionName",
            "DurationSeconds",
            "ExternalId",
            "Policy",
            "PolicyArns",
            "Tags",
            "TransitiveTagKeys",
            "SourceIdentity",
        ),
        "ProvidedContexts": _CONTEXTS,
        "SerialNumber": _MFA,
        "TokenCode": _MFA,
        "MinimumSessionTokenSize": _TOKEN_SIZE,
    },
    "AssumeRoleWithWebIdentity": {
        **effective("RoleArn", "RoleSessionName", "WebIdentityToken", "PolicyArns", "Policy", "DurationSeconds"),
        "ProviderId": refused("It belongs to OAuth 2.0 access tokens; ID tokens are taken."),
        "MinimumSessionTokenSize": _TOKEN_SIZE,
    },
    "GetSessionToken": {
        **effective("DurationSeconds"),
        "SerialNumber": _MFA,
        "TokenCode": _MFA,
        "MinimumSessionTokenSize": _TOKEN_SIZE,
    },
    "GetAccessKeyInfo": effective("AccessKeyId"),
}
