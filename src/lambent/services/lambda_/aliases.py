"""CreateAlias, GetAlias, UpdateAlias, DeleteAlias, ListAliases."""

from __future__ import annotations

from collections.abc import Mapping

from lambent.aws.context import Operations, Params, RequestContext
from lambent.control_plane.alias_configuration import CreateAliasRequest, UpdateAliasRequest
from lambent.control_plane.functions import FunctionsControlPlane
from lambent.model.alias import AliasConfiguration
from lambent.services.lambda_.paging import marker, page_size, position
from lambent.services.lambda_.references import unqualified

_LIST = "ListAliases"


class Aliases:
    """The operations on aliases."""

    def __init__(self, control_plane: FunctionsControlPlane) -> None:
        self._aliases = control_plane.aliases

    def operations(self) -> Operations:
        return {
            "CreateAlias": self.create_alias,
            "GetAlias": self.get_alias,
            "UpdateAlias": self.update_alias,
            "DeleteAlias": self.delete_alias,
            _LIST: self.list_aliases,
        }

    async def create_alias(self, ctx: RequestContext, params: Params) -> Params:
        request = CreateAliasRequest(
            function=unqualified(ctx, params),
            name=params["Name"],
            function_version=params["FunctionVersion"],
            description=params.get("Description", ""),
            weights=_weights(params),
        )
        return alias_configuration(await self._aliases.create(request))

    async def get_alias(self, ctx: RequestContext, params: Params) -> Params:
        return alias_configuration(await self._aliases.get(unqualified(ctx, params), params["Name"]))

    async def update_alias(self, ctx: RequestContext, params: Params) -> Params:
        request = UpdateAliasRequest(
            function=unqualified(ctx, params),
            name=params["Name"],
            function_version=params.get("FunctionVersion"),
            description=params.get("Description"),
            weights=_weights(params),
            revision_id=params.get("RevisionId"),
        )
        return alias_configuration(await self._aliases.update(request))

    async def delete_alias(self, ctx: RequestContext, params: Params) -> Params:
        await self._aliases.delete(unqualified(ctx, params), params["Name"])
        return {}

    async def list_aliases(self, ctx: RequestContext, params: Params) -> Params:
        function = unqualified(ctx, params)
        after = position(_LIST, params)
        page = await self._aliases.list_aliases(function, params.get("FunctionVersion"), after, page_size(params))
        answer: Params = {"Aliases": [alias_configuration(alias) for alias in page.aliases]}
        if page.following is not None:
            answer["NextMarker"] = marker(_LIST, page.following)
        return answer


def alias_configuration(alias: AliasConfiguration) -> Params:
    """The API's AliasConfiguration: https://docs.aws.amazon.com/lambda/latest/api/API_AliasConfiguration.html"""
    answer: Params = {
        "AliasArn": alias.arn,
        "Name": alias.name,
        "FunctionVersion": alias.function_version,
        "Description": alias.description,
        "RevisionId": alias.revision_id,
    }
    if alias.additional_version_weights:
        answer["RoutingConfig"] = {"AdditionalVersionWeights": dict(alias.additional_version_weights)}
    return answer


def _weights(params: Params) -> Mapping[str, float] | None:
    """AdditionalVersionWeights; an empty RoutingConfig says that there are none, an absent one says nothing."""
    routing = params.get("RoutingConfig")
    return None if routing is None else routing.get("AdditionalVersionWeights", {})
