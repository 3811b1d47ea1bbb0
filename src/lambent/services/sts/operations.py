"""STS: GetCallerIdentity, AssumeRole, GetSessionToken, GetAccessKeyInfo; AssumeRoleWithWebIdentity (`web_identity`).

https://docs.aws.amazon.com/STS/latest/APIReference/. Whether the caller's own policies allow sts:AssumeRole is asked
before (`access`), where policies are enforced; the role's trust policy always. MFA is refused rather than ignored.
Unlike on AWS, an account's root user may assume roles: with `--auth none` every caller is root.
"""

from __future__ import annotations

from typing import Final

from lambent.aws.context import Operations, Params, RequestContext
from lambent.aws.service import ServiceDefinition
from lambent.iam.access_key_ids import account_of
from lambent.iam.entities import IamEntities
from lambent.iam.policy_sources import PolicySource
from lambent.iam.roles import Role
from lambent.iam.sessions import SessionIssuer, parse_role_arn
from lambent.iam.trust import trusts
from lambent.model.errors import ServiceError
from lambent.services.sts.access import assume_role_keys
from lambent.services.sts.role_sessions import role_session
from lambent.services.sts.session_parameters import narrowing
from lambent.services.sts.shapes import ROLE_DURATION_DEFAULT_S, access_denied, credentials_shape, validation_error
from lambent.services.sts.web_identity import FetchKeys, WebIdentities

ROLE_CHAINING_MAX_S: Final = 3600
SESSION_TOKEN_DURATION_DEFAULT_S: Final = 43_200
ROOT_SESSION_TOKEN_MAX_S: Final = 3600
_UNSUPPORTED: Final = ("SerialNumber", "TokenCode", "ProvidedContexts")


def definition(
    entities: IamEntities, sessions: SessionIssuer, callers: PolicySource, fetch_keys: FetchKeys
) -> ServiceDefinition:
    """The service, for the request chain. `fetch_keys`: those of OpenID Connect providers."""
    return ServiceDefinition("sts", operations(entities, sessions, callers, fetch_keys))


def operations(
    entities: IamEntities, sessions: SessionIssuer, callers: PolicySource, fetch_keys: FetchKeys
) -> Operations:
    """Operation name → handler."""
    service = _Sts(entities, sessions, callers)
    return {
        "GetCallerIdentity": service.get_caller_identity,
        "AssumeRole": service.assume_role,
        "AssumeRoleWithWebIdentity": WebIdentities(entities, sessions, fetch_keys).assume_role_with_web_identity,
        "GetSessionToken": service.get_session_token,
        "GetAccessKeyInfo": service.get_access_key_info,
    }


class _Sts:
    def __init__(self, entities: IamEntities, sessions: SessionIssuer, callers: PolicySource) -> None:
        self._entities = entities
        self._sessions = sessions
        self._callers = callers

    async def get_caller_identity(self, ctx: RequestContext, _: Params) -> Params:
        principal = ctx.principal
        return {"UserId": principal.user_id, "Account": principal.account, "Arn": principal.arn}

    async def assume_role(self, ctx: RequestContext, params: Params) -> Params:
        _refuse(params, _UNSUPPORTED)
        arn = params["RoleArn"]
        if parse_role_arn(arn) is None:
            raise validation_error(f"{arn} is invalid")
        role = await self._entities.roles.find(arn)
        if role is None or not await self._is_trusted(ctx, params, role):
            raise access_denied(
                f"User: {ctx.principal.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
            )
        duration_s = params.get("DurationSeconds", ROLE_DURATION_DEFAULT_S)
        _check_duration(ctx, role, duration_s)
        narrowed = await narrowing(ctx.principal, params, self._entities.policies)
        return role_session(self._sessions, role, params["RoleSessionName"], duration_s, ctx.principal.arn, narrowed)

    async def _is_trusted(self, ctx: RequestContext, params: Params, role: Role) -> bool:
        caller = self._callers.cached(ctx.principal) or await self._callers.load(ctx.principal)
        keys = {**caller.keys, **assume_role_keys(params)}
        actions = ["sts:AssumeRole"]
        actions += ["sts:TagSession"] if params.get("Tags") else []
        actions += ["sts:SetSourceIdentity"] if "SourceIdentity" in params else []
        return all(trusts(role, ctx.principal, action, keys) for action in actions)

    async def get_session_token(self, ctx: RequestContext, params: Params) -> Params:
        _refuse(params, _UNSUPPORTED)
        principal = ctx.principal
        if ":assumed-role/" in principal.arn or "x-amz-security-token" in ctx.request.headers:
            raise access_denied("Cannot call GetSessionToken with session credentials")
        duration_s = params.get("DurationSeconds", SESSION_TOKEN_DURATION_DEFAULT_S)
        if principal.arn.endswith(":root"):
            duration_s = min(duration_s, ROOT_SESSION_TOKEN_MAX_S)  # as AWS does, without a word
        credentials, _ = self._sessions.session_token(principal, duration_s)
        return {"Credentials": credentials_shape(credentials)}

    async def get_access_key_info(self, _: RequestContext, params: Params) -> Params:
        access_key_id = params["AccessKeyId"]
        key = self._entities.identities.get(access_key_id)
        account = key.account if key is not None else account_of(access_key_id)
        if account is None:
            raise validation_error(f"Invalid access key id: {access_key_id}")
        return {"Account": account}


def _check_duration(ctx: RequestContext, role: Role, duration_s: int) -> None:
    if ":assumed-role/" in ctx.principal.arn and duration_s > ROLE_CHAINING_MAX_S:
        raise validation_error(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        )
    if duration_s > role.max_session_duration_s:
        raise validation_error("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")


def _refuse(params: Params, names: tuple[str, ...]) -> None:
    given = [name for name in names if params.get(name)]
    if given:
        raise ServiceError("NotImplemented", f"Lambent does not implement {', '.join(given)} yet.", status=501)
