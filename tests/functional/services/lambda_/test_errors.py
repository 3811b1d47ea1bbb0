"""Refusals: code, status and words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.control_plane import runtimes
from lambent.control_plane.functions import Settings

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
ROLE = "arn:aws:iam::000000000000:role/r"
Create = Callable[..., dict[str, Any]]
_ENVIRONMENT = (
    "Lambda was unable to configure your environment variables because the environment variables you have provided "
)


@pytest.fixture(scope="module")
def unchecked(server: Any, make_zip: Callable[..., bytes]) -> Any:
    """A client that sends anything; the function `there` (version 1) exists."""
    client = server.client(validate=False)
    client.create_function(
        FunctionName="there",
        Runtime="python3.12",
        Role=ROLE,
        Handler="index.handler",
        Code={"ZipFile": make_zip()},
        Publish=True,
    )
    client.get_waiter("function_active_v2").wait(FunctionName="there", WaiterConfig={"Delay": 0.05})
    return client


def refusal(call: Callable[..., Any], **params: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as refused:
        call(**params)
    error = refused.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Message"]


NO_S3 = (
    "There is no S3 to get s3://bucket/key from. Start Lambent with --upstream s3=URL (an S3 endpoint), or give the "
    "deployment package as ZipFile."
)
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/app:1"
ACCESS_POINT = "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef0"

CREATE: list[tuple[dict[str, Any], str, int, str]] = [
    ({"FunctionName": "there"}, "ResourceConflictException", 409, "Function already exist: there"),
    (
        {"FunctionName": "n" * 65},
        "InvalidParameterValueException",
        400,
        (
            f"Value '{'n' * 65}' at 'functionName' failed to satisfy constraint: "
            "Member must have length less than or equal to 64"
        ),
    ),
    (
        {"FunctionName": "arn:aws:lambda:eu-west-1:000000000000:function:x"},
        "ResourceNotFoundException",
        404,
        "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
    ),
    (
        {"Runtime": "python9.9"},
        "InvalidParameterValueException",
        400,
        (
            "Value python9.9 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
            f"[{', '.join(runtimes.CREATABLE)}] or be a valid ARN"
        ),
    ),
    (
        {"Runtime": "nodejs12.x"},
        "InvalidParameterValueException",
        400,
        (
            "The runtime parameter of nodejs12.x is no longer supported for creating or updating AWS Lambda functions. "
            "We recommend you use a supported runtime while creating or updating functions."
        ),
    ),
    (
        {"Runtime": None},
        "InvalidParameterValueException",
        400,
        "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
    ),
    (
        {"Handler": None},
        "InvalidParameterValueException",
        400,
        "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
    ),
    (
        {"Role": "r"},
        "ValidationException",
        400,
        (
            "1 validation error detected: Value 'r' at 'role' failed to satisfy constraint: Member must satisfy "
            r"regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"
        ),
    ),
    (
        {"Architectures": ["sparc"]},
        "ValidationException",
        400,
        (
            "1 validation error detected: Value '[sparc]' at 'architectures' failed to satisfy constraint: Member must "
            "satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]"
        ),
    ),
    (
        {"Timeout": 901},
        "ValidationException",
        400,
        (
            "1 validation error detected: Value '901' at 'timeout' failed to satisfy constraint: "
            "Member must have value less than or equal to 900"
        ),
    ),
    (
        {"MemorySize": 10241},
        "ValidationException",
        400,
        (
            "1 validation error detected: Value '10241' at 'memorySize' failed to satisfy constraint: "
            "Member must have value less than or equal to 10240"
        ),
    ),
    (
        {"MemorySize": 127},
        "ValidationException",
        400,
        (
            "1 validation error detected: Value '127' at 'memorySize' failed to satisfy constraint: "
            "Member must have value greater than or equal to 128"
        ),
    ),
    (
        {"EphemeralStorage": {"Size": 10241}},
        "ValidationException",
        400,
        (
            "1 validation error detected: Value '10241' at 'ephemeralStorage.size' failed to satisfy constraint: "
            "Member must have value less than or equal to 10240"
        ),
    ),
    (
        {"Environment": {"Variables": {"AWS_REGION": "x", "FINE": "y"}}},
        "InvalidParameterValueException",
        400,
        (
            f"{_ENVIRONMENT}contains reserved keys that are currently not supported for modification. "
            "Reserved keys used in this request: AWS_REGION"
        ),
    ),
    (
        {"Environment": {"Variables": {"KEY": "v" * 4096}}},
        "InvalidParameterValueException",
        400,
        f'{_ENVIRONMENT}exceeded the 4KB limit. String measured: {{"KEY":"{"v" * 4096}"}}',
    ),
    (
        {"Code": {"ZipFile": b"not a zip"}},
        "InvalidParameterValueException",
        400,
        "Could not unzip uploaded file. Please check your file, then try to upload again.",
    ),
    (
        {"Code": {"ZipFile": b""}},
        "InvalidParameterValueException",
        400,
        "Uploaded file must be a non-empty zip",
    ),
    ({"Code": {}}, "InvalidParameterValueException", 400, "Please provide a source for function code."),
    (
        {"Code": {"S3Bucket": "bucket", "S3Key": "key"}},
        "InvalidParameterValueException",
        400,
        NO_S3,
    ),
    (
        {"Code": {"ZipFile": b"x", "S3Bucket": "bucket", "S3Key": "key"}},
        "InvalidParameterValueException",
        400,
        "Please do not provide other FunctionCode parameters when providing a ZipFile.",
    ),
    (
        {"Code": {"S3Bucket": "bucket"}},
        "InvalidParameterValueException",
        400,
        "Please provide a source for function code.",
    ),
    (
        {"PackageType": "Image", "Code": {"ImageUri": IMAGE}},
        "InvalidParameterValueException",
        400,
        "Please don't provide Runtime, Handler or Layers when creating a function with packageType Image.",
    ),
    (
        {"PackageType": "Image", "Runtime": None, "Handler": None},
        "InvalidParameterValueException",
        400,
        "Please provide ImageUri when creating a function with packageType Image.",
    ),
    (
        {"Code": {"ImageUri": IMAGE}, "Runtime": None, "Handler": None},
        "InvalidParameterValueException",
        400,
        "Please don't provide ImageUri when creating a function with packageType Zip.",
    ),
    (
        {"PackageType": "Image", "Code": {"ImageUri": "no image"}, "Runtime": None, "Handler": None},
        "InvalidParameterValueException",
        400,
        "Source image no image is not valid. Provide a valid source image.",
    ),
    (
        {"PackageType": "Image", "Code": {"ImageUri": IMAGE, "S3Key": "k"}, "Runtime": None, "Handler": None},
        "InvalidParameterValueException",
        400,
        "Please do not provide other FunctionCode parameters when providing an ImageUri.",
    ),
    (
        {"SnapStart": {"ApplyOn": "PublishedVersions"}, "Runtime": "nodejs22.x"},
        "InvalidParameterValueException",
        400,
        "nodejs22.x is not supported for SnapStart enabled functions.",
    ),
    (
        {"SnapStart": {"ApplyOn": "PublishedVersions"}, "EphemeralStorage": {"Size": 513}},
        "InvalidParameterValueException",
        400,
        "EphemeralStorage greater than 512 MB is not supported for SnapStart enabled functions.",
    ),
    (
        {"VpcConfig": {"SubnetIds": ["subnet-1"]}},
        "InvalidParameterValueException",
        400,
        "SubnetIds and SecurityIds must coexist or be both empty list.",
    ),
    (
        {"FileSystemConfigs": [{"Arn": ACCESS_POINT, "LocalMountPath": "/mnt/data"}]},
        "InvalidParameterValueException",
        400,
        "FileSystemConfigs can be used only by functions that are connected to a VPC. Give a VpcConfig.",
    ),
    (
        {"DeadLetterConfig": {"TargetArn": "arn:aws:s3:::bucket"}},
        "InvalidParameterValueException",
        400,
        ("The dead letter target arn:aws:s3:::bucket is not the ARN of an Amazon SQS queue or of an Amazon SNS topic."),
    ),
    (
        {"DurableConfig": {"ExecutionTimeout": 60}},
        "InvalidParameterValueException",
        400,
        "DurableConfig is not offered by Lambent yet.",
    ),
    (
        {"Tags": {str(number): "" for number in range(51)}},
        "InvalidParameterValueException",
        400,
        "Number of tags exceeds resource tag limit.",
    ),
]


@pytest.mark.parametrize(("given", "code", "status", "message"), CREATE)
def test_create(
    unchecked: Any, make_zip: Callable[..., bytes], given: dict[str, Any], code: str, status: int, message: str
) -> None:
    params = {
        "FunctionName": "refused",
        "Runtime": "python3.12",
        "Role": ROLE,
        "Handler": "index.handler",
        "Code": {"ZipFile": make_zip()},
    } | given
    params = {name: value for name, value in params.items() if value is not None}
    assert refusal(unchecked.create_function, **params) == (code, status, message)
    assert refusal(unchecked.get_function, FunctionName="refused")[0] == "ResourceNotFoundException"


def test_create_in_another_account(unchecked: Any, make_zip: Callable[..., bytes]) -> None:
    with pytest.raises(ClientError) as refused:
        unchecked.create_function(
            FunctionName="111122223333:function:x",
            Runtime="python3.12",
            Role=ROLE,
            Handler="index.handler",
            Code={"ZipFile": make_zip()},
        )
    response = refused.value.response
    assert response["Error"]["Code"] == "AccessDeniedException"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 403


OTHERS: list[tuple[str, dict[str, Any], str, int, str]] = [
    ("get_function", {"FunctionName": "no"}, "ResourceNotFoundException", 404, f"Function not found: {ARN}no"),
    (
        "get_function",
        {"FunctionName": "n" * 65},
        "ResourceNotFoundException",
        404,
        f"Function not found: {ARN}{'n' * 65}",
    ),
    (
        "get_function",
        {"FunctionName": "no", "Qualifier": "7"},
        "ResourceNotFoundException",
        404,
        f"Function not found: {ARN}no:7",
    ),
    (
        "get_function",
        {"FunctionName": "there", "Qualifier": "live"},
        "ResourceNotFoundException",
        404,
        f"Function not found: {ARN}there:live",
    ),
    (
        "get_function",
        {"FunctionName": "there", "Qualifier": "01"},
        "ResourceNotFoundException",
        404,
        f"Function not found: {ARN}there:01",
    ),
    (
        "get_function_configuration",
        {"FunctionName": "there:1", "Qualifier": "2"},
        "InvalidParameterValueException",
        400,
        "The derived qualifier from the function name does not match the specified qualifier.",
    ),
    (
        "get_function",
        {"FunctionName": "111122223333:function:there"},
        "AccessDeniedException",
        403,
        (
            "User: arn:aws:iam::000000000000:root is not authorized to perform: lambda:GetFunction on resource: "
            "arn:aws:lambda:us-east-1:111122223333:function:there because no resource-based policy allows the "
            "lambda:GetFunction action"
        ),
    ),
    ("delete_function", {"FunctionName": "no"}, "ResourceNotFoundException", 404, f"Function not found: {ARN}no"),
    (
        "delete_function",
        {"FunctionName": "no", "Qualifier": "7"},
        "ResourceNotFoundException",
        404,
        f"Function not found: {ARN}no",
    ),
    (
        "delete_function",
        {"FunctionName": "there", "Qualifier": "$LATEST"},
        "InvalidParameterValueException",
        400,
        "$LATEST version cannot be deleted without deleting the function.",
    ),
    (
        "delete_function",
        {"FunctionName": "there", "Qualifier": "live"},
        "InvalidParameterValueException",
        400,
        "Deletion of aliases is not currently supported.",
    ),
    (
        "update_function_code",
        {"FunctionName": "no", "ZipFile": b"x"},
        "ResourceNotFoundException",
        404,
        f"Function not found: {ARN}no",
    ),
    (
        "update_function_code",
        {"FunctionName": "there"},
        "InvalidParameterValueException",
        400,
        "Please provide a source for function code.",
    ),
    (
        "update_function_code",
        {"FunctionName": "there", "ZipFile": b"x", "RevisionId": "wrong"},
        "PreconditionFailedException",
        412,
        (
            "The Revision Id provided does not match the latest Revision Id. "
            "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
        ),
    ),
    (
        "update_function_code",
        {"FunctionName": "there", "S3Bucket": "bucket", "S3Key": "key"},
        "InvalidParameterValueException",
        400,
        NO_S3,
    ),
    (
        "update_function_configuration",
        {"FunctionName": "no"},
        "ResourceNotFoundException",
        404,
        f"Function not found: {ARN}no",
    ),
    (
        "update_function_configuration",
        {"FunctionName": "there", "RevisionId": "wrong"},
        "PreconditionFailedException",
        412,
        (
            "The Revision Id provided does not match the latest Revision Id. "
            "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
        ),
    ),
    (
        "update_function_configuration",
        {"FunctionName": "there", "Runtime": "ruby2.5"},
        "InvalidParameterValueException",
        400,
        (
            "The runtime parameter of ruby2.5 is no longer supported for creating or updating AWS Lambda functions. "
            "We recommend you use a supported runtime while creating or updating functions."
        ),
    ),
    (
        "update_function_configuration",
        {"FunctionName": "there", "Layers": ["arn:aws:lambda:us-east-1:000000000000:layer:l:1"]},
        "InvalidParameterValueException",
        400,
        "Layer version arn:aws:lambda:us-east-1:000000000000:layer:l:1 does not exist.",
    ),
    (
        "update_function_configuration",
        {"FunctionName": "there:1", "Timeout": 4},
        "InvalidParameterValueException",
        400,
        (
            "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. "
            "Please specify either a function name or an unqualified function ARN."
        ),
    ),
    (
        "publish_version",
        {"FunctionName": "no"},
        "ResourceNotFoundException",
        404,
        f"Function not found: {ARN}no",
    ),
    (
        "publish_version",
        {"FunctionName": "there", "RevisionId": "wrong"},
        "PreconditionFailedException",
        412,
        (
            "The Revision Id provided does not match the latest Revision Id. "
            "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
        ),
    ),
    (
        "tag_resource",
        {"Resource": f"{ARN}there:1", "Tags": {"a": "b"}},
        "InvalidParameterValueException",
        400,
        "Tags on function aliases and versions are not supported. Please specify a function ARN.",
    ),
    (
        "tag_resource",
        {"Resource": f"{ARN}there", "Tags": {}},
        "InvalidParameterValueException",
        400,
        "An error occurred and the request cannot be processed.",
    ),
    (
        "tag_resource",
        {"Resource": f"{ARN}there", "Tags": {str(number): "" for number in range(51)}},
        "InvalidParameterValueException",
        400,
        "Number of tags exceeds resource tag limit.",
    ),
    (
        "untag_resource",
        {"Resource": f"{ARN}no", "TagKeys": ["a"]},
        "ResourceNotFoundException",
        404,
        f"Function not found: {ARN}no",
    ),
    ("list_tags", {"Resource": f"{ARN}no"}, "ResourceNotFoundException", 404, f"Function not found: {ARN}no"),
]


@pytest.mark.parametrize(("operation", "given", "code", "status", "message"), OTHERS)
def test_other_operations(
    unchecked: Any, operation: str, given: dict[str, Any], code: str, status: int, message: str
) -> None:
    assert refusal(getattr(unchecked, operation), **given) == (code, status, message)


def test_errors_carry_their_members(unchecked: Any) -> None:
    with pytest.raises(ClientError) as refused:
        unchecked.get_function(FunctionName="no")
    response: Any = refused.value.response
    assert (response["Type"], response["Message"]) == ("User", f"Function not found: {ARN}no")


def test_deleting_a_version_that_never_was(unchecked: Any) -> None:
    for qualifier in ("99", "0"):
        answer = unchecked.delete_function(FunctionName="there", Qualifier=qualifier)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert unchecked.get_function(FunctionName="there:1")["Configuration"]["Version"] == "1"


def test_roles_are_checked_when_asked_for(start_lambda: Any, create: Create) -> None:
    async def is_known(role: str) -> bool:
        return role == ROLE

    client = start_lambda(settings=Settings(require_roles=True), role_check=is_known).client()
    message = "The role defined for the function cannot be assumed by Lambda."
    other = "arn:aws:iam::000000000000:role/other"
    with pytest.raises(client.exceptions.InvalidParameterValueException) as refused:
        create("strict", using=client, Role=other)
    assert refused.value.response["Error"]["Message"] == message
    create("strict", using=client)
    with pytest.raises(client.exceptions.InvalidParameterValueException) as refused:
        client.update_function_configuration(FunctionName="strict", Role=other)
    assert refused.value.response["Error"]["Message"] == message
    client.update_function_configuration(FunctionName="strict", Timeout=4)


def test_what_takes_longer_than_a_second_is_refused(
    start_lambda: Any, create: Create, make_zip: Callable[..., bytes]
) -> None:
    """With a control plane that is slow to settle, as AWS's is."""
    client = start_lambda(settings=Settings(settle_delay_s=60, settle_wait_s=0.05)).client()
    create("slow", using=client)
    text = "The operation cannot be performed at this time. The function is currently in the following state: Pending"
    for call, given in (
        (client.update_function_configuration, {"Timeout": 4}),
        (client.update_function_code, {"ZipFile": make_zip()}),
        (client.publish_version, {}),
    ):
        assert refusal(call, FunctionName="slow", **given) == ("ResourceConflictException", 409, text)
    assert client.get_function_configuration(FunctionName="slow")["State"] == "Pending"
    client.delete_function(FunctionName="slow")


def test_an_update_in_progress(start_lambda: Any, create: Create) -> None:
    server = start_lambda(settings=Settings(settle_delay_s=0.3, settle_wait_s=0.01))
    client = server.client()
    create("busy", using=client)
    client.get_waiter("function_active_v2").wait(FunctionName="busy", WaiterConfig={"Delay": 0.05})
    client.update_function_configuration(FunctionName="busy", Timeout=4)
    assert refusal(client.update_function_configuration, FunctionName="busy", Timeout=5) == (
        "ResourceConflictException",
        409,
        f"The operation cannot be performed at this time. An update is in progress for resource: {ARN}busy",
    )
    client.get_waiter("function_updated_v2").wait(FunctionName="busy", WaiterConfig={"Delay": 0.05})
    assert client.get_function_configuration(FunctionName="busy")["Timeout"] == 4
