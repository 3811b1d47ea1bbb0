"""What forwarded requests need, how denials are rendered, and whom nobody asks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from lambent.aws.authorisation import Authoriser
from lambent.aws.context import RequestContext
from lambent.http.messages import Headers, Request, RequestHead
from lambent.iam.authentication import Caller
from lambent.iam.enforcement import Access, AccessDeniedError, Enforcer, Occasion
from lambent.iam.entities import IamEntities
from lambent.iam.identities import Identities, root_principal
from lambent.iam.policy_sources import PolicySource, StoredResourcePolicies
from lambent.iam.principal import Principal
from lambent.model.arn import FunctionId
from lambent.model.errors import ServiceError
from lambent.model.ids import AccountId, Region, RequestId, RevisionId
from lambent.model.resource_policy import ResourcePolicy, function_policy_key
from lambent.store.api import RESOURCE_POLICIES, Put
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


FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
INVOKE = Access("lambda:InvokeFunction", FUNCTION, ACCOUNT, is_data_event=True)


async def may(enforcer: Enforcer, principal: Principal, access: Access = INVOKE, address: str = "192.0.2.7") -> bool:
    occasion = Occasion(principal, "r", REGION, lambda: {"aws:sourceip": (address,)})
    try:
        pending = enforcer.check(occasion, [access])
        if pending is not None:
            await pending()
    except AccessDeniedError:
        return False
    return True


async def test_a_remembered_decision_ends_with_the_policies_it_was_made_of(entities: IamEntities) -> None:
    store = entities.users._store
    enforcer = Enforcer(PolicySource(store, entities), StoredResourcePolicies(store, entities))
    principal = await user(entities, {"Effect": "Allow", "Action": "lambda:*", "Resource": FUNCTION})
    for _ in range(3):
        assert await may(enforcer, principal)
    assert not await may(enforcer, principal, replace(INVOKE, resource=FUNCTION + "2"))
    assert await may(enforcer, principal, replace(INVOKE, action="lambda:GetFunction"))
    other = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    nothing = json.dumps({"Version": "2012-10-17", "Statement": [other]})
    await entities.users.put_policy(ACCOUNT, "u", "p", nothing)
    assert not await may(enforcer, principal)


async def test_a_changed_resource_policy_is_heeded(entities: IamEntities) -> None:
    store = entities.users._store
    enforcer = Enforcer(PolicySource(store, entities), StoredResourcePolicies(store, entities))
    principal = await user(entities, {"Effect": "Allow", "Action": "lambda:*", "Resource": FUNCTION})
    key = function_policy_key(FunctionId(ACCOUNT, REGION, "f"), None)
    access = replace(INVOKE, resource_policy=(RESOURCE_POLICIES, key))
    for _ in range(3):
        assert await may(enforcer, principal, access)
    statement = {
        "Sid": "no", "Effect": "Deny", "Principal": "*", "Action": "lambda:InvokeFunction", "Resource": FUNCTION,
    }  # fmt: skip
    policy = ResourcePolicy({"Version": "2012-10-17", "Statement": [statement]}, RevisionId("1"))
    await store.commit([Put(RESOURCE_POLICIES, key, policy.to_document())])
    assert not await may(enforcer, principal, access)


async def test_conditions_are_evaluated_each_time(entities: IamEntities) -> None:
    store = entities.users._store
    enforcer = Enforcer(PolicySource(store, entities), StoredResourcePolicies(store, entities))
    near = {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}
    principal = await user(entities, {"Effect": "Allow", "Action": "lambda:*", "Resource": FUNCTION, "Condition": near})
    for _ in range(2):
        assert await may(enforcer, principal)
    assert not await may(enforcer, principal, address="203.0.113.1")
