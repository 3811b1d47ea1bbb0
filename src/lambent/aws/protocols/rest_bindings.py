"""The parts of a REST protocol outside the body: path labels, query string, headers, status.

Shared by rest-json and (later) rest-xml. https://smithy.io/2.0/spec/http-bindings.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote_plus

from lambent.aws.models import Shape
from lambent.aws.protocols.text_values import FromText, ToText, from_text, to_text
from lambent.http.messages import Headers

QueryFields = dict[str, list[str]]

_HEADER_LIST_ITEM = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^",]*))\s*(?:,|\Z)')
_UNSAFE_IN_HEADER = re.compile(r"[\x00-\x1f\x7f]")
_MAX_QUERY_FIELDS = 10_000


def parse_query(query: str) -> QueryFields:
    """Name → values in order, percent-decoded. Fields beyond the 10,000th are ignored."""
    fields: QueryFields = {}
    if not query:
        return fields
    for field in query.split("&", _MAX_QUERY_FIELDS)[:_MAX_QUERY_FIELDS]:
        name, _, value = field.partition("=")
        if "%" in field or "+" in field:
            name, value = unquote_plus(name), unquote_plus(value)
        if name:
            fields.setdefault(name, []).append(value)
    return fields


def header_text(value: str) -> str:
    """A value made fit for a header: UTF-8 carried as Latin-1, control characters as spaces (no response splitting)."""
    if value.isascii() and value.isprintable():
        return value
    return _UNSAFE_IN_HEADER.sub(" ", value.encode("utf-8", "replace").decode("latin-1"))


def _received(value: str) -> str:
    """A header value as the client wrote it, if it wrote UTF-8."""
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _split_header_list(value: str) -> list[str]:
    items = [
        match[2] if match[1] is None else match[1].replace('\\"', '"') for match in _HEADER_LIST_ITEM.finditer(value)
    ]
    return [item.strip() for item in items[: value.count(",") + 1] if item.strip()]


class InputBindings:
    """Reads the members of one operation's input that are not in the body."""

    def __init__(self, shape: Shape, uri: str) -> None:
        """`uri` is the model's: the literals of its query string are no input."""
        self._query_literals = frozenset(parse_query(uri.partition("?")[2]))
        self._labels: list[tuple[str, str, FromText]] = []
        self._query: list[tuple[str, str, Callable[[list[str]], Any]]] = []
        self._query_map: tuple[str, Callable[[QueryFields], Any]] | None = None
        self._headers: list[tuple[str, str, FromText]] = []
        self._header_maps: list[tuple[str, str]] = []
        for name, member in shape.members.items():
            self._add(name, member)

    @property
    def header_names(self) -> tuple[str, ...] | None:
        """The header fields that are read, in lower case; None if they are not a fixed set."""
        return None if self._header_maps else tuple(header for header, _, _ in self._headers)

    def _add(self, name: str, member: Shape) -> None:
        wire = member.wire_name(name)
        if member.location == "uri":
            self._labels.append((wire, name, from_text(member)))
        elif member.location == "querystring":
            if member.type == "map":
                self._query_map = (name, _query_map_decoder(member))
            else:
                self._query.append((wire, name, _query_decoder(member)))
        elif member.location == "header":
            self._headers.append((wire.lower(), name, _header_decoder(member)))
        elif member.location == "headers":
            self._header_maps.append((wire.lower(), name))

    def read(self, params: dict[str, Any], labels: Mapping[str, str], query: str, headers: Headers) -> None:
        """Add what is there to `params`. Raises SerializationException."""
        for label, name, label_value in self._labels:
            params[name] = label_value(labels[label])
        if query and (self._query or self._query_map):
            self._read_query(params, parse_query(query))
        get = headers.get
        for header, name, header_value in self._headers:
            value = get(header)
            if value is not None:
                params[name] = header_value(value if value.isascii() else _received(value))
        for prefix, name in self._header_maps:
            found = {key[len(prefix) :]: _received(value) for key, value in headers if key.startswith(prefix)}
            if found:
                params[name] = found

    def _read_query(self, params: dict[str, Any], fields: QueryFields) -> None:
        for wire, name, query_value in self._query:
            values = fields.pop(wire, None)
            if values is not None:
                params[name] = query_value(values)
        if self._query_map is not None:
            name, decode = self._query_map
            others = {field: values for field, values in fields.items() if field not in self._query_literals}
            if others:
                params[name] = decode(others)


def _query_decoder(member: Shape) -> Callable[[list[str]], Any]:
    if member.type == "list":
        element = from_text(member.member)
        return lambda values: [element(value) for value in values]
    scalar = from_text(member)
    return lambda values: scalar(values[0])


def _query_map_decoder(member: Shape) -> Callable[[QueryFields], Any]:
    if member.value.type == "list":
        return lambda fields: dict(fields)
    return lambda fields: {name: values[0] for name, values in fields.items()}


def _header_decoder(member: Shape) -> FromText:
    if member.type != "list":
        return from_text(member)
    element = from_text(member.member)
    if member.member.type == "timestamp":  # an HTTP date has a comma of its own
        return lambda value: [element(item) for item in re.findall(r"[^,]+,[^,]+", value)]
    return lambda value: [element(item) for item in _split_header_list(value)]


class OutputBindings:
    """Writes the members of an output (or error) that are headers or the status."""

    def __init__(self, shape: Shape) -> None:
        self._headers: list[tuple[str, str, ToText]] = []
        self._header_maps: list[tuple[str, str]] = []
        self.status_member: str | None = None
        for name, member in shape.members.items():
            wire = member.wire_name(name)
            if member.location == "statusCode":
                self.status_member = name
            elif member.location == "header":
                self._headers.append((name, wire, _header_encoder(member)))
            elif member.location == "headers":
                self._header_maps.append((name, wire))
        self.has_content_type = any(wire.lower() == "content-type" for _, wire, _ in self._headers)

    def headers(self, output: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The headers of the members that are there."""
        headers: list[tuple[str, str]] = []
        for name, wire, encode in self._headers:
            value = output.get(name)
            if value is not None:
                headers.append((wire, header_text(encode(value))))
        for name, prefix in self._header_maps:
            headers += [(prefix + key, header_text(str(item))) for key, item in (output.get(name) or {}).items()]
        return headers


def _header_encoder(member: Shape) -> ToText:
    if member.type != "list":
        return to_text(member, timestamp_format="rfc822")
    element = to_text(member.member, timestamp_format="rfc822")

    def encode(values: list[Any]) -> str:
        texts = [element(value) for value in values]
        if member.member.type == "timestamp":
            return ", ".join(texts)
        return ", ".join('"' + text.replace('"', '\\"') + '"' if "," in text or '"' in text else text for text in texts)

    return encode
