"""What each Lambda operation needs to be allowed: action, resource, condition keys.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html. A function's tags
(aws:ResourceTag) and a mapping's function (lambda:FunctionArn, but when it is made) are not known to conditions here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from lambent.aws.authorisation import AccessRule, AccessRules
from lambent.aws.context import Params, RequestContext
from lambent.iam.enforcement import Access
from lambent.model.arn import FunctionReference, parse_function_reference
from lambent.model.ids import AccountId, Region
from lambent.model.resource_policy import function_policy_key, layer_policy_key
from lambent.store.api import RESOURCE_POLICIES

_LAMBDA: Final = "lambda.amazonaws.com"
_LAYER_ARN = re.compile(
    r"arn:aws[a-zA-Z-]*:lambda:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):layer:(?P<name>[\w-]+)(?::(?P<version>\d+))?"
)
_FUNCTION_ARN = re.compile(r"arn:aws[a-zA-Z-]*:lambda:[a-z0-9-]+:\d{12}:function:.+")
_ROLE_ACCOUNT = re.compile(r"arn:aws[a-zA-Z-]*:iam::(?P<account>\d{12}):role/.+")

Keys = dict[str, tuple[str, ...]]


def _reference(context: RequestContext, params: Params) -> FunctionReference:
    return parse_function_reference(
        params["FunctionName"], params.get("Qualifier"), account=context.account, region=context.region
    )


def _on_function(
    action: str, context: RequestContext, params: Params, keys: Mapping[str, tuple[str, ...]] | None = None
) -> Access:
    if not keys:
        return _plainly(action, params["FunctionName"], params.get("Qualifier"), context.account, context.region)
    return _access(action, _reference(context, params), keys)


@lru_cache(maxsize=4096)
def _plainly(action: str, name: str, qualifier: str | None, account: AccountId, region: Region) -> Access:
    """What most requests need, and the same again and again."""
    return _access(action, parse_function_reference(name, qualifier, account=account, region=region), {})


def _access(action: str, reference: FunctionReference, keys: Mapping[str, tuple[str, ...]]) -> Access:
    return Access(
        f"lambda:{action}",
        reference.arn,
        reference.function.account,
        keys,
        resource_policy=(RESOURCE_POLICIES, function_policy_key(reference.function, reference.qualifier)),
        is_data_event=action.startswith("Invoke"),
    )


def _function(action: str) -> AccessRule:
    def rule(context: RequestContext, params: Params) -> Sequence[Access]:
        return (_on_function(action, context, params),)

    return rule


def _create_function(context: RequestContext, params: Params) -> Sequence[Access]:
    keys = _tag_keys(params.get("Tags")) | _layer_keys(params)
    if "CodeSigningConfigArn" in params:
        keys["lambda:codesigningconfigarn"] = (params["CodeSigningConfigArn"],)
    own = _on_function("CreateFunction", context, params, keys)
    return (own, *_passed(context, params), *_layers(params), *_fetched(params.get("Code", {})))


def _update_function_code(context: RequestContext, params: Params) -> Sequence[Access]:
    return (_on_function("UpdateFunctionCode", context, params), *_fetched(params))


def _publish_layer_version(context: RequestContext, params: Params) -> Sequence[Access]:
    return (_named_layer("PublishLayerVersion", context, params), *_fetched(params.get("Content", {})))


def _fetched(code: Params) -> Sequence[Access]:
    """Code is fetched from S3 with the operator's credentials: who asks for it must be allowed to read it."""
    if "S3Bucket" not in code:
        return ()
    action = "s3:GetObjectVersion" if "S3ObjectVersion" in code else "s3:GetObject"
    return (Access(action, f"arn:aws:s3:::{code['S3Bucket']}/{code.get('S3Key', '')}"),)


def _update_function_configuration(context: RequestContext, params: Params) -> Sequence[Access]:
    own = _on_function("UpdateFunctionConfiguration", context, params, _layer_keys(params))
    return (own, *_passed(context, params), *_layers(params))


def _passed(context: RequestContext, params: Params) -> Sequence[Access]:
    """To give a function a role one must be allowed to: else who may create functions may do what any role may."""
    role = params.get("Role")
    if role is None:
        return ()
    match = _ROLE_ACCOUNT.fullmatch(role)
    keys = {
        "iam:passedtoservice": (_LAMBDA,),
        "iam:associatedresourcearn": (_reference(context, params).function.arn,),
    }
    return (Access("iam:PassRole", role, match["account"] if match else None, keys),)


