"""What belongs to functions: event invoke configurations, URLs, code signing, runtime and recursion settings."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
SQS = "arn:aws:sqs:us-east-1:000000000000:"
PUBLISHER = "arn:aws:signer:us-east-1:000000000000:/signing-profiles/mine/abcdefghij"
Create = Callable[..., dict[str, Any]]


def refusal(call: Callable[[], Any]) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as refused:
        call()
    answer: Any = refused.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def plain(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in ("ResponseMetadata", "LastModified")}


@pytest.fixture
def function(client: Any, create: Create, request: pytest.FixtureRequest) -> Any:
    """The name of a function with version 1 and the alias live."""
    name = request.node.originalname
    create(name, Publish=True)
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.02})
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    yield name
    client.delete_function(FunctionName=name)


# ---- event invoke configuration


def test_event_invoke_put_replaces_and_update_merges(client: Any, function: str) -> None:
    nowhere: dict[str, Any] = {"OnSuccess": {}, "OnFailure": {}}
    answer = client.put_function_event_invoke_config(FunctionName=function, MaximumRetryAttempts=1)
    expected = {
        "FunctionArn": f"{ARN}{function}:$LATEST",
        "MaximumRetryAttempts": 1,
        "DestinationConfig": nowhere,
    }
    assert plain(answer) == expected
    answer = client.put_function_event_invoke_config(FunctionName=function, MaximumEventAgeInSeconds=60)
    assert "MaximumRetryAttempts" not in answer
    destinations = {"OnFailure": {"Destination": f"{SQS}failed"}}
    answer = client.update_function_event_invoke_config(
        FunctionName=function, MaximumRetryAttempts=0, DestinationConfig=destinations
    )
    expected = {
        "FunctionArn": f"{ARN}{function}:$LATEST",
        "MaximumRetryAttempts": 0,
        "MaximumEventAgeInSeconds": 60,
        "DestinationConfig": {"OnSuccess": {}, **destinations},
    }
    assert plain(answer) == expected
    assert plain(client.get_function_event_invoke_config(FunctionName=function)) == expected
    assert plain(client.get_function_event_invoke_config(FunctionName=function, Qualifier="$LATEST")) == expected


def test_event_invoke_per_qualifier(client: Any, function: str) -> None:
    for qualifier in ("live", "1"):
        client.put_function_event_invoke_config(FunctionName=f"{function}:{qualifier}", MaximumRetryAttempts=1)
    client.put_function_event_invoke_config(FunctionName=function, MaximumRetryAttempts=2)
    paginator = client.get_paginator("list_function_event_invoke_configs")
    pages = list(paginator.paginate(FunctionName=function, PaginationConfig={"PageSize": 2}))
    arns = [one["FunctionArn"] for page in pages for one in page["FunctionEventInvokeConfigs"]]
    assert arns == [f"{ARN}{function}:{qualifier}" for qualifier in ("$LATEST", "1", "live")]
    client.delete_function_event_invoke_config(FunctionName=function, Qualifier="1")
    client.delete_alias(FunctionName=function, Name="live")
    left = client.list_function_event_invoke_configs(FunctionName=function)["FunctionEventInvokeConfigs"]
    assert [one["FunctionArn"] for one in left] == [f"{ARN}{function}:$LATEST"]


@pytest.mark.parametrize(
    ("side", "arn", "text"),
    [
        ("OnFailure", "arn:aws:s3:::bucket", None),
        ("OnFailure", "arn:aws:sns:us-east-1:000000000000:topic", None),
        ("OnSuccess", "arn:aws:events:us-east-1:000000000000:event-bus/default", None),
        ("OnSuccess", f"{ARN}another", None),
        ("OnSuccess", "", None),
        ("OnSuccess", "arn:aws:s3:::bucket", "The destination ARN {arn} is invalid."),
        ("OnSuccess", "arn:aws:events:us-east-1:000000000000:rule/x", "The destination ARN {arn} is invalid."),
        ("OnSuccess", "arn:aws:kinesis:us-east-1:000000000000:stream/x", "The destination ARN {arn} is invalid."),
        ("OnFailure", f"{SQS}queue.fifo", "The destination ARN {arn} is invalid."),
        ("OnFailure", "kafka://topic", "The destination ARN {arn} is invalid."),
        ("OnFailure", "arn:aws:lambda:us-east-1:000000000000:layer:x", "The destination ARN {arn} is invalid."),
        ("OnFailure", "{own}", "You can't specify the function as a destination for itself."),
        ("OnFailure", "{own}:live", "You can't specify the function as a destination for itself."),
    ],
)
def test_destinations(client: Any, function: str, side: str, arn: str, text: str | None) -> None:
    arn = arn.format(own=f"{ARN}{function}")
    config = {side: {"Destination": arn}}

    def put() -> Any:
        return client.put_function_event_invoke_config(FunctionName=function, DestinationConfig=config)

    if text is None:
        other: dict[str, Any] = {"OnSuccess": {}, "OnFailure": {}}
        assert put()["DestinationConfig"] == {**other, **({side: {"Destination": arn}} if arn else {})}
    else:
        assert refusal(put) == ("InvalidParameterValueException", 400, text.format(arn=arn))


def test_event_invoke_refusals(client: Any, function: str) -> None:
    nothing = "You must specify at least one of error handling or destination setting."
    put, update = client.put_function_event_invoke_config, client.update_function_event_invoke_config
    get, delete = client.get_function_event_invoke_config, client.delete_function_event_invoke_config
    assert refusal(lambda: put(FunctionName=function)) == ("InvalidParameterValueException", 400, nothing)
    assert refusal(lambda: update(FunctionName=function)) == ("InvalidParameterValueException", 400, nothing)
    missing = ("ResourceNotFoundException", 404, "The function doesn't exist.")
    assert refusal(lambda: put(FunctionName="no", MaximumRetryAttempts=1)) == missing
    assert refusal(lambda: put(FunctionName=function, Qualifier="7", MaximumRetryAttempts=1)) == missing
    assert refusal(lambda: delete(FunctionName="no")) == missing
    assert refusal(lambda: client.list_function_event_invoke_configs(FunctionName="no")) == missing
    for call in (get, delete, lambda **name: update(MaximumRetryAttempts=1, **name)):
        for name, qualifier in ((function, "$LATEST"), (f"{function}:live", "live")):
            text = f"The function {ARN}{function}:{qualifier} doesn't have an EventInvokeConfig"
            assert refusal(lambda call=call, name=name: call(FunctionName=name)) == (  # type: ignore[misc]
                "ResourceNotFoundException",
                404,
                text,
            )


# ---- function URLs


def test_url_life(client: Any, function: str, server: Any) -> None:
    created = client.create_function_url_config(FunctionName=function, AuthType="NONE")
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert set(plain(created)) == {"FunctionUrl", "FunctionArn", "AuthType", "CreationTime"}
    port = server.url.rsplit(":", 1)[1]
    assert re.fullmatch(rf"http://[a-z0-9]{{32}}\.lambda-url\.us-east-1\.localhost:{port}/", created["FunctionUrl"])
    found = plain(client.get_function_url_config(FunctionName=function))
    assert found["InvokeMode"] == "BUFFERED"
    assert found["FunctionUrl"] == created["FunctionUrl"]
    assert found["LastModifiedTime"] == found["CreationTime"]
    cors = {"AllowOrigins": ["*"], "MaxAge": 5}
    changed = client.update_function_url_config(FunctionName=function, Cors=cors, InvokeMode="RESPONSE_STREAM")
    assert (changed["Cors"], changed["InvokeMode"], changed["AuthType"]) == (cors, "RESPONSE_STREAM", "NONE")
    assert changed["LastModifiedTime"] > changed["CreationTime"]
    assert "Cors" not in client.update_function_url_config(FunctionName=function, Cors={}, AuthType="AWS_IAM")
    client.create_function_url_config(FunctionName=function, Qualifier="live", AuthType="NONE", InvokeMode="BUFFERED")
    paginator = client.get_paginator("list_function_url_configs")
    pages = list(paginator.paginate(FunctionName=function, PaginationConfig={"PageSize": 1}))
    arns = [one["FunctionArn"] for page in pages for one in page["FunctionUrlConfigs"]]
    assert arns == [f"{ARN}{function}", f"{ARN}{function}:live"]
    client.delete_function_url_config(FunctionName=function)
    missing = ("ResourceNotFoundException", 404, "The resource you requested does not exist.")
    assert refusal(lambda: client.get_function_url_config(FunctionName=function)) == missing
    assert refusal(lambda: client.delete_function_url_config(FunctionName=function)) == missing
    assert refusal(lambda: client.update_function_url_config(FunctionName=function, AuthType="NONE")) == missing
    client.delete_alias(FunctionName=function, Name="live")
    assert client.list_function_url_configs(FunctionName=function)["FunctionUrlConfigs"] == []


def test_url_refusals(client: Any, function: str, server: Any) -> None:
    unchecked = server.client(validate=False)
    client.create_function_url_config(FunctionName=function, Qualifier="live", AuthType="NONE")
    again = refusal(lambda: client.create_function_url_config(FunctionName=f"{function}:live", AuthType="NONE"))
    assert again == (
        "ResourceConflictException",
        409,
        (
            f"Failed to create function url config for [functionArn = {ARN}{function}:live]. "
            "Error message:  FunctionUrlConfig exists for this Lambda function"
        ),
    )
    absent = ("ResourceNotFoundException", 404, "Function does not exist")
    assert refusal(lambda: client.create_function_url_config(FunctionName="no", AuthType="NONE")) == absent
    assert refusal(lambda: client.list_function_url_configs(FunctionName="no")) == absent
    nobody = {"FunctionName": function, "Qualifier": "nobody", "AuthType": "NONE"}
    assert refusal(lambda: client.create_function_url_config(**nobody)) == absent
    for qualifier in ("1", "$LATEST"):
        code, status, text = refusal(
            lambda qualifier=qualifier: unchecked.create_function_url_config(  # type: ignore[misc]
                FunctionName=function, Qualifier=qualifier, AuthType="NONE"
            )
        )
        assert (code, status) == ("ValidationException", 400)
        assert text.endswith(r"regular expression pattern: ((?!^\d+$)^[0-9a-zA-Z-_]+$)")


# ---- code signing


def make_signing(client: Any, **given: Any) -> dict[str, Any]:
    params = {"AllowedPublishers": {"SigningProfileVersionArns": [PUBLISHER]}} | given
    answer: dict[str, Any] = client.create_code_signing_config(**params)["CodeSigningConfig"]
    return answer


def test_signing_life(client: Any, function: str) -> None:
    created = make_signing(client, Description="mine", Tags={"a": "b"})
    assert created["CodeSigningConfigArn"].endswith(f":code-signing-config:{created['CodeSigningConfigId']}")
    assert created["CodeSigningPolicies"] == {"UntrustedArtifactOnDeployment": "Warn"}
    arn = created["CodeSigningConfigArn"]
    assert client.get_code_signing_config(CodeSigningConfigArn=arn)["CodeSigningConfig"] == created
    assert client.list_tags(Resource=arn)["Tags"] == {"a": "b"}
    client.tag_resource(Resource=arn, Tags={"c": "d"})
    client.untag_resource(Resource=arn, TagKeys=["a"])
    assert client.list_tags(Resource=arn)["Tags"] == {"c": "d"}
    changed = client.update_code_signing_config(CodeSigningConfigArn=arn, Description="yours")["CodeSigningConfig"]
    assert changed["Description"] == "yours"
    assert changed["AllowedPublishers"] == created["AllowedPublishers"]

    attached = client.put_function_code_signing_config(FunctionName=function, CodeSigningConfigArn=arn)
    assert plain(attached) == {"CodeSigningConfigArn": arn, "FunctionName": function}
    assert plain(client.get_function_code_signing_config(FunctionName=function)) == plain(attached)
    paginator = client.get_paginator("list_functions_by_code_signing_config")
    pages = list(paginator.paginate(CodeSigningConfigArn=arn))
    assert [name for page in pages for name in page["FunctionArns"]] == [f"{ARN}{function}"]
    code, status, _ = refusal(lambda: client.delete_code_signing_config(CodeSigningConfigArn=arn))
    assert (code, status) == ("ResourceConflictException", 409)
    for _ in range(2):
        client.delete_function_code_signing_config(FunctionName=function)
    assert plain(client.get_function_code_signing_config(FunctionName=function)) == {}
    client.delete_code_signing_config(CodeSigningConfigArn=arn)
    text = f"The Lambda code signing configuration {arn} can not be found."
    gone = ("ResourceNotFoundException", 404, text)
    assert refusal(lambda: client.get_code_signing_config(CodeSigningConfigArn=arn)) == gone
    assert refusal(lambda: client.update_code_signing_config(CodeSigningConfigArn=arn)) == gone
    assert refusal(lambda: client.delete_code_signing_config(CodeSigningConfigArn=arn)) == gone
    assert refusal(lambda: client.list_functions_by_code_signing_config(CodeSigningConfigArn=arn)) == gone
    put = refusal(lambda: client.put_function_code_signing_config(FunctionName=function, CodeSigningConfigArn=arn))
    assert put == ("CodeSigningConfigNotFoundException", 404, text)


def test_signing_pages(client: Any, create: Create) -> None:
    arns = {make_signing(client)["CodeSigningConfigArn"] for _ in range(5)}
    paginator = client.get_paginator("list_code_signing_configs")
    pages = list(paginator.paginate(PaginationConfig={"PageSize": 2}))
    found = [one["CodeSigningConfigArn"] for page in pages for one in page["CodeSigningConfigs"]]
    assert arns <= set(found)
    assert len(found) == len(set(found))
    arn = min(arns)
    for name in ("signed-a", "signed-b", "signed-c"):
        create(name)
        client.put_function_code_signing_config(FunctionName=name, CodeSigningConfigArn=arn)
    by_config = client.get_paginator("list_functions_by_code_signing_config")
    pages = list(by_config.paginate(CodeSigningConfigArn=arn, PaginationConfig={"PageSize": 2}))
    assert [one for page in pages for one in page["FunctionArns"]] == [f"{ARN}signed-{x}" for x in "abc"]
    for name in ("signed-a", "signed-b", "signed-c"):
        client.delete_function(FunctionName=name)
    client.delete_code_signing_config(CodeSigningConfigArn=arn)  # nobody uses it any more


def test_created_with_a_signing_config(client: Any, create: Create) -> None:
    arn = make_signing(client)["CodeSigningConfigArn"]
    create("born-signed", CodeSigningConfigArn=arn)
    assert client.get_function_code_signing_config(FunctionName="born-signed")["CodeSigningConfigArn"] == arn
    client.delete_function(FunctionName="born-signed")
    client.delete_code_signing_config(CodeSigningConfigArn=arn)
    text = f"The Lambda code signing configuration {arn} can not be found."
    refused = refusal(lambda: create("born-signed", CodeSigningConfigArn=arn))
    assert refused == ("CodeSigningConfigNotFoundException", 404, text)
    assert refusal(lambda: client.get_function(FunctionName="born-signed"))[0] == "ResourceNotFoundException"


def test_enforcing_signatures_is_not_promised(client: Any) -> None:
    policies = {"UntrustedArtifactOnDeployment": "Enforce"}
    code, status, text = refusal(lambda: make_signing(client, CodeSigningPolicies=policies))
    assert (code, status) == ("InvalidParameterValueException", 400)
    assert "does not verify the signatures" in text
    arn = make_signing(client)["CodeSigningConfigArn"]
    update = refusal(lambda: client.update_code_signing_config(CodeSigningConfigArn=arn, CodeSigningPolicies=policies))
    assert update[:2] == ("InvalidParameterValueException", 400)


# ---- runtime management, recursion


def test_runtime_management(client: Any, function: str) -> None:
    expected = {"UpdateRuntimeOn": "Auto", "FunctionArn": f"{ARN}{function}:$LATEST"}
    assert plain(client.get_runtime_management_config(FunctionName=function)) == expected
    version = client.get_function_configuration(FunctionName=function)["RuntimeVersionConfig"]["RuntimeVersionArn"]
    manual = {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": version}
    answer = client.put_runtime_management_config(FunctionName=function, Qualifier="1", **manual)
    assert plain(answer) == {"FunctionArn": f"{ARN}{function}:1", **manual}
    assert plain(client.get_runtime_management_config(FunctionName=f"{function}:1")) == plain(answer)
    assert plain(client.get_runtime_management_config(FunctionName=function)) == expected
    put = client.put_runtime_management_config
    other = version[:-1] + ("0" if version[-1] != "0" else "1")
    wrong: list[dict[str, Any]] = [
        {"UpdateRuntimeOn": "Manual"},
        {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": other},
        {"UpdateRuntimeOn": "Auto", "RuntimeVersionArn": version},
    ]
    for given in wrong:
        refused = refusal(lambda given=given: put(FunctionName=function, **given))  # type: ignore[misc]
        assert refused[:2] == ("InvalidParameterValueException", 400)
    for qualifier in ("live", "9"):
        refused = refusal(
            lambda qualifier=qualifier: put(  # type: ignore[misc]
                FunctionName=function, Qualifier=qualifier, UpdateRuntimeOn="Auto"
            )
        )
        assert refused == ("ResourceNotFoundException", 404, f"Function not found: {ARN}{function}:{qualifier}")


def test_recursion(client: Any, function: str) -> None:
    assert client.get_function_recursion_config(FunctionName=function)["RecursiveLoop"] == "Terminate"
    assert (
        client.put_function_recursion_config(FunctionName=function, RecursiveLoop="Allow")["RecursiveLoop"] == "Allow"
    )
    assert client.get_function_recursion_config(FunctionName=function)["RecursiveLoop"] == "Allow"
    missing = ("ResourceNotFoundException", 404, f"Function not found: {ARN}no")
    assert refusal(lambda: client.get_function_recursion_config(FunctionName="no")) == missing
    assert refusal(lambda: client.put_function_recursion_config(FunctionName="no", RecursiveLoop="Allow")) == missing


# ---- all of them


def test_a_function_takes_its_settings_along(client: Any, create: Create, server: Any) -> None:
    arn = make_signing(client)["CodeSigningConfigArn"]

    def settings(name: str) -> list[object]:
        return [
            client.list_function_event_invoke_configs(FunctionName=name)["FunctionEventInvokeConfigs"],
            client.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"],
            client.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"],
            plain(client.get_function_code_signing_config(FunctionName=name)),
            client.get_runtime_management_config(FunctionName=name)["UpdateRuntimeOn"],
            client.get_function_recursion_config(FunctionName=name)["RecursiveLoop"],
            "ReservedConcurrentExecutions" in client.get_function_concurrency(FunctionName=name),
        ]

    create("taken", Publish=True)
    fresh = settings("taken")
    client.put_function_event_invoke_config(FunctionName="taken:1", MaximumRetryAttempts=1)
    client.create_function_url_config(FunctionName="taken", AuthType="NONE")
    client.put_provisioned_concurrency_config(FunctionName="taken", Qualifier="1", ProvisionedConcurrentExecutions=1)
    client.put_function_code_signing_config(FunctionName="taken", CodeSigningConfigArn=arn)
    client.put_runtime_management_config(FunctionName="taken", UpdateRuntimeOn="FunctionUpdate")
    client.put_function_recursion_config(FunctionName="taken", RecursiveLoop="Allow")
    client.put_function_concurrency(FunctionName="taken", ReservedConcurrentExecutions=3)
    assert all(before != after for before, after in zip(fresh, settings("taken"), strict=True))
    client.delete_function(FunctionName="taken")
    create("taken", Publish=True)
    assert settings("taken") == fresh
    client.delete_function(FunctionName="taken")
