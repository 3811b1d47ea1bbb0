"""Layers through boto3: their versions, who may read them, and functions that use them."""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.testing.packages import zip_of

ROLE = "arn:aws:iam::000000000000:role/r"
LAYER = "arn:aws:lambda:us-east-1:000000000000:layer:"
OTHER = "111122223333"

Publish = Callable[..., dict[str, Any]]


@pytest.fixture
def publish(client: Any) -> Publish:
    def publish(name: str, files: dict[str, str] | None = None, *, using: Any = None, **given: Any) -> dict[str, Any]:
        archive = zip_of(files or {"python/a.py": name})
        made: dict[str, Any] = (using or client).publish_layer_version(
            LayerName=name, Content={"ZipFile": archive}, **given
        )
        return made

    return publish


@pytest.fixture
def deploy(client: Any, make_zip: Callable[..., bytes]) -> Iterator[Callable[..., dict[str, Any]]]:
    made: list[str] = []

    def deploy(name: str, layers: list[str], **given: Any) -> dict[str, Any]:
        answer: dict[str, Any] = client.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=ROLE,
            Handler="index.handler",
            Code={"ZipFile": make_zip()},
            Layers=layers,
            **given,
        )
        made.append(name)
        client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})
        return answer

    yield deploy
    for name in made:
        client.delete_function(FunctionName=name)


