"""IAM OpenID Connect providers: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html"""

from __future__ import annotations

from lambent.aws.context import Operations, Params, RequestContext
from lambent.iam.entities import IamEntities
from lambent.services.iam.paging import page
from lambent.services.iam.shapes import date, tag_list, tag_pairs

_ARN = "OpenIDConnectProviderArn"


def operations(entities: IamEntities) -> Operations:
    """Operation name → handler."""
    resource = _ProviderOperations(entities)
    return {
        "CreateOpenIDConnectProvider": resource.create,
        "GetOpenIDConnectProvider": resource.get,
        "ListOpenIDConnectProviders": resource.list_all,
        "DeleteOpenIDConnectProvider": resource.delete,
        "AddClientIDToOpenIDConnectProvider": resource.add_client_id,
        "RemoveClientIDFromOpenIDConnectProvider": resource.remove_client_id,
        "UpdateOpenIDConnectProviderThumbprint": resource.update_thumbprint,
        "TagOpenIDConnectProvider": resource.tag,
        "UntagOpenIDConnectProvider": resource.untag,
        "ListOpenIDConnectProviderTags": resource.list_tags,
    }


class _ProviderOperations:
    def __init__(self, entities: IamEntities) -> None:
        self._providers = entities.open_id_providers

    async def create(self, ctx: RequestContext, params: Params) -> Params:
        provider = await self._providers.create(
            ctx.account,
            params["Url"],
            params.get("ClientIDList", ()),
            params.get("ThumbprintList", ()),
            tag_pairs(params),
        )
        answer: Params = {_ARN: provider.arn}
        return answer | {"Tags": tag_list(provider.tags)} if provider.tags else answer

    async def get(self, ctx: RequestContext, params: Params) -> Params:
        provider = await self._providers.get(ctx.account, params[_ARN])
        return {
            "Url": provider.name,
            "ClientIDList": list(provider.client_ids),
            "ThumbprintList": list(provider.thumbprints),
            "CreateDate": date(provider.created_at),
            "Tags": tag_list(provider.tags),
        }

    async def list_all(self, ctx: RequestContext, _: Params) -> Params:
        providers = await self._providers.list_all(ctx.account)
        return {"OpenIDConnectProviderList": [{"Arn": provider.arn} for provider in providers]}

    async def delete(self, ctx: RequestContext, params: Params) -> Params:
        await self._providers.delete(ctx.account, params[_ARN])
        return {}

    async def add_client_id(self, ctx: RequestContext, params: Params) -> Params:
        await self._providers.add_client_id(ctx.account, params[_ARN], params["ClientID"])
        return {}

    async def remove_client_id(self, ctx: RequestContext, params: Params) -> Params:
        await self._providers.remove_client_id(ctx.account, params[_ARN], params["ClientID"])
        return {}

    async def update_thumbprint(self, ctx: RequestContext, params: Params) -> Params:
        await self._providers.set_thumbprints(ctx.account, params[_ARN], params["ThumbprintList"])
        return {}

    async def tag(self, ctx: RequestContext, params: Params) -> Params:
        await self._providers.tag(ctx.account, params[_ARN], tag_pairs(params))
        return {}

    async def untag(self, ctx: RequestContext, params: Params) -> Params:
        await self._providers.untag(ctx.account, params[_ARN], params["TagKeys"])
        return {}

    async def list_tags(self, ctx: RequestContext, params: Params) -> Params:
        provider = await self._providers.get(ctx.account, params[_ARN])
        tags = tag_list(provider.tags)
        return page("Tags", tags, params, key=lambda tag: tag["Key"].lower(), shape=lambda tag: tag)
