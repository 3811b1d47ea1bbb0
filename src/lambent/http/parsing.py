"""From bytes to exchanges, in any fragmentation: httptools, and what it leaves to its user.

No I/O: bytes go in, and what came of them lies in `ready`, `refusal` and `phase`. Limits are held here as the bytes
come in, before anything is buffered. After a refusal, or a request that ends the connection, `phase` is OVER and
nothing more may be fed.
"""

from __future__ import annotations

import enum
from collections import deque

import httptools

from lambent.http.exchange import Answering, HttpExchange, LargeExchange
from lambent.http.limits import HttpLimits
from lambent.http.messages import Headers, Policy, Request, RequestHead, Response
from lambent.http.reading import FIELD_NAMES, MalformedRequestError, read_head

# The most that may be fed at once, outside of a body of known length. It bounds how many pipelined requests lie in
# `ready`, and what goes unmeasured.
READ_MAX_BYTES = 16 * 1024

# Body fragments below this are gathered in one growing buffer: a body sent byte by byte must not cost an object each.
_SMALL_FRAGMENT_BYTES = 4_096

# Larger bodies are joined by whoever hands them over.
_JOINED_MAX_BYTES = 8 * 1024 * 1024

_FEW_HEADERS = 100


class Phase(enum.Enum):
    """Where in its input a connection is."""

    IDLE = "between requests"
    HEAD = "in a request line or header fields"
    BODY = "in a body"
    OVER = "no more input wanted"


_IDLE, _HEAD, _BODY, _OVER = Phase.IDLE, Phase.HEAD, Phase.BODY, Phase.OVER


class _RefusedError(Exception):
    """Leaves the parser, once `refusal` is set."""


