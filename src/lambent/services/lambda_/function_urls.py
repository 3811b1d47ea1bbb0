"""CreateFunctionUrlConfig, GetFunctionUrlConfig, UpdateFunctionUrlConfig, ListFunctionUrlConfigs,
DeleteFunctionUrlConfig."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from urllib.parse import urlsplit

from lambent.aws.context import Operations, Params, RequestContext
from lambent.control_plane.function_urls import BUFFERED, FunctionUrl
from lambent.control_plane.functions import FunctionsControlPlane
from lambent.model.arn import LATEST, FunctionId
from lambent.services.lambda_.paging import continued, page_size, position
from lambent.services.lambda_.references import reference, unqualified

_LIST = "ListFunctionUrlConfigs"


class FunctionUrls:
    """The operations on function URLs."""

    def __init__(self, control_plane: FunctionsControlPlane) -> None:
        self._urls = control_plane.function_urls

    def operations(self) -> Operations:
        return {
            "CreateFunctionUrlConfig": self.create_function_url_config,
            "GetFunctionUrlConfig": self.get_function_url_config,
            "UpdateFunctionUrlConfig": self.update_function_url_config,
            "DeleteFunctionUrlConfig": self.delete_function_url_config,
            _LIST: self.list_function_url_configs,
        }

    async def create_function_url_config(self, ctx: RequestContext, params: Params) -> Params:
        asked = reference(ctx, params)
        created = await self._urls.create(asked, params["AuthType"], params.get("Cors"), params.get("InvokeMode"))
        answer = _config(ctx, asked.function, asked.qualifier, created)
        del answer["LastModifiedTime"]
        if created.invoke_mode is None:
            del answer["InvokeMode"]
        return answer

    async def get_function_url_config(self, ctx: RequestContext, params: Params) -> Params:
        asked = reference(ctx, params)
        return _config(ctx, asked.function, asked.qualifier, await self._urls.get(asked))

    async def update_function_url_config(self, ctx: RequestContext, params: Params) -> Params:
        asked = reference(ctx, params)
        url = await self._urls.update(asked, params.get("AuthType"), params.get("Cors"), params.get("InvokeMode"))
        return _config(ctx, asked.function, asked.qualifier, url)

    async def delete_function_url_config(self, ctx: RequestContext, params: Params) -> Params:
        await self._urls.delete(reference(ctx, params))
        return {}

    async def list_function_url_configs(self, ctx: RequestContext, params: Params) -> Params:
        function = unqualified(ctx, params)
        page = await self._urls.list_urls(function, position(_LIST, params), page_size(params))
        configs = [
            _config(ctx, function, None if qualifier == LATEST else qualifier, url) for qualifier, url in page.urls
        ]
        return continued({"FunctionUrlConfigs": configs}, _LIST, page.following)


def url_address(endpoint_url: str, region: str, url_id: str) -> str:
    """Where a function URL will be answered: a name below the endpoint's own, which it can tell from its Host header.

    An endpoint that is called by an IP address has no names below it; `localhost` has.
    """
    endpoint = urlsplit(endpoint_url)
    host, port = endpoint.hostname or "localhost", "" if endpoint.port is None else f":{endpoint.port}"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        host = "localhost"
    return f"{endpoint.scheme}://{url_id}.lambda-url.{region}.{host}{port}/"


def _config(ctx: RequestContext, function: FunctionId, qualifier: str | None, url: FunctionUrl) -> Params:
    answer: Params = {
        "FunctionUrl": url_address(ctx.endpoint_url, function.region, url.url_id),
        "FunctionArn": function.arn if qualifier is None else function.qualified_arn(qualifier),
        "AuthType": url.auth_type,
        "CreationTime": _iso(url.created),
        "LastModifiedTime": _iso(url.modified),
        "InvokeMode": url.invoke_mode or BUFFERED,
    }
    if url.cors:
        answer["Cors"] = dict(url.cors)
    return answer


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
