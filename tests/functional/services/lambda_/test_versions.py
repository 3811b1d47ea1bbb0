"""Publishing, listing and deleting versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
Create = Callable[..., dict[str, Any]]


def wait(client: Any, name: str) -> None:
    client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})


def test_publishing_on_creation(client: Any, create: Create) -> None:
    created = create("born-published", Publish=True)
    assert (created["Version"], created["State"]) == ("1", "Pending")
    assert created["FunctionArn"] == f"{ARN}born-published"
    client.get_waiter("published_version_active").wait(
        FunctionName="born-published", Qualifier="1", WaiterConfig={"Delay": 0.05}
    )
    wait(client, "born-published")
    version = client.get_function_configuration(FunctionName="born-published", Qualifier="1")
    assert (version["State"], version["LastUpdateStatus"]) == ("Active", "Successful")
    assert version["FunctionArn"] == f"{ARN}born-published:1"
    again = client.publish_version(FunctionName="born-published")
    assert again["Version"] == "1"
    assert again["RevisionId"] == version["RevisionId"]
    assert again["ResponseMetadata"]["HTTPStatusCode"] == 201


def test_the_life_of_versions(client: Any, create: Create) -> None:
    name = "version-life"
    create(name, Description="zero")
    wait(client, name)
    before = client.get_function_configuration(FunctionName=name)["RevisionId"]
    first = client.publish_version(FunctionName=name, Description="first", RevisionId=before)
    assert (first["Version"], first["Description"], first["FunctionArn"]) == ("1", "first", f"{ARN}{name}:1")
    assert (first["State"], first["LastUpdateStatus"]) == ("Active", "Successful")
    latest = client.get_function_configuration(FunctionName=name)
    assert (latest["Version"], latest["Description"]) == ("$LATEST", "zero")
    assert len({before, first["RevisionId"], latest["RevisionId"]}) == 3

    client.update_function_configuration(FunctionName=name, Description="one", Timeout=9)
    second = client.publish_version(FunctionName=name)
    assert (second["Version"], second["Description"], second["Timeout"]) == ("2", "one", 9)
    assert client.publish_version(FunctionName=name, Description="ignored")["Version"] == "2"
    kept = client.get_function_configuration(FunctionName=name, Qualifier="1")
    assert (kept["Timeout"], kept["RevisionId"]) == (3, first["RevisionId"])

    listed = client.list_versions_by_function(FunctionName=name)["Versions"]
    assert [one["Version"] for one in listed] == ["$LATEST", "1", "2"]
    assert [one["FunctionArn"] for one in listed] == [f"{ARN}{name}:{one['Version']}" for one in listed]
    assert not {"State", "LastUpdateStatus", "RuntimeVersionConfig"} & set(listed[0])

    answer = client.delete_function(FunctionName=name, Qualifier="2")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    client.delete_function(FunctionName=f"{name}:2")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_function(FunctionName=name, Qualifier="2")
    assert client.publish_version(FunctionName=name)["Version"] == "3"


def test_publishing_with_new_code(client: Any, create: Create, make_zip: Callable[..., bytes]) -> None:
    name = "publish-with-code"
    create(name)
    answer = client.update_function_code(FunctionName=name, ZipFile=make_zip("new"), Publish=True)
    assert (answer["Version"], answer["State"], answer["FunctionArn"]) == ("1", "Pending", f"{ARN}{name}:1")
    assert "LastUpdateStatus" not in answer
    wait(client, name)
    version = client.get_function_configuration(FunctionName=name, Qualifier="1")
    assert (version["State"], version["RevisionId"]) == ("Active", answer["RevisionId"])
    again = client.update_function_code(FunctionName=name, ZipFile=make_zip("new"), Publish=True)
    assert again["Version"] == "1"


def test_code_sha256(client: Any, create: Create) -> None:
    created = create("sha-checked")
    wait(client, "sha-checked")
    with pytest.raises(client.exceptions.InvalidParameterValueException) as refused:
        client.publish_version(FunctionName="sha-checked", CodeSha256="wrong")
    assert refused.value.response["Error"]["Message"] == (
        f"CodeSHA256 (wrong) is different from current CodeSHA256 in $LATEST ({created['CodeSha256']}). "
        "Please try again with the CodeSHA256 in $LATEST."
    )
    answer = client.publish_version(FunctionName="sha-checked", CodeSha256=created["CodeSha256"])
    assert answer["Version"] == "1"
