"""The input side alone: bytes in any fragmentation, limits, and what is refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.http.exchange import HttpExchange
from lambent.http.limits import HttpLimits
from lambent.http.messages import RequestHead, Response
from lambent.http.parsing import Phase, RequestParser

BODY_LIMIT = 100_000


class Policy:
    """Says in its bodies why it was asked."""

    def __init__(self, limit: int = BODY_LIMIT) -> None:
        self.limit = limit

    def body_limit(self, head: RequestHead) -> int:
        return self.limit

    def too_large(self, head: RequestHead, limit: int) -> Response:
        return Response(413, body=f"{head.path} over {limit}".encode())

    def malformed(self, status: int, reason: str) -> Response:
        return Response(status, body=reason.encode())


class NoConnection:
    """Exchanges of these tests are read, never answered."""

    def answer(self, exchange: HttpExchange, response: Response) -> None:
        raise AssertionError("not answered here")

    @property
    def client_address(self) -> str | None:
        return None

    def call_soon(self, callback: Callable[[], None]) -> None:
        raise AssertionError("not called here")


def parser(policy: Policy | None = None, limits: HttpLimits | None = None) -> RequestParser:
    return RequestParser(NoConnection(), policy or Policy(), limits or HttpLimits())


def feed(into: RequestParser, *pieces: bytes) -> None:
    """As a connection does."""
    for piece in pieces:
        if into.phase is Phase.OVER:
            return
        into.feed(piece)
        account(into, len(piece))


def account(into: RequestParser, received: int) -> None:
    if into.phase in (Phase.HEAD, Phase.BODY):
        into.account(received)


def refused(data: bytes, limits: HttpLimits | None = None) -> Response | None:
    into = parser(limits=limits)
    feed(into, data)
    return into.refusal


# Any fragmentation


@dataclass(frozen=True)
class Sent:
    """A request, and how its body is framed."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    chunks: list[int] = field(default_factory=list)

    def render(self) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: h", *(f"{n}: {v}" for n, v in self.headers)]
        if not self.chunks:
            lines.append(f"Content-Length: {len(self.body)}")
            payload = self.body
        else:
            lines.append("Transfer-Encoding: chunked")
            payload, rest = b"", self.body
            for size in [*self.chunks, len(self.body)]:
                piece, rest = rest[:size], rest[size:]
                payload += b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
            payload += b"0\r\n\r\n"
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + payload


_token = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-_", min_size=1, max_size=12)
_value = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=20)
_sent = st.builds(
    Sent,
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]),
    target=_token.map(lambda t: f"/{t}?a=%20{t}"),
    headers=st.lists(st.tuples(_token.map(lambda t: f"x-{t}"), _value), max_size=4).map(tuple),
    body=st.binary(max_size=300),
    chunks=st.lists(st.integers(1, 50), max_size=5),
)


@given(requests=st.lists(_sent, min_size=1, max_size=4), cuts=st.lists(st.integers(0, 3_000), max_size=30))
def test_requests_are_the_same_in_any_fragmentation(requests: list[Sent], cuts: list[int]) -> None:
    stream = b"".join(request.render() for request in requests)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    into = parser()
    feed(into, *(stream[start:end] for start, end in itertools.pairwise(edges)))
    assert into.refusal is None
    assert len(into.ready) == len(requests)
    for exchange, sent in zip(into.ready, requests, strict=True):
        request = exchange.request
        assert (request.method, request.head.target, request.body) == (sent.method, sent.target, sent.body)
        assert request.path == sent.target.partition("?")[0]
        assert request.query == sent.target.partition("?")[2]
        expected = [("host", "h"), *((name.lower(), value.strip(" \t")) for name, value in sent.headers)]
        assert list(request.headers)[:-1] == expected


def test_a_request_byte_by_byte() -> None:
    sent = Sent("POST", "/a?b", (("X-Y", "z"),), b"0123456789" * 10, [3, 7])
    into = parser()
    feed(into, *(bytes([byte]) for byte in sent.render()))
    assert [exchange.request.body for exchange in into.ready] == [sent.body]


@given(st.binary(max_size=400))
def test_garbage_never_raises(data: bytes) -> None:
    into = parser()
    feed(into, data)
    assert into.refusal is None or into.refusal.status in (400, 431, 501, 505)


