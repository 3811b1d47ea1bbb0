"""Calls of AWS APIs that the server makes itself, for its users' functions: polls and deliveries.

They go to this server's own endpoint, without a socket but with a signature: whatever answers an API for functions (a
service of ours, or an upstream) answers it for these too, and may be refused to their role just the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from lambent.app.identity import Identity
from lambent.app.stage import Stage
from lambent.aws.chain import AwsEndpoint
from lambent.aws_client.client import AwsClient
from lambent.aws_client.destinations import Destinations
from lambent.aws_client.in_process import InProcessTransport
from lambent.aws_client.role_credentials import RoleCredentials
from lambent.aws_client.sqs import Sqs
from lambent.iam.authentication import VerifySignatures


@dataclass(frozen=True, slots=True)
class Calls:
    """What to call with, and as whom (`AwsCaller(roles.find(…), region)`). Answered once `serve_calls` was called."""

    client: AwsClient
    sqs: Sqs
    destinations: Destinations
    roles: RoleCredentials
    transport: InProcessTransport


def make_calls(stage: Stage, identity: Identity, authority: str) -> Calls:
    """`authority`: the endpoint's host and port, which URLs of queues begin with."""
    transport = InProcessTransport(authority)
    stage.stack.push_async_callback(transport.close)
    client = AwsClient(transport)
    return Calls(client, Sqs(client), Destinations(client), RoleCredentials(identity.sessions), transport)


def serve_calls(stage: Stage, identity: Identity, calls: Calls, outer: AwsEndpoint) -> None:
    """Have the server's endpoint answer them. Whatever `--auth` says, they are verified."""
    endpoint = outer.for_callers(VerifySignatures(identity.identities, identity.sessions))
    stage.stack.push_async_callback(endpoint.close, 0)
    calls.transport.serve_with(endpoint.handle)
