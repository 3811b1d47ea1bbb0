"""Lists in pages: all of it, once, in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Create = Callable[..., dict[str, Any]]
NAMES = ["a", "a-b", "aa", "ab", "b", "c_1"]


@pytest.fixture(scope="module")
def filled(start_lambda: Any, make_zip: Callable[..., bytes]) -> Any:
    """Six functions: `b` with three versions, `c_1` with one."""
    client = start_lambda().client()
    for name in reversed(NAMES):
        client.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role="arn:aws:iam::000000000000:role/r",
            Handler="index.handler",
            Code={"ZipFile": make_zip()},
            Publish=name in ("b", "c_1"),
        )
    for description in ("x", "y"):
        client.update_function_configuration(FunctionName="b", Description=description)
        client.publish_version(FunctionName="b")
    return client


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 7, 50])
def test_functions_by_name(filled: Any, size: int) -> None:
    pages = list(filled.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": size}))
    found = [one["FunctionName"] for page in pages for one in page["Functions"]]
    assert found == sorted(NAMES)
    assert all(len(page["Functions"]) <= size for page in pages)
    assert len(pages) == -(-len(NAMES) // size)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9, 10, 50])
def test_all_versions(filled: Any, size: int) -> None:
    paginator = filled.get_paginator("list_functions")
    pages = list(paginator.paginate(FunctionVersion="ALL", PaginationConfig={"PageSize": size}))
    found = [(one["FunctionName"], one["Version"]) for page in pages for one in page["Functions"]]
    expected = [(name, "$LATEST") for name in sorted(NAMES)]
    expected[5:5] = [("b", "1"), ("b", "2"), ("b", "3")]
    expected.append(("c_1", "1"))
    assert found == expected
    assert all(len(page["Functions"]) <= size for page in pages)
    arns = [one["FunctionArn"] for page in pages for one in page["Functions"]]
    assert all(arn.endswith(f":{name}:{version}") for arn, (name, version) in zip(arns, found, strict=True))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_versions_of_a_function(filled: Any, size: int) -> None:
    paginator = filled.get_paginator("list_versions_by_function")
    pages = list(paginator.paginate(FunctionName="b", PaginationConfig={"PageSize": size}))
    assert [one["Version"] for page in pages for one in page["Versions"]] == ["$LATEST", "1", "2", "3"]


def test_a_page_has_50_at_most(start_lambda: Any, create: Create) -> None:
    client = start_lambda().client()
    for number in range(51):
        create(f"f{number:02d}", using=client)
    first = client.list_functions(MaxItems=10_000)
    assert len(first["Functions"]) == 50
    assert len(client.list_functions(Marker=first["NextMarker"])["Functions"]) == 1


def test_a_marker_of_something_else(filled: Any) -> None:
    mine = filled.list_functions(MaxItems=1)["NextMarker"]
    calls: list[Callable[[], object]] = [
        lambda: filled.list_versions_by_function(FunctionName="b", Marker=mine),
        lambda: filled.list_functions(FunctionVersion="ALL", Marker=mine),
        lambda: filled.list_functions(Marker="?"),
        lambda: filled.list_functions(Marker="/w=="),
    ]
    for call in calls:
        with pytest.raises(filled.exceptions.InvalidParameterValueException):
            call()


def test_no_function_no_list(filled: Any) -> None:
    with pytest.raises(filled.exceptions.ResourceNotFoundException):
        filled.list_versions_by_function(FunctionName="nothing")
