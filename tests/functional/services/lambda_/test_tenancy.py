"""Tenant isolation as it is configured: at creation, and without what does not go with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

PER_TENANT = {"TenantIsolationMode": "PER_TENANT"}
QUEUE = "arn:aws:sqs:us-east-1:000000000000:queue"


@pytest.fixture
def function(client: Any, create: Callable[..., dict[str, Any]], request: pytest.FixtureRequest) -> str:
    """The name of a function with tenants, and a version 1."""
    name: str = request.node.originalname
    created = create(name, TenancyConfig=PER_TENANT, Publish=True)
    assert created["TenancyConfig"] == PER_TENANT
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.02})
    return name


def test_it_is_told_wherever_a_function_is(client: Any, function: str) -> None:
    assert client.get_function(FunctionName=function)["Configuration"]["TenancyConfig"] == PER_TENANT
    client.update_function_configuration(FunctionName=function, Description="another")
    for qualifier in ("$LATEST", "1"):
        found = client.get_function_configuration(FunctionName=function, Qualifier=qualifier)
        assert found["TenancyConfig"] == PER_TENANT


def test_what_does_not_go_with_it(client: Any, function: str) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: client.put_provisioned_concurrency_config(
            FunctionName=function, Qualifier="1", ProvisionedConcurrentExecutions=1
        ),
        lambda: client.create_function_url_config(FunctionName=function, AuthType="NONE"),
        lambda: client.create_event_source_mapping(FunctionName=function, EventSourceArn=QUEUE),
        lambda: client.update_function_configuration(FunctionName=function, SnapStart={"ApplyOn": "PublishedVersions"}),
    ]
    for call in calls:
        with pytest.raises(ClientError) as refused:
            call()
        error = refused.value.response["Error"]
        assert error["Code"] == "InvalidParameterValueException"
        assert error["Message"].endswith("is not supported for functions with tenant isolation mode.")
