"""PublishLayerVersion, GetLayerVersion, GetLayerVersionByArn, ListLayers, ListLayerVersions, DeleteLayerVersion;
AddLayerVersionPermission, GetLayerVersionPolicy, RemoveLayerVersionPermission."""

from __future__ import annotations

from lambent.aws.context import Operations, Params, RequestContext
from lambent.control_plane.functions import FunctionsControlPlane
from lambent.control_plane.policies import Permission, no_such_resource
from lambent.control_plane.requests import LayerFilter, PublishLayerRequest
from lambent.model.errors import access_denied
from lambent.model.layer import LayerId, LayerVersion, parse_layer_arn
from lambent.model.resource_policy import compact_json
from lambent.services.lambda_.code import archive_of
from lambent.services.lambda_.download import CodeDownloads
from lambent.services.lambda_.paging import marker, page_size, position
from lambent.services.lambda_.support import refuse_unsupported


class Layers:
    """The operations on layers and their policies."""

    def __init__(self, control_plane: FunctionsControlPlane, downloads: CodeDownloads) -> None:
        self._layers = control_plane.layers
        self._permissions = control_plane.layer_permissions
        self._downloads = downloads

    def operations(self) -> Operations:
        return {
            "PublishLayerVersion": self.publish_layer_version,
            "GetLayerVersion": self.get_layer_version,
            "GetLayerVersionByArn": self.get_layer_version_by_arn,
            "ListLayers": self.list_layers,
            "ListLayerVersions": self.list_layer_versions,
            "DeleteLayerVersion": self.delete_layer_version,
            "AddLayerVersionPermission": self.add_layer_version_permission,
            "GetLayerVersionPolicy": self.get_layer_version_policy,
            "RemoveLayerVersionPermission": self.remove_layer_version_permission,
        }

    async def publish_layer_version(self, ctx: RequestContext, params: Params) -> Params:
        layer = _own_layer(ctx, params)
        refuse_unsupported("PublishLayerVersion", params)
        made = await self._layers.publish(
            PublishLayerRequest(
                layer=layer,
                content=archive_of(params["Content"]),
                description=params.get("Description", ""),
                compatible_runtimes=tuple(params.get("CompatibleRuntimes", ())),
                compatible_architectures=tuple(params.get("CompatibleArchitectures", ())),
                license_info=params.get("LicenseInfo"),
            )
        )
        return self._whole(ctx, made)

    async def get_layer_version(self, ctx: RequestContext, params: Params) -> Params:
        layer = _layer(ctx, params["LayerName"])
        return self._whole(ctx, await self._layers.get(layer, params["VersionNumber"], ctx.principal))

    async def get_layer_version_by_arn(self, ctx: RequestContext, params: Params) -> Params:
        layer, number = parse_layer_arn(params["Arn"]) or (None, None)
        if layer is None or number is None or layer.region != ctx.region:
            raise no_such_resource()
        return self._whole(ctx, await self._layers.get(layer, number, ctx.principal))

    async def list_layers(self, ctx: RequestContext, params: Params) -> Params:
        after = position("ListLayers", params)
        page = await self._layers.list_layers(ctx.account, ctx.region, _filter(params), after, page_size(params))
        layers = [
            {
                "LayerName": newest.layer.name,
                "LayerArn": newest.layer.arn,
                "LatestMatchingVersion": _listed(newest),
            }
            for newest in page.versions
        ]
        answer: Params = {"Layers": layers}
        if page.following is not None:
            answer["NextMarker"] = marker("ListLayers", page.following)
        return answer

    async def list_layer_versions(self, ctx: RequestContext, params: Params) -> Params:
        layer = _own_layer(ctx, params)
        after = position("ListLayerVersions", params)
        page = await self._layers.list_versions(layer, _filter(params), after, page_size(params))
        answer: Params = {"LayerVersions": [_listed(version) for version in page.versions]}
        if page.following is not None:
            answer["NextMarker"] = marker("ListLayerVersions", page.following)
        return answer

    async def delete_layer_version(self, ctx: RequestContext, params: Params) -> Params:
        await self._layers.delete(_own_layer(ctx, params), params["VersionNumber"])
        return {}

    async def add_layer_version_permission(self, ctx: RequestContext, params: Params) -> Params:
        layer, number = _own_layer(ctx, params), params["VersionNumber"]
        permission = Permission(
            resource=layer.version_arn(number),
            statement_id=params["StatementId"],
            action=params["Action"],
            principal=params["Principal"],
            organization_id=params.get("OrganizationId"),
        )
        statement, revision_id = await self._permissions.add(layer, number, permission, params.get("RevisionId"))
        return {"Statement": compact_json(statement), "RevisionId": revision_id}

    async def get_layer_version_policy(self, ctx: RequestContext, params: Params) -> Params:
        policy = await self._permissions.get(_own_layer(ctx, params), params["VersionNumber"])
        return {"Policy": policy.text, "RevisionId": policy.revision_id}

    async def remove_layer_version_permission(self, ctx: RequestContext, params: Params) -> Params:
        layer, statement_id = _own_layer(ctx, params), params["StatementId"]
        await self._permissions.remove(layer, params["VersionNumber"], statement_id, params.get("RevisionId"))
        return {}

    def _whole(self, ctx: RequestContext, version: LayerVersion) -> Params:
        return _listed(version) | {
            "LayerArn": version.layer.arn,
            "Description": version.description,
            "Content": {
                "Location": self._downloads.location(ctx.endpoint_url, version),
                "CodeSha256": version.code_sha256,
                "CodeSize": version.code_size,
            },
        }


def _layer(ctx: RequestContext, name: str) -> LayerId:
    """The layer a LayerName means; the model has checked that it is a name or the ARN of a layer."""
    if ":" not in name:
        return LayerId(ctx.account, ctx.region, name)
    layer, _ = parse_layer_arn(name) or (None, None)
    if layer is None or layer.region != ctx.region:
        raise no_such_resource()
    return layer


def _own_layer(ctx: RequestContext, params: Params) -> LayerId:
    """Where only the account itself may ask: a layer's policy lets others read its versions and nothing else."""
    layer = _layer(ctx, params["LayerName"])
    if layer.account != ctx.account:
        action = f"lambda:{ctx.operation}"
        raise access_denied(
            f"User: {ctx.principal.arn} is not authorized to perform: {action} on resource: {layer.arn} "
            f"because no resource-based policy allows the {action} action"
        )
    return layer


def _filter(params: Params) -> LayerFilter:
    return LayerFilter(params.get("CompatibleRuntime"), params.get("CompatibleArchitecture"))


def _listed(version: LayerVersion) -> Params:
    optional = {
        "Description": version.description,
        "CompatibleRuntimes": list(version.compatible_runtimes),
        "CompatibleArchitectures": list(version.compatible_architectures),
        "LicenseInfo": version.license_info,
    }
    return {
        "LayerVersionArn": version.arn,
        "Version": version.version,
        "CreatedDate": version.created_date,
    } | {name: value for name, value in optional.items() if value}
