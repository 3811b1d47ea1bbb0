"""Resource-based policies with boto3: how they read, what is refused, and whom they let in."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

OWNER, OTHER = "000000000000", "111122223333"
ARN = f"arn:aws:lambda:us-east-1:{OWNER}:function:"
Create = Callable[..., dict[str, Any]]
_REVISION = "The Revision Id provided does not match the latest Revision Id. Call the {} API to retrieve the latest "
_NO_SUCH = "The resource you requested does not exist."
_NO_POLICY = "No policy is associated with the given resource."
_PRINCIPAL = "The provided principal was invalid. Please check the principal and try again."


@pytest.fixture(scope="module")
def permitted(client: Any, make_zip: Callable[..., bytes]) -> Any:
    """A client; `shop` has version 1 and its alias `live`."""
    client.create_function(
        FunctionName="shop",
        Runtime="python3.12",
        Role=f"arn:aws:iam::{OWNER}:role/r",
        Handler="index.handler",
        Code={"ZipFile": make_zip()},
        Publish=True,
    )
    client.get_waiter("function_active_v2").wait(FunctionName="shop", WaiterConfig={"Delay": 0.05})
    client.create_alias(FunctionName="shop", Name="live", FunctionVersion="1")
    return client


@pytest.fixture
def fresh(permitted: Any) -> Any:
    """The same; afterwards there is no policy."""
    yield permitted
    for qualifier in ("", ":1", ":live"):
        try:
            permitted.delete_resource_policy(ResourceArn=f"{ARN}shop{qualifier}")
        except permitted.exceptions.ResourceNotFoundException:
            continue


@pytest.fixture(scope="module")
def other(server: Any) -> Any:
    """Another account's client."""
    return server.client(account=OTHER)


def allow(sid: str = "s", **given: Any) -> dict[str, Any]:
    return {
        "FunctionName": "shop",
        "StatementId": sid,
        "Action": "lambda:InvokeFunction",
        "Principal": "s3.amazonaws.com",
    } | given


