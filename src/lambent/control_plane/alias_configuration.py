"""What CreateAlias and UpdateAlias make of what is stored. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html: two versions at most, both published, and
never the same one twice.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace

from lambent.control_plane.validation import check_revision
from lambent.model.alias import AliasConfiguration
from lambent.model.arn import LATEST, FunctionId, FunctionReference
from lambent.model.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from lambent.model.ids import new_revision_id


@dataclass(frozen=True, slots=True)
class CreateAliasRequest:
    """CreateAlias. `weights`: RoutingConfig.AdditionalVersionWeights."""

    function: FunctionId
    name: str
    function_version: str
    description: str = ""
    weights: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class UpdateAliasRequest:
    """UpdateAlias. What is None stays as it is; empty weights end the routing."""

    function: FunctionId
    name: str
    function_version: str | None = None
    description: str | None = None
    weights: Mapping[str, float] | None = None
    revision_id: str | None = None


def decide_create_alias(
    request: CreateAliasRequest, existing: AliasConfiguration | None, versions: Container[str]
) -> AliasConfiguration:
    """CreateAlias. `versions`: those the function has, `$LATEST` included.

    Raises ResourceConflictException, ResourceNotFoundException, InvalidParameterValueException.
    """
    if existing is not None:
        raise ResourceConflictException(f"Alias already exists: {existing.arn}")
    alias = AliasConfiguration(
        function=request.function,
        name=request.name,
        function_version=request.function_version,
        revision_id=new_revision_id(),
        description=request.description,
        additional_version_weights=dict(request.weights or {}),
    )
    return _checked(alias, versions)


def decide_update_alias(
    alias: AliasConfiguration, request: UpdateAliasRequest, versions: Container[str]
) -> AliasConfiguration:
    """UpdateAlias. `versions` as above.

    Raises PreconditionFailedException, ResourceNotFoundException, InvalidParameterValueException.
    """
    check_revision(alias, request.revision_id)
    weights = alias.additional_version_weights if request.weights is None else dict(request.weights)
    return _checked(
        replace(
            alias,
            function_version=request.function_version or alias.function_version,
            description=alias.description if request.description is None else request.description,
            additional_version_weights=weights,
            revision_id=new_revision_id(),
        ),
        versions,
    )


def _checked(alias: AliasConfiguration, versions: Container[str]) -> AliasConfiguration:
    _check_exists(alias.function, alias.function_version, versions)
    weights = alias.additional_version_weights
    if len(weights) > 1:
        raise InvalidParameterValueException("Number of items in AdditionalVersionWeights cannot be greater than 1")
    for version in weights:
        if version == alias.function_version:
            raise InvalidParameterValueException(
                f"Invalid function version {version}. "
                f"Function version {version} is already included in routing configuration."
            )
        if alias.function_version == LATEST:
            raise InvalidParameterValueException(
                "$LATEST is not supported for an alias pointing to more than 1 version", Type=None
            )
        _check_exists(alias.function, version, versions)
    return alias


def _check_exists(function: FunctionId, version: str, versions: Container[str]) -> None:
    if version not in versions:
        raise ResourceNotFoundException(f"Function not found: {FunctionReference(function, version).arn}")
