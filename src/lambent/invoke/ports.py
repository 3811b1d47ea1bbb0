"""What the data plane needs of a worker, and what it tells an observer.

A worker on another machine is a second implementation, not a rewrite. Contract of a worker: every call returns at
once; what happened is told later, on the event loop, through `WorkerEvents` and the `done` callback. For each
`start_environment` there is, after any number of `environment_ready`, exactly one `environment_ended`; for each
`invoke` exactly one `done`, before the `environment_ended` of its environment. An environment is ready before its
first invocation and again after each one, when its runtime asks for the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lambent.model.execution import Completed, EnvironmentSpec, Invocation, LaunchFailure, Outcome, TemplateSpec
from lambent.model.function import FunctionVersion
from lambent.model.ids import EnvironmentId

Done = Callable[[Outcome], None]


class InvocationObserver(Protocol):
    """Told of every invocation of a function, on the event loop: for metrics and bills. It returns at once.

    `qualifier` is what the caller named: None, a version or an alias; `version` is what was run for it.
    """

    def completed(
        self,
        version: FunctionVersion,
        qualifier: str | None,
        outcome: Completed,
        function_in_use: int,
        account_in_use: int,
        unreserved_in_use: int,
    ) -> None:
        """It ran. The numbers in use are those of its permit: concurrency when it was admitted, itself included."""
        ...

    def provisioned(self, version: FunctionVersion, qualifier: str | None, in_use: int | None, allocated: int) -> None:
        """What was just `completed` ran on provisioned concurrency, of which so much was in use; or, with None, on
        demand because all of it was."""
        ...

    def throttled(self, version: FunctionVersion, qualifier: str | None) -> None:
        """It was refused for want of concurrency or room."""
        ...

    def stopped_in_a_loop(self, version: FunctionVersion, qualifier: str | None) -> None:
        """It was refused because it was part of a loop."""
        ...


class WorkerEvents(Protocol):
    """Told by the worker, on the event loop."""

    def environment_ready(self, environment_id: EnvironmentId) -> None:
        """It waits for an invocation."""
        ...

    def environment_ended(self, environment_id: EnvironmentId, failure: LaunchFailure | None) -> None:
        """It is gone. `failure` is set when it never came to be."""
        ...


class Worker(Protocol):
    """One host that runs execution environments."""

    def prepare(self, template: TemplateSpec) -> None:
        """Environments of this template may be wanted soon: get ready what can be without any function code run. The
        worker may do as much of it as it likes."""
        ...

    def keep_spares(self, template: TemplateSpec, number: int) -> None:
        """Later environments of this template may be wanted soon: from now on (until it is said anew) have for so many
        of them ready what can be without any function code run. A worker may have fewer."""
        ...

    def start_environment(self, spec: EnvironmentSpec, events: WorkerEvents) -> None:
        """Make an environment and run its init phase."""
        ...

    def invoke(self, environment_id: EnvironmentId, invocation: Invocation, done: Done) -> None:
        """Hand an event to a ready environment."""
        ...

    def stop_environment(self, environment_id: EnvironmentId, reason: str) -> None:
        """End an environment, whatever it does now. Unknown or ended ones are fine."""
        ...

    def has_capacity(self, memory_mb: int) -> bool:
        """Whether another environment of that size may be started now. Spares are given up for it, and
        what stopped environments have counts as free."""
        ...
