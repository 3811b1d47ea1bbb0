"""Heads of responses."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.http.messages import Response
from lambent.http.rendering import FixedResponse, Framing, date_line, render


async def pieces() -> AsyncIterator[bytes]:
    yield b"x"


def head(response: Response, *, keep_alive: bool = True, http10: bool = False, head_only: bool = False) -> list[str]:
    """The lines but for the date."""
    text = render(response, keep_alive, http10, head_only)[0].decode("latin-1")
    assert text.endswith("\r\n\r\n")
    lines = text[:-4].split("\r\n")
    return [line for line in lines if not line.startswith("Date:")]


def test_a_plain_answer() -> None:
    data, keep_alive, framing, length = render(Response(200, (("X-A", "b c"),), b"abc"), True, False, False)
    assert re.fullmatch(
        rb"HTTP/1\.1 200 OK\r\n"
        rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n"
        rb"X-A: b c\r\nContent-Length: 3\r\n\r\n",
        data,
    )
    assert (keep_alive, framing, length) == (True, Framing.LENGTH, 3)


def test_closing_and_http_1_0() -> None:
    assert head(Response(200), keep_alive=False) == ["HTTP/1.1 200 OK", "Content-Length: 0", "Connection: close"]
    assert head(Response(200), http10=True) == ["HTTP/1.1 200 OK", "Content-Length: 0", "Connection: keep-alive"]


def test_a_handler_may_ask_to_close() -> None:
    response = Response(200, (("connection", "close"),))
    assert head(response) == ["HTTP/1.1 200 OK", "Content-Length: 0", "Connection: close"]
    assert render(response, True, False, False)[1] is False


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(status: int) -> None:
    data, _, framing, _ = render(Response(status, body=b"not sent"), True, False, False)
    assert framing is Framing.NONE
    assert b"Content-Length" not in data


def test_head_has_the_length_of_the_body_it_does_not_carry() -> None:
    assert head(Response(200, body=b"abc"), head_only=True)[-1] == "Content-Length: 3"
    assert head(Response(200, (("Content-Length", "70"),)), head_only=True)[-1] == "Content-Length: 70"
    assert render(Response(200, body=b"abc"), True, False, True)[2] is Framing.NONE


def test_streams() -> None:
    assert head(Response(200, body=pieces()))[1:] == ["Transfer-Encoding: chunked"]
    assert head(Response(200, (("content-length", "1"),), pieces()))[1:] == ["Content-Length: 1"]
    assert head(Response(200, body=pieces()), http10=True)[1:] == ["Connection: close"]
    assert head(Response(204, body=pieces()))[1:] == []


def test_unknown_statuses_have_no_phrase() -> None:
    assert head(Response(599))[0] == "HTTP/1.1 599 "


def test_a_given_date_replaces_the_clocks() -> None:
    data = render(Response(200, (("date", "then"),)), True, False, False)[0]
    assert data.count(b"Date: ") == 1
    assert b"Date: then\r\n" in data


@pytest.mark.parametrize(
    "response",
    [
        Response(200, (("X", "a\r\nSet-Cookie: b"),)),
        Response(200, (("X", "a\nb"),)),
        Response(200, (("X", "a\rb"),)),
        Response(200, (("X", "a\0b"),)),
        Response(200, (("Date", "a\r\nb: c"),)),
        Response(200, (("X\r\nY", "a"),)),
        Response(200, (("X Y", "a"),)),
        Response(200, (("X:", "a"),)),
        Response(200, (("", "a"),)),
        Response(200, (("Xé", "a"),)),
        Response(200, (("X", "€"),)),
        Response(200, (("Transfer-Encoding", "chunked"),)),
        Response(200, (("Content-Length", "2"),), b"abc"),
        Response(200, (("Content-Length", "-3"),), b"abc"),
        Response(200, (("Content-Length", "3"), ("content-length", "3")), b"abc"),
        Response(100),
        Response(1000),
    ],
)
def test_what_cannot_be_sent(response: Response) -> None:
    with pytest.raises(ValueError, match=r"."):
        render(response, True, False, False)


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_field_is_one_line_or_an_error(name: str, value: str) -> None:
    try:
        data = render(Response(200, ((name, value),)), True, False, False)[0]
    except ValueError:
        return
    lines = data[:-4].split(b"\r\n")
    assert len(lines) in (3, 4)
    assert not any(b"\r" in line or b"\n" in line for line in lines)


def test_a_fixed_response_is_rendered_as_any_other() -> None:
    fixed = FixedResponse(202, (("Content-Type", "application/json"),), b"{}")
    prepared = fixed.prepared(date_line())
    assert prepared is not None
    assert prepared == fixed.prepared(date_line())
    plain = render(Response(202, fixed.headers, b"{}"), True, False, False)[0] + b"{}"
    date = re.compile(rb"Date: [^\r]+")
    assert date.sub(b"", prepared[0]) == date.sub(b"", plain)
    assert prepared[1] == b""
    assert fixed.general() is fixed
