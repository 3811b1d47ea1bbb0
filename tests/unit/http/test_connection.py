"""One connection against a transport that only records: order, back-pressure, patience and endings."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.http.connection import HttpConnection
from lambent.http.limits import HttpLimits
from lambent.http.messages import Exchange, Handler, RequestHead, Response
from lambent.http.roster import Roster

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"


class Policy:
    def body_limit(self, head: RequestHead) -> int:
        return 1_000

    def too_large(self, head: RequestHead, limit: int) -> Response:
        return Response(413, body=b"too large")

    def malformed(self, status: int, reason: str) -> Response:
        return Response(status, body=reason.encode())


class Recorder(asyncio.Transport):
    """A transport whose other end does nothing by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.output = b""
        self.writes = 0
        self.unsent = 0
        self.closed = self.aborted = self.eof = self.paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.eof, "written after the end"
        self.output += data
        self.writes += 1

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        assert self.paused
        self.paused = False


class Client:
    """The far end of a connection whose handler keeps (`exchanges`) or answers at once (`handler`)."""

    def __init__(self, handler: Handler | None = None, limits: HttpLimits | None = None) -> None:
        self.exchanges: list[Exchange] = []
        self.roster = Roster(handler or self.exchanges.append, Policy(), limits or HttpLimits(), "test")
        self.transport = Recorder()
        self.connection = HttpConnection(self.roster)
        self.connection.connection_made(self.transport)

    def send(self, data: bytes) -> None:
        self.connection.data_received(data)

    def lose(self) -> None:
        self.connection.connection_lost(ConnectionResetError())

    def sweep(self, times: int) -> None:
        """Let `times` sweeps pass, as far as any is due."""
        for _ in range(times):
            if self.roster.sweeping is not None:
                self.roster.sweeping.cancel()
                self.roster._sweep()

    def reading_paused(self) -> bool:
        return self.transport.paused

    def closed(self) -> bool:
        return self.transport.closed

    def aborted(self) -> bool:
        return self.transport.aborted

    def timer_runs(self) -> bool:
        return self.roster.sweeping is not None

    @property
    def paths(self) -> list[str]:
        return [exchange.request.path for exchange in self.exchanges]

    @property
    def output(self) -> bytes:
        return self.transport.output


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    made = Client()
    yield made
    made.roster.stop_sweeping()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Client]]:
    made: list[Client] = []

    def make(handler: Handler | None = None, limits: HttpLimits | None = None) -> Client:
        made.append(Client(handler, limits))
        return made[-1]

    yield make
    for each in made:
        each.roster.stop_sweeping()


def echo(exchange: Exchange) -> None:
    exchange.respond(Response(200, body=exchange.request.path.encode()))


async def settle() -> None:
    """Let tasks run."""
    for _ in range(10):
        await asyncio.sleep(0)


# Order and back-pressure


async def test_an_answer_is_one_write(client: Client) -> None:
    client.send(GET % 1)
    client.exchanges[0].respond(Response(200, body=b"abc"))
    assert client.output.startswith(b"HTTP/1.1 200 OK\r\n")
    assert client.output.endswith(b"\r\n\r\nabc")
    assert client.transport.writes == 1
    assert not client.closed()


async def test_big_bodies_are_written_as_they_are(client: Client) -> None:
    client.send(GET % 1)
    body = b"x" * 6_000_000
    written: list[object] = []
    client.connection._write = written.append
    client.exchanges[0].respond(Response(200, body=body))
    assert written[1] is body


async def test_pipelined_requests_are_handed_over_one_at_a_time_and_reading_pauses(client: Client) -> None:
    client.send(GET % 1 + GET % 2 + GET % 3)
    assert client.paths == ["/1"]
    assert client.reading_paused()
    client.exchanges[0].respond(Response(200, body=b"one"))
    assert client.paths == ["/1", "/2"]
    assert client.reading_paused()
    client.exchanges[1].respond(Response(200, body=b"two"))
    assert client.paths == ["/1", "/2", "/3"]
    client.exchanges[2].respond(Response(200, body=b"three"))
    assert not client.reading_paused()
    assert client.output.index(b"one") < client.output.index(b"two") < client.output.index(b"three")


HOLDING = HttpLimits(hold_pipelined_s=0.01)


async def test_held_answers_go_out_with_the_next_one(connect: Callable[..., Client]) -> None:
    client = connect(limits=HOLDING)
    client.send(GET % 1 + GET % 2)
    client.exchanges[0].respond(Response(200, body=b"one"))
    assert client.output == b""
    client.exchanges[1].respond(Response(200, body=b"two"))
    assert client.output.index(b"one") < client.output.index(b"two")
    assert client.transport.writes == 1


