"""What each member of each operation does here: in force, stored without effect, or refused. One table.

The coverage page is made from it, and `refuse_unsupported` enforces it. A member that is refused may still have
harmless values, which ask for nothing: those pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lambent.aws.support import YES as _YES
from lambent.aws.support import Effect, Member, Support, effective
from lambent.aws.support import refused as _no
from lambent.aws.support import without_effect as _idle
from lambent.model.errors import InvalidParameterValueException
from lambent.services.lambda_.settings_support import SETTINGS_SUPPORT

__all__ = ["SUPPORT", "Effect", "refuse_unsupported"]

_SHARED_CONFIGURATION: Final[Mapping[str, Member]] = {
    "FunctionName": _YES,
    "Runtime": _YES,
    "Role": _YES,
    "Handler": _YES,
    "Description": _YES,
    "Timeout": _YES,
    "MemorySize": _YES,
    "Environment": _YES,
    "EphemeralStorage": _YES,
    "LoggingConfig": _YES,
    "LoggingConfig.LogFormat": _YES,
    "LoggingConfig.ApplicationLogLevel": _YES,
    "LoggingConfig.SystemLogLevel": _YES,
    "LoggingConfig.LogGroup": _YES,
    "DeadLetterConfig": _YES,
    "TracingConfig": Member(
        Effect.EFFECTIVE, "Decides whether the trace header asks for sampling. Segments are not recorded."
    ),
    "KMSKeyArn": _idle("Environment variables are stored as they are."),
    "SnapStart.ApplyOn": _idle("No snapshots are made: OptimizationStatus stays Off."),
    "Layers": _YES,
    "FileSystemConfigs": _idle("Nothing is mounted."),
    "VpcConfig": _idle("There is no VPC: the network is the one of all functions. What it names is not looked up."),
    "ImageConfig": _idle("Container images are not run yet."),
    "DurableConfig": _no(),
    "CapacityProviderConfig": _no(),
    "RuntimeConfig": _no(),
    "AcceleratorConfig": _no(),
}

_ARCHIVE: Final[Mapping[str, Member]] = {
    "ZipFile": _YES,
    "S3Bucket": Member(Effect.EFFECTIVE, "Needs an S3 endpoint: --upstream s3=URL."),
    "S3Key": _YES,
    "S3ObjectVersion": _YES,
    "S3ObjectStorageMode": _no("Objects are copied.", "COPY"),
}

_CODE: Final[Mapping[str, Member]] = {
    **_ARCHIVE,
    "ImageUri": _idle("Container images are not run yet: the function's state becomes Failed."),
    "SourceKMSKeyArn": _no(),
}

_PAGE: Final[Mapping[str, Member]] = {"Marker": _YES, "MaxItems": _YES}

_ALIAS: Final = effective("FunctionName", "Name", "FunctionVersion", "Description")
_ROUTING: Final = effective("RoutingConfig", "RoutingConfig.AdditionalVersionWeights")

_LAYER_VERSION: Final[Mapping[str, Member]] = {"LayerName": _YES, "VersionNumber": _YES}
_LAYER_FILTER: Final[Mapping[str, Member]] = {"CompatibleRuntime": _YES, "CompatibleArchitecture": _YES}

SUPPORT: Final[Support] = {
    "CreateFunction": {
        **_SHARED_CONFIGURATION,
        **{f"Code.{name}": member for name, member in _CODE.items()},
        "Publish": _YES,
        "PublishTo": _no(),
        "PackageType": Member(Effect.EFFECTIVE, "A function of type Image becomes Failed: images are not run yet."),
        "Tags": _YES,
        "CodeSigningConfigArn": _idle("Stored: signatures are not verified yet."),
        "Architectures": _YES,
        "TenancyConfig": _YES,
        "TenancyConfig.TenantIsolationMode": _YES,
    },
    "UpdateFunctionCode": {
        **_CODE,
        "FunctionName": _YES,
        "Architectures": _YES,
        "Publish": _YES,
        "PublishTo": _no(),
        "DryRun": _YES,
        "RevisionId": _YES,
    },
    "UpdateFunctionConfiguration": {**_SHARED_CONFIGURATION, "RevisionId": _YES},
    "GetFunction": {"FunctionName": _YES, "Qualifier": _YES},
    "GetFunctionConfiguration": {"FunctionName": _YES, "Qualifier": _YES},
    "ListFunctions": {
        **_PAGE,
        "FunctionVersion": _YES,
        "MasterRegion": _idle("There are no replicas of Lambda@Edge functions."),
    },
    "DeleteFunction": {"FunctionName": _YES, "Qualifier": _YES},
    "PublishVersion": {
        "FunctionName": _YES,
        "CodeSha256": _YES,
        "Description": _YES,
        "RevisionId": _YES,
        "PublishTo": _no(),
    },
    "ListVersionsByFunction": {**_PAGE, "FunctionName": _YES},
    "CreateAlias": {**_ALIAS, **_ROUTING},
    "GetAlias": {"FunctionName": _YES, "Name": _YES},
    "UpdateAlias": {**_ALIAS, **_ROUTING, "RevisionId": _YES},
    "DeleteAlias": {"FunctionName": _YES, "Name": _YES},
    "ListAliases": {**_PAGE, "FunctionName": _YES, "FunctionVersion": _YES},
    "AddPermission": {
        **effective("FunctionName", "StatementId", "Action", "Principal", "SourceArn", "SourceAccount"),
        "PrincipalOrgID": _idle("There are no organizations: the statement lets nobody in."),
        "EventSourceToken": _idle("No service sends one: the statement lets nobody in."),
        **effective("FunctionUrlAuthType", "InvokedViaFunctionUrl", "Qualifier", "RevisionId"),
    },
    "RemovePermission": effective("FunctionName", "StatementId", "Qualifier", "RevisionId"),
    "GetPolicy": effective("FunctionName", "Qualifier"),
    "PutResourcePolicy": effective("ResourceArn", "Policy", "RevisionId"),
    "GetResourcePolicy": effective("ResourceArn"),
    "DeleteResourcePolicy": effective("ResourceArn", "RevisionId"),
    "PublishLayerVersion": {
        "LayerName": _YES,
        "Description": _YES,
        **{f"Content.{name}": member for name, member in _ARCHIVE.items()},
        "CompatibleArchitectures": _YES,
        "CompatibleRuntimes": _YES,
        "LicenseInfo": _YES,
    },
    "GetLayerVersion": _LAYER_VERSION,
    "GetLayerVersionByArn": {"Arn": _YES},
    "ListLayers": {**_PAGE, **_LAYER_FILTER},
    "ListLayerVersions": {**_PAGE, **_LAYER_FILTER, "LayerName": _YES},
    "DeleteLayerVersion": _LAYER_VERSION,
    "AddLayerVersionPermission": {
        **_LAYER_VERSION,
        "StatementId": _YES,
        "Action": _YES,
        "Principal": _YES,
        "OrganizationId": _idle("Kept in the statement. No caller belongs to an organization, so it lets nobody in."),
        "RevisionId": _YES,
    },
    "GetLayerVersionPolicy": _LAYER_VERSION,
    "RemoveLayerVersionPermission": {**_LAYER_VERSION, "StatementId": _YES, "RevisionId": _YES},
    "GetAccountSettings": {},
    "ListTags": {"Resource": _YES},
    "TagResource": {"Resource": _YES, "Tags": _YES},
    "UntagResource": {"Resource": _YES, "TagKeys": _YES},
    "Invoke": {
        "FunctionName": _YES,
        "InvocationType": _YES,
        "LogType": _YES,
        "ClientContext": Member(Effect.EFFECTIVE, "Of synchronous invocations only."),
        "Payload": _YES,
        "Qualifier": _YES,
        "TenantId": _YES,
        "DurableExecutionName": _no(),
    },
    **SETTINGS_SUPPORT,
    "InvokeAsync": {"FunctionName": _YES, "InvokeArgs": _YES},
}


def refuse_unsupported(operation: str, params: Mapping[str, Any]) -> None:
    """Raise InvalidParameterValueException, naming the member, if a request asks for what is not offered yet."""
    for path, member in SUPPORT[operation].items():
        if member.effect is not Effect.REFUSED:
            continue
        value = _value(params, path)
        if value is None or value in ("", [], {}, b"") or value in member.harmless:
            continue
        raise InvalidParameterValueException(f"{path} is not offered by Lambent yet. {member.note}".rstrip())


def _value(params: Mapping[str, Any], path: str) -> object:
    found: object = params
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
