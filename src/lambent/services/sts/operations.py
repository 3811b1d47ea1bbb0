"""STS: GetCallerIdentity, AssumeRole, GetSessionToken, GetAccessKeyInfo.

https://docs.aws.amazon.com/STS/latest/APIReference/. AssumeRole asks the role's trust policy (what of it is evaluated:
`lambent.iam.policy_documents`), not yet whether the caller's own policies allow sts:AssumeRole. Session policies,
session tags and MFA are refused rather than ignored: a session must not be wider than was asked for. Unlike on AWS, an
account's root user may assume roles: with `--auth none` every caller is root.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from lambent.aws.context import Operations, Params, RequestContext
from lambent.aws.service import ServiceDefinition
from lambent.iam.access_key_ids import account_of
from lambent.iam.identities import Identities
from lambent.iam.policy_documents import trusts_principal
from lambent.iam.principal import Credentials
from lambent.iam.roles import Role, Roles
from lambent.iam.sessions import SessionIssuer, parse_role_arn
from lambent.model.errors import ServiceError

ROLE_DURATION_DEFAULT_S: Final = 3600
ROLE_CHAINING_MAX_S: Final = 3600
SESSION_TOKEN_DURATION_DEFAULT_S: Final = 43_200
ROOT_SESSION_TOKEN_MAX_S: Final = 3600
_NARROWING: Final = ("Policy", "PolicyArns", "Tags", "TransitiveTagKeys", "SourceIdentity", "ProvidedContexts")
_MFA: Final = ("SerialNumber", "TokenCode")


def definition(roles: Roles, sessions: SessionIssuer, identities: Identities) -> ServiceDefinition:
    """The service, for the request chain."""
    return ServiceDefinition("sts", operations(roles, sessions, identities))


def operations(roles: Roles, sessions: SessionIssuer, identities: Identities) -> Operations:
    """Operation name → handler."""
    service = _Sts(roles, sessions, identities)
    return {
        "GetCallerIdentity": service.get_caller_identity,
        "AssumeRole": service.assume_role,
        "GetSessionToken": service.get_session_token,
        "GetAccessKeyInfo": service.get_access_key_info,
    }


class _Sts:
    def __init__(self, roles: Roles, sessions: SessionIssuer, identities: Identities) -> None:
        self._roles = roles
        self._sessions = sessions
        self._identities = identities

    async def get_caller_identity(self, ctx: RequestContext, _: Params) -> Params:
        principal = ctx.principal
        return {"UserId": principal.user_id, "Account": principal.account, "Arn": principal.arn}

    async def assume_role(self, ctx: RequestContext, params: Params) -> Params:
        _refuse(params, _NARROWING + _MFA)
        arn = params["RoleArn"]
        if parse_role_arn(arn) is None:
            raise _validation_error(f"{arn} is invalid")
        role = await self._roles.find(arn)
        if role is None or not trusts_principal(role.trust_policy, ctx.principal, params.get("ExternalId")):
            raise _access_denied(
                f"User: {ctx.principal.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
            )
        duration_s = params.get("DurationSeconds", ROLE_DURATION_DEFAULT_S)
        _check_duration(ctx, role, duration_s)
        credentials, principal = self._sessions.assume_role(
            role.arn, params["RoleSessionName"], duration_s, role_id=role.role_id, source=ctx.principal.arn
        )
        return {
            "Credentials": _credentials(credentials),
            "AssumedRoleUser": {"AssumedRoleId": principal.user_id, "Arn": principal.arn},
        }

    async def get_session_token(self, ctx: RequestContext, params: Params) -> Params:
        _refuse(params, _MFA)
        principal = ctx.principal
        if ":assumed-role/" in principal.arn or "x-amz-security-token" in ctx.request.headers:
            raise _access_denied("Cannot call GetSessionToken with session credentials")
        duration_s = params.get("DurationSeconds", SESSION_TOKEN_DURATION_DEFAULT_S)
        if principal.arn.endswith(":root"):
            duration_s = min(duration_s, ROOT_SESSION_TOKEN_MAX_S)  # as AWS does, without a word
        credentials, _ = self._sessions.session_token(principal, duration_s)
        return {"Credentials": _credentials(credentials)}

    async def get_access_key_info(self, _: RequestContext, params: Params) -> Params:
        access_key_id = params["AccessKeyId"]
        key = self._identities.get(access_key_id)
        account = key.account if key is not None else account_of(access_key_id)
        if account is None:
            raise _validation_error(f"Invalid access key id: {access_key_id}")
        return {"Account": account}


def _check_duration(ctx: RequestContext, role: Role, duration_s: int) -> None:
    if ":assumed-role/" in ctx.principal.arn and duration_s > ROLE_CHAINING_MAX_S:
        raise _validation_error(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        )
    if duration_s > role.max_session_duration_s:
        raise _validation_error("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")


def _refuse(params: Params, names: tuple[str, ...]) -> None:
    given = [name for name in names if params.get(name)]
    if given:
        raise ServiceError("NotImplemented", f"Lambent does not implement {', '.join(given)} yet.", status=501)


def _credentials(credentials: Credentials) -> Params:
    return {
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
        "SessionToken": credentials.session_token,
        "Expiration": datetime.fromtimestamp(credentials.expires_at or 0.0, UTC),
    }


def _access_denied(message: str) -> ServiceError:
    return ServiceError("AccessDenied", message, status=403)


def _validation_error(message: str) -> ServiceError:
    return ServiceError("ValidationError", message)
