"""Parameters → XML elements, compiled per shape; for the query protocol and (later) rest-xml.

https://smithy.io/2.0/spec/protocol-traits.html#xml-bindings
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from lambent.aws.models import Shape
from lambent.aws.protocols.text_values import to_text

Write = Callable[[Any, list[str]], None]
"""Appends the XML of a value, element included."""

_TO_ESCAPE = re.compile("[&<>\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def xml_text(text: str) -> str:
    """Character data; what XML 1.0 cannot carry becomes U+FFFD."""
    if not _TO_ESCAPE.search(text):
        return text
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#xD;")
    return _NOT_XML.sub("\ufffd", escaped)


class XmlWriters:
    """Compiles and remembers writers by shape; one per service."""

    def __init__(self) -> None:
        self._structures: dict[str, dict[str, Write]] = {}

    def members(self, shape: Shape) -> dict[str, Write]:
        """The writers of a structure's members by name."""
        members = self._structures.get(shape.name)
        if members is None:
            members = self._structures[shape.name] = {}
            for name, member in shape.members.items():
                members[name] = self.writer(member, member.wire_name(name))
        return members

    def content(self, shape: Shape) -> Write:
        """Writes a structure's members without an element around them."""
        members = self.members(shape)

        def write(value: Any, out: list[str]) -> None:
            for name, item in value.items():
                member = members.get(name)
                if member is not None and item is not None:
                    member(item, out)

        return write

    def writer(self, shape: Shape, tag: str) -> Write:
        if shape.type == "structure":
            return _enclosed(tag, self.content(shape))
        if shape.type == "list":
            return self._list(shape, tag)
        if shape.type == "map":
            return self._map(shape, tag)
        text = to_text(shape, timestamp_format="iso8601")
        return lambda value, out: out.append(f"<{tag}>{xml_text(text(value))}</{tag}>")

    def _list(self, shape: Shape, tag: str) -> Write:
        flattened = bool(shape.traits.get("flattened"))
        element_tag = shape.member.traits.get("locationName", tag if flattened else "member")
        element = self.writer(shape.member, element_tag)

        def write(value: Any, out: list[str]) -> None:
            for item in value:
                if item is not None:
                    element(item, out)

        return write if flattened else _enclosed(tag, write)

    def _map(self, shape: Shape, tag: str) -> Write:
        flattened = bool(shape.traits.get("flattened"))
        entry = tag if flattened else "entry"
        key = self.writer(shape.key, shape.key.traits.get("locationName", "key"))
        item = self.writer(shape.value, shape.value.traits.get("locationName", "value"))

        def write(value: Any, out: list[str]) -> None:
            for name, content in value.items():
                if content is not None:
                    out.append(f"<{entry}>")
                    key(name, out)
                    item(content, out)
                    out.append(f"</{entry}>")

        return write if flattened else _enclosed(tag, write)


def _enclosed(tag: str, content: Write) -> Write:
    def write(value: Any, out: list[str]) -> None:
        out.append(f"<{tag}>")
        content(value, out)
        out.append(f"</{tag}>")

    return write
