"""The life of a function, as boto3 sees it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
Create = Callable[..., dict[str, Any]]

ALWAYS_PRESENT = {
    "FunctionName",
    "FunctionArn",
    "Runtime",
    "Role",
    "Handler",
    "CodeSize",
    "Description",
    "Timeout",
    "MemorySize",
    "LastModified",
    "CodeSha256",
    "Version",
    "TracingConfig",
    "RevisionId",
    "State",
    "PackageType",
    "Architectures",
    "EphemeralStorage",
    "SnapStart",
    "RuntimeVersionConfig",
    "LoggingConfig",
}
ONLY_IN_GET = {"State", "LastUpdateStatus", "RuntimeVersionConfig"}


def without_metadata(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def active(client: Any, name: str) -> dict[str, Any]:
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})
    answer: dict[str, Any] = client.get_function_configuration(FunctionName=name)
    return without_metadata(answer)


def updated(client: Any, name: str) -> dict[str, Any]:
    client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})
    answer: dict[str, Any] = client.get_function_configuration(FunctionName=name)
    return without_metadata(answer)


def test_create_answers_pending_with_every_default(create: Create, make_zip: Callable[..., bytes]) -> None:
    answer = create("defaults")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    archive = make_zip()
    runtime_version = answer["RuntimeVersionConfig"]["RuntimeVersionArn"]
    assert re.fullmatch(r"arn:aws:lambda:us-east-1::runtime:[0-9a-f]{64}", runtime_version)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", answer["LastModified"])
    assert without_metadata(answer) == {
        "FunctionName": "defaults",
        "FunctionArn": f"{ARN}defaults",
        "Runtime": "python3.12",
        "Role": "arn:aws:iam::000000000000:role/r",
        "Handler": "index.handler",
        "CodeSize": len(archive),
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "LastModified": answer["LastModified"],
        "CodeSha256": base64.b64encode(hashlib.sha256(archive).digest()).decode(),
        "Version": "$LATEST",
        "TracingConfig": {"Mode": "PassThrough"},
        "RevisionId": answer["RevisionId"],
        "State": "Pending",
        "StateReason": "The function is being created.",
        "StateReasonCode": "Creating",
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "RuntimeVersionConfig": {"RuntimeVersionArn": runtime_version},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/defaults"},
    }


def test_active_has_no_reasons_and_another_revision(client: Any, create: Create) -> None:
    created = create("becomes-active")
    client.get_waiter("function_exists").wait(FunctionName="becomes-active")
    configuration = active(client, "becomes-active")
    assert set(configuration) == ALWAYS_PRESENT | {"LastUpdateStatus"}
    assert (configuration["State"], configuration["LastUpdateStatus"]) == ("Active", "Successful")
    assert configuration["RevisionId"] != created["RevisionId"]


def test_everything_given_is_answered(client: Any, create: Create) -> None:
    given: dict[str, Any] = {
        "Description": "words",
        "Timeout": 900,
        "MemorySize": 10240,
        "Environment": {"Variables": {"KEY": "välue"}},
        "EphemeralStorage": {"Size": 10240},
        "LoggingConfig": {
            "LogFormat": "JSON",
            "ApplicationLogLevel": "DEBUG",
            "SystemLogLevel": "WARN",
            "LogGroup": "/my/group",
        },
        "TracingConfig": {"Mode": "Active"},
        "KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k",
        "DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:000000000000:q"},
        "Architectures": ["arm64"],
    }
    create("everything", **given, Tags={"team": "a"}, PackageType="Zip", SnapStart={"ApplyOn": "None"})
    configuration = active(client, "everything")
    assert {key: configuration[key] for key in given} == given
    assert client.get_function(FunctionName="everything")["Tags"] == {"team": "a"}


def test_an_empty_environment_and_vpc_are_echoed_and_empty_blocks_are_not(client: Any, create: Create) -> None:
    create(
        "empty-blocks",
        Environment={"Variables": {}},
        VpcConfig={"SubnetIds": [], "SecurityGroupIds": []},
        DeadLetterConfig={},
        KMSKeyArn="",
        Layers=[],
    )
    configuration = active(client, "empty-blocks")
    assert configuration["Environment"] == {"Variables": {}}
    assert configuration["VpcConfig"] == {
        "SubnetIds": [],
        "SecurityGroupIds": [],
        "Ipv6AllowedForDualStack": False,
    }
    assert set(configuration) == ALWAYS_PRESENT | {"LastUpdateStatus", "Environment", "VpcConfig"}


def test_get_function_of_an_untagged_function(client: Any, create: Create) -> None:
    create("untagged")
    answer = without_metadata(client.get_function(FunctionName="untagged"))
    assert set(answer) == {"Configuration", "Code"}
    assert set(answer["Code"]) == {"RepositoryType", "Location"}
    assert answer["Code"]["RepositoryType"] == "S3"


@pytest.mark.parametrize(
    ("name", "arn"),
    [
        ("named", f"{ARN}named"),
        ("function:named", f"{ARN}named"),
        ("000000000000:function:named", f"{ARN}named"),
        (f"{ARN}named", f"{ARN}named"),
        ("named:$LATEST", f"{ARN}named:$LATEST"),
        (f"{ARN}named:$LATEST", f"{ARN}named:$LATEST"),
        ("named:1", f"{ARN}named:1"),
    ],
)
def test_every_form_of_the_name(client: Any, create: Create, name: str, arn: str) -> None:
    try:
        client.get_function(FunctionName="named:1")
    except client.exceptions.ResourceNotFoundException:
        create("named", Publish=True)
    answer = client.get_function(FunctionName=name)
    assert answer["Configuration"]["FunctionArn"] == arn


def test_updates(client: Any, create: Create, make_zip: Callable[..., bytes]) -> None:
    create("updates", Environment={"Variables": {"KEY": "b"}}, Description="before")
    before = active(client, "updates")
    answer = client.update_function_configuration(
        FunctionName="updates", Description="after", Timeout=10, MemorySize=512, Runtime="python3.11"
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert (answer["State"], answer["LastUpdateStatus"]) == ("Active", "InProgress")
    assert answer["LastUpdateStatusReason"] == "The function is being created."
    assert answer["LastUpdateStatusReasonCode"] == "Creating"
    assert "StateReason" not in answer
    after = updated(client, "updates")
    assert len({before["RevisionId"], answer["RevisionId"], after["RevisionId"]}) == 3
    assert (after["Description"], after["Timeout"], after["Runtime"]) == ("after", 10, "python3.11")
    assert after["Environment"] == {"Variables": {"KEY": "b"}}
    assert set(after) == set(before)

    archive = make_zip("changed")
    answer = client.update_function_code(FunctionName="updates", ZipFile=archive, Architectures=["arm64"])
    assert answer["LastUpdateStatus"] == "InProgress"
    after = updated(client, "updates")
    assert after["CodeSha256"] == base64.b64encode(hashlib.sha256(archive).digest()).decode()
    assert after["Architectures"] == ["arm64"]


def test_a_redundant_update_gives_a_new_revision(client: Any, create: Create) -> None:
    create("redundant")
    before = active(client, "redundant")
    client.update_function_configuration(FunctionName="redundant", Description="")
    after = updated(client, "redundant")
    assert after["RevisionId"] != before["RevisionId"]
    unchanging = ALWAYS_PRESENT - {"RevisionId", "LastModified"}
    assert {key: after[key] for key in unchanging} == {key: before[key] for key in unchanging}


def test_updates_in_a_row_need_no_waiting(client: Any, create: Create, make_zip: Callable[..., bytes]) -> None:
    create("in-a-row")
    for number in range(5):
        client.update_function_code(FunctionName="in-a-row", ZipFile=make_zip(f"# {number}"))
        client.update_function_configuration(FunctionName="in-a-row", Description=str(number))
        client.publish_version(FunctionName="in-a-row")
    versions = client.list_versions_by_function(FunctionName="in-a-row")["Versions"]
    assert [version["Version"] for version in versions] == ["$LATEST", "1", "2", "3", "4", "5"]


def test_a_dry_run_changes_nothing(client: Any, create: Create, make_zip: Callable[..., bytes]) -> None:
    create("dry-run")
    before = active(client, "dry-run")
    archive = make_zip("other")
    answer = client.update_function_code(FunctionName="dry-run", ZipFile=archive, DryRun=True)
    assert answer["CodeSha256"] == base64.b64encode(hashlib.sha256(archive).digest()).decode()
    assert answer["RevisionId"] == before["RevisionId"]
    assert without_metadata(client.get_function_configuration(FunctionName="dry-run")) == before
    with pytest.raises(client.exceptions.InvalidParameterValueException, match="Could not unzip"):
        client.update_function_code(FunctionName="dry-run", ZipFile=b"no zip", DryRun=True)


def test_delete(client: Any, create: Create) -> None:
    create("to-delete", Publish=True)
    active(client, "to-delete")
    assert client.delete_function(FunctionName="to-delete")["ResponseMetadata"]["HTTPStatusCode"] == 204
    for name in ("to-delete", "to-delete:1"):
        with pytest.raises(client.exceptions.ResourceNotFoundException) as missing:
            client.get_function(FunctionName=name)
        assert missing.value.response["Error"]["Message"] == f"Function not found: {ARN}{name}"
    create("to-delete")
    versions = client.list_versions_by_function(FunctionName="to-delete")["Versions"]
    assert [version["Version"] for version in versions] == ["$LATEST"]


def test_lists_tell_less(client: Any, create: Create) -> None:
    create("listed")
    active(client, "listed")
    listed = next(one for one in client.list_functions()["Functions"] if one["FunctionName"] == "listed")
    assert set(listed) == ALWAYS_PRESENT - ONLY_IN_GET
    assert listed["FunctionArn"] == f"{ARN}listed"


def test_functions_are_apart_by_account_and_region(server: Any, client: Any, create: Create) -> None:
    create("apart")
    for other in (server.client(account="111122223333"), server.client(region="eu-west-1")):
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            other.get_function(FunctionName="apart")
        assert "apart" not in [one["FunctionName"] for one in other.list_functions()["Functions"]]


def test_account_settings(start_lambda: Any, create: Create) -> None:
    server = start_lambda()
    client = server.client()
    limit = client.get_account_settings()["AccountLimit"]
    assert limit == {
        "TotalCodeSize": 300 * 1024**3,
        "CodeSizeUnzipped": 262_144_000,
        "CodeSizeZipped": 52_428_800,
        "ConcurrentExecutions": 1000,
        "UnreservedConcurrentExecutions": 1000,
    }
    assert client.get_account_settings()["AccountUsage"] == {"TotalCodeSize": 0, "FunctionCount": 0}
    create("counted", using=client, Publish=True)
    create("counted-too", using=client)
    size = len("def handler(event, context):\n    return event\n")
    assert client.get_account_settings()["AccountUsage"] == {"TotalCodeSize": 3 * size, "FunctionCount": 2}


def test_tags(client: Any, create: Create) -> None:
    create("tagged", Tags={"a": "1"})
    arn = f"{ARN}tagged"
    answer = client.tag_resource(Resource=arn, Tags={"a": "2", "b": "3"})
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert client.list_tags(Resource=arn)["Tags"] == {"a": "2", "b": "3"}
    answer = client.untag_resource(Resource=arn, TagKeys=["a", "never"])
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert client.get_function(FunctionName="tagged")["Tags"] == {"b": "3"}
    client.untag_resource(Resource=arn, TagKeys=["b"])
    assert client.list_tags(Resource=arn)["Tags"] == {}
    assert "Tags" not in client.get_function(FunctionName="tagged")


def empty_members(value: object, path: str = "") -> list[str]:
    """Where an answer has nulls or empty texts. An empty description is AWS's own way."""
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in empty_members(inner, f"{path}.{key}")]
    if isinstance(value, list):
        return [found for inner in value for found in empty_members(inner, f"{path}[]")]
    return [path] if value is None or (value == "" and not path.endswith(".Description")) else []


def test_no_answer_has_empty_members(server: Any, create: Create, make_zip: Callable[..., bytes]) -> None:
    """On the wire, before a client could tidy up."""
    client = server.client()
    bodies: list[object] = []
    client.meta.events.register(
        "before-parse.lambda", lambda response_dict, **_: bodies.append(json.loads(response_dict["body"] or b"{}"))
    )
    name = "no-empty-members"
    create(name, using=client, Publish=True, KMSKeyArn="", DeadLetterConfig={"TargetArn": ""})
    active(client, name)
    client.update_function_configuration(FunctionName=name, Description="", KMSKeyArn="")
    client.update_function_code(FunctionName=name, ZipFile=make_zip("other"), Publish=True)
    client.publish_version(FunctionName=name)
    for call in (client.get_function, client.get_function_configuration, client.list_versions_by_function):
        call(FunctionName=name)
    for versions in ({}, {"FunctionVersion": "ALL"}):
        client.list_functions(**versions)
    client.get_account_settings()
    client.delete_function(FunctionName=name)
    assert len(bodies) >= 12
    assert empty_members(bodies) == []
