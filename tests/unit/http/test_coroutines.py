"""Handlers written as coroutines, with an exchange that only records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from lambent.http.messages import Exchange, Headers, Request, RequestHead, Response
from lambent.http.server import coroutine_handler
from lambent.model.errors import ServiceError


class Recorded:
    """An exchange; refuses responses with status 999, as the server does with what it cannot send."""

    def __init__(self) -> None:
        self.request = Request(RequestHead("GET", "/", "/", "", Headers()), b"")
        self.responses: list[Response] = []
        self.gone = False

    @property
    def closed(self) -> bool:
        return self.gone or bool(self.responses)

    @property
    def client_address(self) -> str | None:
        return None

    def respond(self, response: Response) -> None:
        if response.status == 999:
            raise ValueError("cannot be sent")
        self.responses.append(response)

    def on_disconnect(self, callback: Callable[[], None]) -> None:
        raise AssertionError("not used")


def on_error(exchange: Exchange, error: Exception) -> Response:
    return Response(500, body=str(error).encode())


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_answers_with_what_is_returned() -> None:
    async def fn(exchange: Exchange) -> Response:
        await asyncio.sleep(0)
        return Response(200, body=b"ok")

    handler = coroutine_handler(fn, on_error)
    exchange = Recorded()
    handler(exchange)
    assert handler.task_count == 1
    await settle()
    assert exchange.responses == [Response(200, body=b"ok")]
    assert handler.task_count == 0


@pytest.mark.parametrize(
    ("error", "logged"), [(LookupError("lost"), True), (ServiceError("X", "asked wrongly", status=400), False)]
)
async def test_errors_are_rendered_and_the_unexpected_logged(
    error: Exception, logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def fn(exchange: Exchange) -> Response:
        raise error

    exchange = Recorded()
    coroutine_handler(fn, on_error)(exchange)
    await settle()
    assert exchange.responses == [Response(500, body=str(error).encode())]
    assert ("a handler failed" in caplog.text) is logged


async def test_a_response_that_cannot_be_sent_is_an_error() -> None:
    async def fn(exchange: Exchange) -> Response:
        return Response(999)

    exchange = Recorded()
    coroutine_handler(fn, on_error)(exchange)
    await settle()
    assert exchange.responses == [Response(500, body=b"cannot be sent")]


async def test_even_a_failing_on_error_leaves_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    async def fn(exchange: Exchange) -> Response:
        raise LookupError

    exchange = Recorded()
    coroutine_handler(fn, lambda exchange, error: Response(999))(exchange)
    await settle()
    assert exchange.responses == [Response(500)]
    assert "rendering an error failed" in caplog.text


async def test_a_vanished_client_does_not_stop_the_work() -> None:
    done: list[bool] = []

    async def fn(exchange: Exchange) -> Response:
        await asyncio.sleep(0)
        done.append(True)
        return Response(200)

    exchange = Recorded()
    coroutine_handler(fn, on_error)(exchange)
    exchange.gone = True
    await settle()
    assert done == [True]
    assert exchange.responses == []


async def test_close_lets_the_quick_finish_and_cancels_the_rest() -> None:
    release = asyncio.Event()
    ended: list[str] = []

    async def fn(exchange: Exchange) -> Response:
        try:
            await (release.wait() if exchange.request.path == "/" else asyncio.sleep(60))
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        ended.append("finished")
        return Response(200)

    handler = coroutine_handler(fn, on_error)
    quick, slow = Recorded(), Recorded()
    slow.request = Request(RequestHead("GET", "/slow", "/slow", "", Headers()), b"")
    handler(quick)
    handler(slow)
    await settle()
    release.set()
    await handler.close(0.05)
    assert sorted(ended) == ["cancelled", "finished"]
    assert (len(quick.responses), slow.responses) == (1, [])
    assert handler.task_count == 0
