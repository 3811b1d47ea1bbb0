"""Reserved and provisioned concurrency."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.control_plane.functions import Settings

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
UNQUALIFIED_ONLY = (
    "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. "
    "Please specify either a function name or an unqualified function ARN."
)
Create = Callable[..., dict[str, Any]]
Call = Callable[[Any], Any]


def refusal(call: Callable[[], Any]) -> tuple[str, int, str, Any]:
    with pytest.raises(ClientError) as refused:
        call()
    answer: Any = refused.value.response
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    return answer["Error"]["Code"], status, answer["Error"]["Message"], answer.get("Type")


@pytest.fixture(scope="module")
def mine(start_lambda: Any) -> Any:
    """A client of a server of its own: what is reserved is an account's."""
    return start_lambda().client()


@pytest.fixture
def function(mine: Any, create: Create, request: pytest.FixtureRequest) -> Any:
    """The name of a function with versions 1 and 2 and the alias live (of 1)."""
    name = request.node.originalname
    create(name, using=mine, Publish=True)
    mine.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.02})
    mine.update_function_configuration(FunctionName=name, Description="second")
    mine.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.02})
    mine.publish_version(FunctionName=name)
    mine.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    yield name
    mine.delete_function(FunctionName=name)


def limits(client: Any) -> tuple[int, int]:
    found = client.get_account_settings()["AccountLimit"]
    return found["ConcurrentExecutions"], found["UnreservedConcurrentExecutions"]


def test_reserving(mine: Any, function: str) -> None:
    assert "ReservedConcurrentExecutions" not in mine.get_function_concurrency(FunctionName=function)
    assert "Concurrency" not in mine.get_function(FunctionName=function)
    answer = mine.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=300)
    assert answer["ReservedConcurrentExecutions"] == 300
    assert mine.get_function_concurrency(FunctionName=function)["ReservedConcurrentExecutions"] == 300
    assert mine.get_function(FunctionName=function)["Concurrency"] == {"ReservedConcurrentExecutions": 300}
    assert limits(mine) == (1000, 700)
    mine.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=5)
    assert limits(mine) == (1000, 995)
    mine.delete_function_concurrency(FunctionName=function)
    mine.delete_function_concurrency(FunctionName=function)
    assert limits(mine) == (1000, 1000)


def test_a_hundred_stay_unreserved(mine: Any, function: str, create: Create) -> None:
    mine.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=900)
    create("too-much", using=mine)
    text = (
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below "
        "its minimum value of [100]."
    )
    refused = refusal(lambda: mine.put_function_concurrency(FunctionName="too-much", ReservedConcurrentExecutions=1))
    assert refused == ("InvalidParameterValueException", 400, text, None)
    refused = refusal(lambda: mine.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=901))
    assert refused[2] == text
    mine.put_function_concurrency(FunctionName="too-much", ReservedConcurrentExecutions=0)
    assert limits(mine) == (1000, 100)
    mine.delete_function(FunctionName="too-much")


def test_a_small_account_has_nothing_to_reserve(start_lambda: Any, create: Create) -> None:
    client = start_lambda(settings=Settings(account_concurrency=10)).client()
    create("f", using=client)
    assert limits(client) == (10, 10)
    refused = refusal(lambda: client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1))
    assert refused[2].endswith("below its minimum value of [10].")


def test_a_deleted_function_gives_back_what_it_reserved(mine: Any, create: Create) -> None:
    before = limits(mine)
    create("short", using=mine)
    mine.put_function_concurrency(FunctionName="short", ReservedConcurrentExecutions=50)
    mine.delete_function(FunctionName="short")
    assert limits(mine) == before
    create("short", using=mine)
    assert "ReservedConcurrentExecutions" not in mine.get_function_concurrency(FunctionName="short")
    mine.delete_function(FunctionName="short")