async def test_held_answers_do_not_wait_for_long(connect: Callable[..., Client]) -> None:
    client = connect(limits=HOLDING)
    client.send(GET % 1 + GET % 2)
    client.exchanges[0].respond(Response(200, body=b"one"))
    await asyncio.sleep(0.05)
    assert client.output.endswith(b"one")
    client.exchanges[1].respond(Response(200, body=b"two"))
    assert client.output.count(b"one") == 1


async def test_an_answer_is_not_held_when_nothing_follows_it(connect: Callable[..., Client]) -> None:
    client = connect(limits=HOLDING)
    client.send(GET % 1)
    client.exchanges[0].respond(Response(200, body=b"one"))
    assert client.output.endswith(b"one")


async def test_held_answers_go_out_before_a_stream(connect: Callable[..., Client]) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"two"

    client = connect(limits=HOLDING)
    client.send(GET % 1 + GET % 2)
    client.exchanges[0].respond(Response(200, body=b"one"))
    client.exchanges[1].respond(Response(200, body=pieces()))
    await settle()
    assert client.output.index(b"one") < client.output.index(b"two")


async def test_held_answers_of_a_lost_client_are_forgotten(connect: Callable[..., Client]) -> None:
    client = connect(limits=HOLDING)
    client.send(GET % 1 + GET % 2)
    client.exchanges[0].respond(Response(200, body=b"one"))
    client.lose()
    await asyncio.sleep(0.03)
    assert client.output == b""


async def test_thousands_of_pipelined_requests_answered_at_once(connect: Callable[..., Client]) -> None:
    client = connect(echo)
    client.send(b"".join(GET % i for i in range(5_000)))
    assert client.output.count(b"HTTP/1.1 200 OK") == 5_000
    assert client.output.endswith(b"\r\n\r\n/4999")


async def test_a_read_full_of_requests_is_looked_at_piece_by_piece(client: Client) -> None:
    client.send(b"".join(GET % i for i in range(8_000)))
    assert client.reading_paused()
    assert len(client.connection._parser.ready) < 1_000
    for i in range(8_000):
        client.exchanges[i].respond(Response(200))
    assert client.paths == [f"/{i}" for i in range(8_000)]
    assert not client.reading_paused()


async def test_a_big_body_in_one_read(client: Client) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\nX: "
    client.send((head + b"x" * 15_990 + b"\r\n\r\n" + b"y" * 1_000) * 3)
    for i in range(3):
        assert client.exchanges[i].request.body == b"y" * 1_000
        client.exchanges[i].respond(Response(200))


async def test_upgrades_anywhere_in_a_big_read(connect: Callable[..., Client]) -> None:
    bodies: list[bytes] = []

    def note(exchange: Exchange) -> None:
        bodies.append(exchange.request.body)
        exchange.respond(Response(200))

    upgrade = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\n%05d"
    connect(note).send(b"".join(upgrade % i for i in range(500)))
    assert bodies == [b"%05d" % i for i in range(500)]


async def test_a_refusal_throws_away_the_rest_of_the_read(connect: Callable[..., Client]) -> None:
    client = connect(echo)
    client.send(GET % 1 + b"rubbish" + GET % 2 * 8_000)
    assert client.output.count(b"HTTP/1.1 ") == 2
    assert client.transport.eof
    assert not client.reading_paused()


async def test_no_further_request_while_the_client_does_not_read(connect: Callable[..., Client]) -> None:
    client = connect(echo)
    client.connection.pause_writing()
    client.send(GET % 1 + GET % 2)
    assert client.output == b""
    assert client.reading_paused()
    client.connection.resume_writing()
    assert client.output.count(b"200 OK") == 2
    assert not client.reading_paused()


async def test_a_refusal_waits_for_the_answers_before_it(client: Client) -> None:
    client.send(GET % 1 + b"rubbish")
    assert client.output == b""
    client.exchanges[0].respond(Response(200, body=b"one"))
    assert client.output.index(b"one") < client.output.index(b"HTTP/1.1 501")
    assert client.transport.eof
    assert not client.closed()


# Expect: 100-continue

EXPECT = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"


async def test_100_is_sent_when_the_body_is_admitted(client: Client) -> None:
    client.send(EXPECT % 3)
    assert client.output == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"ab")
    client.send(b"c")
    assert client.exchanges[0].request.body == b"abc"
    assert client.output.count(b"100 Continue") == 1


