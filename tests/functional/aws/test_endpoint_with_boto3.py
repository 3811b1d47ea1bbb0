"""boto3 → HTTP server → signature check → request chain → handlers, and back."""

from __future__ import annotations

import asyncio
import io
import socket
import zipfile
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lambent.aws.chain import AwsEndpoint
from lambent.aws.context import Operations, Params, RequestContext
from lambent.aws.service import BodyLimit, ServiceDefinition
from lambent.http.messages import Request, Response
from lambent.http.server import HttpServer
from lambent.iam.authentication import Caller, VerifyEnvironment
from lambent.iam.sessions import SessionIssuer
from lambent.model.errors import ResourceNotFoundException, TooManyRequestsException
from lambent.model.ids import AccountId, Region

ROLE = "arn:aws:iam::000000000000:role/tester"
Connect = Callable[..., Any]


async def invoke(context: RequestContext, params: Params) -> Params:
    """Gives back the payload and what else came; refuses some names."""
    if params["FunctionName"] == "missing":
        raise ResourceNotFoundException("Function not found: missing")
    if params["FunctionName"] == "busy":
        raise TooManyRequestsException("Rate Exceeded.", Reason="CallerRateLimitExceeded", retryAfterSeconds="7")
    if params["FunctionName"] == "broken":
        raise ZeroDivisionError
    return {
        "StatusCode": {"Event": 202, "DryRun": 204}.get(params.get("InvocationType", ""), 200),
        "ExecutedVersion": params.get("Qualifier", "$LATEST"),
        "LogResult": params.get("ClientContext"),
        "Payload": params.get("Payload", b"null"),
    }


async def create_function(context: RequestContext, params: Params) -> Params:
    return {
        "FunctionName": params["FunctionName"],
        "FunctionArn": f"arn:aws:lambda:{context.region}:{context.account}:function:{params['FunctionName']}",
        "CodeSize": len(params["Code"]["ZipFile"]),
        "Environment": params.get("Environment"),
        "State": "Pending",
    }


async def list_versions(context: RequestContext, params: Params) -> Params:
    return {
        "Versions": [{"FunctionName": params["FunctionName"], "Version": str(n)} for n in range(params["MaxItems"])]
    }


async def untag(context: RequestContext, params: Params) -> Params:
    assert params == {"Resource": "arn:aws:lambda:us-east-1:000000000000:function:f", "TagKeys": ["a b", "c+d"]}
    return {}


async def put_log_events(context: RequestContext, params: Params) -> Params:
    return {"nextSequenceToken": f"{params['logGroupName']}/{len(params['logEvents'])}"}


async def create_role(context: RequestContext, params: Params) -> Params:
    role = {
        "Path": "/",
        "RoleName": params["RoleName"],
        "RoleId": "AROA",
        "Arn": f"arn:aws:iam::{context.account}:role/{params['RoleName']}",
        "CreateDate": datetime(2026, 11, 23, tzinfo=UTC),
        "Tags": params.get("Tags"),
        "AssumeRolePolicyDocument": params["AssumeRolePolicyDocument"],
    }
    return {"Role": role}


async def get_caller_identity(context: RequestContext, params: Params) -> Params:
    principal = context.principal
    return {"Account": principal.account, "Arn": principal.arn, "UserId": principal.user_id}


