"""Aliases with boto3: what they answer, what they refuse, and where their invocations go."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
Create = Callable[..., dict[str, Any]]
MakeZip = Callable[..., bytes]
_REVISION = (
    "The Revision Id provided does not match the latest Revision Id. "
    "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
)


@pytest.fixture(scope="module")
def publish(client: Any, make_zip: MakeZip) -> Callable[[str, int], None]:
    """Create a function with that many versions, each of other code."""

    def make(name: str, versions: int) -> None:
        client.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role="arn:aws:iam::000000000000:role/r",
            Handler="index.handler",
            Code={"ZipFile": make_zip("0")},
            Publish=versions > 0,
        )
        for number in range(1, versions):
            client.update_function_code(FunctionName=name, ZipFile=make_zip(str(number)), Publish=True)

    return make


@pytest.fixture(scope="module")
def aliased(client: Any, publish: Callable[[str, int], None]) -> Any:
    """A client; `shop` has the versions 1 to 3 and the alias `live` of 1."""
    publish("shop", 3)
    client.create_alias(FunctionName="shop", Name="live", FunctionVersion="1")
    return client


def refusal(call: Callable[..., Any], **params: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as refused:
        call(**params)
    error = refused.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Message"]


def without_metadata(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_the_life_of_an_alias(client: Any, publish: Callable[[str, int], None]) -> None:
    publish("life", 2)
    created = client.create_alias(FunctionName="life", Name="live", FunctionVersion="1")
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 201
    alias = without_metadata(created)
    assert alias == {
        "AliasArn": f"{ARN}life:live",
        "Name": "live",
        "FunctionVersion": "1",
        "Description": "",
        "RevisionId": alias["RevisionId"],
    }
    assert without_metadata(client.get_alias(FunctionName="life", Name="live")) == alias

    routed = without_metadata(
        client.update_alias(
            FunctionName="life", Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.25}}, Description="d"
        )
    )
    assert routed == alias | {
        "Description": "d",
        "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.25}},
        "RevisionId": routed["RevisionId"],
    }
    assert routed["RevisionId"] != alias["RevisionId"]

    kept = client.update_alias(FunctionName="life", Name="live", RevisionId=routed["RevisionId"])
    assert kept["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.25}}
    assert kept["Description"] == "d"
    assert kept["RevisionId"] != routed["RevisionId"]
    stale = refusal(client.update_alias, FunctionName="life", Name="live", RevisionId=routed["RevisionId"])
    assert stale == ("PreconditionFailedException", 412, _REVISION)

    moved = client.update_alias(FunctionName="life", Name="live", FunctionVersion="2", RoutingConfig={})
    assert "RoutingConfig" not in moved
    assert moved["FunctionVersion"] == "2"

    for _ in range(2):  # deleting what is not there is fine
        gone = client.delete_alias(FunctionName="life", Name="live")
        assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    missing = f"Cannot find alias arn: {ARN}life:live"
    assert refusal(client.get_alias, FunctionName="life", Name="live") == ("ResourceNotFoundException", 404, missing)


def test_an_alias_of_latest(client: Any, create: Create) -> None:
    create("newest")
    client.create_alias(FunctionName=f"{ARN}newest", Name="dev", FunctionVersion="$LATEST")
    answer = client.invoke(FunctionName="newest:dev")
    assert answer["ExecutedVersion"] == "$LATEST"
    assert json.loads(answer["Payload"].read())["arn"] == f"{ARN}newest:dev"


CREATE: list[tuple[dict[str, Any], str, int, str]] = [
    ({"Name": "live"}, "ResourceConflictException", 409, f"Alias already exists: {ARN}shop:live"),
    ({"FunctionName": "none"}, "ResourceNotFoundException", 404, f"Function not found: {ARN}none"),
    ({"FunctionVersion": "9"}, "ResourceNotFoundException", 404, f"Function not found: {ARN}shop:9"),
    ({"FunctionVersion": "01"}, "ResourceNotFoundException", 404, f"Function not found: {ARN}shop:01"),
    ({"weights": {"9": 0.5}}, "ResourceNotFoundException", 404, f"Function not found: {ARN}shop:9"),
    (
        {"weights": {"2": 0.5, "3": 0.2}},
        "InvalidParameterValueException",
        400,
        "Number of items in AdditionalVersionWeights cannot be greater than 1",
    ),
    (
        {"weights": {"1": 0.5}},
        "InvalidParameterValueException",
        400,
        "Invalid function version 1. Function version 1 is already included in routing configuration.",
    ),
    (
        {"FunctionVersion": "$LATEST", "weights": {"1": 0.5}},
        "InvalidParameterValueException",
        400,
        "$LATEST is not supported for an alias pointing to more than 1 version",
    ),
    (
        {"weights": {"2": 2.0}},
        "ValidationException",
        400,
        (
            "1 validation error detected: Value '{2=2.0}' at 'routingConfig.additionalVersionWeights' failed to satisfy"
            " constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, "
            "Member must have value greater than or equal to 0.0, Member must not be null]"
        ),
    ),
    (
        {"weights": {"$LATEST": 0.5}},
        "ValidationException",
        400,
        (
            "1 validation error detected: Value '{$LATEST=0.5}' at 'routingConfig.additionalVersionWeights' failed to "
            "satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 1024,"
            " Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: "
            "[0-9]+, Member must not be null]"
        ),
    ),
    (
        {"Name": "12"},
        "ValidationException",
        400,
        (
            "1 validation error detected: Value '12' at 'name' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"
        ),
    ),
]


@pytest.mark.parametrize(("given", "code", "status", "message"), CREATE, ids=lambda value: str(value)[:50])
def test_create_refuses(server: Any, aliased: Any, given: dict[str, Any], code: str, status: int, message: str) -> None:
    unchecked = server.client(validate=False)
    params = {"FunctionName": "shop", "Name": "other", "FunctionVersion": "1"} | given
    if weights := params.pop("weights", None):
        params["RoutingConfig"] = {"AdditionalVersionWeights": weights}
    assert refusal(unchecked.create_alias, **params) == (code, status, message)
    assert [alias["Name"] for alias in aliased.list_aliases(FunctionName="shop")["Aliases"]] == ["live"]


UPDATE: list[tuple[dict[str, Any], str, int, str]] = [
    ({"Name": "other"}, "ResourceNotFoundException", 404, f"Alias not found: {ARN}shop:other"),
    ({"FunctionName": "none"}, "ResourceNotFoundException", 404, f"Function not found: {ARN}none"),
    ({"FunctionVersion": "9"}, "ResourceNotFoundException", 404, f"Function not found: {ARN}shop:9"),
    (
        {"RoutingConfig": {"AdditionalVersionWeights": {"1": 0.1}}},
        "InvalidParameterValueException",
        400,
        "Invalid function version 1. Function version 1 is already included in routing configuration.",
    ),
    ({"RevisionId": "other"}, "PreconditionFailedException", 412, _REVISION),
]


@pytest.mark.parametrize(("given", "code", "status", "message"), UPDATE, ids=lambda value: str(value)[:50])
def test_update_refuses(aliased: Any, given: dict[str, Any], code: str, status: int, message: str) -> None:
    before = without_metadata(aliased.get_alias(FunctionName="shop", Name="live"))
    params = {"FunctionName": "shop", "Name": "live"} | given
    assert refusal(aliased.update_alias, **params) == (code, status, message)
    assert without_metadata(aliased.get_alias(FunctionName="shop", Name="live")) == before


def test_the_function_must_be_there(client: Any) -> None:
    expected = ("ResourceNotFoundException", 404, f"Function not found: {ARN}none")
    assert refusal(client.list_aliases, FunctionName="none") == expected
    assert refusal(client.get_alias, FunctionName="none", Name="a") == expected
    assert refusal(client.delete_alias, FunctionName="none", Name="a") == expected


def test_an_error_without_a_type(aliased: Any) -> None:
    with pytest.raises(ClientError) as refused:
        aliased.create_alias(
            FunctionName="shop",
            Name="x",
            FunctionVersion="$LATEST",
            RoutingConfig={"AdditionalVersionWeights": {"1": 0.1}},
        )
    assert "Type" not in refused.value.response


def test_functions_by_alias(aliased: Any) -> None:
    found = aliased.get_function(FunctionName="shop", Qualifier="live")["Configuration"]
    version = aliased.get_function_configuration(FunctionName="shop", Qualifier="1")
    assert found["FunctionArn"] == f"{ARN}shop:live"
    assert found["Version"] == "1"
    configuration = aliased.get_function_configuration(FunctionName="shop:live")
    assert without_metadata(configuration) == without_metadata(version) | {"FunctionArn": f"{ARN}shop:live"}
    missing = ("ResourceNotFoundException", 404, f"Function not found: {ARN}shop:none")
    assert refusal(aliased.get_function, FunctionName="shop", Qualifier="none") == missing
    assert refusal(aliased.invoke, FunctionName="shop", Qualifier="none") == missing


def test_versions_that_aliases_need_stay(client: Any, publish: Callable[[str, int], None]) -> None:
    publish("held", 3)
    weights = {"AdditionalVersionWeights": {"2": 0.5}}
    client.create_alias(FunctionName="held", Name="a", FunctionVersion="1", RoutingConfig=weights)
    client.create_alias(FunctionName="held", Name="b", FunctionVersion="1")
    text = "Unable to delete version because the following aliases reference it: "
    for version, names in (("1", "[a, b]"), ("2", "[a]")):
        refused = refusal(client.delete_function, FunctionName="held", Qualifier=version)
        assert refused == ("ResourceConflictException", 409, text + names)
    unsupported = "Deletion of aliases is not currently supported."
    refused = refusal(client.delete_function, FunctionName="held", Qualifier="a")
    assert refused == ("InvalidParameterValueException", 400, unsupported)
    client.delete_function(FunctionName="held", Qualifier="3")
    client.delete_alias(FunctionName="held", Name="a")
    client.delete_function(FunctionName="held", Qualifier="2")


def test_aliases_go_with_their_function(client: Any, publish: Callable[[str, int], None]) -> None:
    publish("brief", 1)
    client.create_alias(FunctionName="brief", Name="live", FunctionVersion="1")
    client.delete_function(FunctionName="brief")
    publish("brief", 1)
    assert client.list_aliases(FunctionName="brief")["Aliases"] == []
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke(FunctionName="brief:live")


def test_lists_by_page_and_by_version(client: Any, publish: Callable[[str, int], None]) -> None:
    publish("many", 3)
    for number in range(7):
        weights = {"AdditionalVersionWeights": {"3": 0.1}} if number == 0 else {}
        client.create_alias(
            FunctionName="many", Name=f"a{number}", FunctionVersion=str(1 + number % 2), RoutingConfig=weights
        )
    pages = list(client.get_paginator("list_aliases").paginate(FunctionName="many", PaginationConfig={"PageSize": 3}))
    assert [len(page["Aliases"]) for page in pages] == [3, 3, 1]
    listed = [alias for page in pages for alias in page["Aliases"]]
    assert listed == [without_metadata(client.get_alias(FunctionName="many", Name=f"a{number}")) for number in range(7)]

    def names(version: str, **given: Any) -> list[str]:
        answer = client.list_aliases(FunctionName="many", FunctionVersion=version, **given)
        return [alias["Name"] for alias in answer["Aliases"]]

    assert names("1") == ["a0", "a2", "a4", "a6"]
    assert names("3") == ["a0"]
    assert names("1", MaxItems=2) == ["a0", "a2"]
    assert names("$LATEST") == []
    exact = client.get_paginator("list_aliases").paginate(
        FunctionName="many", FunctionVersion="1", PaginationConfig={"PageSize": 4}
    )
    assert [len(page["Aliases"]) for page in exact] == [4]
    with pytest.raises(client.exceptions.InvalidParameterValueException):
        client.list_aliases(FunctionName="many", Marker="none")


def test_invocations_follow_the_alias(client: Any, publish: Callable[[str, int], None]) -> None:
    publish("moving", 2)
    client.create_alias(FunctionName="moving", Name="live", FunctionVersion="1")
    for version in ("1", "2", "1"):
        client.update_alias(FunctionName="moving", Name="live", FunctionVersion=version)
        for _ in range(2):
            answer = client.invoke(FunctionName="moving", Qualifier="live")
            assert answer["ExecutedVersion"] == version
            assert json.loads(answer["Payload"].read())["arn"] == f"{ARN}moving:live"
    client.delete_alias(FunctionName="moving", Name="live")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke(FunctionName="moving", Qualifier="live")


def test_invocations_follow_the_weights(client: Any, publish: Callable[[str, int], None]) -> None:
    publish("split", 2)
    weights = {"AdditionalVersionWeights": {"2": 0.3}}
    client.create_alias(FunctionName="split", Name="live", FunctionVersion="1", RoutingConfig=weights)
    seen = Counter(client.invoke(FunctionName="split:live")["ExecutedVersion"] for _ in range(300))
    assert set(seen) == {"1", "2"}
    # 90 are expected; eight standard deviations away would happen once in 10^15 runs.
    assert abs(seen["2"] - 90) < 64
    for weight, version in ((0.0, "1"), (1.0, "2")):
        client.update_alias(
            FunctionName="split", Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": weight}}
        )
        assert {client.invoke(FunctionName="split:live")["ExecutedVersion"] for _ in range(20)} == {version}