async def test_100_waits_for_the_answers_before_it(client: Client) -> None:
    client.send(GET % 1 + EXPECT % 3)
    assert client.output == b""
    client.exchanges[0].respond(Response(200, body=b"one"))
    assert client.output.endswith(b"one" + b"HTTP/1.1 100 Continue\r\n\r\n")


async def test_no_100_for_a_body_that_came_along(client: Client) -> None:
    client.send(EXPECT % 3 + b"abc")
    assert client.output == b""
    assert client.exchanges[0].request.body == b"abc"


async def test_no_100_for_too_large_a_body(client: Client) -> None:
    client.send(EXPECT % 1_001)
    assert client.output.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close\r\n" in client.output
    assert b"100 Continue" not in client.output


# Endings


@pytest.mark.parametrize("close", [b"Connection: close\r\n", b""])
async def test_close_after_the_answer(client: Client, close: bytes) -> None:
    version = b"1.1" if close else b"1.0"
    client.send(b"GET / HTTP/" + version + b"\r\nHost: a\r\n" + close + b"\r\n")
    assert not client.closed()
    client.exchanges[0].respond(Response(200))
    assert b"Connection: close\r\n" in client.output
    assert client.closed()


async def test_a_refused_client_is_listened_to_within_bounds(connect: Callable[..., Client]) -> None:
    client = connect(limits=HttpLimits(max_linger_bytes=10_000))
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n" + b"x" * 100)
    assert client.transport.eof
    client.send(b"x" * 10_000)
    assert not client.closed()
    client.send(b"x")
    assert client.aborted()


async def test_a_refused_client_that_goes_is_let_go(client: Client) -> None:
    client.send(b"rubbish")
    assert not client.closed()
    assert client.connection.eof_received() is False


async def test_a_slow_reader_of_the_last_answer_is_not_cut_off(connect: Callable[..., Client]) -> None:
    client = connect(limits=HttpLimits(linger_timeout_s=4, write_timeout_s=10))
    client.send(b"rubbish")
    for unsent in range(20, 0, -1):
        client.transport.unsent = unsent
        client.sweep(1)
    assert not client.aborted()
    client.transport.unsent = 0
    client.sweep(5)
    assert client.aborted()


async def test_a_client_that_reset_the_connection_cannot_be_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError("not connected")

    monkeypatch.setattr(client.transport, "write_eof", fail)
    client.send(b"rubbish")
    assert client.aborted()


async def test_a_vanished_client_calls_back_once_and_is_not_answered(client: Client) -> None:
    client.send(GET % 1)
    exchange = client.exchanges[0]
    calls: list[int] = []
    exchange.on_disconnect(lambda: calls.append(1))
    exchange.on_disconnect(lambda: calls.append(2))
    client.connection.eof_received()
    client.lose()
    assert calls == [1, 2]
    assert exchange.closed
    exchange.respond(Response(200))
    exchange.respond(Response(200))
    assert client.output == b""
    assert client.roster.members == set()


async def test_a_callback_that_comes_too_late_is_called_soon(client: Client) -> None:
    client.send(GET % 1)
    calls: list[int] = []
    client.connection.eof_received()
    client.exchanges[0].on_disconnect(lambda: calls.append(1))
    await settle()
    client.lose()
    client.exchanges[0].on_disconnect(lambda: calls.append(2))
    assert calls == [1, 2]


