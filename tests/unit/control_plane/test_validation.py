"""The service's own rules, in AWS's words."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lambent.control_plane import runtimes
from lambent.control_plane.requests import CreateRequest
from lambent.control_plane.validation import (
    RESERVED_ENVIRONMENT_KEYS,
    check_create,
    check_environment,
    check_function_name,
    check_revision,
    check_runtime,
    check_tags,
)
from lambent.model.errors import InvalidParameterValueException, PreconditionFailedException
from lambent.model.function import FunctionRecord

_ENVIRONMENT = "Lambda was unable to configure your environment variables because the environment variables you have "


def message_of(check: Callable[[], None]) -> str:
    with pytest.raises(InvalidParameterValueException) as refused:
        check()
    return refused.value.message


def test_an_unknown_runtime_is_told_the_allowed_ones() -> None:
    assert message_of(lambda: check_runtime("python9.9")) == (
        "Value python9.9 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
        f"[{', '.join(runtimes.CREATABLE)}] or be a valid ARN"
    )


@pytest.mark.parametrize("runtime", runtimes.RETIRED)
def test_a_retired_runtime(runtime: str) -> None:
    assert message_of(lambda: check_runtime(runtime)) == (
        f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions. "
        "We recommend you use a supported runtime while creating or updating functions."
    )


@pytest.mark.parametrize("runtime", runtimes.CREATABLE)
def test_a_runtime_that_may_be_created(runtime: str) -> None:
    check_runtime(runtime)


def test_an_environment_of_exactly_4_kb_is_fine() -> None:
    check_environment({"K": "v" * (4096 - len('{"K":""}'))})


def test_an_environment_over_4_kb_is_measured_as_json() -> None:
    value = "v" * (4097 - len('{"K":""}'))
    expected = f'{_ENVIRONMENT}provided exceeded the 4KB limit. String measured: {{"K":"{value}"}}'
    assert message_of(lambda: check_environment({"K": value})) == expected


def test_bytes_count_not_characters() -> None:
    with pytest.raises(InvalidParameterValueException):
        check_environment({"K": "é" * 2100})


@pytest.mark.parametrize("key", sorted(RESERVED_ENVIRONMENT_KEYS))
def test_reserved_keys(key: str) -> None:
    assert message_of(lambda: check_environment({"MINE": "1", key: "2"})) == (
        f"{_ENVIRONMENT}provided contains reserved keys that are currently not supported for modification. "
        f"Reserved keys used in this request: {key}"
    )


@pytest.mark.parametrize("key", ["AWS_LAMBDA_EXEC_WRAPPER", "TZ", "PATH", "LANG", "AWS_ENDPOINT_URL"])
def test_keys_that_only_look_reserved(key: str) -> None:
    check_environment({key: "x"})


def test_the_name_alone_has_64_characters_at_most() -> None:
    check_function_name("n" * 64)
    name = "n" * 65
    assert message_of(lambda: check_function_name(name)) == (
        f"Value '{name}' at 'functionName' failed to satisfy constraint: "
        "Member must have length less than or equal to 64"
    )


@pytest.mark.parametrize("missing", ["runtime", "handler"])
def test_zip_functions_need_runtime_and_handler(create_request: Callable[..., CreateRequest], missing: str) -> None:
    assert message_of(lambda: check_create(create_request(**{missing: None}))) == (
        "Runtime and Handler are mandatory parameters for functions created with deployment packages."
    )


def test_fifty_tags() -> None:
    check_tags({str(number): "" for number in range(50)})
    assert message_of(lambda: check_tags({str(number): "" for number in range(51)})) == (
        "Number of tags exceeds resource tag limit."
    )


def test_a_revision_must_be_the_latest(record: FunctionRecord) -> None:
    check_revision(record.latest, None)
    check_revision(record.latest, record.latest.revision_id)
    with pytest.raises(PreconditionFailedException) as refused:
        check_revision(record.latest, "another")
    assert refused.value.message == (
        "The Revision Id provided does not match the latest Revision Id. "
        "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
    )
