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
from lambent.queues.api import Queues
from lambent.services.sqs.names import ENGINE_PREFIX, queue_of_arn

POLLED: Final = frozenset({SourceKind.SQS})


class DataPlane(Protocol):
    """What pollers need of `app.functions.Functions`."""

    @property
    def frontend(self) -> Invoke: ...

    @property
    def directory(self) -> Resolve: ...


class WaitedFor:
    """Implements `model.idle.Activity`: messages of our own queues whose delay or visibility timeout a poller, or
    another receiver, waits out."""

    name = "messages of queues"

    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    def is_idle(self) -> bool:
        """See `model.idle.Activity`: whoever receives them is busy, not they."""
        return True

    def next_due(self) -> float | None:
        """See `model.idle.Activity`."""
        dues = (self._queues.next_due(name) for name in self._queues.names(ENGINE_PREFIX))
        return min((due for due in dues if due is not None), default=None)


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
        is_watched=_is_watched(stage, storage.queues),
    )

    def make_sqs_poller(mapping: EventSourceMapping, report: Report) -> SqsPoller:
        function = parse_function_reference(mapping.function_arn, None, account=mapping.account, region=mapping.region)
        return SqsPoller(mapping, function, tools, report)

    event_sources = EventSources(storage.documents, {SourceKind.SQS: make_sqs_poller}, stage.clock)
    await event_sources.start()
    stage.activities.add(event_sources)
    stage.activities.add(WaitedFor(storage.queues))
    stage.stack.push_async_callback(event_sources.close, stage.config.shutdown_grace)
    return event_sources


def _is_watched(stage: Stage, queues: Queues) -> Callable[[str, int], bool]:
    is_ours = "sqs" not in stage.config.upstream

    def is_watched(queue_arn: str, polls: int) -> bool:
        queue = queue_of_arn(queue_arn)
        return not is_ours or queue is None or queues.is_resting(queue.engine_name, polls)

    return is_watched


def _as_role(calls: Calls) -> Callable[[str, str, Region], AwsCaller]:
    """Sessions of the execution role, named after the function, as its environments have them."""

    def caller(role_arn: str, function_name: str, region: Region) -> AwsCaller:
        return AwsCaller(calls.roles.find(role_arn, function_name), region)

    return caller


def _queues_url(stage: Stage, calls: Calls) -> str:
    """What URLs of queues begin with: the endpoint that answers for SQS."""
    return stage.config.upstream.get("sqs") or f"http://{calls.transport.host}"