async def test_a_failing_callback_does_not_keep_the_others(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.send(GET % 1)
    calls: list[int] = []
    client.exchanges[0].on_disconnect(lambda: calls.append(1 // 0))
    client.exchanges[0].on_disconnect(lambda: calls.append(2))
    client.lose()
    assert calls == [2]
    assert "a callback for a vanished client failed" in caplog.text


async def test_no_callback_after_the_answer(client: Client) -> None:
    client.send(GET % 1)
    calls: list[int] = []
    client.exchanges[0].on_disconnect(lambda: calls.append(1))
    client.exchanges[0].respond(Response(200))
    client.exchanges[0].on_disconnect(lambda: calls.append(2))
    client.lose()
    assert calls == []


async def test_a_half_closed_client_gets_its_answers(client: Client) -> None:
    client.send(GET % 1 + GET % 2)
    assert client.connection.eof_received() is True
    assert not client.exchanges[0].closed
    client.exchanges[0].respond(Response(200, body=b"one"))
    client.exchanges[1].respond(Response(200, body=b"two"))
    assert client.output.endswith(b"two")
    assert client.closed()


async def test_end_of_input_inside_a_request_closes(client: Client) -> None:
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
    assert client.connection.eof_received() is False
    assert client.exchanges == []


async def test_a_second_answer_raises(client: Client) -> None:
    client.send(GET % 1)
    client.exchanges[0].respond(Response(200))
    assert client.exchanges[0].closed
    with pytest.raises(RuntimeError):
        client.exchanges[0].respond(Response(200))


async def test_an_answer_that_cannot_be_sent_leaves_the_exchange_open(client: Client) -> None:
    client.send(GET % 1)
    with pytest.raises(ValueError, match="CR, LF"):
        client.exchanges[0].respond(Response(200, (("X", "a\r\nb: c"),)))
    assert client.output == b""
    assert not client.exchanges[0].closed
    client.exchanges[0].respond(Response(500))
    assert client.output.startswith(b"HTTP/1.1 500 ")


async def test_a_handler_that_raises_answers_500(
    connect: Callable[..., Client], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(exchange: Exchange) -> None:
        raise LookupError(exchange.request.path)

    client = connect(broken)
    client.send(GET % 1)
    assert client.output.startswith(b"HTTP/1.1 500 ")
    assert client.closed()
    assert "a handler failed" in caplog.text


async def test_a_policy_that_raises_loses_only_its_client(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(head: RequestHead) -> int:
        raise LookupError(head.path)

    monkeypatch.setattr(client.roster.policy, "body_limit", fail)
    client.send(EXPECT % 3)
    assert client.aborted()
    assert "reading a request failed" in caplog.text


async def test_a_head_request_is_refused_without_a_body(client: Client) -> None:
    client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n")
    assert client.output.startswith(b"HTTP/1.1 413 ")
    assert b"Content-Length: 9\r\n" in client.output
    assert client.output.endswith(b"\r\n\r\n")


# Streams


async def test_a_stream_is_chunked_and_the_connection_goes_on(client: Client) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b""
        yield b"x" * 100_000

    client.send(GET % 1 + GET % 2)
    client.exchanges[0].respond(Response(200, body=body()))
    assert client.paths == ["/1"]
    await settle()
    head, _, rest = client.output.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert rest == b"3\r\nabc\r\n186a0\r\n" + b"x" * 100_000 + b"\r\n0\r\n\r\n"
    assert client.paths == ["/1", "/2"]
    assert client.roster.streams == set()


async def test_a_stream_waits_while_the_client_does_not_read(client: Client) -> None:
    made: list[int] = []

    async def body() -> AsyncIterator[bytes]:
        for i in range(5):
            made.append(i)
            if i == 1:
                client.connection.pause_writing()
            yield b"%d" % i

    client.send(GET % 1)
    client.exchanges[0].respond(Response(200, body=body()))
    await settle()
    assert made == [0, 1]
    client.connection.resume_writing()
    await settle()
    assert made == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("length", "kept"), [("6", True), ("5", False), ("7", False)])
async def test_a_stream_with_a_length_is_held_to_it(
    client: Client, length: str, kept: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b"def"

    client.send(GET % 1)
    client.exchanges[0].respond(Response(200, (("Content-Length", length),), body()))
    await settle()
    assert client.transport.aborted is not kept
    assert ("a streamed response failed" in caplog.text) is not kept
    assert len(client.output.partition(b"\r\n\r\n")[2]) <= int(length)


async def test_a_vanished_client_ends_the_stream(client: Client) -> None:
    ended: list[bool] = []

    async def body() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
                await asyncio.sleep(0)
        finally:
            ended.append(True)

    client.send(GET % 1)
    client.exchanges[0].respond(Response(200, body=body()))
    await settle()
    client.lose()
    await settle()
    assert ended == [True]
    assert client.roster.streams == set()


class UnreadBody:
    """A stream that must be closed without being read."""

    closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise AssertionError("not read")

    async def aclose(self) -> None:
        self.closed = True


async def test_a_stream_nobody_waits_for_any_more_is_closed_unread(client: Client) -> None:
    body = UnreadBody()
    client.send(GET % 1)
    client.exchanges[0].respond(Response(200, body=body))
    client.lose()
    await settle()
    assert body.closed


async def test_a_stream_to_head_is_closed_unread(client: Client) -> None:
    body = UnreadBody()
    client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + GET % 2)
    client.exchanges[0].respond(Response(200, body=body))
    await settle()
    assert body.closed
    assert client.output.endswith(b"\r\n\r\n")
    assert client.paths == ["/", "/2"]


# Patience: one tick is a second with these limits

LIMITS = HttpLimits(
    header_timeout_s=4,
    body_timeout_s=6,
    keep_alive_timeout_s=8,
    write_timeout_s=10,
    linger_timeout_s=5,
)


async def test_a_slow_head_is_answered_408(connect: Callable[..., Client]) -> None:
    client = connect(limits=LIMITS)
    client.send(b"GET / HTTP/1.1\r\n")
    client.sweep(4)
    client.send(b"X: 1\r\n")  # dripping does not help
    assert client.output == b""
    client.sweep(1)
    assert client.output.startswith(b"HTTP/1.1 408 ")
    assert client.transport.eof
    client.sweep(6)
    assert client.aborted()


async def test_a_slow_body_is_answered_408_when_nothing_comes(connect: Callable[..., Client]) -> None:
    client = connect(limits=LIMITS)
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
    for _ in range(5):
        client.sweep(6)
        client.send(b"x")
    assert client.output == b""
    client.sweep(7)
    assert client.output.startswith(b"HTTP/1.1 408 ")


async def test_idle_connections_are_closed_without_a_word(connect: Callable[..., Client]) -> None:
    client = connect(echo, LIMITS)
    client.sweep(8)
    client.send(GET % 1)
    client.sweep(8)
    assert not client.closed()
    client.sweep(1)
    assert client.closed()
    assert client.output.count(b"HTTP/1.1") == 1


async def test_the_handler_has_all_the_time_and_no_timer_runs(connect: Callable[..., Client]) -> None:
    client = connect(limits=LIMITS)
    client.send(GET % 1)
    client.sweep(1)
    assert not client.timer_runs()
    client.exchanges[0].respond(Response(200))
    assert client.timer_runs()


async def test_infinite_patience_needs_no_timer(connect: Callable[..., Client]) -> None:
    client = connect(limits=HttpLimits(keep_alive_timeout_s=math.inf))
    client.sweep(1)
    assert not client.timer_runs()
    client.send(b"GET")
    assert client.timer_runs()


async def test_a_client_that_takes_nothing_is_aborted(connect: Callable[..., Client]) -> None:
    client = connect(limits=LIMITS)
    client.send(GET % 1)
    client.exchanges[0].respond(Response(200, body=b"x" * 100))
    client.transport.unsent = 100
    client.connection.pause_writing()
    client.sweep(9)
    client.transport.unsent = 99
    client.sweep(11)
    assert not client.aborted()
    client.sweep(1)
    assert client.aborted()


async def test_a_closing_connection_whose_client_takes_nothing_is_aborted(connect: Callable[..., Client]) -> None:
    client = connect(limits=LIMITS)
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    client.transport.unsent = 100
    client.exchanges[0].respond(Response(200, body=b"x" * 100))
    assert client.closed()
    client.sweep(13)
    assert client.aborted()


async def test_one_failing_connection_does_not_end_the_sweep(
    connect: Callable[..., Client], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = connect(limits=LIMITS)
    client.send(b"GET")

    def fail(status: int, reason: str) -> Response:
        raise LookupError(reason)

    monkeypatch.setattr(client.roster.policy, "malformed", fail)
    client.sweep(5)
    assert client.aborted()
    assert "looking after a connection failed" in caplog.text


# Anything


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=30),
            st.sampled_from([GET % 1, EXPECT % 3, b"abc", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"]),
            st.sampled_from(["answer", "pause", "resume", "sweep", "eof"]),
        ),
        max_size=25,
    )
)
def test_whatever_happens_every_client_is_answered_or_closed(events: list[bytes | str]) -> None:
    asyncio.run(_live_through(events))


async def _live_through(events: list[bytes | str]) -> None:
    client = Client(limits=LIMITS)
    far_end = FarEnd(client)
    for event in events:
        if client.transport.closed:
            break
        if isinstance(event, str):
            getattr(far_end, event)()
        elif event and far_end.sending and not client.reading_paused():
            client.send(event)
    far_end.resume()
    while not all(exchange.closed for exchange in client.exchanges):
        far_end.answer()
    client.sweep(20)
    assert client.closed()
    assert client.output.count(b"HTTP/1.1 200 ") <= len(client.exchanges)
    client.roster.stop_sweeping()


class FarEnd:
    """What may happen to a connection, as an event loop lets it happen."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.sending = self.taking = True

    def answer(self) -> None:
        for exchange in self.client.exchanges:
            if not exchange.closed:
                exchange.respond(Response(200, body=b"ok"))
                return

    def pause(self) -> None:
        if self.taking:
            self.taking = False
            self.client.connection.pause_writing()

    def resume(self) -> None:
        if not self.taking and not self.client.transport.closed:
            self.taking = True
            self.client.connection.resume_writing()

    def sweep(self) -> None:
        self.client.sweep(1)

    def eof(self) -> None:
        if self.sending and not self.client.reading_paused():
            self.sending = False
            if not self.client.connection.eof_received():
                self.client.transport.close()
