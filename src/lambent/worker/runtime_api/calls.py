"""What the ways in to the Runtime API, `server` and `channel`, know of the environment behind it."""

from __future__ import annotations

from typing import Protocol

from lambent.model.execution import Invocation


class Poll(Protocol):
    """A runtime that waits for an event."""

    @property
    def closed(self) -> bool:
        """Whether it cannot be told anything any more."""
        ...

    def hand_out(self, invocation: Invocation, deadline_ms: int) -> None:
        """Give it an event. `deadline_ms`: since the epoch. Once only."""
        ...


class RuntimeCalls(Protocol):
    """What the environment does about its runtime's requests. Each may raise `RefusedError`."""

    def wait_for_event(self, poll: Poll) -> None:
        """Keep `poll` until there is an event."""
        ...

    def poll_lost(self, poll: Poll) -> None:
        """`poll` is closed: its runtime has hung up."""
        ...

    def response(self, request_id: str, payload: bytes) -> None: ...

    def error(self, request_id: str, payload: bytes, error_type: str | None) -> None: ...

    def init_error(self, payload: bytes, error_type: str | None) -> None: ...

    def response_too_large(self, request_id: str) -> None: ...
