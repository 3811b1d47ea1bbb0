"""The transitions of State and LastUpdateStatus, all of them."""

from __future__ import annotations

import itertools

import pytest

from lambent.control_plane.states import (
    ACTIVE,
    FAILED,
    PENDING,
    TRANSITIONS,
    UPDATE_FAILED,
    UPDATING,
    FunctionEvent,
    Status,
    is_settled,
    status_of,
    transit,
    with_status,
)
from lambent.model.errors import ResourceConflictException
from lambent.model.function import FunctionRecord, LastUpdateStatus, State

EVERY_STATUS = list(itertools.product(State, [None, *LastUpdateStatus]))


@pytest.mark.parametrize(
    ("status", "event", "target"),
    [
        (PENDING, FunctionEvent.SETTLED, ACTIVE),
        (ACTIVE, FunctionEvent.UPDATE, UPDATING),
        (UPDATING, FunctionEvent.SETTLED, ACTIVE),
        (UPDATE_FAILED, FunctionEvent.UPDATE, UPDATING),
        (PENDING, FunctionEvent.REFUSED, FAILED),
    ],
)
def test_what_can_happen(record: FunctionRecord, status: Status, event: FunctionEvent, target: Status) -> None:
    assert status_of(transit(with_status(record.latest, status), event)) == target


@pytest.mark.parametrize(("status", "event"), list(itertools.product(EVERY_STATUS, FunctionEvent)))
def test_everything_else_is_refused(record: FunctionRecord, status: Status, event: FunctionEvent) -> None:
    if (status, event) in TRANSITIONS:
        return
    with pytest.raises(ResourceConflictException):
        transit(with_status(record.latest, status), event)


def test_the_words_of_refusal(record: FunctionRecord) -> None:
    with pytest.raises(ResourceConflictException) as pending:
        transit(record.latest, FunctionEvent.UPDATE)
    assert pending.value.message == (
        "The operation cannot be performed at this time. The function is currently in the following state: Pending"
    )
    with pytest.raises(ResourceConflictException) as updating:
        transit(with_status(record.latest, UPDATING), FunctionEvent.UPDATE)
    assert updating.value.message == (
        "The operation cannot be performed at this time. An update is in progress for resource: "
        "arn:aws:lambda:us-east-1:000000000000:function:greet"
    )


def test_reasons_are_told_only_while_under_way(record: FunctionRecord) -> None:
    pending, active, updating = (with_status(record.latest, status) for status in (PENDING, ACTIVE, UPDATING))
    assert (pending.state_reason, pending.state_reason_code) == ("The function is being created.", "Creating")
    assert (pending.last_update_status, pending.last_update_status_reason) == (None, None)
    assert (active.state_reason, active.state_reason_code) == (None, None)
    assert (active.last_update_status_reason, active.last_update_status_reason_code) == (None, None)
    assert updating.state_reason is None
    assert updating.last_update_status_reason == "The function is being created."
    assert updating.last_update_status_reason_code == "Creating"


def test_settled() -> None:
    """Exactly the statuses that wait for completion are not settled."""
    unsettled = {status for status, event in TRANSITIONS if event is FunctionEvent.SETTLED}
    assert unsettled == {PENDING, UPDATING}


def test_is_settled(record: FunctionRecord) -> None:
    assert not is_settled(record.latest)
    assert is_settled(with_status(record.latest, ACTIVE))
    assert not is_settled(with_status(record.latest, UPDATING))
