"""The Runtime API as a state machine: what a runtime may do next. No I/O.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. All phases and moves are in the one table below;
whatever is not in it is refused, with the error AWS's runtime interface answers. Requests are checked before the
move, as moves cannot be undone.

A runtime starts, asks for an event (`next`) or gives up (`init/error`); is handed an event; answers it (`response`
or `error`); asks for the next. One event at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

import orjson

from lambent.model.ids import RequestId


class Phase(Enum):
    """Where the runtime is."""

    __hash__ = object.__hash__  # members are single: the default hashes their names, in Python

    STARTING = "Starting"  # its init code runs
    WAITING = "Ready"  # it asked for an event and waits
    INVOKING = "Running"  # it has an event
    ANSWERED = "ResponseSent"  # it answered and did not ask again yet
    INIT_FAILED = "InitError"  # it said that its init failed


class Move(Enum):
    """What can happen."""

    __hash__ = object.__hash__  # members are single: the default hashes their names, in Python

    NEXT = "next"
    HAND_OUT = "hand out"
    RESPONSE = "response"
    ERROR = "error"
    INIT_ERROR = "init/error"
    POLL_LOST = "poll lost"  # the connection of a waiting `next` went away


MOVES: Final[dict[tuple[Phase, Move], Phase]] = {
    (Phase.STARTING, Move.NEXT): Phase.WAITING,
    (Phase.STARTING, Move.INIT_ERROR): Phase.INIT_FAILED,
    (Phase.WAITING, Move.HAND_OUT): Phase.INVOKING,
    (Phase.WAITING, Move.POLL_LOST): Phase.ANSWERED,
    (Phase.INVOKING, Move.RESPONSE): Phase.ANSWERED,
    (Phase.INVOKING, Move.ERROR): Phase.ANSWERED,
    (Phase.ANSWERED, Move.NEXT): Phase.WAITING,
}


_TARGETS: Final = {phase: {move: to for (at, move), to in MOVES.items() if at is phase} for phase in Phase}


@dataclass(frozen=True, slots=True)
class RefusedError(Exception):
    """The runtime may not do that now. What it is told: status, errorType, errorMessage."""

    status: int
    error_type: str
    message: str

    @property
    def body(self) -> bytes:
        """The last two, as they are told."""
        return orjson.dumps({"errorMessage": self.message, "errorType": self.error_type})


class RuntimeMachine:
    """The phase of one runtime process, and the request it works on."""

    __slots__ = ("phase", "request_id")

    def __init__(self) -> None:
        self.phase = Phase.STARTING
        self.request_id: RequestId | None = None

    def next(self) -> None:
        """The runtime asks for an event."""
        self._move(Move.NEXT)

    def hand_out(self, request_id: RequestId) -> None:
        """It is given one."""
        self._move(Move.HAND_OUT)
        self.request_id = request_id

    def response(self, request_id: str) -> None:
        """It answers the event it has."""
        self._check_request(request_id)
        self._move(Move.RESPONSE)

    def error(self, request_id: str) -> None:
        """It reports that handling the event failed."""
        self._check_request(request_id)
        self._move(Move.ERROR)

    def init_error(self) -> None:
        """It reports that its init failed."""
        self._move(Move.INIT_ERROR)

    def poll_lost(self) -> None:
        """The connection it waited on is gone; it may ask again."""
        if self.phase is Phase.WAITING:
            self._move(Move.POLL_LOST)

    @property
    def waits(self) -> bool:
        """Whether it can be handed an event."""
        return self.phase is Phase.WAITING

    @property
    def invoking(self) -> bool:
        """Whether it has an event that it has not answered."""
        return self.phase is Phase.INVOKING

    def _check_request(self, request_id: str) -> None:
        if request_id != self.request_id:
            raise RefusedError(400, "InvalidRequestID", "Invalid request ID")

    def _move(self, move: Move) -> None:
        target = _TARGETS[self.phase].get(move)
        if target is None:
            raise RefusedError(
                403,
                "InvalidStateTransition",
                f"State transition from {self.phase.value} by {move.value} is not allowed for the runtime.",
            )
        self.phase = target