def test_the_setting_is_in_force_with_its_answer(mine: Any, function: str) -> None:
    for qualifier in ("$LATEST", "1", "live"):
        assert mine.invoke(FunctionName=function, Qualifier=qualifier)["StatusCode"] == 200
    for _ in range(5):
        mine.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
        for qualifier in ("$LATEST", "1", "live"):
            with pytest.raises(mine.exceptions.TooManyRequestsException) as refused:
                mine.invoke(FunctionName=function, Qualifier=qualifier)
            answer = refused.value.response
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
            assert answer["Error"]["Message"] == "Rate Exceeded."
            assert answer["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
            assert answer["Type"] == "User"
        mine.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=1)
        assert mine.invoke(FunctionName=function)["StatusCode"] == 200


def test_a_reservation_is_in_force_after_a_restart(start_lambda: Any, create: Create) -> None:
    first = start_lambda()
    client = first.client()
    create("off", using=client)
    client.put_function_concurrency(FunctionName="off", ReservedConcurrentExecutions=0)
    second = start_lambda(store=first.store).client()
    with pytest.raises(second.exceptions.TooManyRequestsException):
        second.invoke(FunctionName="off")


@pytest.mark.parametrize("operation", ["put_function_concurrency", "get_function_concurrency"])
@pytest.mark.parametrize("name", ["{0}:1", "{0}:live", "{0}:$LATEST", ARN + "{0}:1"])
def test_only_functions_reserve(mine: Any, function: str, operation: str, name: str) -> None:
    params = {"ReservedConcurrentExecutions": 1} if operation.startswith("put") else {}
    refused = refusal(lambda: getattr(mine, operation)(FunctionName=name.format(function), **params))
    assert refused == ("InvalidParameterValueException", 400, UNQUALIFIED_ONLY, "User")


def test_a_missing_function(mine: Any) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: mine.put_function_concurrency(FunctionName="no", ReservedConcurrentExecutions=1),
        lambda: mine.get_function_concurrency(FunctionName="no"),
        lambda: mine.delete_function_concurrency(FunctionName="no"),
    ]
    for call in calls:
        assert refusal(call)[:3] == ("ResourceNotFoundException", 404, f"Function not found: {ARN}no:$LATEST")


def provision(client: Any, function: str, qualifier: str, executions: int = 1) -> Any:
    return client.put_provisioned_concurrency_config(
        FunctionName=function, Qualifier=qualifier, ProvisionedConcurrentExecutions=executions
    )


def test_provisioned_concurrency_is_stored_and_in_progress(mine: Any, function: str) -> None:
    answer = provision(mine, function, "1", 7)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    expected = {
        "RequestedProvisionedConcurrentExecutions": 7,
        "AllocatedProvisionedConcurrentExecutions": 0,
        "AvailableProvisionedConcurrentExecutions": 0,
        "Status": "IN_PROGRESS",
    }
    assert expected.items() <= answer.items()
    found = mine.get_provisioned_concurrency_config(FunctionName=function, Qualifier="1")
    assert expected.items() <= found.items()
    provision(mine, function, "2", 3)
    paginator = mine.get_paginator("list_provisioned_concurrency_configs")
    pages = list(paginator.paginate(FunctionName=function, PaginationConfig={"PageSize": 1}))
    listed = [one for page in pages for one in page["ProvisionedConcurrencyConfigs"]]
    assert [one["FunctionArn"] for one in listed] == [f"{ARN}{function}:1", f"{ARN}{function}:2"]
    for _ in range(2):
        mine.delete_provisioned_concurrency_config(FunctionName=function, Qualifier="1")
    refused = refusal(lambda: mine.get_provisioned_concurrency_config(FunctionName=function, Qualifier="1"))
    assert refused[:3] == (
        "ProvisionedConcurrencyConfigNotFoundException",
        404,
        "No Provisioned Concurrency Config found for this function",
    )


