"""Which function a request is about, and whether its caller may ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambent.aws.context import RequestContext
from lambent.model.arn import LATEST, FunctionId, FunctionReference, parse_function_reference
from lambent.model.errors import InvalidParameterValueException, ServiceError, access_denied

_ACTIONS = {"Invoke": "InvokeFunction", "InvokeAsync": "InvokeFunction"}


def reference(ctx: RequestContext, params: Mapping[str, Any], *, creating: bool = False) -> FunctionReference:
    """FunctionName and Qualifier, resolved, where only the account itself may ask.

    Raises InvalidParameterValueException, ResourceNotFoundException (another region), AccessDeniedException.
    """
    found = named(ctx, params, creating=creating)
    if found.function.account != ctx.account:
        raise not_authorized(ctx, found)
    return found


def named(ctx: RequestContext, params: Mapping[str, Any], *, creating: bool = False) -> FunctionReference:
    """FunctionName and Qualifier, resolved, perhaps another account's. Raises InvalidParameterValueException,
    ResourceNotFoundException (another region)."""
    return parse_function_reference(
        params["FunctionName"],
        params.get("Qualifier"),
        account=ctx.account,
        region=ctx.region,
        creating=creating,
    )


def action(ctx: RequestContext) -> str:
    """What policies call the operation."""
    return f"lambda:{_ACTIONS.get(ctx.operation, ctx.operation)}"


def not_authorized(ctx: RequestContext, found: FunctionReference) -> ServiceError:
    """Another account's function, or one that does not exist there: the answer does not tell which."""
    return access_denied(
        f"User: {ctx.principal.arn} is not authorized to perform: {action(ctx)} on resource: {found.arn} "
        f"because no resource-based policy allows the {action(ctx)} action"
    )


def unqualified(ctx: RequestContext, params: Mapping[str, Any], *, creating: bool = False) -> FunctionId:
    """FunctionName where only a function makes sense, not a version or alias of it ($LATEST is the function)."""
    found = reference(ctx, params, creating=creating)
    if found.qualifier not in (None, LATEST):
        raise InvalidParameterValueException(
            "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation."
            " Please specify either a function name or an unqualified function ARN."
        )
    return found.function
