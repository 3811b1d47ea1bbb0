"""What is recognised without the parser is exactly what the parser would have made of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.http.limits import HttpLimits
from lambent.http.parsing import Phase, RequestParser
from lambent.worker.runtime_api.habit import Habit, _Nobody, learn

FIRST = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
SECOND = "0f9d7c1e-0000-4000-8000-000000000001"
COMMON = "Host: 127.0.0.1:9001\r\nUser-Agent: aws-lambda-python/3.11.7\r\n"
POLL = f"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n{COMMON}\r\n".encode()


def read(request_id: str = FIRST, body: bytes = b"{}", length: str | None = None, poll: bytes = POLL) -> bytes:
    head = (
        f"POST /2018-06-01/runtime/invocation/{request_id}/response HTTP/1.1\r\n{COMMON}"
        f"Content-Type: application/json\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n"
    )
    return head.encode() + body + poll


def known() -> Habit:
    habit = learn(read(), FIRST)
    assert habit is not None
    return habit


def parsed(data: bytes, request_id: str) -> bytes | None:
    """The body, if the parser finds an answer to that event and the request for the next, and nothing else."""
    parser = RequestParser(_Nobody(), _Nobody(), HttpLimits())
    parser.feed(data)
    if parser.refusal is not None or parser.phase is not Phase.IDLE or len(parser.ready) != 2:
        return None
    answer, poll = (exchange.request for exchange in parser.ready)
    if answer.head.target != f"/2018-06-01/runtime/invocation/{request_id}/response" or answer.method != "POST":
        return None
    if poll.head.target != "/2018-06-01/runtime/invocation/next" or poll.method != "GET":
        return None
    return answer.body


@pytest.mark.parametrize("body", [b"", b"{}", b"x" * 12_000, b"a\r\n\r\nGET / HTTP/1.1\r\n\r\n", POLL])
def test_an_answer_is_recognised_whatever_it_is(body: bytes) -> None:
    assert known().body(read(SECOND, body), SECOND) == body == parsed(read(SECOND, body), SECOND)


@given(body=st.binary(max_size=300), changes=st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=3))
def test_what_is_recognised_is_what_the_parser_reads(body: bytes, changes: list[tuple[int, int]]) -> None:
    data = bytearray(read(SECOND, body))
    for position, byte in changes:
        data[position % len(data)] = byte
    found = known().body(bytes(data), SECOND)
    if found is not None:
        assert found == parsed(bytes(data), SECOND)


@pytest.mark.parametrize(
    "data",
    [
        read(FIRST),  # of another event
        read(SECOND)[:-1],
        read(SECOND) + b"G",
        read(SECOND, b"{}", "02"),
        read(SECOND, b"{}", "+2"),
        read(SECOND, b"{}", " 2"),
        read(SECOND, b"{}", "3"),
        read(SECOND, b"{}", "1"),
        read(SECOND, b"{}", ""),
        read(SECOND, b"x" * 20_000),  # more than is looked at
        read(SECOND).replace(b"application/json", b"application/cbor"),
        read(SECOND, poll=b""),
        POLL,
        b"",
    ],
)
def test_everything_else_is_for_the_parser(data: bytes) -> None:
    assert known().body(data, SECOND) is None


@pytest.mark.parametrize(
    "data",
    [
        read(SECOND),  # not the event that was handed out
        read(poll=POLL[:-2]),
        read(poll=POLL + POLL),
        read(poll=POLL.replace(b"GET", b"PUT")),
        read(poll=POLL.replace(b"next", b"nest")),
        read(poll=POLL.replace(b"HTTP/1.1", b"HTTP/1.0")),
        read(poll=POLL.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")),
        read(poll=POLL.replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\nx")),
        read().replace(b"Content-Type", b"Connection: close\r\nContent-Type"),
        read().replace(b"Content-Type", b"Transfer-Encoding: chunked\r\nContent-Type"),
        read().replace(b"Content-Type", b"Content-Length: 2\r\nContent-Type"),
        read().replace(b"Content-Length: 2\r\n", b"Content-Length: 2\r\nX-Last: 1\r\n"),
        read().replace(b"/response", b"/error"),
        read().replace(b"POST", b"PUT"),
        read().replace(b"Host", b"Host "),
        read().replace(b"HTTP/1.1", b"HTTP/1.0", 1),
        b"\r\n" + read(),
    ],
)
def test_only_what_the_parser_confirms_is_learnt(data: bytes) -> None:
    assert learn(data, FIRST) is None
