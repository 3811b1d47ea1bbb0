"""The words of AWS's framework, as recorded from its answers."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.aws.models import ServiceModel, load_service_model
from lambent.aws.validation import Overrides, compile_validator, lower_camel, printed, validation_error

FUNCTION_NAME_PATTERN = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)"
)
FILE_SYSTEM = "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef0"
VALID_FUNCTION = {"FunctionName": "f", "Role": "arn:aws:iam::000000000000:role/r", "Code": {}}


def violations(operation: str, params: dict[str, Any], overrides: Overrides | None = None) -> list[str]:
    shape = load_service_model("lambda").operations[operation].input
    validate = compile_validator(shape, overrides or {})
    assert validate is not None
    return validate(params)


def pattern_of(shape: str) -> str:
    pattern: str = load_service_model("lambda").shape(shape).traits["pattern"]
    return pattern


def test_a_valid_request_has_no_violations() -> None:
    assert violations("CreateFunction", VALID_FUNCTION | {"Runtime": "python3.12", "MemorySize": 128}) == []


def test_all_violations_are_listed_in_one_error_in_the_models_order() -> None:
    found = violations("CreateFunction", {"FunctionName": "a b", "Code": {}, "Timeout": 0})
    pattern = pattern_of("FunctionName")
    error = validation_error(found)
    assert (error.code, error.status, error.members) == ("ValidationException", 400, {"Type": None})
    assert error.message == (
        "3 validation errors detected: "
        f"Value 'a b' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: "
        f"{pattern}; "
        "Value null at 'role' failed to satisfy constraint: Member must not be null; "
        "Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1"
    )


def test_one_violation_is_one_error() -> None:
    assert validation_error(["x"]).message == "1 validation error detected: x"
    assert validation_error(["x"], "ValidationError").code == "ValidationError"


@pytest.mark.parametrize(
    ("operation", "params", "expected"),
    [
        (
            "CreateFunction",
            VALID_FUNCTION | {"Runtime": "python9"},
            "Value 'python9' at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs, ",
        ),
        (
            "CreateFunction",
            VALID_FUNCTION | {"Architectures": ["x86"]},
            (
                "Value '[x86]' at 'architectures' failed to satisfy constraint: Member must satisfy constraint: "
                "[Member must satisfy enum value set: [x86_64, arm64], Member must not be null]"
            ),
        ),
        (
            "CreateFunction",
            VALID_FUNCTION | {"MemorySize": 127},
            (
                "Value '127' at 'memorySize' failed to satisfy constraint: "
                "Member must have value greater than or equal to 128"
            ),
        ),
        (
            "CreateFunction",
            VALID_FUNCTION | {"Description": "d" * 257},
            (
                f"Value '{'d' * 257}' at 'description' failed to satisfy constraint: "
                "Member must have length less than or equal to 256"
            ),
        ),
        (
            "CreateFunction",
            VALID_FUNCTION | {"KMSKeyArn": "x"},
            "Value 'x' at 'kMSKeyArn' failed to satisfy constraint: Member must satisfy regular expression pattern: ",
        ),
        (
            "CreateFunction",
            VALID_FUNCTION | {"Code": {"S3Bucket": "a$b", "S3Key": "k"}},
            (
                "Value 'a$b' at 'code.s3Bucket' failed to satisfy constraint: "
                "Member must satisfy regular expression pattern: "
            ),
        ),
        (
            "CreateFunction",
            VALID_FUNCTION | {"Environment": {"Variables": {"1x": "v"}}},
            # sensitive: not repeated
            (
                "Value at 'environment.variables' failed to satisfy constraint: "
                "Map keys must satisfy constraint: [Member must satisfy regular expression pattern: "
                "[a-zA-Z]([a-zA-Z0-9_])+, Member must not be null]"
            ),
        ),
        (
            "CreateFunction",
            VALID_FUNCTION | {"FileSystemConfigs": [{"Arn": "x", "LocalMountPath": "/mnt/x"}]},
            (
                "Value 'x' at 'fileSystemConfigs.1.member.arn' failed to satisfy constraint: "
                "Member must satisfy regular expression pattern: "
            ),
        ),
        (
            "CreateFunction",
            VALID_FUNCTION | {"FileSystemConfigs": [{"Arn": FILE_SYSTEM}]},
            (
                "Value null at 'fileSystemConfigs.1.member.localMountPath' failed to satisfy constraint: "
                "Member must not be null"
            ),
        ),
        (
            "CreateAlias",
            {"FunctionName": "f", "Name": "123", "FunctionVersion": "1"},
            (
                "Value '123' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: "
                "(?!^[0-9]+$)([a-zA-Z0-9-_]+)"
            ),
        ),
        (
            "CreateAlias",
            {
                "FunctionName": "f",
                "Name": "a",
                "FunctionVersion": "1",
                "RoutingConfig": {"AdditionalVersionWeights": {"2": 2.0}},
            },
            (
                "Value '{2=2.0}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: "
                "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, "
                "Member must have value greater than or equal to 0.0, Member must not be null]"
            ),
        ),
        (
            "CreateAlias",
            {
                "FunctionName": "f",
                "Name": "a",
                "FunctionVersion": "1",
                "RoutingConfig": {"AdditionalVersionWeights": {"$LATEST": 0.5}},
            },
            (
                "Value '{$LATEST=0.5}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: "
                "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, "
                "Member must have length greater than or equal to 1, "
                "Member must satisfy regular expression pattern: [0-9]+, Member must not be null]"
            ),
        ),
        (
            "Invoke",
            {"FunctionName": "f", "InvocationType": "Sometimes"},
            (
                "Value 'Sometimes' at 'invocationType' failed to satisfy constraint: "
                "Member must satisfy enum value set: [Event, RequestResponse, DryRun]"
            ),
        ),
        (
            "CreateEventSourceMapping",
            {},
            "Value null at 'functionName' failed to satisfy constraint: Member must not be null",
        ),
    ],
)
def test_words(operation: str, params: dict[str, Any], expected: str) -> None:
    found = violations(operation, params)
    assert len(found) == 1, found
    assert found[0].startswith(expected)


def test_a_patterns_violation_comes_before_that_of_the_length() -> None:
    found = violations("GetFunction", {"FunctionName": "!" * 400})
    assert [text.partition("constraint: ")[2][:24] for text in found] == [
        "Member must satisfy regu",
        "Member must have length ",
    ]


def test_null_elements_of_lists_and_maps_are_violations() -> None:
    (found,) = violations("CreateFunction", VALID_FUNCTION | {"Layers": [None]})
    assert found.startswith(
        "Value '[null]' at 'layers' failed to satisfy constraint: Member must satisfy constraint: ["
    )
    (found,) = violations("CreateFunction", VALID_FUNCTION | {"Tags": {"k": None}})
    assert found == (
        "Value '{k=null}' at 'tags' failed to satisfy constraint: Map value must satisfy constraint: "
        "[Member must have length less than or equal to 256, Member must have length greater than or equal to 0, "
        r"Member must satisfy regular expression pattern: ([\p{L}\p{Z}\p{N}_.:/=+\-@]*), Member must not be null]"
    )


def test_overrides_replace_single_constraints() -> None:
    overrides: Overrides = {
        "functionName": {"max": 140, "pattern": FUNCTION_NAME_PATTERN},
        "runtime": {"enum": None},
        "role": {"required": False, "pattern": None},
        "architectures.member": {"enum": ["x86_64"]},
        "code.s3Bucket": {"min": None, "pattern": None},
    }
    params = {"FunctionName": "f" * 141, "Runtime": "python9", "Code": {"S3Bucket": "x"}, "Architectures": ["arm64"]}
    found = violations("CreateFunction", params, overrides)
    assert len(found) == 2
    assert found[0].endswith("Member must have length less than or equal to 140")
    assert found[1].endswith("[Member must satisfy enum value set: [x86_64], Member must not be null]")
    assert violations("CreateFunction", {"FunctionName": "a.b", "Code": {}}, overrides) == [
        (
            "Value 'a.b' at 'functionName' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {FUNCTION_NAME_PATTERN}"
        )
    ]


def test_sensitive_values_are_not_repeated() -> None:
    shape = load_service_model("iam").operations["CreateLoginProfile"].input
    validate = compile_validator(shape, {})
    assert validate is not None
    found = validate({"UserName": "u", "Password": "p" * 129})
    assert found == [
        "Value at 'password' failed to satisfy constraint: Member must have length less than or equal to 128"
    ]


def test_a_shape_that_contains_itself() -> None:
    document = {
        "metadata": {"protocol": "json"},
        "operations": {"Put": {"name": "Put", "input": {"shape": "Node"}}},
        "shapes": {
            "Node": {"type": "structure", "members": {"Name": {"shape": "Name"}, "Children": {"shape": "Nodes"}}},
            "Nodes": {"type": "list", "member": {"shape": "Node"}},
            "Name": {"type": "string", "max": 2},
        },
    }
    validate = compile_validator(ServiceModel("tree", document).operations["Put"].input, {})
    assert validate is not None
    assert validate({"Name": "ab", "Children": [{"Children": [{"Name": "abc"}]}]}) == [
        (
            "Value 'abc' at 'children.1.member.children.1.member.name' failed to satisfy constraint: "
            "Member must have length less than or equal to 2"
        )
    ]


def test_an_operation_without_constraints_needs_no_validator() -> None:
    assert compile_validator(load_service_model("lambda").operations["GetAccountSettings"].input, {}) is None
    assert compile_validator(None, {}) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        (["a", None], "[a, null]"),
        ({"k": ["v"]}, "{k=[v]}"),
        (b"abc", "java.nio.HeapByteBuffer[pos=0 lim=3 cap=3]"),
    ],
)
def test_values_print_as_javas(value: object, text: str) -> None:
    assert printed(value) == text


def test_only_the_first_letter_is_lowered() -> None:
    assert [lower_camel(name) for name in ("FunctionName", "KMSKeyArn", "UUID", "x", "")] == [
        "functionName",
        "kMSKeyArn",
        "uUID",
        "x",
        "",
    ]
