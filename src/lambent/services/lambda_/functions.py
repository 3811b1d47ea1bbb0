"""CreateFunction, GetFunction, GetFunctionConfiguration, ListFunctions, UpdateFunctionCode,
UpdateFunctionConfiguration, DeleteFunction."""

from __future__ import annotations

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
from lambent.model.function import FunctionVersion, is_version_number
from lambent.services.lambda_.blocks import stored_blocks
from lambent.services.lambda_.code import code_of, image_location
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
                code=code_of(params["Code"], params.get("PackageType", "Zip")),
                architectures=tuple(params.get("Architectures", ("x86_64",))),
                tags=params.get("Tags", {}),
                publish=params.get("Publish", False),
                caller=ctx.principal,
                code_signing_config_arn=params.get("CodeSigningConfigArn"),
                tenant_isolation_mode=params.get("TenancyConfig", {}).get("TenantIsolationMode"),
            )
        )
        return function_configuration(answer, arn=function.arn)

    async def get_function(self, ctx: RequestContext, params: Params) -> Params:
        asked = reference(ctx, params)
        record, version = await self._control_plane.queries.resolve(asked)
        answer: Params = {
            "Configuration": function_configuration(version, arn=asked.arn),
            "Code": self._code(ctx, version),
        }
        if record.tags:
            answer["Tags"] = dict(record.tags)
        reserved = await self._control_plane.concurrency.reserved(asked.function)
        if reserved is not None:
            answer["Concurrency"] = {"ReservedConcurrentExecutions": reserved}
        return answer

    def _code(self, ctx: RequestContext, version: FunctionVersion) -> Params:
        if version.image_uri is not None:
            return image_location(version.image_uri)
        return {"RepositoryType": "S3", "Location": self._downloads.location(ctx.endpoint_url, version)}

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
                code=code_of(params),
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
            UpdateConfigurationRequest(function, _settings(params), params.get("RevisionId"), ctx.principal)
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
        layers=tuple(params["Layers"]) if "Layers" in params else None,
        without_effect=stored_blocks(params),
    )


def _logging(params: Params) -> LoggingSettings:
    return LoggingSettings(
        log_format=params.get("LogFormat"),
        log_group=params.get("LogGroup"),
        application_log_level=params.get("ApplicationLogLevel"),
        system_log_level=params.get("SystemLogLevel"),
    )
