"""`GET` and `POST /_lambent/clock`: see docs/reference/clock.md. For programs on this host only."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, Final

import orjson

from lambent.aws.local_callers import is_local
from lambent.aws.own_errors import failed
from lambent.aws.routing import is_from_foreign_page
from lambent.http.coroutines import coroutine_handler
from lambent.http.messages import Exchange, Response
from lambent.model.errors import ServiceError, access_denied
from lambent.services.development.clock_control import RUN_MAX_S, ClockControl, Moved, NotIdleError

CLOCK_PATH: Final = "/_lambent/clock"

PATIENCE_S: Final = 60.0

_ACTIONS: Final = {
    "freeze": (),
    "advance": ("seconds", "timeout"),
    "run-until-idle": ("max_seconds", "timeout"),
    "real": ("timeout",),
}
"""Action → the numbers it may be given."""


class ClockEndpoint:
    """Answers about the clock, and moves it. `handler` is to be served under CLOCK_PATH, closed after the server."""

    def __init__(self, control: ClockControl) -> None:
        self._control = control
        self.handler = coroutine_handler(self._answer, failed)

    async def _answer(self, exchange: Exchange) -> Response:
        document = orjson.dumps(await self._handle(exchange))
        return Response(200, (("Content-Type", "application/json"),), document)

    async def _handle(self, exchange: Exchange) -> dict[str, Any]:
        request = exchange.request
        if is_from_foreign_page(request.head) or not is_local(exchange):
            raise access_denied("The clock is moved by programs on this host only.")
        if request.path != CLOCK_PATH:
            raise ServiceError("NotFound", f"There is nothing at {request.path[:200]}", status=404)
        match request.method:
            case "GET":
                return self._describe()
            case "POST":
                return self._describe(await self._move(request.body))
            case _:
                raise ServiceError("MethodNotAllowed", "GET or POST.", status=405)

    async def _move(self, body: bytes) -> Moved:
        action, numbers = _parse(body)
        patience_s = numbers.get("timeout", PATIENCE_S)
        try:
            match action:
                case "freeze":
                    return await self._control.freeze()
                case "advance":
                    return await self._control.advance(numbers["seconds"], patience_s)
                case "run-until-idle":
                    return await self._control.run_until_idle(numbers.get("max_seconds", RUN_MAX_S), patience_s)
                case _:
                    return await self._control.real(patience_s)
        except NotIdleError as error:
            text = f"The server did not come to rest: {error}. The clock stands at {_text(self._control.clock.now())}."
            raise ServiceError("NotIdle", text, status=409) from None

    def _describe(self, moved: Moved | None = None) -> dict[str, Any]:
        clock, due, busy = self._control.clock, self._control.next_due, self._control.busy
        document = {
            "now": _text(clock.now()),
            "epoch_seconds": clock.now(),
            "frozen": clock.is_frozen,
            "ahead_seconds": round(clock.ahead_s, 3),
            "idle": not busy and due is None,
            "busy": busy,
            "next_due": _text(due) if due is not None else None,
        }
        return document | ({"moved_seconds": moved.seconds, "stops": moved.stops} if moved is not None else {})


def _parse(body: bytes) -> tuple[str, Mapping[str, float]]:
    """Action and numbers. Raises ServiceError."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict) or str(document.get("action")) not in _ACTIONS:
        raise _bad(f"The body must be a JSON object with an action, one of {', '.join(_ACTIONS)}.")
    action = str(document.pop("action"))
    if unknown := sorted(set(document) - set(_ACTIONS[action])):
        raise _bad(f"{action} takes no {', '.join(unknown)[:100]}.")
    if action == "advance" and "seconds" not in document:
        raise _bad("advance needs seconds.")
    for name, value in document.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 10 * RUN_MAX_S:
            raise _bad(f"{name} must be a number from 0 to {math.floor(10 * RUN_MAX_S)}.")
    return action, {name: float(value) for name, value in document.items()}


def _bad(text: str) -> ServiceError:
    return ServiceError("ValidationException", text, status=400)


def _text(moment: float) -> str:
    return dt.datetime.fromtimestamp(moment, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