LAMBDA: Operations = {
    "Invoke": invoke,
    "CreateFunction": create_function,
    "ListVersionsByFunction": list_versions,
    "UntagResource": untag,
}
SERVICES = [
    ServiceDefinition(
        "lambda",
        LAMBDA,
        body_limits={
            "CreateFunction": BodyLimit(3_000_000),
            "Invoke": BodyLimit(6_291_456, code="RequestTooLargeException", named="InvokeFunction"),
        },
    ),
    ServiceDefinition("logs", {"PutLogEvents": put_log_events}, validation_code="InvalidParameterException"),
    ServiceDefinition("iam", {"CreateRole": create_role}),
    ServiceDefinition("sts", {"GetCallerIdentity": get_caller_identity}),
]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Serves the services to one role session; gives a maker of boto3 clients with its credentials."""
    sessions = SessionIssuer(b"0" * 32)
    credentials, principal = sessions.assume_role(ROLE, "session", 900)

    async def forward(request: Request, service: str, url: str, caller: Caller) -> Response:
        return Response(200, (("Content-Type", "application/x-amz-json-1.0"),), b'{"TableNames":["from upstream"]}')

    endpoint = AwsEndpoint(
        SERVICES,
        VerifyEnvironment(sessions, principal.arn),
        region=Region("us-east-1"),
        account=AccountId("000000000000"),
        upstreams={"dynamodb": "http://upstream.invalid"},
        forward=forward,
    )
    server = HttpServer(endpoint.handle, endpoint.policy)
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    await server.start(sock)
    clients: list[Any] = []

    def connect(service: str, **options: Any) -> Any:
        given = {
            "aws_access_key_id": credentials.access_key_id,
            "aws_secret_access_key": credentials.secret_access_key,
            "aws_session_token": credentials.session_token,
        } | options
        client = boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=20),
            **given,
        )
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.close()
    await endpoint.close(1)
    await server.close(1)


async def call(operation: Callable[..., Any], **params: Any) -> Any:
    return await asyncio.to_thread(operation, **params)


async def refused(operation: Callable[..., Any], **params: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        await call(operation, **params)
    return dict(caught.value.response)


async def test_invoke(connect: Connect) -> None:
    client = connect("lambda")
    arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
    response = await call(
        client.invoke, FunctionName=arn, Qualifier="$LATEST", Payload=b"\xf0\x00raw", ClientContext="e30="
    )
    assert response["Payload"].read() == b"\xf0\x00raw"
    assert (response["StatusCode"], response["ExecutedVersion"], response["LogResult"]) == (200, "$LATEST", "e30=")
    assert len(response["ResponseMetadata"]["RequestId"]) == 36
    response = await call(client.invoke, FunctionName="f", InvocationType="Event", Payload="{}")
    assert (response["StatusCode"], response["ResponseMetadata"]["HTTPStatusCode"]) == (202, 202)
    response = await call(client.invoke, FunctionName="f", InvocationType="DryRun")
    assert (response["StatusCode"], response["Payload"].read()) == (204, b"")


async def test_a_large_payload_and_one_too_large(connect: Connect) -> None:
    client = connect("lambda")
    payload = b'"' + b"x" * 5_000_000 + b'"'
    response = await call(client.invoke, FunctionName="f", Payload=payload)
    assert await call(response["Payload"].read) == payload
    response = await refused(client.invoke, FunctionName="f", Payload=b" " * 6_291_457)
    assert response["Error"]["Code"] == "RequestTooLargeException"
    assert response["Error"]["Message"] == (
        "Request must be smaller than 6291456 bytes for the InvokeFunction operation"
    )
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 413


async def test_errors_are_the_modelled_classes(connect: Connect) -> None:
    client = connect("lambda")
    with pytest.raises(client.exceptions.ResourceNotFoundException) as caught:
        await call(client.invoke, FunctionName="missing")
    response = caught.value.response
    assert (response["Type"], response["Message"]) == ("User", "Function not found: missing")
    with pytest.raises(client.exceptions.TooManyRequestsException) as throttled:
        await call(client.invoke, FunctionName="busy")
    response = throttled.value.response
    assert (response["Reason"], response["retryAfterSeconds"]) == ("CallerRateLimitExceeded", "7")
    with pytest.raises(client.exceptions.ServiceException):
        await call(client.invoke, FunctionName="broken")
    assert "not offer lambda:ListFunctions" in (await refused(client.list_functions))["Error"]["Message"]


async def test_create_function_uploads_its_code(connect: Connect) -> None:
    client = connect("lambda")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", "x = 1\n" * 100_000)
    response = await call(
        client.create_function,
        FunctionName="f",
        Role=ROLE,
        Runtime="python3.12",
        Handler="app.handler",
        Code={"ZipFile": buffer.getvalue()},
        Environment={"Variables": {"KEY": "v\u00e4lue"}},
    )
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert response["CodeSize"] == len(buffer.getvalue())
    assert response["Environment"] == {"Variables": {"KEY": "v\u00e4lue"}}
    assert response["FunctionArn"] == "arn:aws:lambda:us-east-1:000000000000:function:f"
    response = await refused(
        client.create_function, FunctionName="a b", Role="no role", Runtime="python9", Code={"ZipFile": b"x"}
    )
    assert response["Error"]["Code"] == "ValidationException"
    assert response["Error"]["Message"].startswith("3 validation errors detected: Value 'a b' at 'functionName'")


async def test_query_strings_and_labels(connect: Connect) -> None:
    client = connect("lambda")
    response = await call(client.list_versions_by_function, FunctionName="f", MaxItems=2)
    assert [version["Version"] for version in response["Versions"]] == ["0", "1"]
    response = await call(
        client.untag_resource, Resource="arn:aws:lambda:us-east-1:000000000000:function:f", TagKeys=["a b", "c+d"]
    )
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 204


async def test_the_json_and_query_protocols(connect: Connect) -> None:
    response = await call(
        connect("logs").put_log_events,
        logGroupName="/aws/lambda/f",
        logStreamName="s",
        logEvents=[{"timestamp": 1, "message": "\u2603"}],
    )
    assert response["nextSequenceToken"] == "/aws/lambda/f/1"
    response = await refused(
        connect("logs").put_log_events,
        logGroupName="g?",
        logStreamName="s",
        logEvents=[{"timestamp": 1, "message": "m"}],
    )
    assert response["Error"]["Code"] == "InvalidParameterException"
    tags = [{"Key": "k", "Value": "a:b @"}]
    document = '{"Version": "2012-10-17"}'
    response = await call(connect("iam").create_role, RoleName="r", AssumeRolePolicyDocument=document, Tags=tags)
    assert response["Role"]["Arn"] == "arn:aws:iam::000000000000:role/r"
    assert response["Role"]["CreateDate"] == datetime(2026, 11, 23, tzinfo=UTC)
    assert response["Role"]["Tags"] == tags
    response = await refused(connect("iam").create_role, RoleName="r/", AssumeRolePolicyDocument=document)
    assert (response["Error"]["Code"], response["Error"]["Type"]) == ("ValidationError", "Sender")
    response = await call(connect("sts").get_caller_identity)
    assert response["Arn"] == "arn:aws:sts::000000000000:assumed-role/tester/session"


async def test_a_wrong_secret_is_refused_in_each_protocol(connect: Connect) -> None:
    wrong = {"aws_secret_access_key": "wrong"}
    response = await refused(connect("lambda", **wrong).invoke, FunctionName="f")
    assert response["Error"]["Code"] == "InvalidSignatureException"
    response = await refused(connect("sts", **wrong).get_caller_identity)
    assert response["Error"]["Code"] == "SignatureDoesNotMatch"
    response = await refused(connect("dynamodb", **wrong).list_tables)
    assert response["Error"]["Code"] == "InvalidSignatureException"


async def test_other_services_are_forwarded_or_refused_by_name(connect: Connect) -> None:
    response = await call(connect("dynamodb").list_tables)
    assert response["TableNames"] == ["from upstream"]
    for service, operation in (("s3", "list_buckets"), ("sqs", "list_queues"), ("sns", "list_topics")):
        response = await refused(getattr(connect(service), operation))
        assert response["Error"]["Code"] == "NotImplementedException"
        assert f"--upstream {service}=URL" in response["Error"]["Message"]