class RequestParser:
    """The input side of one connection."""

    __slots__ = (
        "_body",
        "_body_limit",
        "_body_seen",
        "_body_size",
        "_connection",
        "_due",
        "_fields",
        "_head",
        "_head_bytes",
        "_http10",
        "_keep_alive",
        "_length",
        "_limits",
        "_measure",
        "_overhead",
        "_parser",
        "_policy",
        "_replaying",
        "_upgrading",
        "_url",
        "continue_due",
        "phase",
        "ready",
        "refusal",
        "refusal_to_head",
    )

    def __init__(self, connection: Answering, policy: Policy, limits: HttpLimits) -> None:
        self.phase = _IDLE
        self.ready: deque[HttpExchange] = deque()
        """Whole requests, in order."""
        self.refusal: Response | None = None
        """The last answer, after those to `ready`."""
        self.refusal_to_head = False
        self.continue_due = False
        """The client waits for a 100 before it sends the body."""
        self._connection = connection
        self._policy = policy
        self._limits = limits
        # A head that came in one read with few fields needs no measuring, unless the limits are tight.
        self._measure = limits.max_head_bytes < READ_MAX_BYTES or limits.max_headers < _FEW_HEADERS
        self._url = b""
        self._fields: list[tuple[str, str]] = []
        self._head: RequestHead | None = None
        self._head_bytes = 0
        self._keep_alive = True
        self._http10 = False
        self._body: list[bytes | bytearray] = []
        self._body_size = 0
        self._body_limit = 0
        self._body_seen = 0
        self._length = 0  # of the body, where it was told; else 0
        self._due = 0
        self._overhead = 0
        self._upgrading = False
        self._replaying = False
        self._parser = httptools.HttpRequestParser(self)

    @property
    def body_due(self) -> int:
        """How much may be fed at once beyond READ_MAX_BYTES: what is missing of a body whose length is known."""
        return self._due

    def feed(self, data: bytes | memoryview) -> None:
        """Take in `data`, at most READ_MAX_BYTES or `body_due`. Raises only what the policy raises."""
        if self._due:
            data = self._take(data)
            if not data or self.phase is _OVER:
                return
        if self.phase is _IDLE:
            self.phase = _HEAD
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._resume(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._stopped(error)
        if self.phase is _BODY and self._length:
            self._due = self._length - self._body_size

    def _take(self, data: bytes | memoryview) -> bytes | memoryview:
        """Go on with a body of known length as it comes: httptools would copy it in small pieces, which takes
        milliseconds for megabytes. Gives back what follows, for a new parser: this one still waits for the body."""
        piece = data if len(data) <= self._due else data[: self._due]
        self.on_body(piece if isinstance(piece, bytes) else bytes(piece))
        self._due -= len(piece)
        if not self._due:
            self._parser = httptools.HttpRequestParser(self)
            self.on_message_complete()
        return data[len(piece) :]

    def account(self, received: int) -> bool:
        """Call when a read of `received` bytes ended inside a request. True: the client's time starts anew."""
        limit = self._limits.max_head_bytes
        if len(self._fields) > self._limits.max_headers:
            self.refuse(431, "too many header fields")
        elif self.phase is _HEAD:
            first = self._head_bytes == 0
            self._head_bytes = max(1, self._measured(self._fields)) if first else self._head_bytes + received
            if self._head_bytes > limit:
                self.refuse(431, "request line and header fields too long")
            return first
        elif self._body_size != self._body_seen:
            self._body_seen = self._body_size
            self._overhead = 0
            return True
        else:
            # No byte of the body in this read: chunk extensions or trailers.
            self._overhead += received
            if self._overhead > limit:
                self.refuse(431, "chunk extensions or trailers too long")
        return False

    @property
    def body_size(self) -> int:
        """How much there is of an unfinished body."""
        return self._body_size

    def refuse(self, status: int, reason: str) -> None:
        """End the input with the policy's answer to what is not HTTP."""
        self._end(self._policy.malformed(status, reason))

    def release(self) -> None:
        """Let go of httptools' parser, which refers back to this object."""
        self.phase = _OVER
        self.ready.clear()
        del self._parser

    def _end(self, refusal: Response) -> None:
        self.refusal = refusal
        self.phase = _OVER
        self.continue_due = False
        self._due = 0
        self._body = []
        self._fields = []

    # What httptools calls, from within `feed`

    def on_url(self, url: bytes) -> None:
        self._url += url
        self.phase = _HEAD

    def on_header(self, name: bytes, value: bytes) -> None:
        # The parser lets no white space but spaces and tabs into a value, and keeps what trails it.
        self._fields.append((FIELD_NAMES[name], value.strip().decode("latin-1")))

    def on_headers_complete(self) -> None:
        fields = self._fields
        self._fields = []  # trailers go here, and away
        if self._replaying:
            self._replaying = False
            self.phase = _BODY
            return
        parser = self._parser
        headers = Headers(tuple(fields))
        first = headers.first
        keep_alive = parser.should_keep_alive()
        # Without a word about it only HTTP/1.1 keeps alive; that saves httptools making up the text.
        version = "1.1" if keep_alive and "connection" not in first else parser.get_http_version()
        try:
            if self._measure or self._head_bytes or len(fields) > _FEW_HEADERS:
                self._check_size(fields)
            head = read_head(parser.get_method(), self._url, version, headers)
        except MalformedRequestError as error:
            self.refuse(error.status, error.reason)
            raise _RefusedError from error
        self.phase = _BODY
        self._head = head
        self._keep_alive = keep_alive
        self._http10 = version == "1.0"
        if "content-length" in first:
            length = first["content-length"]
            if length != "0":
                self._admit_body(head, int(length))
        elif "transfer-encoding" in first:
            self._admit_body(head, 0)
        if "upgrade" in first and parser.should_upgrade():
            self._upgrading = True

    def on_body(self, data: bytes) -> None:
        self._body_size += len(data)
        if self._body_size > self._body_limit:
            self._refuse_body(self._head)
        body = self._body
        if len(data) >= _SMALL_FRAGMENT_BYTES or not body:
            body.append(data)
        elif isinstance(body[-1], bytearray):
            body[-1] += data
        else:
            body.append(bytearray(data))

    def on_message_complete(self) -> None:
        if self._upgrading:
            return
        head = self._head
        assert head is not None  # noqa: S101 - for the type checker; on_headers_complete has set it
        exchange: HttpExchange
        if self._body_size > _JOINED_MAX_BYTES:
            parts = [part if isinstance(part, bytes) else bytes(part) for part in self._body]
            exchange = LargeExchange(self._connection, head, parts, self._keep_alive, self._http10)
        else:
            exchange = HttpExchange(self._connection, Request(head, self._whole()), self._keep_alive, self._http10)
        if self._body_size:
            self._body = []
            self._body_size = self._length = 0
            self.continue_due = False
        if self._fields:
            self._fields = []
        self._url = b""
        self._head_bytes = 0
        self.phase = _IDLE if self._keep_alive else _OVER
        self.ready.append(exchange)

    def _whole(self) -> bytes:
        parts = self._body
        if not parts:
            return b""
        first = parts[0]
        return first if len(parts) == 1 and isinstance(first, bytes) else b"".join(parts)

    # Bodies, and what goes wrong

    def _admit_body(self, head: RequestHead, length: int) -> None:
        self._body_limit = self._policy.body_limit(head)
        if length > self._body_limit:
            self._refuse_body(head)
        self._length = length
        self._body_seen = -1
        if "expect" in head.headers.first:
            self.continue_due = head.headers.first["expect"].lower() == "100-continue" and not self._http10

    def _refuse_body(self, head: RequestHead | None) -> None:
        assert head is not None  # noqa: S101 - for the type checker; there is no body before a head
        self.refusal_to_head = head.method == "HEAD"
        self._end(self._policy.too_large(head, self._body_limit))
        raise _RefusedError

    def _resume(self, rest: bytes | memoryview) -> None:
        """Answer an upgrade request as if it had not asked (RFC 9110, 7.8), Java's `Upgrade: h2c` for one.

        The parser left it at the end of its head, the body unread. A new one is told the framing alone.
        """
        self._upgrading = False
        head = self._head
        assert head is not None  # noqa: S101 - for the type checker; on_headers_complete has set it
        framing = "".join(
            f"{name}: {value}\r\n"
            for name in ("content-length", "transfer-encoding")
            if (value := head.headers.get(name)) is not None
        )
        self._replaying = True
        self._parser = httptools.HttpRequestParser(self)
        self.feed(f"POST / HTTP/1.1\r\nhost: -\r\n{framing}\r\n".encode("latin-1"))
        if rest and self.phase is not _OVER:
            self.feed(rest)

    def _stopped(self, error: httptools.HttpParserError) -> None:
        cause = error.__context__
        if isinstance(error, httptools.HttpParserCallbackError) and cause is not None:
            if isinstance(cause, _RefusedError):
                return
            if not isinstance(cause, httptools.HttpParserError):
                raise cause
        if self.phase is _OVER:
            return  # something after a request that ends the connection
        status = 501 if isinstance(error, httptools.HttpParserInvalidMethodError) else 400
        self.refuse(status, str(error))

    def _check_size(self, fields: list[tuple[str, str]]) -> None:
        if len(fields) > self._limits.max_headers:
            raise MalformedRequestError(431, "too many header fields")
        if self._measured(fields) > self._limits.max_head_bytes:
            raise MalformedRequestError(431, "request line and header fields too long")

    def _measured(self, fields: list[tuple[str, str]]) -> int:
        """The head so far, in bytes, without what httptools still holds of an unfinished field."""
        return len(self._url) + sum(len(name) + len(value) + 4 for name, value in fields)
