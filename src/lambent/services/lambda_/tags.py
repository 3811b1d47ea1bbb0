"""ListTags, TagResource, UntagResource: of functions; nothing else has tags yet."""

from __future__ import annotations

from lambent.aws.context import Operations, Params, RequestContext
from lambent.control_plane.functions import FunctionsControlPlane
from lambent.model.arn import FunctionId
from lambent.model.errors import InvalidParameterValueException
from lambent.services.lambda_.references import reference


class Tags:
    """The operations on tags."""

    def __init__(self, control_plane: FunctionsControlPlane) -> None:
        self._control_plane = control_plane

    def operations(self) -> Operations:
        return {
            "ListTags": self.list_tags,
            "TagResource": self.tag_resource,
            "UntagResource": self.untag_resource,
        }

    async def list_tags(self, ctx: RequestContext, params: Params) -> Params:
        found = await self._control_plane.queries.function(_function(ctx, params))
        return {"Tags": dict(found.record.tags)}

    async def tag_resource(self, ctx: RequestContext, params: Params) -> Params:
        function = _function(ctx, params)
        if not params.get("Tags"):
            raise _nothing_to_do()
        await self._control_plane.change_tags(function, add=params["Tags"])
        return {}

    async def untag_resource(self, ctx: RequestContext, params: Params) -> Params:
        function = _function(ctx, params)
        if not params.get("TagKeys"):
            raise _nothing_to_do()
        await self._control_plane.change_tags(function, remove=params["TagKeys"])
        return {}


def _function(ctx: RequestContext, params: Params) -> FunctionId:
    """The function that an ARN names; the model has checked that it is one of a resource that can be tagged."""
    if ":function:" not in params["Resource"]:
        raise InvalidParameterValueException(f"Tags of {params['Resource']} are not offered by Lambent yet.")
    found = reference(ctx, {"FunctionName": params["Resource"]})
    if found.qualifier is not None:
        raise InvalidParameterValueException(
            "Tags on function aliases and versions are not supported. Please specify a function ARN."
        )
    return found.function


def _nothing_to_do() -> InvalidParameterValueException:
    return InvalidParameterValueException("An error occurred and the request cannot be processed.")
