"""Which service a request is for, and which operation of a REST service its path names. Pure.

A signed request names its service in the credential scope; an unsigned one by `X-Amz-Target`, Action, Host or path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from lambent.http.messages import RequestHead

Match = tuple[str, dict[str, str]]
"""An operation's name and the labels of its path, percent-decoded once."""


def signing_scope(head: RequestHead) -> tuple[str, str] | None:
    """Region and signing name of the credential scope in the header or (presigned) the query; None if unsigned."""
    authorization = head.headers.get("authorization")
    if authorization is not None:
        start = authorization.find("Credential=")
        if start < 0:
            return None
        credential = authorization[start + 11 :].partition(",")[0].strip()
    else:
        start = head.query.find("X-Amz-Credential=")
        if start < 0:
            return None
        credential = unquote(head.query[start + 17 :].partition("&")[0])
    scope = credential.rsplit("/", 4)  # key / date / region / service / aws4_request
    return (scope[-3], scope[-2]) if len(scope) == 5 else None


def is_from_foreign_page(head: RequestHead) -> bool:
    """True of a request that a web page of another origin made its reader's browser send.

    Browsers say so in Sec-Fetch-Site, older ones in Origin (https://www.w3.org/TR/fetch-metadata/); no SDK sends
    either. Without this, any page could call an endpoint on its reader's machine that asks for no signature.
    """
    headers = head.headers
    if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return True
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host")


def host_labels(head: RequestHead) -> list[str]:
    """The labels of the Host, lower case, without the port: `lambda.us-east-1.localhost:4566` → three."""
    host = head.headers.get("host") or ""
    return host.lower().partition(":")[0].split(".")


class _Node:
    """One segment of the path templates."""

    __slots__ = ("greedy", "label", "literals", "operations")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.label: _Node | None = None
        self.greedy: _Node | None = None
        self.operations: dict[str, list[_Operation]] = {}  # by method, most query literals first


class _Operation:
    """An operation at a node; `labels` are the names of the labels on the way to it."""

    __slots__ = ("labels", "literals", "name")

    def __init__(self, name: str, labels: tuple[str, ...], literals: tuple[str, ...]) -> None:
        self.name = name
        self.labels = labels
        self.literals = literals


class RouteTable:
    """The path templates of a REST service as a tree over segments; a literal segment wins over a label."""

    def __init__(self, routes: Iterable[tuple[str, str, str]]) -> None:
        """Each route: operation, method, and the model's requestUri (`/a/{Label}/{Rest+}?literal=value`)."""
        self._root = _Node()
        for operation, method, uri in routes:
            self._add(operation, method, uri)

    def _add(self, operation: str, method: str, uri: str) -> None:
        path, _, query = uri.partition("?")
        node, labels = self._root, []
        for segment in _segments(path):
            if segment.startswith("{"):
                label = segment.strip("{}")
                labels.append(label.rstrip("+"))
                if label.endswith("+"):
                    node.greedy = node = node.greedy or _Node()
                else:
                    node.label = node = node.label or _Node()
            else:
                node = node.literals.setdefault(segment, _Node())
        here = node.operations.setdefault(method, [])
        here.append(_Operation(operation, tuple(labels), tuple(query.split("&")) if query else ()))
        here.sort(key=lambda one: -len(one.literals))

    def match(self, method: str, path: str, query: str) -> Match | None:
        """The operation of a request; `path` and `query` still percent-encoded. Trailing slashes do not count."""
        found = self._match_straight(method, path, query)
        if found is not None:
            return found
        for node, values in _walk(self._root, _segments(path), 0, ()):
            found = _operation_at(node, method, query, values)
            if found is not None:
                return found
        return None

    def _match_straight(self, method: str, path: str, query: str) -> Match | None:
        """The usual case, without ever going back: at each segment the literal, else the label."""
        node = self._root
        values: list[str] = []
        for segment in path[1:].split("/"):
            following = node.literals.get(segment)
            if following is None:
                following = node.label
                if following is None or not segment:
                    return None
                values.append(segment)
            node = following
        return _operation_at(node, method, query, values)


def _operation_at(node: _Node, method: str, query: str, values: list[str]) -> Match | None:
    for operation in node.operations.get(method, ()):
        if not operation.literals or _has_literals(operation.literals, query):
            decoded = [unquote(value) if "%" in value else value for value in values]
            return operation.name, dict(zip(operation.labels, decoded, strict=True))
    return None


def _segments(path: str) -> list[str]:
    segments = path.split("/")[1:]
    while segments and not segments[-1]:
        segments.pop()
    return segments


def _has_literals(literals: tuple[str, ...], query: str) -> bool:
    fields = query.split("&")
    return all(literal in fields or (literal + "=") in fields for literal in literals)


def _walk(node: _Node, segments: list[str], depth: int, values: tuple[str, ...]) -> Iterator[tuple[_Node, list[str]]]:
    """Every node the segments lead to, the most literal way first."""
    if depth == len(segments):
        yield node, list(values)
        return
    segment = segments[depth]
    literal = node.literals.get(segment)
    if literal is not None:
        yield from _walk(literal, segments, depth + 1, values)
    if node.label is not None and segment:
        yield from _walk(node.label, segments, depth + 1, (*values, segment))
    if node.greedy is not None:
        yield from _walk_greedy(node.greedy, segments, depth, values)


def _walk_greedy(
    node: _Node, segments: list[str], depth: int, values: tuple[str, ...]
) -> Iterator[tuple[_Node, list[str]]]:
    """A greedy label takes as many segments as it can and still let the rest of its template match."""
    deepest = _literal_depth(node)
    for end in range(len(segments), max(depth, len(segments) - deepest - 1), -1):
        yield from _walk(node, segments, end, (*values, "/".join(segments[depth:end])))


def _literal_depth(node: _Node) -> int:
    """How many segments may follow a greedy label."""
    following = [*node.literals.values(), *([node.label] if node.label else [])]
    return 1 + max(map(_literal_depth, following)) if following else 0