def refusal(call: Callable[..., Any], **params: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as refused:
        call(**params)
    error = refused.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Message"]


def downloads(location: str) -> bool:
    try:
        urllib.request.urlopen(location, timeout=5).close()
    except urllib.error.HTTPError:
        return False
    return True


def without_metadata(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_publish_and_get(client: Any, publish: Publish) -> None:
    made = publish(
        "whole",
        Description="tools",
        CompatibleRuntimes=["python3.12", "python3.13"],
        CompatibleArchitectures=["x86_64"],
        LicenseInfo="MIT",
    )
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", made["CreatedDate"])
    expected = {
        "LayerArn": f"{LAYER}whole",
        "LayerVersionArn": f"{LAYER}whole:1",
        "Version": 1,
        "Description": "tools",
        "CompatibleRuntimes": ["python3.12", "python3.13"],
        "CompatibleArchitectures": ["x86_64"],
        "LicenseInfo": "MIT",
    }
    assert expected.items() <= made.items()
    with urllib.request.urlopen(made["Content"]["Location"], timeout=5) as response:
        assert response.read() == zip_of({"python/a.py": "whole"})
    for got in (
        client.get_layer_version(LayerName="whole", VersionNumber=1),
        client.get_layer_version(LayerName=f"{LAYER}whole", VersionNumber=1),
        client.get_layer_version_by_arn(Arn=f"{LAYER}whole:1"),
    ):
        for answer in (got, made):
            answer["Content"].pop("Location", None)
        assert without_metadata(got) == without_metadata(made)
        assert set(got["Content"]) == {"CodeSha256", "CodeSize"}


def test_what_was_not_given_is_absent(client: Any, publish: Publish) -> None:
    made = publish("bare")
    assert set(without_metadata(made)) == {
        "Content", "LayerArn", "LayerVersionArn", "Description", "CreatedDate", "Version",
    }  # fmt: skip
    [listed] = client.list_layer_versions(LayerName="bare")["LayerVersions"]
    assert set(listed) == {"LayerVersionArn", "CreatedDate", "Version"}


def test_numbers_are_never_given_twice(client: Any, publish: Publish) -> None:
    assert [publish("numbered")["Version"] for _ in range(3)] == [1, 2, 3]
    for number in (3, 2, 2, 99):
        answer = client.delete_layer_version(LayerName="numbered", VersionNumber=number)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert publish("numbered")["Version"] == 4
    assert [each["Version"] for each in client.list_layer_versions(LayerName="numbered")["LayerVersions"]] == [4, 1]
    for number in (1, 4):
        client.delete_layer_version(LayerName="numbered", VersionNumber=number)
    assert client.list_layer_versions(LayerName="numbered")["LayerVersions"] == []
    assert "numbered" not in {each["LayerName"] for each in client.list_layers()["Layers"]}
    assert publish("numbered")["Version"] == 5


def test_lists_are_filtered_and_paged(start_lambda: Callable[..., Any], publish: Publish) -> None:
    client = start_lambda().client()
    assert client.list_layers()["Layers"] == []
    for name in ("a", "b", "c"):
        publish(name, using=client, CompatibleRuntimes=["python3.12"], CompatibleArchitectures=["arm64"])
        publish(name, using=client, CompatibleRuntimes=["nodejs22.x"])
    publish("d", using=client, CompatibleRuntimes=["nodejs22.x"])

    def layers(**given: Any) -> list[tuple[str, int]]:
        pages = client.get_paginator("list_layers").paginate(PaginationConfig={"PageSize": 2}, **given)
        found = [each for page in pages for each in page["Layers"]]
        assert all(each["LayerArn"] == f"{LAYER}{each['LayerName']}" for each in found)
        return [(each["LayerName"], each["LatestMatchingVersion"]["Version"]) for each in found]

    assert layers() == [("a", 2), ("b", 2), ("c", 2), ("d", 1)]
    assert layers(CompatibleRuntime="python3.12") == [("a", 1), ("b", 1), ("c", 1)]
    assert layers(CompatibleArchitecture="arm64", CompatibleRuntime="nodejs22.x") == []
    for _ in range(3):
        publish("a", using=client)
    pages = client.get_paginator("list_layer_versions").paginate(LayerName="a", PaginationConfig={"PageSize": 2})
    assert [[each["Version"] for each in page["LayerVersions"]] for page in pages] == [[5, 4], [3, 2], [1]]
    filtered = client.list_layer_versions(LayerName="a", CompatibleRuntime="nodejs22.x")["LayerVersions"]
    assert [each["Version"] for each in filtered] == [2]
    assert client.list_layer_versions(LayerName="never")["LayerVersions"] == []


def test_layers_of_a_function(client: Any, publish: Publish, deploy: Callable[..., Any]) -> None:
    one, two = publish("one"), publish("two")
    created = deploy("layered", [two["LayerVersionArn"], one["LayerVersionArn"]], Publish=True)
    expected = [{"Arn": made["LayerVersionArn"], "CodeSize": made["Content"]["CodeSize"]} for made in (two, one)]
    assert created["Layers"] == expected
    client.update_function_configuration(FunctionName="layered", Description="the layers stay")
    assert client.get_function_configuration(FunctionName="layered")["Layers"] == expected
    client.update_function_configuration(FunctionName="layered", Layers=[])
    assert "Layers" not in client.get_function_configuration(FunctionName="layered")
    assert client.get_function_configuration(FunctionName="layered", Qualifier="1")["Layers"] == expected


def test_a_deleted_layer_version_stays_with_its_functions(
    server: Any, client: Any, publish: Publish, deploy: Callable[..., Any]
) -> None:
    arn = publish("doomed", {"python/doomed.py": "kept"})["LayerVersionArn"]
    deploy("keeper", [arn])
    location = client.get_layer_version(LayerName="doomed", VersionNumber=1)["Content"]["Location"]
    client.delete_layer_version(LayerName="doomed", VersionNumber=1)
    assert refusal(client.get_layer_version, LayerName="doomed", VersionNumber=1)[0] == "ResourceNotFoundException"
    client.update_function_configuration(FunctionName="keeper", Description="changed")
    [layer] = client.get_function_configuration(FunctionName="keeper")["Layers"]
    assert layer["Arn"] == arn

    async def digests() -> set[str]:
        return set(await server.control_plane.queries.code_digests())

    digest = location.split("/code/")[1].split("/")[0]
    assert digest in server.run(digests())
    assert refusal(client.update_function_configuration, FunctionName="keeper", Layers=[arn]) == (
        "InvalidParameterValueException", 400, f"Layer version {arn} does not exist.",
    )  # fmt: skip
    client.get_waiter("function_updated_v2").wait(FunctionName="keeper", WaiterConfig={"Delay": 0.05})
    client.update_function_configuration(FunctionName="keeper", Layers=[])
    assert digest not in server.run(digests())
    for _ in range(100):  # collected, some moments later
        if not downloads(location):
            return
        time.sleep(0.05)
    pytest.fail("the code is still there")


def test_layers_count_towards_code_storage(start_lambda: Callable[..., Any], publish: Publish) -> None:
    client = start_lambda().client()
    publish("counted", {"data": "x" * 1000}, using=client)
    assert client.get_account_settings()["AccountUsage"] == {"TotalCodeSize": 1000, "FunctionCount": 0}
    client.delete_layer_version(LayerName="counted", VersionNumber=1)
    assert client.get_account_settings()["AccountUsage"]["TotalCodeSize"] == 0


AWS_LAYER = "arn:aws:lambda:::awslayer:AmazonLinux1803"
REFUSED_LAYERS = [
    ([f"{LAYER}l{number}:1" for number in range(6)], "Cannot reference more than 5 layers."),
    (
        ["arn:aws:lambda:eu-west-1:000000000000:layer:there:1"],
        "Layers are not in the same region as the function. Layers are expected to be in region us-east-1.",
    ),
    ([f"{LAYER}missing:1"], f"Layer version {LAYER}missing:1 does not exist."),
    ([f"{LAYER}there:0"], f"Layer version {LAYER}there:0 does not exist."),
    ([AWS_LAYER], f"Layer version {AWS_LAYER} does not exist."),
    (
        [f"{LAYER}there:1", f"{LAYER}there:2"],
        (
            "Two different versions of the same layer are not allowed to be referenced in the same function. "
            f"{LAYER}there:1 and {LAYER}there:2 are versions of the same layer."
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("arns", "message"), REFUSED_LAYERS)
def test_layers_that_a_function_cannot_have(
    client: Any, publish: Publish, make_zip: Callable[..., bytes], arns: list[str], message: str
) -> None:
    while publish("there")["Version"] < 2:
        pass
    params = {"Runtime": "python3.12", "Role": ROLE, "Handler": "i.h", "Code": {"ZipFile": make_zip()}}
    expected = ("InvalidParameterValueException", 400, message)
    assert refusal(client.create_function, FunctionName="refused", Layers=arns, **params) == expected
    assert refusal(client.get_function, FunctionName="refused")[0] == "ResourceNotFoundException"


def test_another_form_of_arn(server: Any, make_zip: Callable[..., bytes]) -> None:
    unchecked = server.client(validate=False)
    code, status, message = refusal(
        unchecked.create_function, FunctionName="x", Runtime="python3.12", Role=ROLE, Handler="i.h",
        Code={"ZipFile": make_zip()}, Layers=[f"{LAYER}unversioned"],
    )  # fmt: skip
    assert (code, status) == ("ValidationException", 400)
    assert message.startswith(f"1 validation error detected: Value '[{LAYER}unversioned]' at 'layers' failed")


REFUSED: list[tuple[str, dict[str, Any], str, int, str]] = [
    (
        operation,
        {"LayerName": "there", "VersionNumber": 0, **more},
        "InvalidParameterValueException",
        400,
        "Layer Version Cannot be less than 1",
    )
    for operation, more in (
        ("get_layer_version", {}),
        ("delete_layer_version", {}),
        ("get_layer_version_policy", {}),
        ("remove_layer_version_permission", {"StatementId": "s"}),
    )
] + [
    (
        "get_layer_version",
        {"LayerName": "never", "VersionNumber": 1},
        "ResourceNotFoundException",
        404,
        "The resource you requested does not exist.",
    ),
    (
        "get_layer_version_by_arn",
        {"Arn": f"{LAYER}never:1"},
        "ResourceNotFoundException",
        404,
        "The resource you requested does not exist.",
    ),
    (
        "get_layer_version_policy",
        {"LayerName": "never", "VersionNumber": 1},
        "ResourceNotFoundException",
        404,
        f"Layer version {LAYER}never:1 does not exist.",
    ),
    (
        "add_layer_version_permission",
        {"LayerName": "never", "VersionNumber": 1, "StatementId": "s", "Action": "lambda:GetLayerVersion",
         "Principal": "*"},
        "ResourceNotFoundException",
        404,
        f"Layer version {LAYER}never:1 does not exist.",
    ),
    (
        "publish_layer_version",
        {"LayerName": "x", "Content": {}},
        "InvalidParameterValueException",
        400,
        "Please provide a source for function code.",
    ),
    (
        "publish_layer_version",
        {"LayerName": f"arn:aws:lambda:us-east-1:{OTHER}:layer:x", "Content": {"ZipFile": b"x"}},
        "AccessDeniedException",
        403,
        (
            "User: arn:aws:iam::000000000000:root is not authorized to perform: lambda:PublishLayerVersion on resource:"
            f" arn:aws:lambda:us-east-1:{OTHER}:layer:x because no resource-based policy allows the "
            "lambda:PublishLayerVersion action"
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "given", "code", "status", "message"), REFUSED)
def test_refused(client: Any, operation: str, given: dict[str, Any], code: str, status: int, message: str) -> None:
    assert refusal(getattr(client, operation), **given) == (code, status, message)


def test_permissions(client: Any, publish: Publish) -> None:
    publish("shared")
    of_it = {"LayerName": "shared", "VersionNumber": 1}
    assert refusal(client.get_layer_version_policy, **of_it) == (
        "ResourceNotFoundException", 404, "No policy is associated with the given resource.",
    )  # fmt: skip
    grant = {**of_it, "Action": "lambda:GetLayerVersion"}
    added = client.add_layer_version_permission(StatementId="one", Principal=OTHER, **grant)
    assert added["Statement"] == (
        f'{{"Sid":"one","Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{OTHER}:root"}},'
        f'"Action":"lambda:GetLayerVersion","Resource":"{LAYER}shared:1"}}'
    )
    assert refusal(client.add_layer_version_permission, StatementId="one", Principal="*", **grant) == (
        "ResourceConflictException",
        409,
        (
            "The statement id (one) provided already exists. "
            "Please provide a new statement id, or remove the existing statement."
        ),
    )
    wrong = "00000000-0000-0000-0000-000000000000"
    stale = (
        "PreconditionFailedException",
        412,
        (
            "The Revision Id provided does not match the latest Revision Id. "
            "Call the GetLayerPolicy API to retrieve the latest Revision Id"
        ),
    )
    everybody = {**grant, "StatementId": "all", "Principal": "*", "OrganizationId": "o-0123456789"}
    assert refusal(client.add_layer_version_permission, RevisionId=wrong, **everybody) == stale
    again = client.add_layer_version_permission(RevisionId=added["RevisionId"], **everybody)
    assert again["Statement"].endswith('"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-0123456789"}}}')
    policy = client.get_layer_version_policy(**of_it)
    assert policy["RevisionId"] == again["RevisionId"]
    assert policy["Policy"] == (
        f'{{"Version":"2012-10-17","Id":"default","Statement":[{added["Statement"]},{again["Statement"]}]}}'
    )
    assert refusal(client.remove_layer_version_permission, StatementId="one", RevisionId=wrong, **of_it) == stale
    client.remove_layer_version_permission(StatementId="one", **of_it)
    assert refusal(client.remove_layer_version_permission, StatementId="one", **of_it) == (
        "ResourceNotFoundException", 404, "Statement one is not found in resource policy.",
    )  # fmt: skip
    client.remove_layer_version_permission(StatementId="all", **of_it)
    assert refusal(client.get_layer_version_policy, **of_it)[0] == "ResourceNotFoundException"


def test_another_accounts_layer_is_used_only_if_it_is_shared(
    server: Any, client: Any, publish: Publish, deploy: Callable[..., Any], make_zip: Callable[..., bytes]
) -> None:
    owner = server.client(account=OTHER)
    arn = publish("lent", using=owner)["LayerVersionArn"]
    assert arn == f"arn:aws:lambda:us-east-1:{OTHER}:layer:lent:1"
    denied = (
        "AccessDeniedException",
        403,
        (
            "User: arn:aws:iam::000000000000:root is not authorized to perform: lambda:GetLayerVersion on resource: "
            f"{arn} because no resource-based policy allows the lambda:GetLayerVersion action"
        ),
    )
    params = {"Runtime": "python3.12", "Role": ROLE, "Handler": "i.h", "Code": {"ZipFile": make_zip()}}
    assert refusal(client.create_function, FunctionName="borrower", Layers=[arn], **params) == denied
    assert refusal(client.get_layer_version_by_arn, Arn=arn) == denied
    owner.add_layer_version_permission(
        LayerName="lent", VersionNumber=1, StatementId="s", Action="lambda:GetLayerVersion", Principal="000000000000"
    )
    assert client.get_layer_version_by_arn(Arn=arn)["LayerVersionArn"] == arn
    assert deploy("borrower", [arn])["Layers"][0]["Arn"] == arn


def test_deleting_a_version_deletes_its_policy(client: Any, publish: Publish) -> None:
    publish("policed")
    client.add_layer_version_permission(
        LayerName="policed", VersionNumber=1, StatementId="s", Action="lambda:GetLayerVersion", Principal="*"
    )
    client.delete_layer_version(LayerName="policed", VersionNumber=1)
    assert refusal(client.get_layer_version_policy, LayerName="policed", VersionNumber=1) == (
        "ResourceNotFoundException", 404, f"Layer version {LAYER}policed:1 does not exist.",
    )  # fmt: skip
