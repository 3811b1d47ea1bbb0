"""PutFunctionEventInvokeConfig, UpdateFunctionEventInvokeConfig, GetFunctionEventInvokeConfig,
ListFunctionEventInvokeConfigs, DeleteFunctionEventInvokeConfig."""

from __future__ import annotations

from lambent.aws.context import Operations, Params, RequestContext
from lambent.control_plane.event_invoke_configs import EventInvokeConfig, EventInvokeSettings
from lambent.control_plane.functions import FunctionsControlPlane
from lambent.model.arn import FunctionId
from lambent.services.lambda_.paging import continued, page_size, position
from lambent.services.lambda_.references import reference, unqualified

_LIST = "ListFunctionEventInvokeConfigs"


class EventInvokeConfigs:
    """The operations on how asynchronous invocations are handled."""

    def __init__(self, control_plane: FunctionsControlPlane) -> None:
        self._configs = control_plane.event_invoke_configs

    def operations(self) -> Operations:
        return {
            "PutFunctionEventInvokeConfig": self.put_function_event_invoke_config,
            "UpdateFunctionEventInvokeConfig": self.update_function_event_invoke_config,
            "GetFunctionEventInvokeConfig": self.get_function_event_invoke_config,
            "DeleteFunctionEventInvokeConfig": self.delete_function_event_invoke_config,
            _LIST: self.list_function_event_invoke_configs,
        }

    async def put_function_event_invoke_config(self, ctx: RequestContext, params: Params) -> Params:
        asked = reference(ctx, params)
        return _config(asked.function, await self._configs.put(asked, _settings(params)))

    async def update_function_event_invoke_config(self, ctx: RequestContext, params: Params) -> Params:
        asked = reference(ctx, params)
        return _config(asked.function, await self._configs.put(asked, _settings(params), merge=True))

    async def get_function_event_invoke_config(self, ctx: RequestContext, params: Params) -> Params:
        asked = reference(ctx, params)
        return _config(asked.function, await self._configs.get(asked))

    async def delete_function_event_invoke_config(self, ctx: RequestContext, params: Params) -> Params:
        await self._configs.delete(reference(ctx, params))
        return {}

    async def list_function_event_invoke_configs(self, ctx: RequestContext, params: Params) -> Params:
        function = unqualified(ctx, params)
        page = await self._configs.list_configs(function, position(_LIST, params), page_size(params))
        configs = [_config(function, one) for one in page.configs]
        return continued({"FunctionEventInvokeConfigs": configs}, _LIST, page.following)


def _settings(params: Params) -> EventInvokeSettings:
    return EventInvokeSettings(
        params.get("MaximumRetryAttempts"), params.get("MaximumEventAgeInSeconds"), params.get("DestinationConfig")
    )


def _config(function: FunctionId, config: EventInvokeConfig) -> Params:
    answer: Params = {
        "LastModified": config.modified,
        "FunctionArn": function.qualified_arn(config.qualifier),
        "DestinationConfig": dict(config.destinations),
    }
    if config.maximum_retry_attempts is not None:
        answer["MaximumRetryAttempts"] = config.maximum_retry_attempts
    if config.maximum_event_age_s is not None:
        answer["MaximumEventAgeInSeconds"] = config.maximum_event_age_s
    return answer
