"""CreateFunction, GetFunction, GetFunctionConfiguration, ListFunctions, UpdateFunctionCode,
UpdateFunctionConfiguration, DeleteFunction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambent.aws.context import Operations, Params, RequestContext
from lambent.control_plane.functions import FunctionsControlPlane
from lambent.control_plane.requests import (
    ConfigurationSettings,
    CreateRequest,
    LoggingSettings,
    UpdateCodeRequest,
    UpdateConfigurationRequest,
)
from lambent.model.arn import LATEST
from lambent.model.errors import InvalidParameterValueException
from lambent.model.function import is_version_number
from lambent.services.lambda_.configuration import function_configuration, listed_configuration
from lambent.services.lambda_.download import CodeDownloads
from lambent.services.lambda_.paging import marker, page_size, position
from lambent.services.lambda_.references import reference, unqualified
from lambent.services.lambda_.support import refuse_unsupported


class Functions:
    """The operations on a function as a whole."""

    def __init__(self, control_plane: FunctionsControlPlane, downloads: CodeDownloads) -> None:
        self._control_plane = control_plane
        self._downloads = downloads

    def operations(self) -> Operations:
        return {
            "CreateFunction": self.create_function,
            "GetFunction": self.get_function,
            "GetFunctionConfiguration": self.get_function_configuration,
            "ListFunctions": self.list_functions,
            "UpdateFunctionCode": self.update_function_code,
            "UpdateFunctionConfiguration": self.update_function_configuration,
            "DeleteFunction": self.delete_function,
        }

    async def create_function(self, ctx: RequestContext, params: Params) -> Params:
        function = unqualified(ctx, params, creating=True)
        refuse_unsupported("CreateFunction", params)
        answer = await self._control_plane.create(
            CreateRequest(
                function=function,
                settings=_settings(params),
                zip_file=_zip_file(params["Code"]),
                architectures=tuple(params.get("Architectures", ("x86_64",))),
                tags=params.get("Tags", {}),
                publish=params.get("Publish", False),
            )
        )
        return function_configuration(answer, arn=function.arn)

    async def get_function(self, ctx: RequestContext, params: Params) -> Params:
        asked = reference(ctx, params)
        record, version = await self._control_plane.queries.resolve(asked)
        answer: Params = {
            "Configuration": function_configuration(version, arn=asked.arn),
            "Code": {"RepositoryType": "S3", "Location": self._downloads.location(ctx.endpoint_url, version)},
        }
        if record.tags:
            answer["Tags"] = dict(record.tags)
        reserved = await self._control_plane.concurrency.reserved(asked.function)
        if reserved is not None:
            answer["Concurrency"] = {"ReservedConcurrentExecutions": reserved}
        return answer

    async def get_function_configuration(self, ctx: RequestContext, params: Params) -> Params:
        asked = reference(ctx, params)
        _, version = await self._control_plane.queries.resolve(asked)
        return function_configuration(version, arn=asked.arn)

    async def list_functions(self, ctx: RequestContext, params: Params) -> Params:
        all_versions = params.get("FunctionVersion") == "ALL"
        operation = "ListFunctions/ALL" if all_versions else "ListFunctions"
        queries = self._control_plane.queries
        read = queries.list_all_versions if all_versions else queries.list_functions
        page = await read(ctx.account, ctx.region, position(operation, params), page_size(params))
        answer: Params = {
            "Functions": [
                listed_configuration(version, arn=version.qualified_arn if all_versions else version.arn)
                for version in page.versions
            ]
        }
        if page.following is not None:
            answer["NextMarker"] = marker(operation, page.following)
        return answer

    async def update_function_code(self, ctx: RequestContext, params: Params) -> Params:
        function = unqualified(ctx, params)
        await self._control_plane.queries.function(function)
        refuse_unsupported("UpdateFunctionCode", params)
        architectures = params.get("Architectures")
        answer = await self._control_plane.update_code(
            UpdateCodeRequest(
                function=function,
                zip_file=_zip_file(params),
                architectures=None if architectures is None else tuple(architectures),
                publish=params.get("Publish", False),
                dry_run=params.get("DryRun", False),
                revision_id=params.get("RevisionId"),
            )
        )
        return function_configuration(answer)

    async def update_function_configuration(self, ctx: RequestContext, params: Params) -> Params:
        function = unqualified(ctx, params)
        await self._control_plane.queries.function(function)
        refuse_unsupported("UpdateFunctionConfiguration", params)
        answer = await self._control_plane.update_configuration(
            UpdateConfigurationRequest(function, _settings(params), params.get("RevisionId"))
        )
        return function_configuration(answer)

    async def delete_function(self, ctx: RequestContext, params: Params) -> Params:
        asked = reference(ctx, params)
        if asked.qualifier is None:
            await self._control_plane.delete(asked.function)
        elif asked.qualifier == LATEST:
            raise InvalidParameterValueException("$LATEST version cannot be deleted without deleting the function.")
        elif is_version_number(asked.qualifier):
            await self._control_plane.delete_version(asked.function, asked.qualifier)
        elif asked.qualifier.isdecimal():  # 0, 01: numbers no version has
            await self._control_plane.queries.function(asked.function)
        else:
            raise InvalidParameterValueException("Deletion of aliases is not currently supported.")
        return {"StatusCode": 204}


def _zip_file(code: Mapping[str, Any]) -> bytes:
    zip_file = code.get("ZipFile")
    if zip_file is None:
        raise InvalidParameterValueException("Please provide a source for function code.")
    return bytes(zip_file)


def _settings(params: Params) -> ConfigurationSettings:
    return ConfigurationSettings(
        role=params.get("Role"),
        runtime=params.get("Runtime"),
        handler=params.get("Handler"),
        description=params.get("Description"),
        timeout_s=params.get("Timeout"),
        memory_mb=params.get("MemorySize"),
        ephemeral_storage_mb=params.get("EphemeralStorage", {}).get("Size"),
        environment=params["Environment"].get("Variables", {}) if "Environment" in params else None,
        logging=_logging(params["LoggingConfig"]) if "LoggingConfig" in params else None,
        tracing_mode=params.get("TracingConfig", {}).get("Mode"),
        kms_key_arn=params.get("KMSKeyArn"),
        without_effect=_without_effect(params),
    )


def _logging(params: Params) -> LoggingSettings:
    return LoggingSettings(
        log_format=params.get("LogFormat"),
        log_group=params.get("LogGroup"),
        application_log_level=params.get("ApplicationLogLevel"),
        system_log_level=params.get("SystemLogLevel"),
    )


def _without_effect(params: Params) -> dict[str, Any]:
    blocks: dict[str, Any] = {}
    if "DeadLetterConfig" in params:
        target = params["DeadLetterConfig"].get("TargetArn")
        blocks["DeadLetterConfig"] = {"TargetArn": target} if target else None
    if params.get("VpcConfig"):
        blocks["VpcConfig"] = {"SubnetIds": [], "SecurityGroupIds": [], "Ipv6AllowedForDualStack": False}
    return blocks
