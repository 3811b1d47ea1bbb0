"""`State` and `LastUpdateStatus` of a function version: every transition there is; anything else is refused. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html. A new function (or version published with an
update) starts as Pending; `SETTLED` completes it, or completes an update. The states AWS has besides (Inactive, Failed,
Deactivating …) have no way in here yet, hence no row.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import Final

from lambent.model.errors import ResourceConflictException
from lambent.model.function import FunctionVersion, LastUpdateStatus, State

CREATING_REASON: Final = "The function is being created."
CREATING_CODE: Final = "Creating"


class FunctionEvent(Enum):
    """What can happen to a version."""

    UPDATE = "an update of code or configuration was asked for"
    SETTLED = "what was asked for is in force"


Status = tuple[State, LastUpdateStatus | None]

PENDING: Final[Status] = (State.PENDING, None)
ACTIVE: Final[Status] = (State.ACTIVE, LastUpdateStatus.SUCCESSFUL)
UPDATING: Final[Status] = (State.ACTIVE, LastUpdateStatus.IN_PROGRESS)
UPDATE_FAILED: Final[Status] = (State.ACTIVE, LastUpdateStatus.FAILED)

TRANSITIONS: Final[dict[tuple[Status, FunctionEvent], Status]] = {
    (PENDING, FunctionEvent.SETTLED): ACTIVE,
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
    pending, updating = status == PENDING, status == UPDATING
    return replace(
        version,
        state=status[0],
        state_reason=CREATING_REASON if pending else None,
        state_reason_code=CREATING_CODE if pending else None,
        last_update_status=status[1],
        last_update_status_reason=CREATING_REASON if updating else None,
        last_update_status_reason_code=CREATING_CODE if updating else None,
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
