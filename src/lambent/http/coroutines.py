"""Handlers written as coroutines: one task per exchange, owned here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from lambent.http.messages import Exchange, Response
from lambent.model.errors import ServiceError

logger = logging.getLogger(__name__)


class CoroutineHandler:
    """A `Handler` that runs `fn` in a task per exchange and answers with what it returns.

    A client that goes away does not cancel the task: what was asked for is done (as AWS does). `fn` may say otherwise
    with `exchange.on_disconnect`. `fn` may answer the exchange itself; what it returns is then ignored.
    """

    __slots__ = ("_fn", "_on_error", "_tasks")

    def __init__(
        self, fn: Callable[[Exchange], Awaitable[Response]], on_error: Callable[[Exchange, Exception], Response]
    ) -> None:
        self._fn = fn
        self._on_error = on_error
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, exchange: Exchange) -> None:
        task = asyncio.get_running_loop().create_task(self._run(exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def task_count(self) -> int:
        """Exchanges being worked on."""
        return len(self._tasks)

    async def close(self, grace_s: float = 0.0) -> None:
        """Give the tasks `grace_s` seconds, then cancel and await them. Call after `HttpServer.close`."""
        tasks = set(self._tasks)
        if tasks and grace_s > 0:
            _, tasks = await asyncio.wait(tasks, timeout=grace_s)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, exchange: Exchange) -> None:
        try:
            response = await self._fn(exchange)
            if not exchange.closed:
                exchange.respond(response)
        except Exception as error:  # noqa: BLE001 - supervision point: whatever a handler raises becomes an answer
            self._answer_error(exchange, error)

    def _answer_error(self, exchange: Exchange, error: Exception) -> None:
        if not isinstance(error, ServiceError):
            logger.error("a handler failed", exc_info=error)
        if exchange.closed:
            return
        try:
            exchange.respond(self._on_error(exchange, error))
        except Exception:  # supervision point: the last resort, so that no client waits for ever
            logger.exception("rendering an error failed")
            if not exchange.closed:
                exchange.respond(Response(500))


def coroutine_handler(
    fn: Callable[[Exchange], Awaitable[Response]], on_error: Callable[[Exchange, Exception], Response]
) -> CoroutineHandler:
    """A `Handler` from a coroutine function. Errors are rendered by `on_error`; those that are no `ServiceError` are
    logged as well."""
    return CoroutineHandler(fn, on_error)
