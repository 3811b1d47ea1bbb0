"""CreateEventSourceMapping, GetEventSourceMapping, UpdateEventSourceMapping, ListEventSourceMappings,
DeleteEventSourceMapping."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lambent.aws.context import Operations, Params, RequestContext
from lambent.control_plane.event_source_mappings import EventSourceMapping, MappingPlace
from lambent.control_plane.event_sources import RULES
from lambent.control_plane.functions import FunctionsControlPlane
from lambent.services.lambda_.paging import continued, page_size, position
from lambent.services.lambda_.references import reference

_LIST = "ListEventSourceMappings"
_NOT_SETTINGS = frozenset({"FunctionName", "Enabled", "Tags", "UUID"})


class EventSourceMappings:
    """The operations on event source mappings."""

    def __init__(self, control_plane: FunctionsControlPlane) -> None:
        self._mappings = control_plane.event_source_mappings

    def operations(self) -> Operations:
        return {
            "CreateEventSourceMapping": self.create_event_source_mapping,
            "GetEventSourceMapping": self.get_event_source_mapping,
            "UpdateEventSourceMapping": self.update_event_source_mapping,
            "DeleteEventSourceMapping": self.delete_event_source_mapping,
            _LIST: self.list_event_source_mappings,
        }

    async def create_event_source_mapping(self, ctx: RequestContext, params: Params) -> Params:
        created = await self._mappings.create(
            ctx.account,
            ctx.region,
            params["FunctionName"],
            _settings(params),
            enabled=params.get("Enabled", True),
            tags=params.get("Tags", {}),
        )
        return _configuration(created)

    async def get_event_source_mapping(self, ctx: RequestContext, params: Params) -> Params:
        return _configuration(await self._mappings.get(_place(ctx, params)))

    async def update_event_source_mapping(self, ctx: RequestContext, params: Params) -> Params:
        changed = await self._mappings.update(
            _place(ctx, params), params.get("FunctionName"), _settings(params), params.get("Enabled")
        )
        return _configuration(changed)

    async def delete_event_source_mapping(self, ctx: RequestContext, params: Params) -> Params:
        deleted = await self._mappings.delete(_place(ctx, params))
        return _configuration(deleted)

    async def list_event_source_mappings(self, ctx: RequestContext, params: Params) -> Params:
        page = await self._mappings.list_mappings(
            ctx.account,
            ctx.region,
            params.get("EventSourceArn"),
            reference(ctx, params) if "FunctionName" in params else None,
            position(_LIST, params),
            page_size(params),
        )
        return continued({"EventSourceMappings": [_configuration(one) for one in page.mappings]}, _LIST, page.following)


def _place(ctx: RequestContext, params: Params) -> MappingPlace:
    return MappingPlace(ctx.account, ctx.region, params["UUID"])


def _settings(params: Params) -> dict[str, Any]:
    settings = {name: value for name, value in params.items() if name not in _NOT_SETTINGS}
    timestamp = settings.get("StartingPositionTimestamp")
    if isinstance(timestamp, datetime):
        settings["StartingPositionTimestamp"] = timestamp.timestamp()
    return settings


def _configuration(mapping: EventSourceMapping) -> Params:
    """https://docs.aws.amazon.com/lambda/latest/api/API_EventSourceMappingConfiguration.html"""
    answer: Params = {
        "UUID": mapping.mapping_id,
        "EventSourceMappingArn": mapping.arn,
        "FunctionArn": mapping.function_arn,
        "LastModified": mapping.modified,
        "State": mapping.state.value,
        "StateTransitionReason": mapping.reason,
        **mapping.settings,
    }
    if mapping.last_result is not None:
        answer["LastProcessingResult"] = mapping.last_result
    elif RULES[mapping.kind].is_stream:
        answer["LastProcessingResult"] = "No records processed"
    return answer
