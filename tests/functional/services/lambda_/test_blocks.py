"""Configuration blocks that are stored and answered, and functions of container images, through boto3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

ROLE = "arn:aws:iam::000000000000:role/r"
DIGEST = "ab" * 32
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/team/app:1"
ACCESS_POINT = "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef0"
VPC = {"SubnetIds": ["subnet-0123"], "SecurityGroupIds": ["sg-0123"]}

Create = Callable[..., dict[str, Any]]


@pytest.fixture
def create(client: Any, make_zip: Callable[..., bytes]) -> Iterator[Create]:
    """Creates the function `blocks`, deleted afterwards."""

    def create(**given: Any) -> dict[str, Any]:
        zipped = {"Runtime": "python3.12", "Handler": "index.handler", "Code": {"ZipFile": make_zip()}}
        params = given if "PackageType" in given else zipped | given
        answer: dict[str, Any] = client.create_function(FunctionName="blocks", Role=ROLE, **params)
        return answer

    yield create
    client.delete_function(FunctionName="blocks")


def settled(client: Any) -> dict[str, Any]:
    client.get_waiter("function_active_v2").wait(FunctionName="blocks", WaiterConfig={"Delay": 0.05})
    client.get_waiter("function_updated_v2").wait(FunctionName="blocks", WaiterConfig={"Delay": 0.05})
    found: dict[str, Any] = client.get_function_configuration(FunctionName="blocks")
    return found


def refusal(call: Callable[..., Any], **params: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as refused:
        call(**params)
    error = refused.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Message"]


BLOCKS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"VpcConfig": VPC}, {"VpcConfig": VPC | {"Ipv6AllowedForDualStack": False}}),
    (
        {"VpcConfig": VPC | {"Ipv6AllowedForDualStack": True}},
        {"VpcConfig": VPC | {"Ipv6AllowedForDualStack": True}},
    ),
    (
        {"VpcConfig": VPC, "FileSystemConfigs": [{"Arn": ACCESS_POINT, "LocalMountPath": "/mnt/data"}]},
        {"FileSystemConfigs": [{"Arn": ACCESS_POINT, "LocalMountPath": "/mnt/data"}]},
    ),
    (
        {"DeadLetterConfig": {"TargetArn": "arn:aws:sns:us-east-1:000000000000:t"}},
        {"DeadLetterConfig": {"TargetArn": "arn:aws:sns:us-east-1:000000000000:t"}},
    ),
    ({"TracingConfig": {"Mode": "Active"}}, {"TracingConfig": {"Mode": "Active"}}),
    ({"EphemeralStorage": {"Size": 1024}}, {"EphemeralStorage": {"Size": 1024}}),
    (
        {"SnapStart": {"ApplyOn": "PublishedVersions"}},
        {"SnapStart": {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}},
    ),
    ({"SnapStart": {"ApplyOn": "None"}}, {"SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"}}),
    (
        {"KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k"},
        {"KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k"},
    ),
]


@pytest.mark.parametrize(("given", "answered"), BLOCKS)
def test_blocks_are_answered_as_they_were_given(
    client: Any, create: Create, given: dict[str, Any], answered: dict[str, Any]
) -> None:
    created = create(**given)
    assert answered.items() <= created.items()
    assert answered.items() <= settled(client).items()
    client.update_function_configuration(FunctionName="blocks", Description="the block stays")
    assert answered.items() <= settled(client).items()
    version = client.publish_version(FunctionName="blocks")
    assert answered.items() <= version.items()


def test_blocks_can_be_cleared(client: Any, create: Create) -> None:
    create(
        VpcConfig=VPC,
        FileSystemConfigs=[{"Arn": ACCESS_POINT, "LocalMountPath": "/mnt/data"}],
        DeadLetterConfig={"TargetArn": "arn:aws:sqs:us-east-1:000000000000:q"},
    )
    settled(client)
    assert refusal(
        client.update_function_configuration, FunctionName="blocks", VpcConfig={"SubnetIds": [], "SecurityGroupIds": []}
    ) == (
        "InvalidParameterValueException",
        400,
        "FileSystemConfigs can be used only by functions that are connected to a VPC. Give a VpcConfig.",
    )
    client.update_function_configuration(
        FunctionName="blocks",
        VpcConfig={"SubnetIds": [], "SecurityGroupIds": []},
        FileSystemConfigs=[],
        DeadLetterConfig={"TargetArn": ""},
        SnapStart={"ApplyOn": "PublishedVersions"},
    )
    found = settled(client)
    assert found["VpcConfig"] == {"SubnetIds": [], "SecurityGroupIds": [], "Ipv6AllowedForDualStack": False}
    assert not {"FileSystemConfigs", "DeadLetterConfig"} & set(found)
    client.update_function_configuration(FunctionName="blocks", SnapStart={"ApplyOn": "None"})
    assert settled(client)["SnapStart"] == {"ApplyOn": "None", "OptimizationStatus": "Off"}


def test_a_setting_must_fit_the_blocks_that_are_there(client: Any, create: Create) -> None:
    create(SnapStart={"ApplyOn": "PublishedVersions"})
    settled(client)
    assert refusal(client.update_function_configuration, FunctionName="blocks", Runtime="ruby3.4") == (
        "InvalidParameterValueException", 400, "ruby3.4 is not supported for SnapStart enabled functions.",
    )  # fmt: skip
    assert refusal(
        client.update_function_configuration, FunctionName="blocks", ImageConfig={"Command": ["app.handler"]}
    ) == (
        "InvalidParameterValueException", 400, "Please don't provide ImageConfig for a function with packageType Zip.",
    )  # fmt: skip


def test_an_image_is_taken_and_its_function_fails(client: Any, create: Create) -> None:
    created = create(PackageType="Image", Code={"ImageUri": IMAGE}, ImageConfig={"Command": ["app.handler"]})
    assert created["State"] == "Pending"
    assert created["PackageType"] == "Image"
    assert created["ImageConfigResponse"] == {"ImageConfig": {"Command": ["app.handler"]}}
    assert not {"Runtime", "Handler", "CodeSha256", "RuntimeVersionConfig"} & set(created)
    with pytest.raises(WaiterError, match=r'matched expected path: "Failed"'):
        client.get_waiter("function_active_v2").wait(FunctionName="blocks", WaiterConfig={"Delay": 0.05})
    got = client.get_function(FunctionName="blocks")
    assert got["Code"] == {"RepositoryType": "ECR", "ImageUri": IMAGE}
    reason = "Lambent does not run container images yet. Deploy the function as a .zip file archive."
    expected = {
        "State": "Failed",
        "StateReason": reason,
        "StateReasonCode": "InvalidImage",
        "LastUpdateStatus": "Failed",
        "LastUpdateStatusReason": reason,
        "LastUpdateStatusReasonCode": "InvalidImage",
    }
    assert expected.items() <= got["Configuration"].items()
    failed = (
        "ResourceConflictException",
        409,
        "The operation cannot be performed at this time. The function is currently in the following state: Failed",
    )
    assert refusal(client.invoke, FunctionName="blocks") == failed
    assert refusal(client.update_function_configuration, FunctionName="blocks", Timeout=5) == failed


def test_the_digest_of_an_image(client: Any, create: Create) -> None:
    uri = f"{IMAGE}@sha256:{DIGEST}"
    assert create(PackageType="Image", Code={"ImageUri": uri}, Publish=True)["CodeSha256"] == DIGEST
    got = client.get_function(FunctionName="blocks", Qualifier="1")
    assert got["Code"] == {"RepositoryType": "ECR", "ImageUri": uri, "ResolvedImageUri": uri}


def test_a_function_keeps_its_package_type(client: Any, create: Create, make_zip: Callable[..., bytes]) -> None:
    create()
    settled(client)
    assert refusal(client.update_function_code, FunctionName="blocks", ImageUri=IMAGE) == (
        "InvalidParameterValueException",
        400,
        "Please don't provide ImageUri when updating a function with packageType Zip.",
    )
    client.delete_function(FunctionName="blocks")
    create(PackageType="Image", Code={"ImageUri": IMAGE})
    assert refusal(client.update_function_code, FunctionName="blocks", ZipFile=make_zip()) == (
        "InvalidParameterValueException",
        400,
        "Please provide ImageUri when updating a function with packageType Image.",
    )
