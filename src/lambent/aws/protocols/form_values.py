"""Form fields (`Tags.member.1.Key=a`) → parameters, compiled per shape; the input side of the query protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from lambent.aws.models import Shape
from lambent.aws.protocols.text_values import from_text

Tree = dict[str, Any]
"""Fields split at their dots; a field's own value is under OWN, which no segment can be."""

OWN = "."

Read = Callable[[Tree], Any]

_DEEPEST_NAME = 64  # segments of a field's name


def field_tree(fields: Iterable[tuple[str, str]]) -> Tree:
    """Fields as a tree over the segments of their names; of fields of one name the first counts."""
    tree: Tree = {}
    for name, value in fields:
        segments = name.split(".")
        if len(segments) <= _DEEPEST_NAME:  # no shape goes deeper
            node = tree
            for segment in segments:
                node = node.setdefault(segment, {})
            node.setdefault(OWN, value)
    return tree


class FormReaders:
    """Compiles and remembers readers by shape; one per service."""

    def __init__(self) -> None:
        self._structures: dict[str, list[tuple[str, str, Read]]] = {}

    def structure(self, shape: Shape) -> Read:
        members = self._structures.get(shape.name)
        if members is None:
            members = self._structures[shape.name] = []
            for name, member in shape.members.items():
                members.append((_field_name(name, member), name, self.reader(member)))

        def read(tree: Tree) -> dict[str, Any]:
            result: dict[str, Any] = {}
            for field, name, member in members:
                node = tree.get(field)
                if node is not None:
                    value = member(node)
                    if value is not None:
                        result[name] = value
            return result

        return read

    def reader(self, shape: Shape) -> Read:
        if shape.type == "structure":
            return self.structure(shape)
        if shape.type == "list":
            return self._list(shape)
        if shape.type == "map":
            return self._map(shape)
        convert = from_text(shape)

        def read(node: Tree) -> Any:
            text = node.get(OWN)
            return None if text is None else convert(text)

        return read

    def _list(self, shape: Shape) -> Read:
        element = self.reader(shape.member)
        flattened = bool(shape.traits.get("flattened"))
        name = shape.member.traits.get("locationName", "member")

        def read(node: Tree) -> list[Any] | None:
            items = node if flattened else node.get(name)
            if not items:
                return [] if node.get(OWN) == "" else None  # an empty list is sent as an empty field
            return [element(items[index]) for index in _indexes(items)]

        return read

    def _map(self, shape: Shape) -> Read:
        key, value = from_text(shape.key), self.reader(shape.value)
        flattened = bool(shape.traits.get("flattened"))
        key_name = shape.key.traits.get("locationName", "key")
        value_name = shape.value.traits.get("locationName", "value")

        def read(node: Tree) -> dict[Any, Any] | None:
            entries = node if flattened else node.get("entry")
            if not entries:
                return {} if node.get(OWN) == "" else None
            result: dict[Any, Any] = {}
            for index in _indexes(entries):
                entry = entries[index]
                name = entry.get(key_name, {}).get(OWN)
                if name is not None:
                    result[key(name)] = value(entry[value_name]) if value_name in entry else None
            return result

        return read


def _field_name(name: str, member: Shape) -> str:
    """A member's first segment; a flattened list with a named element goes by the element's name."""
    if member.type == "list" and member.traits.get("flattened"):
        element_name: str = member.member.traits.get("locationName", member.wire_name(name))
        return element_name
    return member.wire_name(name)


def _indexes(items: Tree) -> list[str]:
    """The numbered children in their order."""
    return sorted((index for index in items if index.isdecimal() and index.isascii() and len(index) < 10), key=int)
