"""AssumeRoleWithWebIdentity: a session of a role for whoever has an ID token of a provider that the role trusts.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html. The call is not signed: the
token is the credential. What it says becomes condition keys named after the provider (`HOST/PATH:aud`, `:sub`, …).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from lambent.aws.context import Params, RequestContext
from lambent.aws_client.open_id_keys import IssuerUnreachableError
from lambent.iam.entities import IamEntities
from lambent.iam.open_id_providers import OpenIdProvider
from lambent.iam.policy.subjects import Subject
from lambent.iam.principal import Principal
from lambent.iam.roles import Role
from lambent.iam.sessions import SessionIssuer, parse_role_arn
from lambent.iam.trust import trusts_subject
from lambent.iam.web_tokens import WebIdentity, WebToken, invalid_token, read, verify
from lambent.model.errors import ServiceError
from lambent.services.sts.role_sessions import role_session
from lambent.services.sts.session_parameters import narrowing
from lambent.services.sts.shapes import ROLE_DURATION_DEFAULT_S, access_denied, validation_error

FetchKeys = Callable[[str, Collection[str], str | None], Awaitable[Sequence[Mapping[str, Any]]]]
"""Issuer, thumbprints, key id → JSON Web Keys. Raises IssuerUnreachableError."""


class WebIdentities:
    """The operation, and what it needs to know."""

    def __init__(self, entities: IamEntities, sessions: SessionIssuer, fetch_keys: FetchKeys) -> None:
        self._entities = entities
        self._sessions = sessions
        self._fetch_keys = fetch_keys

    async def assume_role_with_web_identity(self, _: RequestContext, params: Params) -> Params:
        if "ProviderId" in params:
            raise ServiceError("NotImplemented", "OAuth 2.0 access tokens are not taken: send an ID token.", status=501)
        arn = params["RoleArn"]
        parsed = parse_role_arn(arn)
        if parsed is None:
            raise validation_error(f"{arn} is invalid")
        token = read(params["WebIdentityToken"])
        provider = await self._entities.open_id_providers.find(parsed.account, token.issuer)
        if provider is None:
            raise invalid_token(f"No OpenIDConnect provider found in your account for {token.issuer}")
        identity = verify(token, await self._keys(token, provider), provider.client_ids)
        role = await self._entities.roles.find(arn)
        if role is None or not _is_trusted(role, provider, identity, params["RoleSessionName"]):
            raise access_denied("Not authorized to perform sts:AssumeRoleWithWebIdentity")
        return await self._session(role, provider, identity, params)

    async def _keys(self, token: WebToken, provider: OpenIdProvider) -> Sequence[Mapping[str, Any]]:
        try:
            return await self._fetch_keys(f"https://{provider.name}", provider.thumbprints, token.key_id)
        except IssuerUnreachableError as error:
            raise ServiceError("IDPCommunicationError", f"The identity provider cannot be asked: {error}") from None

    async def _session(self, role: Role, provider: OpenIdProvider, identity: WebIdentity, params: Params) -> Params:
        duration_s = params.get("DurationSeconds", ROLE_DURATION_DEFAULT_S)
        if duration_s > role.max_session_duration_s:
            raise validation_error("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
        from_token: Params = {
            "Tags": [{"Key": key, "Value": value} for key, value in identity.tags],
            "TransitiveTagKeys": list(identity.transitive_tag_keys),
        }
        if identity.source_identity is not None:
            from_token["SourceIdentity"] = identity.source_identity
        nobody = Principal(role.account, "anonymous", "anonymous")
        narrowed = await narrowing(nobody, {**params, **from_token}, self._entities.policies)
        answer = role_session(self._sessions, role, params["RoleSessionName"], duration_s, provider.arn, narrowed)
        return answer | {
            "SubjectFromWebIdentityToken": identity.subject,
            "Provider": provider.arn,
            "Audience": identity.audience,
        }


def _is_trusted(role: Role, provider: OpenIdProvider, identity: WebIdentity, session_name: str) -> bool:
    name = provider.name.lower()
    keys: dict[str, tuple[str, ...]] = {
        f"{name}:aud": (identity.audience,),
        f"{name}:oaud": (identity.original_audience,),
        f"{name}:sub": (identity.subject,),
        "aws:federatedprovider": (provider.arn,),
        "sts:rolesessionname": (session_name,),
    }
    if identity.methods:
        keys[f"{name}:amr"] = identity.methods
    actions = ["sts:AssumeRoleWithWebIdentity"]
    if identity.tags:
        keys |= {f"aws:requesttag/{key.lower()}": (value,) for key, value in identity.tags}
        keys["aws:tagkeys"] = tuple(key for key, _ in identity.tags)
        actions.append("sts:TagSession")
    if identity.source_identity is not None:
        keys["sts:sourceidentity"] = (identity.source_identity,)
        actions.append("sts:SetSourceIdentity")
    subject = Subject(f"{provider.arn}:{identity.subject}", federated=provider.arn)
    return all(trusts_subject(role, subject, action, keys) for action in actions)
