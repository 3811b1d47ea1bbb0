"""From a `Response` to the bytes of its head. Pure, but for the clock behind `Date`.

Whatever a handler puts into a response, what leaves is one well-formed head: names are tokens, values carry no line
break, and framing (`Content-Length`, `Transfer-Encoding`, `Connection`) is decided here alone.
"""

from __future__ import annotations

import enum
import re
import time
from collections.abc import AsyncIterable
from email.utils import formatdate
from http import HTTPStatus

from lambent.http.messages import Response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"

_CACHED_NAMES_MAX = 1_024
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FRAMING_NAMES = frozenset({"content-length", "transfer-encoding", "connection", "date"})


class Framing(enum.Enum):
    """How the end of a body is told."""

    LENGTH = "Content-Length"
    CHUNKED = "chunked"
    CLOSE = "until close"
    NONE = "no body"


_LENGTH = Framing.LENGTH
_BODILESS = frozenset({204, 304})


RenderedHead = tuple[bytes, bool, Framing, int]
"""A head ready to be sent, whether the connection stays open after it, and how it said that its body ends; with
`Framing.LENGTH` after how many bytes. (A bare tuple: anything with names costs a tenth of the rendering.)"""


class _StatusLines(dict[int, str]):
    """Status -> its status line and the end of it, up to where the date follows."""

    def __missing__(self, status: int) -> str:
        if not 200 <= status <= 999:
            raise ValueError(f"not a final status: {status}")
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = ""
        line = self[status] = f"HTTP/1.1 {status} {phrase}"
        return line


class _Prefixes(dict[str, str]):
    """Field name -> `Name: `, or empty for the names this module decides about. Bounded, as functions choose names."""

    def __missing__(self, name: str) -> str:
        if _TOKEN.fullmatch(name) is None:
            raise ValueError(f"not a header field name: {name!r}")
        prefix = "" if name.lower() in _FRAMING_NAMES else f"{name}: "
        if len(self) < _CACHED_NAMES_MAX:
            self[name] = prefix
        return prefix


class _DateLine:
    """The `Date` line, made once a second."""

    __slots__ = ("_line", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._line = ""

    def __call__(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._line = f"Date: {formatdate(second, usegmt=True)}"
        return self._line


_status_lines = _StatusLines()
_prefixes = _Prefixes()
date_line = _DateLine()
"""The `Date` line of now, without its end."""


class PreparedResponse(Response):
    """An answer that knows its bytes for the usual case: a connection of HTTP/1.1 that stays open, and not HEAD."""

    __slots__ = ()

    def prepared(self, date_line: str) -> tuple[bytes, bytes] | None:
        """Head and body as `render` would have them; None where they are not known."""
        raise NotImplementedError

    def general(self) -> Response:
        """The same answer for `render`, for all other cases."""
        return self


class FixedResponse(PreparedResponse):
    """One that is the same for many requests, rendered once a second."""

    __slots__ = ("_date_line", "_whole")

    def __init__(self, status: int, headers: tuple[tuple[str, str], ...], body: bytes) -> None:
        super().__init__(status, headers, body)
        self._date_line = ""
        self._whole = b""

    def prepared(self, date_line: str) -> tuple[bytes, bytes] | None:
        if date_line != self._date_line:
            assert isinstance(self.body, bytes)  # noqa: S101 - for the type checker
            self._whole = render(self, True, False, False)[0] + self.body
            self._date_line = date_line
        return self._whole, b""


def render(response: Response, keep_alive: bool, http10: bool, head_only: bool) -> RenderedHead:
    """The head of `response`, to a client that speaks HTTP/1.0 or 1.1 and sent HEAD or not.

    Raises ValueError for what cannot be sent: an interim status, CR, LF or NUL in a field, a name that is no token, a
    value outside Latin-1, a `Content-Length` that is not the body's, `Transfer-Encoding`.
    """
    status = response.status
    body = response.body
    lines = [_status_lines[status], date_line()]
    declared: int | None = None
    framed = False
    for name, value in response.headers:
        prefix = _prefixes[name]
        if prefix:
            lines.append(prefix + value)
        else:
            framed = True
    if framed:
        declared, date, close = _read_framing(response.headers)
        lines[1] = date or lines[1]
        keep_alive = keep_alive and not close
    if declared is None and isinstance(body, bytes):
        framing, length = _LENGTH, len(body)
    else:
        framing, length = _choose_framing(body, declared, http10, head_only)
    if status in _BODILESS:
        framing = Framing.NONE
    elif framing is _LENGTH:
        lines.append(f"Content-Length: {length}")
    elif framing is Framing.CHUNKED:
        lines.append("Transfer-Encoding: chunked")
    elif not head_only:
        keep_alive = False
    if not keep_alive:
        lines.append("Connection: close")
    elif http10:
        lines.append("Connection: keep-alive")
    text = "\r\n".join(lines) + "\r\n\r\n"
    breaks = len(lines) + 1
    # One count over the whole head instead of a search in each field: any CR or LF of a field's own is one too many.
    if text.count("\n") != breaks or text.count("\r") != breaks or "\0" in text:
        raise ValueError("CR, LF or NUL in a response header")
    return text.encode("latin-1"), keep_alive, Framing.NONE if head_only else framing, length


def _read_framing(headers: tuple[tuple[str, str], ...]) -> tuple[int | None, str, bool]:
    """What a handler says about framing: `Content-Length`, a whole `Date` line or nothing, whether to close."""
    declared: int | None = None
    date = ""
    close = False
    for given, value in headers:
        name = given.lower()
        if name == "content-length":
            if declared is not None or not (value.isascii() and value.isdigit()):
                raise ValueError(f"invalid Content-Length: {value!r}")
            declared = int(value)
        elif name == "date":
            date = f"Date: {value}"
        elif name == "transfer-encoding":
            raise ValueError("Transfer-Encoding is the server's business")
        elif name == "connection":
            close = close or "close" in value.lower()
    return declared, date, close


def _choose_framing(
    body: bytes | AsyncIterable[bytes], declared: int | None, http10: bool, head_only: bool
) -> tuple[Framing, int]:
    if isinstance(body, bytes):
        # An answer to HEAD may tell the length of the body it does not carry.
        if declared is not None and declared != len(body) and not (head_only and not body):
            raise ValueError(f"Content-Length {declared} for a body of {len(body)} bytes")
        return Framing.LENGTH, len(body) if declared is None else declared
    if declared is not None:
        return Framing.LENGTH, declared
    return (Framing.CLOSE if http10 else Framing.CHUNKED), 0


def chunk(data: bytes) -> bytes:
    """`data` (not empty) as one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)
