"""Invoke's shapes: what reaches the data plane, and what becomes of its answer."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"


@pytest.fixture(scope="module")
def invoked(client: Any, make_zip: Callable[..., bytes]) -> Any:
    """A client; the function `echo` (version 1) exists."""
    client.create_function(
        FunctionName="echo",
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/r",
        Handler="index.handler",
        Code={"ZipFile": make_zip()},
        Publish=True,
    )
    return client


def encoded(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def test_request_response(invoked: Any) -> None:
    answer = invoked.invoke(FunctionName="echo", Payload=b'{"a": [1, "\xc3\xa9"]}')
    assert answer["StatusCode"] == 200
    assert answer["ExecutedVersion"] == "$LATEST"
    assert not {"FunctionError", "LogResult"} & set(answer)
    payload = json.loads(answer["Payload"].read())
    assert payload["event"] == {"a": [1, "é"]}
    assert payload["arn"] == f"{ARN}echo"
    assert payload["request_id"] == answer["ResponseMetadata"]["RequestId"]


def test_without_a_payload(invoked: Any) -> None:
    assert json.loads(invoked.invoke(FunctionName="echo")["Payload"].read())["event"] == {}


@pytest.mark.parametrize(
    ("name", "qualifier", "arn", "executed"),
    [
        ("echo", "1", f"{ARN}echo:1", "1"),
        ("echo", "$LATEST", f"{ARN}echo:$LATEST", "$LATEST"),
        ("echo:1", None, f"{ARN}echo:1", "1"),
        (f"{ARN}echo:1", "1", f"{ARN}echo:1", "1"),
    ],
)
def test_qualifiers(invoked: Any, name: str, qualifier: str | None, arn: str, executed: str) -> None:
    given = {} if qualifier is None else {"Qualifier": qualifier}
    answer = invoked.invoke(FunctionName=name, **given)
    assert answer["ExecutedVersion"] == executed
    assert json.loads(answer["Payload"].read())["arn"] == arn


def test_a_function_that_fails(invoked: Any) -> None:
    answer = invoked.invoke(FunctionName="echo", Payload=b'{"fail": true}', LogType="Tail")
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert base64.b64decode(answer["LogResult"]) == b"START\nEND\n"


def test_a_dry_run_runs_nothing(invoked: Any) -> None:
    answer = invoked.invoke(FunctionName="echo", InvocationType="DryRun")
    assert answer["StatusCode"] == 204
    assert answer["Payload"].read() == b""
    assert "ExecutedVersion" not in answer
    with pytest.raises(invoked.exceptions.ResourceNotFoundException):
        invoked.invoke(FunctionName="nothing", InvocationType="DryRun")


def test_the_client_context_arrives_decoded(invoked: Any) -> None:
    context = {"client": {"app_title": "t"}, "custom": {"k": "v"}}
    answer = invoked.invoke(FunctionName="echo", ClientContext=encoded(context))
    assert json.loads(answer["Payload"].read())["client_context"] == context


@pytest.mark.parametrize("context", ["no base64!", encoded([1]), encoded("text"), base64.b64encode(b"{").decode()])
def test_a_client_context_that_is_none(invoked: Any, context: str) -> None:
    with pytest.raises(invoked.exceptions.InvalidRequestContentException) as refused:
        invoked.invoke(FunctionName="echo", ClientContext=context)
    message = "Client context must be a valid Base64-encoded JSON object."
    assert refused.value.response["Error"]["Message"] == message


def test_the_client_context_has_its_limit(invoked: Any) -> None:
    fits = encoded({"k": "v" * 2670})
    assert len(fits) <= 3583
    invoked.invoke(FunctionName="echo", ClientContext=fits)
    with pytest.raises(invoked.exceptions.InvalidRequestContentException):
        invoked.invoke(FunctionName="echo", ClientContext=encoded({"k": "v" * 2700}))


def traced(server: Any, name: str, header: str) -> Any:
    """What a function of the server is handed as its trace header."""
    request = urllib.request.Request(
        f"{server.url}/2015-03-31/functions/{name}/invocations",
        data=b"{}",
        headers={"X-Amzn-Trace-Id": header, "Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.loads(response.read())["trace"]


def test_the_trace_header_is_passed_on(server: Any, invoked: Any) -> None:
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    header, _, lineage = traced(server, "echo", trace).partition(";Lineage=")
    assert header == trace
    assert lineage.startswith("1:")


def test_a_loop_is_stopped_after_16_runs(server: Any, invoked: Any, create: Callable[..., Any]) -> None:
    for name in ("loop", "allowed"):
        create(name)
    invoked.put_function_recursion_config(FunctionName="allowed", RecursiveLoop="Allow")
    header = "Root=1-5759e988-bd862e3fe1be46a994272793"
    for _ in range(16):
        header = traced(server, "loop", header)
        header = traced(server, "allowed", header)
    with pytest.raises(urllib.error.HTTPError) as stopped:
        traced(server, "loop", header)
    with stopped.value as answer:
        assert answer.code == 400
        assert answer.headers["x-amzn-ErrorType"] == "RecursiveInvocationException"
        assert json.loads(answer.read())["Message"].startswith("Lambda has detected your function being invoked")
    traced(server, "allowed", header)
    traced(server, "echo", header)
    invoked.put_function_recursion_config(FunctionName="loop", RecursiveLoop="Allow")
    traced(server, "loop", header)


def test_a_missing_function_and_a_payload_that_is_no_json(invoked: Any) -> None:
    with pytest.raises(invoked.exceptions.ResourceNotFoundException) as missing:
        invoked.invoke(FunctionName="nothing")
    assert missing.value.response["Error"]["Message"] == f"Function not found: {ARN}nothing:$LATEST"
    with pytest.raises(invoked.exceptions.InvalidRequestContentException) as invalid:
        invoked.invoke(FunctionName="echo", Payload=b"{no")
    assert invalid.value.response["Error"]["Message"].startswith("Could not parse request body into json:")


def test_a_payload_that_is_too_large(invoked: Any) -> None:
    with pytest.raises(ClientError) as refused:
        invoked.invoke(FunctionName="echo", Payload=b'"' + b"x" * 6_291_455 + b'"')
    error = refused.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert error["Error"]["Code"] == "RequestTooLargeException"
    assert error["Error"]["Message"] == ("Request must be smaller than 6291456 bytes for the InvokeFunction operation")


def test_another_accounts_function(server: Any, invoked: Any) -> None:
    other = server.client(account="111122223333")
    with pytest.raises(ClientError) as refused:
        other.invoke(FunctionName=f"{ARN}echo")
    error = refused.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert "is not authorized to perform: lambda:InvokeFunction" in error["Error"]["Message"]
