"""What AWS demands of layers, in its words. Pure: raises or returns.

https://docs.aws.amazon.com/lambda/latest/dg/chapter-layers.html
"""

from __future__ import annotations

from collections.abc import Sequence

from lambent.control_plane.requests import LayerFilter
from lambent.model.arn import FunctionId
from lambent.model.errors import InvalidParameterValueException
from lambent.model.function import FunctionVersion
from lambent.model.layer import LayerVersion, parse_layer_arn
from lambent.model.limits import AWS_LIMITS, Limits


def check_layer_version(number: int) -> None:
    """A number that a layer version can have."""
    if number < 1:
        raise InvalidParameterValueException("Layer Version Cannot be less than 1")


def check_layer_list(arns: Sequence[str], function: FunctionId, limits: Limits = AWS_LIMITS) -> None:
    """At most five (by `limits`), of the function's region, and no two versions of one layer."""
    if len(arns) > limits.layers_max:
        raise InvalidParameterValueException(f"Cannot reference more than {limits.layers_max} layers.")
    seen: dict[str, str] = {}
    for arn in arns:
        named = parse_layer_arn(arn)
        if named is None:
            continue
        layer = named[0]
        if layer.region != function.region:
            raise InvalidParameterValueException(
                "Layers are not in the same region as the function. "
                f"Layers are expected to be in region {function.region}."
            )
        if layer.arn in seen:
            raise InvalidParameterValueException(
                "Two different versions of the same layer are not allowed to be referenced in the same function. "
                f"{seen[layer.arn]} and {arn} are versions of the same layer."
            )
        seen[layer.arn] = arn


def check_unzipped_size(version: FunctionVersion, limits: Limits = AWS_LIMITS) -> None:
    """Code and layers together."""
    size = version.code_unzipped_size + sum(layer.unzipped_size for layer in version.layers)
    if version.layers and size > limits.unzipped_max_bytes:
        raise InvalidParameterValueException(
            f"Function code combined with layers exceeds the maximum allowed size of {limits.unzipped_max_bytes} "
            f"bytes. The actual size is {size} bytes."
        )


def no_such_layer_version(arn: str) -> InvalidParameterValueException:
    """A function cannot use what is not there."""
    return InvalidParameterValueException(f"Layer version {arn} does not exist.")


def matches(version: LayerVersion, wanted: LayerFilter) -> bool:
    """Whether a layer version says that it is for that runtime and that architecture, where one is asked for."""
    return (wanted.compatible_runtime is None or wanted.compatible_runtime in version.compatible_runtimes) and (
        wanted.compatible_architecture is None or wanted.compatible_architecture in version.compatible_architectures
    )