_fragments = st.sampled_from(
    [
        b"GET ", b"/", b" HTTP/1.1\r\n", b"Host: a\r\n", b"\r\n", b"\n", b"\r", b"Content-Length: 3\r\n", b"abc", b"0",
        b"CONNECT ", b"Connection: close\r\n", b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n", b"POST / HTTP/1.1\r\n", b"HTTP/1.0\r\n", b"\0", b"5\r\nhello\r\n", b": ",
    ]
)  # fmt: skip


@given(st.lists(_fragments, max_size=30), st.integers(1, 40))
def test_almost_http_never_raises(fragments: list[bytes], size: int) -> None:
    data = b"".join(fragments)
    into = parser(limits=HttpLimits(max_head_bytes=120, max_headers=5))
    feed(into, *(data[at : at + size] for at in range(0, len(data), size)))
    assert into.refusal is None or into.refusal.status in (400, 413, 431, 501, 505)


# What is no request we answer

_HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (_HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 400),
        (_HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n1\r\na\r\n0\r\n\r\n", 400),
        (_HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (_HEAD + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 400),
        (_HEAD + b"Content-Length: 1, 1\r\n\r\na", 400),
        (_HEAD + b"Content-Length: +1\r\n\r\na", 400),
        (_HEAD + b"Content-Length: -1\r\n\r\na", 400),
        (_HEAD + b"Content-Length: 0x1\r\n\r\na", 400),
        (_HEAD + b"Content-Length: 1_0\r\n\r\na", 400),
        (_HEAD + b"Content-Length:\r\n\r\na", 400),
        (_HEAD + b"Content-Length: 99999999999999999999999\r\n\r\na", 400),
        (_HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (_HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
        (_HEAD + b"Transfer-Encoding: identity\r\n\r\n", 501),
        (_HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
        (_HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (_HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        (_HEAD + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", 400),
        (_HEAD + b"Transfer-Encoding: chunked\n\n0\n\n", 400),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (_HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        (_HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n", 400),
        (_HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400),
        (_HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n", 400),
        (_HEAD + b"X: a\r\n folded\r\n\r\n", 400),
        (_HEAD + b"X : a\r\n\r\n", 400),
        (_HEAD + b"X: a\0b\r\n\r\n", 400),
        (_HEAD + b"X: a\rb\r\n\r\n", 400),
        (_HEAD + b": a\r\n\r\n", 400),
        (_HEAD + b"Host: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /é HTTP/1.1\r\nHost: a\r\n\r\n".encode(), 400),
        (b"GET ftp://h/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 505),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"NOPE / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 501),  # TLS to a plain port
    ],
)
def test_what_is_refused(data: bytes, status: int) -> None:
    refusal = refused(data)
    assert refusal is not None
    assert refusal.status == status
    assert refusal.body


def test_requests_before_a_malformed_one_are_kept() -> None:
    into = parser()
    feed(into, b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert [exchange.request.path for exchange in into.ready] == ["/1"]
    assert into.refusal is not None
    assert into.phase is Phase.OVER


@pytest.mark.parametrize("ending", [b"Connection: close\r\n", b"Connection: Close, x\r\n"])
def test_nothing_is_read_after_the_last_request(ending: bytes) -> None:
    into = parser()
    feed(into, b"GET /1 HTTP/1.1\r\nHost: a\r\n" + ending + b"\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert [exchange.request.path for exchange in into.ready] == ["/1"]
    assert into.phase is Phase.OVER
    assert into.refusal is None


@pytest.mark.parametrize(
    ("version", "connection", "keep_alive"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: keep-alive\r\n", True),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: keep-alive\r\n", True),
    ],
)
def test_versions_and_keep_alive(version: bytes, connection: bytes, keep_alive: bool) -> None:
    into = parser()
    feed(into, b"GET / HTTP/" + version + b"\r\nHost: a\r\n" + connection + b"\r\n")
    (exchange,) = into.ready
    assert exchange.keep_alive is keep_alive
    assert exchange.http10 is (version == b"1.0")


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/a%2Fb?x=%20&y", "/a%2Fb", "x=%20&y"),
        ("/a?b?c", "/a", "b?c"),
        ("//a//b", "//a//b", ""),
        ("http://h:1/a?b", "/a", "b"),
        ("HTTP://h", "/", ""),
        ("http://h?b", "/", "b"),
        ("*", "*", ""),
    ],
)
def test_targets(target: str, path: str, query: str) -> None:
    into = parser()
    method = "OPTIONS" if target == "*" else "GET"
    feed(into, f"{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    (exchange,) = into.ready
    assert (exchange.request.head.target, exchange.request.path, exchange.request.query) == (target, path, query)


def test_header_values_lose_outer_space_only() -> None:
    into = parser()
    feed(into, b"GET / HTTP/1.1\r\nHost: a\r\nX-A: \t a \xe9\xa0b \t\r\nX-E:\r\nX-A: 2\r\n\r\n")
    headers = into.ready[0].request.headers
    assert headers.get_all("x-a") == ["a \xe9\xa0b", "2"]
    assert headers.get("x-a") == "a \xe9\xa0b"
    assert headers.get("x-e") == ""


def test_trailers_are_not_headers() -> None:
    into = parser()
    feed(into, _HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nAuthorization: x\r\n\r\n" + _HEAD + b"\r\n")
    assert [exchange.request.body for exchange in into.ready] == [b"a", b""]
    assert all("authorization" not in exchange.request.headers for exchange in into.ready)


# Upgrades


@pytest.mark.parametrize(
    ("framing", "payload", "body"),
    [
        (b"", b"", b""),
        (b"Content-Length: 3\r\n", b"abc", b"abc"),
        (b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"Content-Length: 25\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_an_upgrade_is_ignored_and_its_body_still_read(framing: bytes, payload: bytes, body: bytes, size: int) -> None:
    one = _HEAD + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" + framing + b"\r\n" + payload
    data = one + one + b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n"
    into = parser()
    feed(into, *(data[at : at + size] for at in range(0, len(data), size)))
    assert into.refusal is None
    assert [exchange.request.path for exchange in into.ready] == ["/", "/", "/after"]
    assert [exchange.request.body for exchange in into.ready] == [body, body, b""]
    assert into.ready[0].request.headers.get("upgrade") == "h2c"


# Limits


def test_a_body_of_known_length_is_taken_as_it_comes() -> None:
    into = parser()
    feed(into, b"POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n" + b"a" * 10_000)
    assert into.body_due == 80_000
    feed(into, b"b" * 50_000)
    assert (into.phase, into.body_due, into.body_size) == (Phase.BODY, 30_000, 60_000)
    into.feed(
        memoryview(b"c" * 30_000 + b"POST /next HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok" + b"GET /last")
    )
    assert [exchange.request.path for exchange in into.ready] == ["/large", "/next"]
    assert into.ready[0].request.body == b"a" * 10_000 + b"b" * 50_000 + b"c" * 30_000
    assert into.ready[1].request.body == b"ok"
    assert (into.phase, into.body_due) == (Phase.HEAD, 0)
    feed(into, b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert into.ready[2].request.path == "/last"


def test_nothing_is_read_after_the_body_of_a_last_request() -> None:
    into = parser()
    feed(into, b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 6\r\n\r\nabc")
    feed(into, b"defGET /more HTTP/1.1\r\nHost: x\r\n\r\n")
    assert [exchange.request.body for exchange in into.ready] == [b"abcdef"]
    assert (into.phase, into.refusal) == (Phase.OVER, None)


def test_what_follows_a_body_that_came_in_parts_is_held_to_the_grammar() -> None:
    into = parser()
    feed(into, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc", b"def\x00\x01")
    assert [exchange.request.body for exchange in into.ready] == [b"abcdef"]
    assert into.refusal is not None
    assert into.refusal.status == 501  # no such method


def test_a_refusal_in_a_body_leaves_nothing_due() -> None:
    into = parser()
    feed(into, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc")
    into.refuse(408, "too slow")
    assert (into.phase, into.body_due) == (Phase.OVER, 0)


def test_a_body_over_the_limit_is_refused_by_its_content_length() -> None:
    into = parser()
    feed(into, b"POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\nExpect: 100-continue\r\n\r\n")
    assert into.refusal == Response(413, body=b"/big over 100000")
    assert not into.continue_due


def test_a_body_at_the_limit_is_admitted() -> None:
    into = parser()
    feed(into, _HEAD + b"Content-Length: 100000\r\n\r\n", b"x" * BODY_LIMIT)
    assert len(into.ready[0].request.body) == BODY_LIMIT


def test_a_chunked_body_is_refused_where_it_passes_the_limit() -> None:
    into = parser()
    feed(into, _HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"c350\r\n" + b"x" * 50_000 + b"\r\n")
    assert into.refusal is None
    feed(into, b"c351\r\n" + b"x" * 50_000)
    assert into.refusal is None
    feed(into, b"x")
    assert into.refusal == Response(413, body=b"/ over 100000")


def test_head_too_long_in_one_read() -> None:
    limits = HttpLimits(max_head_bytes=1_000)
    assert refused(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 900 + b"\r\n\r\n", limits) is None
    refusal = refused(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1_000 + b"\r\n\r\n", limits)
    assert refusal is not None
    assert refusal.status == 431


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nX: ", b"GET / HTTP/1.1\r\nHost: a\r\nX", b"\r\n"])
def test_an_endless_head_is_refused(start: bytes) -> None:
    into = parser(limits=HttpLimits(max_head_bytes=10_000))
    feed(into, start)
    fed = 0
    filler = b"\r\n" * 50 if start == b"\r\n" else b"x" * 100
    while into.phase is not Phase.OVER:
        feed(into, filler)
        fed += 100
        assert fed < 11_000
    assert into.refusal is not None
    assert into.refusal.status == 431


def test_too_many_headers() -> None:
    fields = b"".join(b"x%d: 1\r\n" % i for i in range(1_002))
    for data in (fields + b"\r\n", fields):
        refusal = refused(b"GET / HTTP/1.1\r\n" + data)
        assert refusal is not None
        assert refusal.status == 431


@pytest.mark.parametrize("filler", [b"x" * 100, b"a: b\r\n" * 20])
def test_endless_trailers_are_refused(filler: bytes) -> None:
    into = parser(limits=HttpLimits(max_head_bytes=10_000))
    feed(into, _HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", b"y")
    fed = 0
    while into.phase is not Phase.OVER:
        feed(into, filler)
        fed += len(filler)
        assert fed < 11_000
    assert into.refusal is not None
    assert into.refusal.status == 431


def test_endless_chunk_extensions_are_refused() -> None:
    into = parser(limits=HttpLimits(max_head_bytes=10_000))
    feed(into, _HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;a=")
    for _ in range(110):
        feed(into, b"x" * 100)
    assert into.refusal is not None


def test_a_body_of_tiny_chunks_costs_no_object_each() -> None:
    into = parser()
    feed(into, _HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 50_000)
    assert len(into._body) <= 2
    feed(into, b"0\r\n\r\n")
    assert into.ready[0].request.body == b"x" * 50_000


def test_only_progress_of_the_body_renews_the_clients_time() -> None:
    into = parser()
    into.feed(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    assert into.account(1)  # the body's time begins
    into.feed(b"1;ext")
    assert not into.account(5)
    into.feed(b"\r\nx")
    assert into.account(3)
    into.feed(b"\r\n")
    assert not into.account(2)


def test_only_the_first_byte_of_a_head_starts_the_clients_time() -> None:
    into = parser()
    into.feed(b"GE")
    assert into.account(2)
    into.feed(b"T / HTTP/1.1\r\nX:")
    assert not into.account(16)


def test_expect_continue_is_only_for_bodies_of_http_1_1() -> None:
    for head, due in (
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n", True),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", False),
        (b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\n", False),
    ):
        into = parser()
        feed(into, head + b"Expect: 100-Continue\r\n\r\n")
        assert into.continue_due is due


def test_what_a_policy_raises_comes_out() -> None:
    class Broken(Policy):
        def body_limit(self, head: RequestHead) -> int:
            raise LookupError("no such function")

    with pytest.raises(LookupError, match="no such function"):
        feed(parser(Broken()), _HEAD + b"Content-Length: 3\r\n\r\n")
