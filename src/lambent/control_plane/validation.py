"""What a request must satisfy beyond the API model's own constraints, in AWS's words. Pure: raises or returns.

Pattern, length and enumeration constraints of the service model are checked before (`lambent.aws`); here are the rules
only the service knows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from lambent.control_plane import runtimes
from lambent.control_plane.images import check_image
from lambent.control_plane.requests import ConfigurationSettings, ContainerImage, CreateRequest
from lambent.model import limits
from lambent.model.alias import AliasConfiguration
from lambent.model.errors import InvalidParameterValueException, PreconditionFailedException
from lambent.model.function import FunctionVersion
from lambent.model.limits import AWS_LIMITS, Limits

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html: defined runtime environment variables
RESERVED_ENVIRONMENT_KEYS: Final = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_LAMBDA_MAX_CONCURRENCY",
        "AWS_LAMBDA_METADATA_API",
        "AWS_LAMBDA_METADATA_TOKEN",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    }
)

_ENVIRONMENT_REFUSED = (
    "Lambda was unable to configure your environment variables because the environment variables you have provided "
)


def check_create(request: CreateRequest, quotas: Limits = AWS_LIMITS) -> None:
    """Everything that can be said about a CreateFunction without its code and without the store."""
    check_function_name(request.function.name)
    if isinstance(request.code, ContainerImage):
        check_image(request)
    elif request.settings.runtime is None or not request.settings.handler:
        raise InvalidParameterValueException(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages."
        )
    check_settings(request.settings, quotas)
    check_tags(request.tags)


def check_settings(settings: ConfigurationSettings, quotas: Limits = AWS_LIMITS) -> None:
    """The rules about single settings, whichever operation gives them."""
    if settings.runtime is not None:
        check_runtime(settings.runtime)
    if settings.environment is not None:
        check_environment(settings.environment, quotas.environment_variables_max_bytes)


def check_function_name(name: str) -> None:
    """The name alone, as CreateFunction wants it."""
    if len(name) > limits.FUNCTION_NAME_MAX:
        raise InvalidParameterValueException(
            f"Value '{name}' at 'functionName' failed to satisfy constraint: "
            f"Member must have length less than or equal to {limits.FUNCTION_NAME_MAX}"
        )


def check_runtime(runtime: str) -> None:
    """Known, and not past AWS's date for creating and updating functions."""
    if runtime in runtimes.CREATABLE:
        return
    if runtime in runtimes.RETIRED:
        raise InvalidParameterValueException(
            f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions."
            " We recommend you use a supported runtime while creating or updating functions."
        )
    if runtime in runtimes.NOT_OFFERED:
        raise InvalidParameterValueException(f"Runtime {runtime} is not offered by Lambent yet.")
    raise InvalidParameterValueException(
        f"Value {runtime} at 'runtime' failed to satisfy constraint: "
        f"Member must satisfy enum value set: [{', '.join(runtimes.CREATABLE)}] or be a valid ARN"
    )


def check_environment(variables: Mapping[str, str], max_bytes: int = limits.ENVIRONMENT_VARIABLES_MAX_BYTES) -> None:
    """No reserved key, and at most 4 KB (by `max_bytes`) as compact JSON."""
    reserved = [key for key in variables if key in RESERVED_ENVIRONMENT_KEYS]
    if reserved:
        raise InvalidParameterValueException(
            f"{_ENVIRONMENT_REFUSED}contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
    measured = json.dumps(dict(variables), separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > max_bytes:
        raise InvalidParameterValueException(
            f"{_ENVIRONMENT_REFUSED}exceeded the {max_bytes // 1024}KB limit. String measured: {measured}"
        )


def check_tags(tags: Mapping[str, str]) -> None:
    """All the tags a resource would then have."""
    if len(tags) > limits.TAGS_MAX:
        raise InvalidParameterValueException("Number of tags exceeds resource tag limit.")


def check_revision(latest: FunctionVersion | AliasConfiguration, revision_id: str | None) -> None:
    """A RevisionId, if one was given, names what is stored now."""
    if revision_id is not None and revision_id != latest.revision_id:
        raise PreconditionFailedException(
            "The Revision Id provided does not match the latest Revision Id. "
            "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
        )
