"""What execution environments get of the rest: credentials of their role, and an AWS endpoint of their own."""

from __future__ import annotations

import socket

from lambent.aws.chain import AwsEndpoint
from lambent.http.limits import HttpLimits
from lambent.http.server import HttpServer
from lambent.iam.authentication import VerifyEnvironment
from lambent.iam.sessions import SessionIssuer
from lambent.invoke.specs import MintCredentials
from lambent.model.execution import RoleCredentials
from lambent.model.limits import MIB
from lambent.worker.ports import EnvironmentIdentity

CREDENTIALS_LIFETIME_S = 6 * 3600.0

# An SDK's pool has 10 to 50 connections. Memory and descriptors behind these sockets are the server's, not the
# environment's; a deployment package in a request is the largest thing to be held.
_LIMITS = HttpLimits(max_connections=256, max_held_bytes=128 * MIB)


class InnerEndpoints:
    """Implements `worker.ports.EndpointHost`: the same services as outside, for nobody but the environment's role."""

    def __init__(self, sessions: SessionIssuer) -> None:
        self._sessions = sessions
        self._outer: AwsEndpoint

    def serve_with(self, outer: AwsEndpoint) -> None:
        """The endpoint whose services environments get too. Before the first environment."""
        self._outer = outer

    async def serve_endpoint(self, sock: socket.socket, identity: EnvironmentIdentity) -> InnerEndpoint:
        """See `worker.ports.EndpointHost`."""
        authenticate = VerifyEnvironment(self._sessions, identity.credentials.principal_arn)
        endpoint = self._outer.for_callers(authenticate)
        server = HttpServer(
            endpoint.handle, endpoint.policy, _LIMITS, name=f"aws endpoint of {identity.environment_id}"
        )
        await server.start(sock)
        return InnerEndpoint(server, endpoint)


class InnerEndpoint:
    """One environment's endpoint."""

    def __init__(self, server: HttpServer, endpoint: AwsEndpoint) -> None:
        self._server = server
        self._endpoint = endpoint

    async def close(self) -> None:
        """See `worker.ports.ServedEndpoint`."""
        await self._endpoint.close(0)
        await self._server.close(0)


def mint_with(sessions: SessionIssuer) -> MintCredentials:
    """How environments get credentials: a session of the execution role, named after the function."""

    def mint(role_arn: str, session_name: str) -> RoleCredentials:
        credentials, principal = sessions.assume_role(
            role_arn, session_name, CREDENTIALS_LIFETIME_S, source="lambda.amazonaws.com"
        )
        return RoleCredentials(
            credentials.access_key_id,
            credentials.secret_access_key,
            credentials.session_token or "",
            credentials.expires_at or 0.0,
            principal.arn,
            principal.user_id,
        )

    return mint
