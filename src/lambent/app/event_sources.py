"""Event sources: what polls for mappings, and as whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from lambent.app.calls import Calls
from lambent.app.stage import Stage
from lambent.app.storage import Storage
from lambent.aws_client.client import AwsCaller
from lambent.control_plane.event_source_mappings import EventSourceMapping
from lambent.control_plane.event_sources import SourceKind
from lambent.event_sources.invoking import Invoke
from lambent.event_sources.mappings import EventSources
from lambent.event_sources.ports import Report
from lambent.event_sources.sqs_check import SqsCheck
from lambent.event_sources.sqs_poller import Resolve, SqsPoller, SqsTools
from lambent.model.arn import parse_function_reference
from lambent.model.ids import Region

POLLED: Final = frozenset({SourceKind.SQS})


class DataPlane(Protocol):
    """What pollers need of `app.functions.Functions`."""

    @property
    def frontend(self) -> Invoke: ...

    @property
    def directory(self) -> Resolve: ...


def check_source(stage: Stage, calls: Calls) -> SqsCheck:
    """What CreateEventSourceMapping has looked at."""
    return SqsCheck(calls.sqs, _as_role(calls), _queues_url(stage, calls))


async def start_event_sources(stage: Stage, storage: Storage, calls: Calls, data_plane: DataPlane) -> EventSources:
    """Begin to poll: once requests are answered."""
    tools = SqsTools(
        calls.sqs,
        data_plane.frontend,
        data_plane.directory,
        _as_role(calls),
        stage.clock,
        _queues_url(stage, calls),
        cancels="sqs" not in stage.config.upstream,
        metrics=storage.metrics,
    )

    def make_sqs_poller(mapping: EventSourceMapping, report: Report) -> SqsPoller:
        function = parse_function_reference(mapping.function_arn, None, account=mapping.account, region=mapping.region)
        return SqsPoller(mapping, function, tools, report)

    event_sources = EventSources(storage.documents, {SourceKind.SQS: make_sqs_poller}, stage.clock)
    await event_sources.start()
    stage.activities.add(event_sources)
    stage.stack.push_async_callback(event_sources.close, stage.config.shutdown_grace)
    return event_sources


def _as_role(calls: Calls) -> Callable[[str, str, Region], AwsCaller]:
    """Sessions of the execution role, named after the function, as its environments have them."""

    def caller(role_arn: str, function_name: str, region: Region) -> AwsCaller:
        return AwsCaller(calls.roles.find(role_arn, function_name), region)

    return caller


def _queues_url(stage: Stage, calls: Calls) -> str:
    """What URLs of queues begin with: the endpoint that answers for SQS."""
    return stage.config.upstream.get("sqs") or f"http://{calls.transport.host}"
