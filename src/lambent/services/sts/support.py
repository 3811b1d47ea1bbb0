"""What each member of each offered operation does here. The coverage page is made from it."""

from __future__ import annotations

from typing import Final

from lambent.aws.support import Support, effective, refused, without_effect

_NARROWS: Final = refused("A session would be wider than was asked for.")
_MFA: Final = refused("There are no MFA devices.")
_TOKEN_SIZE: Final = without_effect("Tokens have the size they need.")

SUPPORT: Final[Support] = {
    "GetCallerIdentity": {},
    "AssumeRole": {
        **effective("RoleArn", "RoleSessionName", "DurationSeconds", "ExternalId"),
        "Policy": _NARROWS,
        "PolicyArns": _NARROWS,
        "Tags": _NARROWS,
        "TransitiveTagKeys": _NARROWS,
        "SourceIdentity": _NARROWS,
        "ProvidedContexts": _NARROWS,
        "SerialNumber": _MFA,
        "TokenCode": _MFA,
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
