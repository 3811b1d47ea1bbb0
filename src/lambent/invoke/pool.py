"""A pool and what is in it: plain values. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lambent.invoke.assignment import Assignment
from lambent.model.errors import ServiceError
from lambent.model.execution import Completed, Invocation, LaunchFailure
from lambent.model.function import FunctionVersion

VersionKey = tuple[str, str]  # qualified ARN, environment revision
PoolKey = tuple[str, str, str | None, bool]  # … tenant, whether it is provisioned


@dataclass(slots=True)
class PendingInvocation:
    """An invocation on its way. `finished` is called once, with how it went or with the error to answer."""

    invocation: Invocation
    finished: Callable[[Completed | ServiceError], None]
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """Provisioned environments of a version: how many there are, how many of them can take invocations, and why there
    are fewer than there should be."""

    environments: int
    ready: int
    failure: LaunchFailure | None


@dataclass(slots=True)
class Pool:
    """The environments of one function version at one revision. `tenant_id`: of the only tenant they are for.
    `target`: how many to keep, of provisioned concurrency; `failure`: why there are fewer."""

    key: PoolKey
    version: FunctionVersion
    tenant_id: str | None = None
    target: int | None = None
    failure: LaunchFailure | None = None
    told: tuple[int, int] = (0, 0)
    assignment: Assignment[PendingInvocation] = field(default_factory=Assignment)
