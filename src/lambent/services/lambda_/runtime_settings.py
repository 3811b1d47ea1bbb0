"""PutRuntimeManagementConfig, GetRuntimeManagementConfig, PutFunctionRecursionConfig, GetFunctionRecursionConfig."""

from __future__ import annotations

from lambent.aws.context import Operations, Params, RequestContext
from lambent.control_plane.functions import FunctionsControlPlane
from lambent.control_plane.runtime_settings import RuntimeManagement
from lambent.model.arn import FunctionId
from lambent.services.lambda_.references import reference, unqualified


class RuntimeSettings:
    """The operations on when a runtime is renewed, and on loops."""

    def __init__(self, control_plane: FunctionsControlPlane) -> None:
        self._settings = control_plane.runtime_settings

    def operations(self) -> Operations:
        return {
            "PutRuntimeManagementConfig": self.put_runtime_management_config,
            "GetRuntimeManagementConfig": self.get_runtime_management_config,
            "PutFunctionRecursionConfig": self.put_function_recursion_config,
            "GetFunctionRecursionConfig": self.get_function_recursion_config,
        }

    async def put_runtime_management_config(self, ctx: RequestContext, params: Params) -> Params:
        asked = reference(ctx, params)
        management = await self._settings.put_management(
            asked, params["UpdateRuntimeOn"], params.get("RuntimeVersionArn")
        )
        return _management(asked.function, management)

    async def get_runtime_management_config(self, ctx: RequestContext, params: Params) -> Params:
        asked = reference(ctx, params)
        return _management(asked.function, await self._settings.management(asked))

    async def put_function_recursion_config(self, ctx: RequestContext, params: Params) -> Params:
        await self._settings.put_recursion(unqualified(ctx, params), params["RecursiveLoop"])
        return {"RecursiveLoop": params["RecursiveLoop"]}

    async def get_function_recursion_config(self, ctx: RequestContext, params: Params) -> Params:
        return {"RecursiveLoop": await self._settings.recursion(unqualified(ctx, params))}


def _management(function: FunctionId, management: RuntimeManagement) -> Params:
    answer: Params = {
        "UpdateRuntimeOn": management.update_runtime_on,
        "FunctionArn": function.qualified_arn(management.version),
    }
    if management.runtime_version_arn is not None:
        answer["RuntimeVersionArn"] = management.runtime_version_arn
    return answer
