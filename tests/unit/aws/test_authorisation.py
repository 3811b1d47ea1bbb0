"""What forwarded requests need, how denials are rendered, and whom nobody asks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from lambent.aws.authorisation import Authoriser
from lambent.aws.context import RequestContext
from lambent.http.messages import Headers, Request, RequestHead
from lambent.iam.authentication import Caller
from lambent.iam.enforcement import Enforcer
from lambent.iam.entities import IamEntities
from lambent.iam.identities import Identities, root_principal
from lambent.iam.policy_sources import PolicySource, StoredResourcePolicies
from lambent.iam.principal import Principal
from lambent.model.errors import ServiceError
from lambent.model.ids import AccountId, Region, RequestId
from lambent.testing.store import MemoryStore

ACCOUNT, REGION = AccountId("123456789012"), Region("us-east-1")
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/t"


@pytest.fixture
async def entities() -> AsyncIterator[IamEntities]:
    store = MemoryStore()
    identities = await Identities.load(store)
    yield IamEntities.of(store, identities)
    await identities.close()
    await store.close()


@pytest.fixture
def authoriser(entities: IamEntities) -> Authoriser:
    store = entities.users._store
    return Authoriser(Enforcer(PolicySource(store, entities), StoredResourcePolicies(store, entities)), {})


async def user(entities: IamEntities, *statements: dict[str, object]) -> Principal:
    made = await entities.users.create(ACCOUNT, "u")
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    await entities.users.put_policy(ACCOUNT, "u", "p", document)
    return Principal(ACCOUNT, made.arn, made.user_id)


def request(body: bytes, **headers: str) -> Request:
    fields = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Request(RequestHead("POST", "/", "/", "", Headers(fields)), body)


async def denied(authoriser: Authoriser, asked: Request, service: str, principal: Principal) -> str | None:
    try:
        await authoriser.forward(asked, service, Caller(principal, REGION, service), "192.0.2.7")
    except ServiceError as error:
        return error.message.partition("perform: ")[2].partition(" because")[0]
    return None


async def test_forwarded_requests(authoriser: Authoriser, entities: IamEntities) -> None:
    principal = await user(
        entities,
        {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": TABLE},
        {"Effect": "Allow", "Action": ["sns:Publish", "s3:GetObject"], "Resource": "*"},
        {"Effect": "Allow", "Action": "kinesis:*", "Resource": "*",
         "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}},
        {"Effect": "Allow", "Action": "states:*", "Resource": "*",
         "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
    )  # fmt: skip
    get = {"x_amz_target": "DynamoDB_20120810.GetItem"}
    assert await denied(authoriser, request(b'{"TableName":"t"}', **get), "dynamodb", principal) is None
    assert (
        await denied(authoriser, request(json.dumps({"TableName": TABLE}).encode(), **get), "dynamodb", principal)
        is None
    )
    other = request(b'{"TableName":"other"}', **get)
    assert await denied(authoriser, other, "dynamodb", principal) == f"dynamodb:GetItem on resource: {TABLE[:-1]}other"
    assert await denied(authoriser, request(b"{}", **get), "dynamodb", principal) == "dynamodb:GetItem on resource: *"
    assert await denied(authoriser, request(b"{", **get), "dynamodb", principal) == "dynamodb:GetItem on resource: *"
    form = {"content_type": "application/x-www-form-urlencoded"}
    assert await denied(authoriser, request(b"Action=Publish&Message=x", **form), "sns", principal) is None
    assert (
        await denied(authoriser, request(b"Action=Subscribe", **form), "sns", principal)
        == "sns:Subscribe on resource: *"
    )
    assert await denied(authoriser, request(b"", **form), "sns", principal) == "sns:* on resource: *"
    assert await denied(authoriser, request(b""), "s3", principal) == "s3:* on resource: *"
    stream = request(b"{}", x_amz_target="Kinesis_20131202.PutRecord")
    assert await denied(authoriser, stream, "kinesis", principal) is None
    assert await denied(authoriser, stream, "states", principal) == "states:PutRecord on resource: *"
    assert await denied(authoriser, request(b""), "s3", root_principal(ACCOUNT)) is None


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [
        ("lambda", "AccessDeniedException", 403),
        ("logs", "AccessDeniedException", 400),
        ("iam", "AccessDenied", 403),
        ("sqs", "AccessDenied", 403),
    ],
)
async def test_denials(authoriser: Authoriser, entities: IamEntities, service: str, code: str, status: int) -> None:
    principal = await user(entities, {"Effect": "Allow", "Action": "a:b", "Resource": "*"})
    context = RequestContext(
        RequestId("r"), service, "DoIt", ACCOUNT, REGION, principal, request(b""), "http://x", lambda _: None
    )
    first = authoriser(context, {})  # its policies are not at hand yet
    assert first is not None
    with pytest.raises(ServiceError) as raised:
        await first()
    assert (raised.value.code, raised.value.status) == (code, status)
    assert raised.value.message == (
        f"User: {principal.arn} is not authorized to perform: {service}:DoIt on resource: * "
        f"because no identity-based policy allows the {service}:DoIt action"
    )
    with pytest.raises(ServiceError) as again:
        authoriser(context, {})  # now at once
    assert (again.value.code, again.value.message) == (code, raised.value.message)


async def test_who_is_not_asked(authoriser: Authoriser) -> None:
    for principal in (root_principal(ACCOUNT), Principal(ACCOUNT, "anonymous", "anonymous")):
        context = RequestContext(
            RequestId("r"), "iam", "DoIt", ACCOUNT, REGION, principal, request(b""), "http://x", lambda _: None
        )
        assert authoriser(context, {}) is None
