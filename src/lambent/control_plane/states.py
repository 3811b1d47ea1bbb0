"""`State` and `LastUpdateStatus` of a function version: every transition there is; anything else is refused. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html. A new function (or version published with an
update) starts as Pending; `SETTLED` completes it, or completes an update. A function of a container image becomes
Failed, as images are not run yet. The states AWS has besides (Inactive, Deactivating …) have no way in here yet, hence
no row.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import Final

from lambent.model.errors import ResourceConflictException
from lambent.model.function import FunctionVersion, LastUpdateStatus, State

CREATING_REASON: Final = "The function is being created."
CREATING_CODE: Final = "Creating"
IMAGE_REASON: Final = "Lambent does not run container images yet. Deploy the function as a .zip file archive."
IMAGE_CODE: Final = "InvalidImage"


class FunctionEvent(Enum):
    """What can happen to a version."""

    UPDATE = "an update of code or configuration was asked for"
    SETTLED = "what was asked for is in force"
    REFUSED = "what was asked for cannot be run here: a container image"


Status = tuple[State, LastUpdateStatus | None]

PENDING: Final[Status] = (State.PENDING, None)
ACTIVE: Final[Status] = (State.ACTIVE, LastUpdateStatus.SUCCESSFUL)
UPDATING: Final[Status] = (State.ACTIVE, LastUpdateStatus.IN_PROGRESS)
FAILED: Final[Status] = (State.FAILED, LastUpdateStatus.FAILED)
UPDATE_FAILED: Final[Status] = (State.ACTIVE, LastUpdateStatus.FAILED)

TRANSITIONS: Final[dict[tuple[Status, FunctionEvent], Status]] = {
    (PENDING, FunctionEvent.SETTLED): ACTIVE,
    (PENDING, FunctionEvent.REFUSED): FAILED,
    (ACTIVE, FunctionEvent.UPDATE): UPDATING,
    (UPDATE_FAILED, FunctionEvent.UPDATE): UPDATING,
    (UPDATING, FunctionEvent.SETTLED): ACTIVE,
}


def status_of(version: FunctionVersion) -> Status:
    """Where a version is in `TRANSITIONS`."""
    return (version.state, version.last_update_status)


def is_settled(version: FunctionVersion) -> bool:
    """False while a creation or an update is under way."""
    return (status_of(version), FunctionEvent.SETTLED) not in TRANSITIONS


def transit(version: FunctionVersion, event: FunctionEvent) -> FunctionVersion:
    """The version after the event. Raises ResourceConflictException, in AWS's words, for what the table lacks."""
    target = TRANSITIONS.get((status_of(version), event))
    if target is None:
        raise refusal(version)
    return with_status(version, target)


def with_status(version: FunctionVersion, status: Status) -> FunctionVersion:
    """The version in that status, with the reasons AWS gives for it (None where it gives none)."""
    reason, code = (IMAGE_REASON, IMAGE_CODE) if status == FAILED else (CREATING_REASON, CREATING_CODE)
    of_state, of_update = status in (PENDING, FAILED), status in (UPDATING, FAILED)
    return replace(
        version,
        state=status[0],
        state_reason=reason if of_state else None,
        state_reason_code=code if of_state else None,
        last_update_status=status[1],
        last_update_status_reason=reason if of_update else None,
        last_update_status_reason_code=code if of_update else None,
    )


def refusal(version: FunctionVersion) -> ResourceConflictException:
    """Why nothing can be done with the version now."""
    if version.last_update_status is LastUpdateStatus.IN_PROGRESS:
        return update_in_progress(version)
    return ResourceConflictException(
        "The operation cannot be performed at this time. "
        f"The function is currently in the following state: {version.state}"
    )


def update_in_progress(version: FunctionVersion) -> ResourceConflictException:
    """Another change of the same function is on its way."""
    return ResourceConflictException(
        f"The operation cannot be performed at this time. An update is in progress for resource: {version.function.arn}"
    )
