"""AWS's service models, as botocore ships them, read without importing botocore.

Knows the format of `service-2.json` (https://github.com/boto/botocore/tree/develop/botocore/data) and nothing of
protocols. Importing `botocore.model` takes 170 ms and its loader 150 ms for Lambda's model; unzipping and parsing the
same file with orjson takes 5 ms. So a model is loaded when its service is first asked for, and nothing is cached.
"""

from __future__ import annotations

import functools
import gzip
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

Traits = Mapping[str, Any]


class UnknownServiceError(LookupError):
    """No such service in botocore's data."""


class Shape:
    """A shape as one place of the model refers to it: the shape's own traits overlaid with those of the reference.

    `traits` are the model's words (`location`, `locationName`, `min`, `pattern`, `enum`, `flattened`, …). Members are
    made when asked for, since shapes may contain themselves.
    """

    def __init__(self, shapes: Mapping[str, Any], reference: Traits) -> None:
        self.name: str = reference["shape"]
        self._shapes = shapes
        own: Traits = shapes[self.name]
        self.type: str = own["type"]
        self.traits: Traits = {**own, **reference} if len(reference) > 1 else own

    @functools.cached_property
    def members(self) -> dict[str, Shape]:
        """The members of a structure, in the model's order."""
        return {name: Shape(self._shapes, reference) for name, reference in self.traits.get("members", {}).items()}

    @functools.cached_property
    def member(self) -> Shape:
        """The element of a list."""
        return Shape(self._shapes, self.traits["member"])

    @functools.cached_property
    def key(self) -> Shape:
        """The key of a map."""
        return Shape(self._shapes, self.traits["key"])

    @functools.cached_property
    def value(self) -> Shape:
        """The value of a map."""
        return Shape(self._shapes, self.traits["value"])

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(self.traits.get("required", ()))

    @property
    def location(self) -> str | None:
        """Where a REST protocol puts it: uri, querystring, header, headers, statusCode; None for the body."""
        location: str | None = self.traits.get("location")
        return location

    @property
    def is_document(self) -> bool:
        """True of a member that holds any JSON."""
        return bool(self.traits.get("document"))

    @property
    def is_event_stream(self) -> bool:
        return bool(self.traits.get("eventstream"))

    def wire_name(self, name: str) -> str:
        """What the member called `name` is called on the wire."""
        wire: str = self.traits.get("locationName", name)
        return wire

    def __repr__(self) -> str:
        return f"Shape({self.name}: {self.type})"


class ErrorModel:
    """What the model says of one error shape."""

    def __init__(self, shape: Shape) -> None:
        error = shape.traits.get("error", {})
        self.shape = shape
        self.code: str = error.get("code", shape.name)
        self.status: int | None = error.get("httpStatusCode")
        if self.status is None and shape.traits.get("fault"):
            self.status = 500
        self.message_member = next((name for name in shape.members if name.lower() == "message"), None)


class OperationModel:
    """One operation: its HTTP binding and its shapes."""

    def __init__(self, shapes: Mapping[str, Any], definition: Traits) -> None:
        http = definition.get("http", {})
        self.name: str = definition["name"]
        self.method: str = http.get("method", "POST")
        self.uri: str = http.get("requestUri", "/")
        self.status: int = http.get("responseCode", 200)
        self.unsigned = definition.get("authtype") == "none" or "smithy.api#noAuth" in definition.get("auth", ())
        self._shapes = shapes
        self._definition = definition

    @functools.cached_property
    def input(self) -> Shape | None:
        reference = self._definition.get("input")
        return Shape(self._shapes, reference) if reference else None

    @functools.cached_property
    def output(self) -> Shape | None:
        reference = self._definition.get("output")
        return Shape(self._shapes, reference) if reference else None

    @property
    def result_wrapper(self) -> str | None:
        """The element the query protocol wraps the output in."""
        wrapper: str | None = self._definition.get("output", {}).get("resultWrapper")
        return wrapper


class ServiceModel:
    """One AWS API as botocore describes it."""

    def __init__(self, name: str, document: Traits) -> None:
        self.name = name
        self._document = document
        self.metadata: Traits = document["metadata"]
        self._shapes: Mapping[str, Any] = document["shapes"]
        self.operations: dict[str, OperationModel] = {
            operation: OperationModel(self._shapes, definition)
            for operation, definition in document["operations"].items()
        }

    @property
    def protocols(self) -> tuple[str, ...]:
        """Every protocol the service speaks, the preferred one first."""
        return tuple(self.metadata.get("protocols") or (self.metadata["protocol"],))

    @property
    def api_version(self) -> str:
        version: str = self.metadata["apiVersion"]
        return version

    def shape(self, name: str) -> Shape:
        return Shape(self._shapes, {"shape": name})

    def overlaid(self, overlay: Traits) -> ServiceModel:
        """The model with further traits of its metadata, operations and shapes, in the model's own form."""
        parts = ("metadata", "operations", "shapes")
        return ServiceModel(self.name, {part: _merged(self._document[part], overlay.get(part, {})) for part in parts})

    @functools.cached_property
    def _errors(self) -> dict[str, ErrorModel]:
        errors: dict[str, ErrorModel] = {}
        for name, definition in self._shapes.items():
            if definition.get("exception"):
                model = ErrorModel(self.shape(name))
                errors[name] = model
                errors.setdefault(model.code, model)
        return errors

    def error(self, code: str) -> ErrorModel | None:
        """The error called `code` on the wire or by its shape's name."""
        return self._errors.get(code)


def _merged(base: Traits, overlay: Traits) -> dict[str, Any]:
    merged = dict(base)
    for name, value in overlay.items():
        known = merged.get(name)
        merged[name] = _merged(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return merged


def _model_file(service: str) -> Path:
    """The newest `service-2.json(.gz)` of a service."""
    spec = importlib.util.find_spec("botocore")  # locates the package; does not import it
    if spec is None or not spec.submodule_search_locations:
        raise UnknownServiceError("botocore is not installed")
    folder = Path(spec.submodule_search_locations[0]) / "data" / service
    files = sorted(folder.glob("*/service-2.json*"))
    if not files:
        raise UnknownServiceError(f"botocore has no model of {service!r}")
    return files[-1]


@functools.cache
def load_service_model(service: str) -> ServiceModel:
    """Read a service's model; `service` is botocore's name. Raises UnknownServiceError."""
    path = _model_file(service)
    content = path.read_bytes()
    document = orjson.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
    for definition in document["shapes"].values():  # the prose is most of a model's memory
        definition.pop("documentation", None)
        for reference in definition.get("members", {}).values():
            reference.pop("documentation", None)
    return ServiceModel(service, document)
