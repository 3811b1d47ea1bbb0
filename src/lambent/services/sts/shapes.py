"""What the operations of STS that make sessions have in common: shapes, errors, a default. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from lambent.aws.context import Params
from lambent.iam.principal import Credentials
from lambent.model.errors import ServiceError

ROLE_DURATION_DEFAULT_S: Final = 3600


def credentials_shape(credentials: Credentials) -> Params:
    return {
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
        "SessionToken": credentials.session_token,
        "Expiration": datetime.fromtimestamp(credentials.expires_at or 0.0, UTC),
    }


def access_denied(message: str) -> ServiceError:
    return ServiceError("AccessDenied", message, status=403)


def validation_error(message: str) -> ServiceError:
    return ServiceError("ValidationError", message)