def test_a_version_and_its_alias_exclude_each_other(mine: Any, function: str) -> None:
    provision(mine, function, "1")
    assert refusal(lambda: provision(mine, function, "live"))[:3] == (
        "ResourceConflictException",
        409,
        "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version",
    )
    provision(mine, function, "1", 2)  # its own is replaced
    mine.delete_provisioned_concurrency_config(FunctionName=function, Qualifier="1")
    provision(mine, function, "live")
    assert refusal(lambda: provision(mine, function, "1"))[:3] == (
        "ResourceConflictException",
        409,
        "Version is pointed by a Provisioned Concurrency alias",
    )
    provision(mine, function, "2")
    mine.delete_alias(FunctionName=function, Name="live")
    provision(mine, function, "1")
    mine.create_alias(FunctionName=function, Name="live", FunctionVersion="1")
    refused = refusal(lambda: mine.get_provisioned_concurrency_config(FunctionName=function, Qualifier="live"))
    assert refused[0] == "ProvisionedConcurrencyConfigNotFoundException"


def test_a_deleted_version_takes_its_setting_along(mine: Any, function: str) -> None:
    provision(mine, function, "2")
    mine.delete_function(FunctionName=function, Qualifier="2")
    assert mine.list_provisioned_concurrency_configs(FunctionName=function)["ProvisionedConcurrencyConfigs"] == []


PROVISIONED: list[tuple[str, int, str, str]] = [
    (
        "$LATEST",
        1,
        "InvalidParameterValueException",
        "Provisioned Concurrency Configs cannot be applied to unpublished function versions.",
    ),
    (
        "1",
        1001,
        "InvalidParameterValueException",
        "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [1000].",
    ),
    (
        "1",
        901,
        "InvalidParameterValueException",
        (
            "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its "
            "minimum value of [100]."
        ),
    ),
    (
        "latest",
        1,
        "InvalidParameterValueException",
        "Provisioned Concurrency Configs cannot be applied to unpublished function versions.",
    ),
    ("9", 1, "ResourceNotFoundException", "Function not found: {arn}:9"),
    ("nobody", 1, "ResourceNotFoundException", "Function not found: {arn}:nobody"),
]


@pytest.mark.parametrize(("qualifier", "executions", "code", "text"), PROVISIONED)
def test_what_cannot_be_provisioned(
    mine: Any, create: Create, qualifier: str, executions: int, code: str, text: str
) -> None:
    create("unprovisioned", using=mine, Publish=True)
    mine.create_alias(FunctionName="unprovisioned", Name="latest", FunctionVersion="$LATEST")
    refused = refusal(lambda: provision(mine, "unprovisioned", qualifier, executions))
    assert (refused[0], refused[2]) == (code, text.format(arn=f"{ARN}unprovisioned"))
    mine.delete_function(FunctionName="unprovisioned")


def test_provisioned_is_a_part_of_reserved(mine: Any, function: str) -> None:
    mine.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=5)
    provision(mine, function, "1", 3)
    refused = refusal(lambda: provision(mine, function, "2", 3))
    assert refused == (
        "InvalidParameterValueException",
        400,
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function",
        None,
    )
    provision(mine, function, "2", 2)
    refused = refusal(lambda: mine.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=4))
    assert refused[2] == (
        "ReservedConcurrentExecutions 4 should not be lower than function's total provisioned concurrency [5]."
    )


def test_latest_is_never_provisioned(mine: Any, function: str) -> None:
    calls: list[Call] = [mine.get_provisioned_concurrency_config, mine.delete_provisioned_concurrency_config]
    for call in calls:
        with pytest.raises(mine.exceptions.InvalidParameterValueException) as refused:
            call(FunctionName=function, Qualifier="$LATEST")  # type: ignore[call-arg]
        text = "The function resource provided must be an alias or a published version."
        assert refused.value.response["Error"]["Message"] == text


def test_scaling_is_for_managed_instances(mine: Any, function: str) -> None:
    refused = refusal(lambda: mine.get_function_scaling_config(FunctionName=function, Qualifier="1"))
    assert refused[:2] == ("InvalidParameterValueException", 400)
    assert "not offered by Lambent yet" in refused[2]
    assert refusal(lambda: mine.put_function_scaling_config(FunctionName="no", Qualifier="1"))[0] == (
        "ResourceNotFoundException"
    )