def _layer_keys(params: Params) -> Keys:
    layers = tuple(params.get("Layers") or ())
    return {"lambda:layer": layers} if layers else {}


def _layers(params: Params) -> Sequence[Access]:
    return [_on_layer("GetLayerVersion", arn) for arn in params.get("Layers") or ()]


def _on_layer(action: str, arn: str) -> Access:
    match = _LAYER_ARN.fullmatch(arn)
    if match is None:
        return Access(f"lambda:{action}", "*")
    policy = None
    if match["version"] is not None:
        account = AccountId(match["account"])
        key = layer_policy_key(account, Region(match["region"]), match["name"], int(match["version"]))
        policy = (RESOURCE_POLICIES, key)
    return Access(f"lambda:{action}", arn, match["account"], resource_policy=policy)


def _layer(action: str) -> AccessRule:
    def rule(context: RequestContext, params: Params) -> Sequence[Access]:
        return (_named_layer(action, context, params),)

    return rule


def _named_layer(action: str, context: RequestContext, params: Params) -> Access:
    name = params["LayerName"]
    arn = name if name.startswith("arn:") else f"arn:aws:lambda:{context.region}:{context.account}:layer:{name}"
    version = params.get("VersionNumber")
    return _on_layer(action, arn if version is None else f"{arn}:{version}")


def _layer_by_arn(_: RequestContext, params: Params) -> Sequence[Access]:
    return (_on_layer("GetLayerVersion", params["Arn"]),)


def _add_permission(context: RequestContext, params: Params) -> Sequence[Access]:
    keys: Keys = {"lambda:principal": (params["Principal"],)}
    if "FunctionUrlAuthType" in params:
        keys["lambda:functionurlauthtype"] = (params["FunctionUrlAuthType"],)
    return (_on_function("AddPermission", context, params, keys),)


def _function_url(action: str) -> AccessRule:
    def rule(context: RequestContext, params: Params) -> Sequence[Access]:
        auth_type = params.get("AuthType")
        keys: Keys = {} if auth_type is None else {"lambda:functionurlauthtype": (auth_type,)}
        return (_on_function(action, context, params, keys),)

    return rule


def _create_event_source_mapping(context: RequestContext, params: Params) -> Sequence[Access]:
    keys = {"lambda:functionarn": (_reference(context, params).arn,)} | _tag_keys(params.get("Tags"))
    return (Access("lambda:CreateEventSourceMapping", "*", context.account, keys),)


def _event_source_mapping(action: str) -> AccessRule:
    def rule(context: RequestContext, params: Params) -> Sequence[Access]:
        arn = f"arn:aws:lambda:{context.region}:{context.account}:event-source-mapping:{params['UUID']}"
        keys: Keys = {}
        if "FunctionName" in params:
            keys["lambda:functionarn"] = (_reference(context, params).arn,)
        return (Access(f"lambda:{action}", arn, context.account, keys),)

    return rule


def _member(action: str, member: str) -> AccessRule:
    """The ARN is in the request."""

    def rule(_: RequestContext, params: Params) -> Sequence[Access]:
        arn = str(params[member])
        keys = _tag_keys(params.get("Tags"))
        if "TagKeys" in params:
            keys["aws:tagkeys"] = tuple(params["TagKeys"])
        parts = arn.split(":")
        account = parts[4] if len(parts) > 5 else None
        if _FUNCTION_ARN.fullmatch(arn):
            return (Access(f"lambda:{action}", arn, account, keys),)
        return (Access(f"lambda:{action}", arn if arn.startswith("arn:") else "*", account, keys),)

    return rule


def _capacity_provider(action: str) -> AccessRule:
    def rule(context: RequestContext, params: Params) -> Sequence[Access]:
        name = params["CapacityProviderName"]
        arn = f"arn:aws:lambda:{context.region}:{context.account}:capacity-provider:{name}"
        return (Access(f"lambda:{action}", name if name.startswith("arn:") else arn, context.account),)

    return rule


def _everything(action: str) -> AccessRule:
    def rule(_: RequestContext, params: Params) -> Sequence[Access]:
        return (Access(f"lambda:{action}", keys=_tag_keys(params.get("Tags"))),)

    return rule


