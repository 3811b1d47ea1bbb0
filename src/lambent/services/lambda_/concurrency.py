"""PutFunctionConcurrency, GetFunctionConcurrency, DeleteFunctionConcurrency; Put-, Get-, List- and
DeleteProvisionedConcurrencyConfig; PutFunctionScalingConfig, GetFunctionScalingConfig."""

from __future__ import annotations

from datetime import UTC, datetime

from lambent.aws.context import Operations, Params, RequestContext
from lambent.control_plane.functions import FunctionsControlPlane
from lambent.control_plane.provisioned_concurrency import ProvisionedConfig
from lambent.control_plane.queries import not_found
from lambent.model.arn import LATEST, FunctionId, FunctionReference
from lambent.model.errors import InvalidParameterValueException
from lambent.services.lambda_.paging import continued, page_size, position
from lambent.services.lambda_.references import reference, unqualified

_LIST = "ListProvisionedConcurrencyConfigs"
_NOT_SCALED = (
    "Function scaling is for functions of a capacity provider (Lambda Managed Instances), which are not offered by "
    "Lambent yet."
)


class Concurrency:
    """The operations on how much of a function may run, or is to be ready, at a time."""

    def __init__(self, control_plane: FunctionsControlPlane) -> None:
        self._queries = control_plane.queries
        self._reserved = control_plane.concurrency
        self._provisioned = control_plane.provisioned_concurrency

    def operations(self) -> Operations:
        return {
            "PutFunctionConcurrency": self.put_function_concurrency,
            "GetFunctionConcurrency": self.get_function_concurrency,
            "DeleteFunctionConcurrency": self.delete_function_concurrency,
            "PutProvisionedConcurrencyConfig": self.put_provisioned_concurrency_config,
            "GetProvisionedConcurrencyConfig": self.get_provisioned_concurrency_config,
            "DeleteProvisionedConcurrencyConfig": self.delete_provisioned_concurrency_config,
            _LIST: self.list_provisioned_concurrency_configs,
            "PutFunctionScalingConfig": self.put_function_scaling_config,
            "GetFunctionScalingConfig": self.get_function_scaling_config,
        }

    async def put_function_concurrency(self, ctx: RequestContext, params: Params) -> Params:
        executions = params["ReservedConcurrentExecutions"]
        await self._reserved.reserve(await self._existing(ctx, params), executions)
        return {"ReservedConcurrentExecutions": executions}

    async def get_function_concurrency(self, ctx: RequestContext, params: Params) -> Params:
        reserved = await self._reserved.reserved(await self._existing(ctx, params))
        return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}

    async def delete_function_concurrency(self, ctx: RequestContext, params: Params) -> Params:
        await self._reserved.release(await self._existing(ctx, params))
        return {}

    async def put_provisioned_concurrency_config(self, ctx: RequestContext, params: Params) -> Params:
        requested = params["ProvisionedConcurrentExecutions"]
        return _config(await self._provisioned.put(reference(ctx, params), requested))

    async def get_provisioned_concurrency_config(self, ctx: RequestContext, params: Params) -> Params:
        return _config(await self._provisioned.get(reference(ctx, params)))

    async def delete_provisioned_concurrency_config(self, ctx: RequestContext, params: Params) -> Params:
        await self._provisioned.delete(reference(ctx, params))
        return {}

    async def list_provisioned_concurrency_configs(self, ctx: RequestContext, params: Params) -> Params:
        function = unqualified(ctx, params)
        page = await self._provisioned.list_configs(function, position(_LIST, params), page_size(params))
        configs = [{"FunctionArn": function.qualified_arn(one.qualifier)} | _config(one) for one in page.configs]
        return continued({"ProvisionedConcurrencyConfigs": configs}, _LIST, page.following)

    async def put_function_scaling_config(self, ctx: RequestContext, params: Params) -> Params:
        return await self._not_scaled(ctx, params)

    async def get_function_scaling_config(self, ctx: RequestContext, params: Params) -> Params:
        return await self._not_scaled(ctx, params)

    async def _not_scaled(self, ctx: RequestContext, params: Params) -> Params:
        asked = reference(ctx, params)
        await self._queries.resolve(asked)
        raise InvalidParameterValueException(_NOT_SCALED)

    async def _existing(self, ctx: RequestContext, params: Params) -> FunctionId:
        """The function alone, `$LATEST` named by nobody; a missing one is told with `$LATEST`, as AWS does here."""
        asked = reference(ctx, params)
        if asked.qualifier is not None:
            raise InvalidParameterValueException(
                "This operation is permitted on Lambda functions only. Aliases and versions do not support this "
                "operation. Please specify either a function name or an unqualified function ARN."
            )
        if await self._queries.find(asked.function) is None:
            raise not_found(FunctionReference(asked.function, LATEST))
        return asked.function


def _config(config: ProvisionedConfig) -> Params:
    progress = config.progress
    answer = {
        "RequestedProvisionedConcurrentExecutions": config.requested,
        "AvailableProvisionedConcurrentExecutions": progress.available,
        "AllocatedProvisionedConcurrentExecutions": progress.allocated,
        "Status": progress.status.value,
        "LastModified": datetime.fromtimestamp(config.modified, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000"),
    }
    return answer if progress.reason is None else answer | {"StatusReason": progress.reason}
