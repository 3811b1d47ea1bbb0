"""Asynchronous invocation: the way in, the dispatcher of events, and the outbox of their records."""

from __future__ import annotations

from dataclasses import dataclass

from lambent.app.calls import Calls
from lambent.app.functions import Functions
from lambent.app.stage import Stage
from lambent.app.storage import Storage
from lambent.async_invoke.accepting import Acceptance
from lambent.async_invoke.backlog import Backlogs
from lambent.async_invoke.dispatch import Dispatcher
from lambent.async_invoke.settings import SettingsView
from lambent.delivery.outbox import Outbox
from lambent.delivery.sender import Sender
from lambent.observability.metrics.asynchronous import AsynchronousMetrics


@dataclass(frozen=True, slots=True)
class Asynchronous:
    """What runs events. `begin` once calls of our own are answered; `stop_taking` and `close` at the end."""

    acceptance: Acceptance
    dispatcher: Dispatcher
    outbox: Outbox
    backlogs: Backlogs
    metrics: AsynchronousMetrics

    async def begin(self) -> None:
        """Take up what an earlier process left, and whatever comes."""
        await self.outbox.consumers.begin()
        await self.dispatcher.consumers.begin()

    async def stop_taking(self) -> None:
        """Start no more runs; those that are may end."""
        await self.dispatcher.stop_taking()

    async def close(self) -> None:
        """What is not done by now is taken up by the next process. Idempotent."""
        await self.dispatcher.consumers.close()
        await self.outbox.consumers.close()


def make_asynchronous(stage: Stage, storage: Storage, functions: Functions, calls: Calls, url: str) -> Asynchronous:
    """`url`: of this server's own endpoint."""
    queues, clock = storage.queues, stage.clock
    metrics = AsynchronousMetrics(clock)
    storage.metrics.add_source(metrics)
    settings = SettingsView(storage.documents)
    stage.stack.callback(settings.close)
    outbox = Outbox(queues, Sender(calls.sqs, calls.destinations, calls.roles, url), clock, metrics)
    directory, tracing = functions.directory, functions.tracing
    dispatcher = Dispatcher(queues, functions.frontend, directory, tracing, settings, outbox, clock, metrics)
    acceptance = Acceptance(directory, tracing, queues, dispatcher.consumers.ensure, metrics)
    made = Asynchronous(acceptance, dispatcher, outbox, Backlogs(queues, clock), metrics)
    stage.stack.push_async_callback(made.close)
    for part in (dispatcher.consumers, outbox.consumers):
        stage.activities.add(part)
    return made
