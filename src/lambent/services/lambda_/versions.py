"""PublishVersion, ListVersionsByFunction."""

from __future__ import annotations

from lambent.aws.context import Operations, Params, RequestContext
from lambent.control_plane.functions import FunctionsControlPlane
from lambent.control_plane.requests import PublishRequest
from lambent.services.lambda_.configuration import function_configuration, listed_configuration
from lambent.services.lambda_.paging import marker, page_size, position
from lambent.services.lambda_.references import unqualified
from lambent.services.lambda_.support import refuse_unsupported

_LIST = "ListVersionsByFunction"


class Versions:
    """The operations on versions."""

    def __init__(self, control_plane: FunctionsControlPlane) -> None:
        self._control_plane = control_plane

    def operations(self) -> Operations:
        return {"PublishVersion": self.publish_version, _LIST: self.list_versions_by_function}

    async def publish_version(self, ctx: RequestContext, params: Params) -> Params:
        function = unqualified(ctx, params)
        refuse_unsupported("PublishVersion", params)
        request = PublishRequest(
            function=function,
            description=params.get("Description"),
            code_sha256=params.get("CodeSha256") or None,
            revision_id=params.get("RevisionId"),
        )
        return function_configuration(await self._control_plane.publish(request))

    async def list_versions_by_function(self, ctx: RequestContext, params: Params) -> Params:
        function = unqualified(ctx, params)
        after = position(_LIST, params)
        page = await self._control_plane.queries.list_versions(function, after, page_size(params))
        versions = [listed_configuration(version, arn=version.qualified_arn) for version in page.versions]
        answer: Params = {"Versions": versions}
        if page.following is not None:
            answer["NextMarker"] = marker(_LIST, page.following)
        return answer
