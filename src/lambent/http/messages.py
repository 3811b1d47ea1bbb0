"""What the HTTP server and its handlers say to each other."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterator
from typing import Protocol

from lambent.model.values import value


class Headers:
    """Header fields in the order received; names in lower case, values as Latin-1 text without outer space."""

    __slots__ = ("first", "items")

    def __init__(self, items: tuple[tuple[str, str], ...] = ()) -> None:
        self.items = items
        self.first = dict(reversed(items))
        """Each name's first value."""

    def get(self, name: str) -> str | None:
        """The first field called `name` (given in lower case), or None."""
        return self.first.get(name)

    def get_all(self, name: str) -> list[str]:
        """Every field called `name`, in order."""
        return [value for key, value in self.items if key == name]

    def __contains__(self, name: object) -> bool:
        return name in self.first

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.items)


@value
class RequestHead:
    """A request before its body was read.

    `target` is as sent; `path` and `query` are its two halves, still percent-encoded (`query` without the `?`).
    """

    method: str
    target: str
    path: str
    query: str
    headers: Headers


@value
class Request:
    """A whole request."""

    head: RequestHead
    body: bytes

    @property
    def method(self) -> str:
        return self.head.method

    @property
    def path(self) -> str:
        """The path, still percent-encoded."""
        return self.head.path

    @property
    def query(self) -> str:
        """The query string, still percent-encoded, without `?`."""
        return self.head.query

    @property
    def headers(self) -> Headers:
        return self.head.headers


@value
class Response:
    """An answer. `Content-Length` (or chunked framing, for an iterable body) and `Date` are the server's business."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | AsyncIterable[bytes] = b""


class Exchange(Protocol):
    """One request waiting for its response. Use only from the event loop's thread."""

    @property
    def request(self) -> Request: ...

    @property
    def closed(self) -> bool:
        """True once answered, or once the client is gone."""
        ...

    @property
    def client_address(self) -> str | None:
        """The client's IP address; None when it is gone or has none."""
        ...

    def respond(self, response: Response) -> None:
        """Answer. Without effect when the client is gone; a second answer raises RuntimeError.

        Raises ValueError, and leaves the exchange unanswered, for a response that cannot be sent (`http.rendering`).
        """
        ...

    def on_disconnect(self, callback: Callable[[], None]) -> None:
        """Call back (once) if the client goes away before it was answered.

        A client that only closed its sending half looks just like one that is gone, until something is written to it.
        The callback is called then too, `closed` stays False, and an answer is still sent.
        """
        ...


Handler = Callable[[Exchange], None]
"""Called as soon as a request is whole. It must not block; it answers the exchange now or later."""


class Policy(Protocol):
    """What the owner of an endpoint decides about requests the server has not yet read, or could not read."""

    def body_limit(self, head: RequestHead) -> int:
        """The largest body accepted for this request, in bytes."""
        ...

    def too_large(self, head: RequestHead, limit: int) -> Response:
        """The answer to a larger body; the connection is closed after it."""
        ...

    def malformed(self, status: int, reason: str) -> Response:
        """The answer to what is not HTTP, or is too slow or too long (400, 408, 414, 431, 501 …)."""
        ...