def refusal(call: Callable[..., Any], **params: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as refused:
        call(**params)
    error = refused.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Message"]


STATEMENTS: list[tuple[dict[str, Any], str]] = [
    (
        {},
        (
            '{"Sid":"s","Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction",'
            f'"Resource":"{ARN}shop"}}'
        ),
    ),
    (
        {"SourceArn": "arn:aws:s3:::bucket", "SourceAccount": OWNER, "Qualifier": "live"},
        (
            '{"Sid":"s","Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction",'
            f'"Resource":"{ARN}shop:live","Condition":{{"StringEquals":{{"AWS:SourceAccount":"{OWNER}"}},'
            '"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::bucket"}}}'
        ),
    ),
    (
        {"Principal": OTHER, "Action": "lambda:*", "FunctionName": f"{ARN}shop:1"},
        (
            f'{{"Sid":"s","Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{OTHER}:root"}},"Action":"lambda:*",'
            f'"Resource":"{ARN}shop:1"}}'
        ),
    ),
    (
        {"Principal": f"arn:aws:iam::{OTHER}:role/caller"},
        (
            f'{{"Sid":"s","Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{OTHER}:role/caller"}},'
            f'"Action":"lambda:InvokeFunction","Resource":"{ARN}shop"}}'
        ),
    ),
    (
        {
            "Principal": "*",
            "Action": "lambda:InvokeFunctionUrl",
            "FunctionUrlAuthType": "NONE",
            "PrincipalOrgID": "o-1234567890",
        },
        (
            '{"Sid":"s","Effect":"Allow","Principal":"*","Action":"lambda:InvokeFunctionUrl",'
            f'"Resource":"{ARN}shop","Condition":{{"StringEquals":{{"lambda:FunctionUrlAuthType":"NONE",'
            '"aws:PrincipalOrgID":"o-1234567890"}}}'
        ),
    ),
    (
        {"Principal": "alexa-connectedhome.amazon.com", "EventSourceToken": "t", "InvokedViaFunctionUrl": True},
        (
            '{"Sid":"s","Effect":"Allow","Principal":{"Service":"alexa-connectedhome.amazon.com"},'
            f'"Action":"lambda:InvokeFunction","Resource":"{ARN}shop","Condition":{{"StringEquals":'
            '{"lambda:EventSourceToken":"t"},"Bool":{"lambda:InvokedViaFunctionUrl":"true"}}}'
        ),
    ),
]


@pytest.mark.parametrize(("given", "statement"), STATEMENTS, ids=range(len(STATEMENTS)))
def test_statements_read_as_on_aws(fresh: Any, given: dict[str, Any], statement: str) -> None:
    params = allow(**given)
    added = fresh.add_permission(**params)
    assert added["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert added["Statement"] == statement
    place = {name: params[name] for name in ("FunctionName", "Qualifier") if name in params}
    policy = fresh.get_policy(**place)["Policy"]
    assert policy == f'{{"Version":"2012-10-17","Id":"default","Statement":[{statement}]}}'


def test_policies_are_per_qualifier(fresh: Any) -> None:
    for qualifier in (None, "1", "live"):
        given = {} if qualifier is None else {"Qualifier": qualifier}
        fresh.add_permission(**allow(**given))
        fresh.add_permission(**allow("second", **given))
        statements = json.loads(fresh.get_policy(FunctionName="shop", **given)["Policy"])["Statement"]
        assert [statement["Sid"] for statement in statements] == ["s", "second"]
    fresh.remove_permission(FunctionName="shop", StatementId="s", Qualifier="live")
    assert len(json.loads(fresh.get_policy(FunctionName="shop:live")["Policy"])["Statement"]) == 1
    gone = fresh.remove_permission(FunctionName="shop:live", StatementId="second")
    assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    missing = ("ResourceNotFoundException", 404, _NO_SUCH)
    assert refusal(fresh.get_policy, FunctionName="shop:live") == missing
    assert fresh.get_policy(FunctionName="shop", Qualifier="$LATEST")["Policy"]


def test_revisions_are_those_of_the_resource(fresh: Any) -> None:
    before = fresh.get_function_configuration(FunctionName="shop")["RevisionId"]
    stale = _REVISION.format("GetPolicy") + "Revision Id"
    expected = ("PreconditionFailedException", 412, stale)
    assert refusal(fresh.add_permission, **allow(RevisionId="other")) == expected
    fresh.add_permission(**allow(RevisionId=before))
    after = fresh.get_policy(FunctionName="shop")["RevisionId"]
    assert after != before
    assert after == fresh.get_function_configuration(FunctionName="shop")["RevisionId"]
    assert refusal(fresh.remove_permission, FunctionName="shop", StatementId="s", RevisionId=before) == expected
    fresh.remove_permission(FunctionName="shop", StatementId="s", RevisionId=after)
    assert fresh.get_function_configuration(FunctionName="shop")["RevisionId"] not in (before, after)

    fresh.add_permission(**allow(Qualifier="live"))
    revision = fresh.get_policy(FunctionName="shop:live")["RevisionId"]
    assert revision == fresh.get_alias(FunctionName="shop", Name="live")["RevisionId"]
    version = fresh.get_function_configuration(FunctionName="shop:1")["RevisionId"]
    fresh.add_permission(**allow(Qualifier="1", RevisionId=version))
    revision = fresh.get_policy(FunctionName="shop:1")["RevisionId"]
    assert revision == fresh.get_function_configuration(FunctionName="shop:1")["RevisionId"]


REFUSED: list[tuple[str, dict[str, Any], str, int, str]] = [
    (
        "add_permission",
        allow("taken"),
        "ResourceConflictException",
        409,
        (
            "The statement id (taken) provided already exists. "
            "Please provide a new statement id, or remove the existing statement."
        ),
    ),
    (
        "add_permission",
        allow(Qualifier="$LATEST"),
        "InvalidParameterValueException",
        400,
        "We currently do not support adding policies for $LATEST.",
    ),
    ("add_permission", allow(Principal="nobody"), "InvalidParameterValueException", 400, _PRINCIPAL),
    ("add_permission", allow(Principal="arn:aws:s3:::b"), "InvalidParameterValueException", 400, _PRINCIPAL),
    ("add_permission", allow(Principal="12345"), "InvalidParameterValueException", 400, _PRINCIPAL),
    (
        "add_permission",
        allow(FunctionUrlAuthType="NONE"),
        "InvalidParameterValueException",
        400,
        "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action",
    ),
    ("add_permission", allow(FunctionName="none"), "ResourceNotFoundException", 404, f"Function not found: {ARN}none"),
    ("add_permission", allow(Qualifier="9"), "ResourceNotFoundException", 404, f"Function not found: {ARN}shop:9"),
    (
        "add_permission",
        allow(Qualifier="none"),
        "ResourceNotFoundException",
        404,
        f"Cannot find alias arn: {ARN}shop:none",
    ),
    (
        "add_permission",
        allow(Action="s3:GetObject"),
        "ValidationException",
        400,
        (
            "1 validation error detected: Value 's3:GetObject' at 'action' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: (lambda:[*]|lambda:[a-zA-Z]+|[*])"
        ),
    ),
    (
        "add_permission",
        allow("a.b"),
        "ValidationException",
        400,
        (
            "1 validation error detected: Value 'a.b' at 'statementId' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: ([a-zA-Z0-9-_]+)"
        ),
    ),
    ("add_permission", allow(Qualifier="a$b"), "ResourceNotFoundException", 404, _NO_SUCH),
    ("get_policy", {"FunctionName": "none"}, "ResourceNotFoundException", 404, f"Function not found: {ARN}none"),
    ("get_policy", {"FunctionName": "shop:9"}, "ResourceNotFoundException", 404, _NO_SUCH),
    (
        "remove_permission",
        {"FunctionName": "none", "StatementId": "s"},
        "ResourceNotFoundException",
        404,
        f"No policy found for: {ARN}none",
    ),
    ("remove_permission", {"FunctionName": "shop:1", "StatementId": "s"}, "ResourceNotFoundException", 404, _NO_POLICY),
    (
        "remove_permission",
        {"FunctionName": "shop", "StatementId": "s"},
        "ResourceNotFoundException",
        404,
        "Statement s is not found in resource policy.",
    ),
    ("get_resource_policy", {"ResourceArn": f"{ARN}shop:1"}, "ResourceNotFoundException", 404, _NO_SUCH),
    ("delete_resource_policy", {"ResourceArn": f"{ARN}shop:1"}, "ResourceNotFoundException", 404, _NO_POLICY),
    (
        "get_resource_policy",
        {"ResourceArn": f"arn:aws:lambda:us-east-1:{OWNER}:runtime/x"},
        "InvalidParameterValueException",
        400,
        f"Policies of arn:aws:lambda:us-east-1:{OWNER}:runtime/x are not offered by Lambent.",
    ),
]


@pytest.mark.parametrize(
    ("operation", "params", "code", "status", "message"), REFUSED, ids=lambda value: str(value)[:40]
)
def test_refusals(
    server: Any, fresh: Any, operation: str, params: dict[str, Any], code: str, status: int, message: str
) -> None:
    fresh.add_permission(**allow("taken"))
    unchecked = server.client(validate=False)
    assert refusal(getattr(unchecked, operation), **params) == (code, status, message)


def test_the_quota(fresh: Any) -> None:
    source = "arn:aws:s3:::" + "b" * 9000
    fresh.add_permission(**allow("one", SourceArn=source))
    fresh.add_permission(**allow("two", SourceArn=source))
    code, status, message = refusal(fresh.add_permission, **allow("three", SourceArn=source))
    assert (code, status) == ("PolicyLengthExceededException", 400)
    assert message.startswith("The final policy size (27")
    assert message.endswith(") is bigger than the limit (20480).")
    assert len(json.loads(fresh.get_policy(FunctionName="shop")["Policy"])["Statement"]) == 2


def test_publishing_does_not_copy_policies(client: Any, create: Create, make_zip: Callable[..., bytes]) -> None:
    create("bare")
    client.get_waiter("function_active_v2").wait(FunctionName="bare", WaiterConfig={"Delay": 0.05})
    client.add_permission(**allow(FunctionName="bare"))
    version = client.publish_version(FunctionName="bare")["Version"]
    missing = ("ResourceNotFoundException", 404, _NO_SUCH)
    assert refusal(client.get_policy, FunctionName="bare", Qualifier=version) == missing
    assert client.publish_version(FunctionName="bare")["Version"] == version


def test_policies_go_with_what_they_belong_to(client: Any, create: Create) -> None:
    create("brief", Publish=True)
    client.create_alias(FunctionName="brief", Name="live", FunctionVersion="1")
    for qualifier in ("", ":1", ":live"):
        client.add_permission(**allow(FunctionName=f"brief{qualifier}"))
    missing = ("ResourceNotFoundException", 404, _NO_SUCH)
    client.delete_alias(FunctionName="brief", Name="live")
    client.create_alias(FunctionName="brief", Name="live", FunctionVersion="$LATEST")
    assert refusal(client.get_policy, FunctionName="brief:live") == missing
    client.delete_function(FunctionName="brief", Qualifier="1")
    assert refusal(client.get_policy, FunctionName="brief:1") == missing
    assert client.get_policy(FunctionName="brief")["Policy"]
    client.delete_function(FunctionName="brief")
    create("brief", Publish=True)
    assert refusal(client.get_policy, FunctionName="brief") == missing


def test_whole_documents(fresh: Any) -> None:
    fresh.add_permission(**allow("before"))
    statement = {
        "Sid": "one",
        "Effect": "Allow",
        "Principal": {"AWS": OTHER},
        "Action": ["lambda:InvokeFunction", "lambda:GetFunction"],
        "Resource": f"{ARN}shop",
    }
    document = {"Version": "2012-10-17", "Statement": [statement]}
    put = fresh.put_resource_policy(ResourceArn=f"{ARN}shop", Policy=json.dumps(document, indent=1))
    assert json.loads(put["Policy"]) == document
    read = fresh.get_resource_policy(ResourceArn=f"{ARN}shop")
    assert (read["Policy"], read["RevisionId"]) == (put["Policy"], put["RevisionId"])
    assert fresh.get_policy(FunctionName="shop")["Policy"] == put["Policy"]

    fresh.add_permission(**allow("two"))
    assert len(json.loads(fresh.get_policy(FunctionName="shop")["Policy"])["Statement"]) == 2
    stale = ("PreconditionFailedException", 412, _REVISION.format("GetResourcePolicy") + "Revision Id")
    call = {"ResourceArn": f"{ARN}shop", "RevisionId": put["RevisionId"]}
    assert refusal(fresh.put_resource_policy, Policy=json.dumps(document), **call) == stale
    assert refusal(fresh.delete_resource_policy, **call) == stale
    current = fresh.get_resource_policy(ResourceArn=f"{ARN}shop")["RevisionId"]
    deleted = fresh.delete_resource_policy(ResourceArn=f"{ARN}shop", RevisionId=current)
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    missing = ("ResourceNotFoundException", 404, _NO_SUCH)
    assert refusal(fresh.get_resource_policy, ResourceArn=f"{ARN}shop") == missing


def test_a_document_too_long(server: Any, fresh: Any) -> None:
    unchecked = server.client(validate=False)
    text = json.dumps({"Version": "2012-10-17", "Statement": [], "Id": "x" * 20_480})
    code, status, _ = refusal(unchecked.put_resource_policy, ResourceArn=f"{ARN}shop", Policy=text)
    assert (code, status) == ("ValidationException", 400)  # the model's own limit


def test_other_accounts_are_let_in_by_a_policy(fresh: Any, other: Any) -> None:
    def invoke(name: str = f"{ARN}shop", **given: Any) -> str:
        try:
            return str(other.invoke(FunctionName=name, **given)["ExecutedVersion"])
        except other.exceptions.ClientError as refused:
            return str(refused.response["Error"]["Code"])

    denied = "AccessDeniedException"
    assert invoke() == denied
    fresh.add_permission(**allow(Principal=OTHER))
    assert invoke() == "$LATEST"
    assert invoke(f"{OWNER}:function:shop") == "$LATEST"
    assert invoke(f"{ARN}shop:1") == denied  # its own policy counts, and it has none
    assert invoke(Qualifier="live") == denied
    fresh.add_permission(**allow(Principal="*", Qualifier="live"))
    assert invoke(Qualifier="live") == "1"
    assert invoke(f"{ARN}none") == denied  # nothing tells whether it exists
    fresh.remove_permission(FunctionName="shop", StatementId="s")
    assert invoke() == denied
    fresh.add_permission(**allow(Principal="444455556666"))
    assert invoke() == denied
    fresh.add_permission(**allow("get", Principal=OTHER, Action="lambda:GetFunction"))
    assert invoke() == denied
    fresh.add_permission(**allow("conditional", Principal=OTHER, SourceArn="arn:aws:s3:::b"))
    assert invoke() == denied
    fresh.add_permission(**allow("all", Principal=OTHER, Action="lambda:*"))
    assert invoke() == "$LATEST"


def test_an_explicit_deny_wins(fresh: Any, other: Any) -> None:
    statements = [
        {"Effect": effect, "Principal": principal, "Action": "lambda:InvokeFunction", "Resource": f"{ARN}shop"}
        for effect, principal in (("Allow", "*"), ("Deny", {"AWS": f"arn:aws:iam::{OTHER}:root"}))
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    fresh.put_resource_policy(ResourceArn=f"{ARN}shop", Policy=document)
    with pytest.raises(ClientError, match="AccessDenied"):
        other.invoke(FunctionName=f"{ARN}shop")
    assert fresh.invoke(FunctionName="shop")["StatusCode"] == 200  # the owner's own calls are not asked about here


def test_other_accounts_cannot_manage(fresh: Any, other: Any) -> None:
    fresh.add_permission(**allow(Principal="*", Action="lambda:*"))
    calls: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (other.get_policy, {"FunctionName": f"{ARN}shop"}),
        (other.add_permission, allow("x", FunctionName=f"{ARN}shop")),
        (other.delete_resource_policy, {"ResourceArn": f"{ARN}shop"}),
        (other.get_alias, {"FunctionName": f"{ARN}shop", "Name": "live"}),
    ]
    for call, params in calls:
        assert refusal(call, **params)[:2] == ("AccessDeniedException", 403)
