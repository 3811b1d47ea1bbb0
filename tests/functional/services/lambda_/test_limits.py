"""Quotas that are not AWS's are in force, are told, and are named in refusals."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.control_plane.functions import Settings
from lambent.model.limits import Limits
from lambent.testing.packages import zip_of

LIMITS = Limits(
    memory_max_mb=20_480,
    timeout_max_s=1_800,
    ephemeral_storage_max_mb=600,
    environment_variables_max_bytes=8 * 1024,
    layers_max=1,
    unzipped_max_bytes=3_000,
    code_storage_max_bytes=6_000,
)
ROLE = "arn:aws:iam::000000000000:role/r"


@pytest.fixture(scope="module")
def client(start_lambda: Callable[..., Any]) -> Any:
    return start_lambda(settings=Settings(limits=LIMITS, collect_again_s=0.35)).client()


def create(client: Any, name: str, size: int = 1_000, **given: Any) -> Any:
    files = {"index.py": f"# {name}".ljust(size)}
    return client.create_function(
        FunctionName=name, Runtime="python3.12", Handler="index.handler", Role=ROLE, Code={"ZipFile": zip_of(files)},
        **given,
    )  # fmt: skip


def refusal(call: Callable[..., Any], *arguments: Any, **params: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(*arguments, **params)
    text: str = refused.value.response["Error"]["Message"]
    return text


def test_more_than_aws_allows(client: Any) -> None:
    made = create(client, "large", MemorySize=20_480, Timeout=1_800, Environment={"Variables": {"KEY": "v" * 5_000}})
    assert (made["MemorySize"], made["Timeout"]) == (20_480, 1_800)
    client.delete_function(FunctionName="large")


def test_refusals_name_the_limit(client: Any) -> None:
    assert refusal(create, client, "r", MemorySize=20_481).endswith(
        "Member must have value less than or equal to 20480"
    )
    assert refusal(create, client, "r", Timeout=1_801).endswith("Member must have value less than or equal to 1800")
    assert refusal(create, client, "r", EphemeralStorage={"Size": 601}).endswith("less than or equal to 600")
    assert "exceeded the 8KB limit." in refusal(create, client, "r", Environment={"Variables": {"KEY": "v" * 8_192}})
    assert refusal(create, client, "r", size=3_001) == "Unzipped size must be smaller than 3000 bytes"
    layers = [f"arn:aws:lambda:us-east-1:000000000000:layer:l{number}:1" for number in range(2)]
    assert refusal(create, client, "r", Layers=layers) == "Cannot reference more than 1 layers."


def test_code_and_layers_together(client: Any) -> None:
    layer = client.publish_layer_version(LayerName="l", Content={"ZipFile": zip_of({"data": "x" * 2_000})})
    arn = layer["LayerVersionArn"]
    together = "Function code combined with layers exceeds the maximum allowed size of 3000 bytes. The actual size is"
    assert refusal(create, client, "r", size=1_001, Layers=[arn]) == f"{together} 3001 bytes."
    create(client, "fits", size=1_000, Layers=[arn])
    client.get_waiter("function_active_v2").wait(FunctionName="fits", WaiterConfig={"Delay": 0.05})
    grown = zip_of({"index.py": "x" * 1_500})
    for dry_run in (True, False):
        message = refusal(client.update_function_code, FunctionName="fits", ZipFile=grown, DryRun=dry_run)
        assert message == f"{together} 3500 bytes."
    client.update_function_configuration(FunctionName="fits", Layers=[])
    client.get_waiter("function_updated_v2").wait(FunctionName="fits", WaiterConfig={"Delay": 0.05})
    client.update_function_code(FunctionName="fits", ZipFile=grown)
    client.get_waiter("function_updated_v2").wait(FunctionName="fits", WaiterConfig={"Delay": 0.05})
    assert refusal(client.update_function_configuration, FunctionName="fits", Layers=[arn]) == f"{together} 3500 bytes."
    client.delete_function(FunctionName="fits")
    client.delete_layer_version(LayerName="l", VersionNumber=1)


def test_code_storage(client: Any) -> None:
    limit = client.get_account_settings()["AccountLimit"]
    assert (limit["TotalCodeSize"], limit["CodeSizeUnzipped"]) == (6_000, 3_000)
    create(client, "one", 3_000)
    client.publish_layer_version(LayerName="two", Content={"ZipFile": zip_of({"data": "x" * 3_000})})
    with pytest.raises(client.exceptions.CodeStorageExceededException):
        client.publish_layer_version(LayerName="two", Content={"ZipFile": zip_of({"data": "y"})})
    with pytest.raises(client.exceptions.CodeStorageExceededException):
        create(client, "three", 100)
    client.delete_layer_version(LayerName="two", VersionNumber=1)
    create(client, "three", 100)


def test_layers_may_be_as_large_as_functions(start_lambda: Callable[..., Any]) -> None:
    client = start_lambda().client()
    content = os.urandom(3 << 20)
    made = client.publish_layer_version(LayerName="large", Content={"ZipFile": zip_of({"data": content})})
    assert made["Content"]["CodeSize"] > 3 << 20
