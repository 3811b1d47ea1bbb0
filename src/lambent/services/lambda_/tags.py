"""ListTags, TagResource, UntagResource: of functions, code signing configurations and event source mappings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lambent.aws.context import Operations, Params, RequestContext
from lambent.control_plane.event_source_mappings import MappingPlace
from lambent.control_plane.functions import FunctionsControlPlane
from lambent.model.arn import FunctionId
from lambent.model.errors import InvalidParameterValueException
from lambent.services.lambda_.code_signing import own_arn
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
        control_plane, arn = self._control_plane, params["Resource"]
        if ":code-signing-config:" in arn:
            return {"Tags": dict((await control_plane.code_signing.get(own_arn(ctx, arn))).tags)}
        if ":event-source-mapping:" in arn:
            return {"Tags": dict((await control_plane.event_source_mappings.get(_mapping(ctx, arn))).tags)}
        found = await control_plane.queries.function(_function(ctx, arn))
        return {"Tags": dict(found.record.tags)}

    async def tag_resource(self, ctx: RequestContext, params: Params) -> Params:
        if not params.get("Tags"):
            raise _nothing_to_do()
        await self._change(ctx, params["Resource"], params["Tags"], ())
        return {}

    async def untag_resource(self, ctx: RequestContext, params: Params) -> Params:
        if not params.get("TagKeys"):
            raise _nothing_to_do()
        await self._change(ctx, params["Resource"], {}, params["TagKeys"])
        return {}

    async def _change(self, ctx: RequestContext, arn: str, add: Mapping[str, str], remove: Sequence[str]) -> None:
        control_plane = self._control_plane
        if ":code-signing-config:" in arn:
            await control_plane.code_signing.change_tags(own_arn(ctx, arn), add=add, remove=remove)
        elif ":event-source-mapping:" in arn:
            await control_plane.event_source_mappings.change_tags(_mapping(ctx, arn), add=add, remove=remove)
        else:
            await control_plane.change_tags(_function(ctx, arn), add=add, remove=remove)


def _mapping(ctx: RequestContext, arn: str) -> MappingPlace:
    return MappingPlace(ctx.account, ctx.region, own_arn(ctx, arn).split(":")[6])


def _function(ctx: RequestContext, arn: str) -> FunctionId:
    """The function that an ARN names; the model has checked that it is one of a resource that can be tagged."""
    if ":function:" not in arn:
        raise InvalidParameterValueException(f"Tags of {arn} are not offered by Lambent yet.")
    found = reference(ctx, {"FunctionName": arn})
    if found.qualifier is not None:
        raise InvalidParameterValueException(
            "Tags on function aliases and versions are not supported. Please specify a function ARN."
        )
    return found.function


def _nothing_to_do() -> InvalidParameterValueException:
    return InvalidParameterValueException("An error occurred and the request cannot be processed.")
