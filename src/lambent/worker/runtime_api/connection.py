"""A runtime's connection: the HTTP server's, with a short cut for the read that every warm invocation brings."""

from __future__ import annotations

import logging

from lambent.http.connection import HttpConnection
from lambent.http.rendering import date_line
from lambent.http.roster import Roster
from lambent.worker.runtime_api.habit import Habit, learn
from lambent.worker.runtime_api.server import ACCEPTED, RuntimeCalls

logger = logging.getLogger(__name__)

_LEARN_ATTEMPTS = 3


class RuntimeConnection(HttpConnection):
    """Takes an answer that comes with the request for the next event without the parser, once it knows the runtime's
    habit; everything else goes the usual way. What happens is the same."""

    __slots__ = ("_calls", "_habit", "_lessons")

    def __init__(self, roster: Roster, calls: RuntimeCalls) -> None:
        super().__init__(roster)
        self._calls = calls
        self._habit: Habit | None = None
        self._lessons = _LEARN_ATTEMPTS

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        request_id = self._calls.running if self.is_between_requests else None
        if request_id is not None:
            if self._habit is not None:
                body = self._habit.body(data, request_id)
                if body is not None:
                    self._take(request_id, body, self._habit)
                    return
            elif self._lessons:
                self._lessons -= 1
                self._habit = learn(data, request_id)
        super().data_received(data)

    def _take(self, request_id: str, body: bytes, habit: Habit) -> None:
        try:
            self._calls.response(request_id, body)
        except Exception:  # supervision point, as for a handler: the runtime must not wait for ever
            logger.exception("taking an answer failed")
            self.abort()
            return
        prepared = ACCEPTED.prepared(date_line())
        if prepared is not None:
            self.hold(prepared[0])
        self.take(habit.next)
