"""What operations need: every one of the models has its action, and resources are named as policies name them."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

import botocore.session
import pytest

from lambent.aws.context import RequestContext
from lambent.http.messages import Headers, Request, RequestHead
from lambent.iam.enforcement import Access
from lambent.iam.entities import IamEntities
from lambent.iam.identities import Identities, root_principal
from lambent.model.ids import AccountId, Region, RequestId
from lambent.services.iam import access as iam_access
from lambent.services.lambda_.access import RULES as LAMBDA
from lambent.services.logs.access import RULES as LOGS
from lambent.services.sqs.access import RULES as SQS
from lambent.services.sts.access import RULES as STS
from lambent.testing.store import MemoryStore

ACCOUNT, REGION = AccountId("123456789012"), Region("eu-west-1")
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
LAYER = f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:l"
GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/g"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/r"


def context(service: str = "lambda", operation: str = "X") -> RequestContext:
    request = Request(RequestHead("POST", "/", "/", "", Headers()), b"")
    return RequestContext(
        RequestId("r"),
        service,
        operation,
        ACCOUNT,
        REGION,
        root_principal(ACCOUNT),
        request,
        "http://x",
        lambda _: None,
    )


def needed(found: Sequence[Access] | Awaitable[Sequence[Access]]) -> list[tuple[str, str]]:
    assert isinstance(found, Sequence)
    return [(access.action, access.resource) for access in found]


def test_every_operation_of_lambda_has_a_rule_and_there_are_no_others() -> None:
    model = botocore.session.get_session().get_service_model("lambda")
    assert set(LAMBDA) == set(model.operation_names)


@pytest.mark.parametrize("service", ["logs", "iam", "sts", "sqs"])
def test_rules_are_for_operations_that_exist(service: str) -> None:
    rules = {"logs": LOGS, "sts": STS, "sqs": SQS, "iam": iam_access.rules(None)}[service]  # type: ignore[arg-type]
    model = botocore.session.get_session().get_service_model(service)
    assert set(rules) <= set(model.operation_names)


@pytest.mark.parametrize(
    ("operation", "params", "expected"),
    [
        ("Invoke", {"FunctionName": "f"}, [("lambda:InvokeFunction", FUNCTION)]),
        ("Invoke", {"FunctionName": "f:live"}, [("lambda:InvokeFunction", f"{FUNCTION}:live")]),
        ("Invoke", {"FunctionName": "f", "Qualifier": "7"}, [("lambda:InvokeFunction", f"{FUNCTION}:7")]),
        ("Invoke", {"FunctionName": FUNCTION.replace(ACCOUNT, "9" * 12)},
         [("lambda:InvokeFunction", FUNCTION.replace(ACCOUNT, "9" * 12))]),
        ("InvokeWithResponseStream", {"FunctionName": "f"}, [("lambda:InvokeFunction", FUNCTION)]),
        ("CreateFunction", {"FunctionName": "f", "Role": ROLE, "Layers": [f"{LAYER}:1"], "Code": {}},
         [("lambda:CreateFunction", FUNCTION), ("iam:PassRole", ROLE), ("lambda:GetLayerVersion", f"{LAYER}:1")]),
        ("UpdateFunctionConfiguration", {"FunctionName": "f"}, [("lambda:UpdateFunctionConfiguration", FUNCTION)]),
        ("UpdateFunctionCode", {"FunctionName": "f", "S3Bucket": "b", "S3Key": "k", "S3ObjectVersion": "1"},
         [("lambda:UpdateFunctionCode", FUNCTION), ("s3:GetObjectVersion", "arn:aws:s3:::b/k")]),
        ("PublishLayerVersion", {"LayerName": "l", "Content": {"S3Bucket": "b", "S3Key": "k"}},
         [("lambda:PublishLayerVersion", LAYER), ("s3:GetObject", "arn:aws:s3:::b/k")]),
        ("GetLayerVersion", {"LayerName": "l", "VersionNumber": 2}, [("lambda:GetLayerVersion", f"{LAYER}:2")]),
        ("GetLayerVersionByArn", {"Arn": f"{LAYER}:3"}, [("lambda:GetLayerVersion", f"{LAYER}:3")]),
        ("ListFunctions", {}, [("lambda:ListFunctions", "*")]),
        ("TagResource", {"Resource": FUNCTION, "Tags": {"a": "b"}}, [("lambda:TagResource", FUNCTION)]),
        ("GetEventSourceMapping", {"UUID": "u"},
         [("lambda:GetEventSourceMapping", f"arn:aws:lambda:{REGION}:{ACCOUNT}:event-source-mapping:u")]),
        ("CreateEventSourceMapping", {"FunctionName": "f"}, [("lambda:CreateEventSourceMapping", "*")]),
    ],
)  # fmt: skip
def test_lambda(operation: str, params: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert needed(LAMBDA[operation](context(), params)) == expected


def test_condition_keys() -> None:
    def keys(operation: str, params: dict[str, Any]) -> Any:
        found = LAMBDA[operation](context(), params)
        assert isinstance(found, Sequence)
        return [dict(access.keys) for access in found]

    own, passed = keys("CreateFunction", {"FunctionName": "f", "Role": ROLE, "Tags": {"Team": "x"}})
    assert own == {"aws:requesttag/team": ("x",), "aws:tagkeys": ("Team",)}
    assert passed == {"iam:passedtoservice": ("lambda.amazonaws.com",), "iam:associatedresourcearn": (FUNCTION,)}
    assert keys("AddPermission", {"FunctionName": "f", "Principal": "*", "FunctionUrlAuthType": "NONE"}) == [
        {"lambda:principal": ("*",), "lambda:functionurlauthtype": ("NONE",)}
    ]
    assert keys("CreateEventSourceMapping", {"FunctionName": "f"}) == [{"lambda:functionarn": (FUNCTION,)}]


@pytest.mark.parametrize(
    ("operation", "params", "resource"),
    [
        ("PutLogEvents", {"logGroupName": "/g", "logStreamName": "s"}, f"{GROUP}:log-stream:s"),
        ("GetLogEvents", {"logGroupIdentifier": f"{GROUP}:*", "logStreamName": "s"}, f"{GROUP}:log-stream:s"),
        ("CreateLogGroup", {"logGroupName": "/g"}, f"{GROUP}:log-stream:"),
        ("FilterLogEvents", {"logGroupIdentifier": GROUP}, f"{GROUP}:log-stream:"),
        ("DescribeLogGroups", {"logGroupNamePrefix": "/g"}, f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group::log-stream:"),
        ("TagResource", {"resourceArn": GROUP, "tags": {"a": "b"}}, f"{GROUP}:log-stream:"),
    ],
)
def test_logs(operation: str, params: dict[str, Any], resource: str) -> None:
    assert needed(LOGS[operation](context("logs"), params)) == [(f"logs:{operation}", resource)]


def test_a_query_needs_every_group_it_reads() -> None:
    found = LOGS["StartQuery"](context("logs"), {"logGroupNames": ["/g", "/h"], "logGroupIdentifiers": [GROUP]})
    assert len(needed(found)) == 3


async def test_iam_resources_have_their_paths() -> None:
    store = MemoryStore()
    identities = await Identities.load(store)
    entities = IamEntities.of(store, identities)
    await entities.users.create(ACCOUNT, "Ann", path="/staff/")
    rules = iam_access.rules(entities)

    async def resource(operation: str, **params: Any) -> str:
        found = rules[operation](context("iam"), params)
        (access,) = found if isinstance(found, Sequence) else await found
        assert access.action == f"iam:{operation}"
        return access.resource

    assert await resource("GetUser", UserName="ann") == f"arn:aws:iam::{ACCOUNT}:user/staff/Ann"
    assert await resource("CreateUser", UserName="Ann", Path="/x/") == f"arn:aws:iam::{ACCOUNT}:user/x/Ann"
    assert await resource("CreateAccessKey") == f"arn:aws:iam::{ACCOUNT}:root"
    assert await resource("GetRole", RoleName="r") == ROLE
    assert await resource("GetGroup", GroupName="g") == f"arn:aws:iam::{ACCOUNT}:group/g"
    assert await resource("ListUsers", PathPrefix="/x/") == f"arn:aws:iam::{ACCOUNT}:user/x/"
    assert await resource("CreatePolicy", PolicyName="p") == f"arn:aws:iam::{ACCOUNT}:policy/p"
    await identities.close()
    await store.close()


def test_sts() -> None:
    assert needed(STS["GetCallerIdentity"](context("sts"), {})) == []
    params = {"RoleArn": ROLE, "RoleSessionName": "s", "Tags": [{"Key": "a", "Value": "b"}], "SourceIdentity": "me"}
    assert needed(STS["AssumeRole"](context("sts"), params)) == [
        ("sts:AssumeRole", ROLE), ("sts:TagSession", ROLE), ("sts:SetSourceIdentity", ROLE),
    ]  # fmt: skip