def _tag_keys(tags: Mapping[str, str] | None) -> Keys:
    if not tags:
        return {}
    return {f"aws:requesttag/{key.lower()}": (value,) for key, value in tags.items()} | {"aws:tagkeys": tuple(tags)}


def _each(rule: Callable[[str], AccessRule], *operations: str) -> dict[str, AccessRule]:
    return {operation: rule(operation) for operation in operations}


RULES: Final[AccessRules] = {
    "CreateFunction": _create_function,
    "UpdateFunctionConfiguration": _update_function_configuration,
    "UpdateFunctionCode": _update_function_code,
    "PublishLayerVersion": _publish_layer_version,
    "Invoke": _function("InvokeFunction"),
    "InvokeWithResponseStream": _function("InvokeFunction"),
    "AddPermission": _add_permission,
    **_each(
        _function,
        "CreateAlias", "DeleteAlias", "DeleteFunction", "DeleteFunctionCodeSigningConfig", "DeleteFunctionConcurrency",
        "DeleteFunctionEventInvokeConfig", "DeleteProvisionedConcurrencyConfig", "GetAlias", "GetFunction",
        "GetFunctionCodeSigningConfig", "GetFunctionConcurrency", "GetFunctionConfiguration",
        "GetFunctionEventInvokeConfig", "GetFunctionRecursionConfig", "GetFunctionScalingConfig", "GetPolicy",
        "GetProvisionedConcurrencyConfig", "GetRuntimeManagementConfig", "InvokeAsync", "ListAliases",
        "ListDurableExecutionsByFunction", "ListFunctionEventInvokeConfigs", "ListFunctionUrlConfigs",
        "ListProvisionedConcurrencyConfigs", "ListVersionsByFunction", "PublishVersion",
        "PutFunctionCodeSigningConfig", "PutFunctionConcurrency", "PutFunctionEventInvokeConfig",
        "PutFunctionRecursionConfig", "PutFunctionScalingConfig", "PutProvisionedConcurrencyConfig",
        "PutRuntimeManagementConfig", "RemovePermission", "UpdateAlias",
        "UpdateFunctionEventInvokeConfig",
    ),
    **_each(
        _function_url,
        "CreateFunctionUrlConfig", "DeleteFunctionUrlConfig", "GetFunctionUrlConfig", "UpdateFunctionUrlConfig",
    ),
    **_each(
        _layer,
        "AddLayerVersionPermission", "DeleteLayerVersion", "GetLayerVersion", "GetLayerVersionPolicy",
        "RemoveLayerVersionPermission",
    ),
    "GetLayerVersionByArn": _layer_by_arn,
    "CreateEventSourceMapping": _create_event_source_mapping,
    **_each(
        _event_source_mapping, "DeleteEventSourceMapping", "GetEventSourceMapping", "UpdateEventSourceMapping"
    ),
    **{name: _member(name, "Resource") for name in ("ListTags", "TagResource", "UntagResource")},
    **{name: _member(name, "ResourceArn") for name in (
        "DeleteResourcePolicy", "GetResourcePolicy", "PutResourcePolicy",
    )},
    **{name: _member(name, "CodeSigningConfigArn") for name in (
        "DeleteCodeSigningConfig", "GetCodeSigningConfig", "ListFunctionsByCodeSigningConfig",
        "UpdateCodeSigningConfig",
    )},
    **{name: _member(name, "DurableExecutionArn") for name in (
        "CheckpointDurableExecution", "DeleteDurableExecution", "GetDurableExecution", "GetDurableExecutionHistory",
        "GetDurableExecutionState", "PauseDurableExecution", "ResumeDurableExecution", "StopDurableExecution",
    )},
    **_each(
        _capacity_provider,
        "CreateCapacityProvider", "DeleteCapacityProvider", "GetCapacityProvider",
        "ListFunctionVersionsByCapacityProvider", "UpdateCapacityProvider",
    ),
    **_each(
        _everything,
        "CreateCodeSigningConfig", "GetAccountSettings", "ListCapacityProviders", "ListCodeSigningConfigs",
        "ListEventSourceMappings", "ListFunctions", "ListLayers", "ListLayerVersions",
        "SendDurableExecutionCallbackFailure", "SendDurableExecutionCallbackHeartbeat",
        "SendDurableExecutionCallbackSuccess",
    ),
}  # fmt: skip
"""Operation → what it needs."""
