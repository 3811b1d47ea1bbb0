"""The Runtime API's rules, as a table over everything a runtime can try."""

import pytest

from lambent.model.ids import RequestId
from lambent.worker.runtime_api.machine import MOVES, Move, Phase, RefusedError, RuntimeMachine

ID = RequestId("8476a536-e9f4-11e8-9739-2dfe598c3fcd")


def machine_in(phase: Phase) -> RuntimeMachine:
    machine = RuntimeMachine()
    machine.phase = phase
    machine.request_id = ID
    return machine


def attempt(machine: RuntimeMachine, move: Move) -> None:
    match move:
        case Move.NEXT:
            machine.next()
        case Move.HAND_OUT:
            machine.hand_out(ID)
        case Move.RESPONSE:
            machine.response(ID)
        case Move.ERROR:
            machine.error(ID)
        case Move.INIT_ERROR:
            machine.init_error()
        case Move.POLL_LOST:
            machine.poll_lost()


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("move", [move for move in Move if move is not Move.POLL_LOST])
def test_what_is_not_in_the_table_is_refused(phase: Phase, move: Move) -> None:
    machine = machine_in(phase)
    if (phase, move) in MOVES:
        attempt(machine, move)
        assert machine.phase is MOVES[phase, move]
    else:
        with pytest.raises(RefusedError) as caught:
            attempt(machine, move)
        assert (caught.value.status, caught.value.error_type) == (403, "InvalidStateTransition")
        assert machine.phase is phase


@pytest.mark.parametrize("phase", Phase)
def test_another_request_id_is_refused_whatever_the_phase(phase: Phase) -> None:
    machine = machine_in(phase)
    for call in (machine.response, machine.error):
        with pytest.raises(RefusedError) as caught:
            call("another")
        assert (caught.value.status, caught.value.error_type) == (400, "InvalidRequestID")
    assert machine.phase is phase


def test_a_lost_poll_lets_the_runtime_ask_again() -> None:
    machine = machine_in(Phase.WAITING)
    machine.poll_lost()
    machine.next()
    assert machine.waits


def test_a_poll_lost_after_the_hand_out_changes_nothing() -> None:
    machine = machine_in(Phase.WAITING)
    machine.hand_out(ID)
    machine.poll_lost()
    assert machine.invoking
