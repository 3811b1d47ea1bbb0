"""From the parser's raw fields to a `RequestHead`, or the reason why this is no request we answer.

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


_names = _Names()
_methods = _Methods()


def read_head(method: bytes, target: bytes, version: str, fields: list[tuple[bytes, bytes]]) -> RequestHead:
    """The head of a request; `version` is "1.1" or "1.0". Raises MalformedRequestError."""
    headers = Headers(tuple([(_names[name], value.decode("latin-1").strip(" \t")) for name, value in fields]))
    if version != "1.1" and version != "1.0":
        raise MalformedRequestError(505, "HTTP version not supported")
    if method == b"CONNECT":
        raise MalformedRequestError(501, "CONNECT is not supported")
    _check_fields(headers, version, len(fields))
    text = target.decode("latin-1")
    if "#" in text:
        raise MalformedRequestError(400, "fragment in request target")
    origin = text if text[0] == "/" else _origin_form(text)
    path, _, query = origin.partition("?")
    return RequestHead(_methods[method], text, path, query, headers)


def _check_fields(headers: Headers, version: str, count: int) -> None:
    if "host" not in headers and version == "1.1":
        raise MalformedRequestError(400, "missing Host header")
    if headers.distinct != count:
        for name in ("host", "content-length", "transfer-encoding"):
            if len(headers.get_all(name)) > 1:
                raise MalformedRequestError(400, f"more than one {name} header")
    coding = headers.get("transfer-encoding")
    length = headers.get("content-length")
    if coding is not None:
        if length is not None:
            raise MalformedRequestError(400, "both Content-Length and Transfer-Encoding")
        if version == "1.0":
            raise MalformedRequestError(400, "Transfer-Encoding in HTTP/1.0")
        if coding.lower() != "chunked":
            raise MalformedRequestError(501, "unsupported Transfer-Encoding")
    elif length is not None and not (length.isascii() and length.isdigit()):
        raise MalformedRequestError(400, "invalid Content-Length")


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
