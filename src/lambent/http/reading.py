"""From the parser's fields to a `RequestHead`, or the reason why this is no request we answer.

Pure. httptools (llhttp in its strict mode) has checked the grammar before; what is checked here are the rules about
whole heads (RFC 9112), those against request smuggling twice on purpose.
"""

from __future__ import annotations

from lambent.http.messages import Headers, RequestHead

_CACHED_NAMES_MAX = 1_024


class MalformedRequestError(Exception):
    """Not a request that can be answered: the status and reason for `Policy.malformed`."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class _Names(dict[bytes, str]):
    """Field names as sent -> in lower case. Bounded, since clients choose them."""

    def __missing__(self, raw: bytes) -> str:
        name = raw.decode("latin-1").lower()
        if len(self) < _CACHED_NAMES_MAX and len(raw) <= 64:
            self[raw] = name
        return name


class _Methods(dict[bytes, str]):
    """Methods as text. The parser knows a closed set of them."""

    def __missing__(self, raw: bytes) -> str:
        method = self[raw] = raw.decode("latin-1")
        return method


FIELD_NAMES = _Names()
"""Field names as sent -> in lower case."""

_methods = _Methods()


def read_head(method: bytes, target: bytes, version: str, headers: Headers) -> RequestHead:
    """The head of a request; `version` is "1.1", "1.0" or another. Raises MalformedRequestError."""
    first = headers.first
    if version != "1.1" or len(first) != len(headers.items) or "host" not in first or method == b"CONNECT":
        _check_unusual(method, version, headers)
    if "transfer-encoding" in first:
        _check_coding(version, first)
    elif "content-length" in first:
        length = first["content-length"]
        if not (length.isdigit() and length.isascii()):
            raise MalformedRequestError(400, "invalid Content-Length")
    text = target.decode("latin-1")
    if "#" in text:
        raise MalformedRequestError(400, "fragment in request target")
    path, _, query = (text if text[0] == "/" else _origin_form(text)).partition("?")
    return RequestHead(_methods[method], text, path, query, headers)


def _check_unusual(method: bytes, version: str, headers: Headers) -> None:
    if version not in ("1.1", "1.0"):
        raise MalformedRequestError(505, "HTTP version not supported")
    if method == b"CONNECT":
        raise MalformedRequestError(501, "CONNECT is not supported")
    if "host" not in headers and version == "1.1":
        raise MalformedRequestError(400, "missing Host header")
    for name in ("host", "content-length", "transfer-encoding"):
        if len(headers.get_all(name)) > 1:
            raise MalformedRequestError(400, f"more than one {name} header")


def _check_coding(version: str, first: dict[str, str]) -> None:
    if "content-length" in first:
        raise MalformedRequestError(400, "both Content-Length and Transfer-Encoding")
    if version == "1.0":
        raise MalformedRequestError(400, "Transfer-Encoding in HTTP/1.0")
    if first["transfer-encoding"].lower() != "chunked":
        raise MalformedRequestError(501, "unsupported Transfer-Encoding")


def _origin_form(target: str) -> str:
    """`http://host/path?query` as `/path?query`; `*` stays."""
    if target == "*":
        return target
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        raise MalformedRequestError(400, "invalid request target")
    end = min((i for i in (rest.find("/"), rest.find("?")) if i >= 0), default=len(rest))
    path = rest[end:]
    return path if path.startswith("/") else "/" + path
