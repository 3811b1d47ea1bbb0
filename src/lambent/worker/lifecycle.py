"""The life of an execution environment as one table. No I/O.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html: init phase, invoke phases, shutdown.
An environment whose init failed is kept as UNINITIALISED: its first invocation runs init once more, within the
function's own timeout, as AWS does ("suppressed init"); if that fails too, the environment ends.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class Stage(Enum):
    """Where an environment is."""

    __hash__ = object.__hash__  # members are single: the default hashes their names, in Python

    LAUNCHING = "launching"  # the sandbox is being made
    INIT = "init"  # the runtime runs its init phase (at most 10 s)
    IDLE = "idle"  # the runtime waits for an event
    UNINITIALISED = "uninitialised"  # init failed; the next invocation tries again
    REINIT = "reinit"  # … and is doing so
    INVOKE = "invoke"  # an event is being handled
    ENDED = "ended"


class Step(Enum):
    """What can happen to it."""

    __hash__ = object.__hash__  # members are single: the default hashes their names, in Python

    LAUNCHED = "launched"
    READY = "ready"
    INIT_FAILED = "init failed"
    RETRY_INIT = "retry init"
    HAND_OUT = "hand out"
    END = "end"


STEPS: Final[dict[tuple[Stage, Step], Stage]] = {
    (Stage.LAUNCHING, Step.LAUNCHED): Stage.INIT,
    (Stage.INIT, Step.READY): Stage.IDLE,
    (Stage.INIT, Step.INIT_FAILED): Stage.UNINITIALISED,
    (Stage.UNINITIALISED, Step.RETRY_INIT): Stage.REINIT,
    (Stage.REINIT, Step.HAND_OUT): Stage.INVOKE,
    (Stage.IDLE, Step.HAND_OUT): Stage.INVOKE,
    (Stage.INVOKE, Step.READY): Stage.IDLE,
    (Stage.LAUNCHING, Step.END): Stage.ENDED,
    (Stage.INIT, Step.END): Stage.ENDED,
    (Stage.IDLE, Step.END): Stage.ENDED,
    (Stage.UNINITIALISED, Step.END): Stage.ENDED,
    (Stage.REINIT, Step.END): Stage.ENDED,
    (Stage.INVOKE, Step.END): Stage.ENDED,
}


class LifecycleError(Exception):
    """A step that the table does not have: a mistake in the worker."""


def advance(stage: Stage, step: Step) -> Stage:
    """The stage after a step. Raises LifecycleError for what is not in the table."""
    target = STEPS.get((stage, step))
    if target is None:
        raise LifecycleError(f"an environment that is {stage.value} cannot take the step {step.value!r}")
    return target
