"""Configuration blocks that are stored and answered, and what AWS demands of them. Pure.

They stand in `FunctionVersion.without_effect` under their API names; `services.lambda_.support` says what of each has
no effect here. What needs another service to be known (subnets, security groups, file systems) is not looked up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from lambent.control_plane.tenancy import check_no_tenants
from lambent.model import limits
from lambent.model.errors import InvalidParameterValueException
from lambent.model.function import FunctionVersion

SNAP_START_RUNTIMES: Final = (
    "java11", "java11.al2023", "java17", "java17.al2023", "java21", "java25",
    "python3.12", "python3.13", "python3.14", "python3.15", "dotnet8", "dotnet10",
)  # fmt: skip
"""https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html#snapstart-runtimes"""

_DEAD_LETTER_TARGET = re.compile(r"arn:aws[a-zA-Z-]*:(sqs|sns):[a-z0-9-]+:\d{12}:[a-zA-Z0-9_.-]+")


def check_blocks(version: FunctionVersion) -> None:
    """What the blocks of a version may be, also beside each other. Raises InvalidParameterValueException."""
    blocks = version.without_effect
    _check_vpc(blocks.get("VpcConfig", {}))
    if "DeadLetterConfig" in blocks:
        check_dead_letter_target(blocks["DeadLetterConfig"]["TargetArn"])
    if blocks.get("FileSystemConfigs") and not blocks.get("VpcConfig", {}).get("SubnetIds"):
        raise InvalidParameterValueException(
            "FileSystemConfigs can be used only by functions that are connected to a VPC. Give a VpcConfig."
        )
    if "ImageConfigResponse" in blocks and version.image_uri is None:
        raise InvalidParameterValueException("Please don't provide ImageConfig for a function with packageType Zip.")
    if is_snap_start_on(version):
        _check_snap_start(version)


def is_snap_start_on(version: FunctionVersion) -> bool:
    """Was SnapStart asked for?"""
    return bool(version.without_effect.get("SnapStart", {}).get("ApplyOn") == "PublishedVersions")


def check_dead_letter_target(arn: str) -> None:
    """A queue or a topic."""
    if _DEAD_LETTER_TARGET.fullmatch(arn) is None:
        raise InvalidParameterValueException(
            f"The dead letter target {arn} is not the ARN of an Amazon SQS queue or of an Amazon SNS topic."
        )


def _check_vpc(config: Mapping[str, Any]) -> None:
    if bool(config.get("SubnetIds")) != bool(config.get("SecurityGroupIds")):
        raise InvalidParameterValueException("SubnetIds and SecurityIds must coexist or be both empty list.")


def _check_snap_start(version: FunctionVersion) -> None:
    check_no_tenants(version, "SnapStart")
    if version.image_uri is not None:
        raise InvalidParameterValueException("ContainerImage is not supported for SnapStart enabled functions.")
    if version.runtime not in SNAP_START_RUNTIMES:
        raise InvalidParameterValueException(f"{version.runtime} is not supported for SnapStart enabled functions.")
    if version.without_effect.get("FileSystemConfigs"):
        raise InvalidParameterValueException("FileSystemConfigs is not supported for SnapStart enabled functions.")
    if version.ephemeral_storage_mb > limits.EPHEMERAL_STORAGE_MIN_MB:
        raise InvalidParameterValueException(
            f"EphemeralStorage greater than {limits.EPHEMERAL_STORAGE_MIN_MB} MB is not supported for SnapStart "
            "enabled functions."
        )
