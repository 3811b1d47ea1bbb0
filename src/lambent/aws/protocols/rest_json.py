"""rest-json: members in the path, the query string, headers, and a JSON body or a raw payload.

https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html. Lambda speaks it. An event stream is passed
through: the handler gives its frames as an asynchronous iterable of bytes under the payload member.
"""

from __future__ import annotations

from typing import Any

import orjson

from lambent.aws.context import Params
from lambent.aws.models import OperationModel, ServiceModel, Shape
from lambent.aws.protocols.api import Target
from lambent.aws.protocols.errors import render_error
from lambent.aws.protocols.json_values import Convert, Decoders, Encoders, parse_json, serialization_error
from lambent.aws.protocols.large_blobs import CutBody, has_blob
from lambent.aws.protocols.rest_bindings import InputBindings, OutputBindings, header_text
from lambent.aws.routing import RouteTable
from lambent.http.messages import Request, RequestHead, Response
from lambent.model.errors import ServiceError
from lambent.model.ids import RequestId

JSON = ("Content-Type", "application/json")
_CUT_MIN_BYTES = 1024 * 1024

EVENT_STREAM = ("Content-Type", "application/vnd.amazon.eventstream")


class _Input:
    """Decodes one operation's input."""

    def __init__(self, shape: Shape, uri: str, decoders: Decoders) -> None:
        self._bindings = InputBindings(shape, uri)
        self._payload: str | None = shape.traits.get("payload")
        self._is_text = False
        self._has_blob = has_blob(shape)
        self._body: Convert | None = None
        self.bound_headers: tuple[str, ...] | None = None
        self.payload: str | None = None
        if self._payload is None:
            if any(member.location is None for member in shape.members.values()):
                self._body = decoders.structure(shape)
        elif shape.members[self._payload].type in ("blob", "string"):
            self._is_text = shape.members[self._payload].type == "string"
        else:
            self._body = decoders.decoder(shape.members[self._payload])
        if self._body is None and not self._is_text and not _is_constrained(shape, self._payload):
            self.bound_headers, self.payload = self._bindings.header_names, self._payload

    def decode(self, request: Request, target: Target) -> Params:
        body = request.body
        params: Params = {}
        if body:
            if self._body is None:
                if self._payload is not None:
                    params[self._payload] = _text(body) if self._is_text else body
            elif self._payload is None:
                params = self._body(self._parse(body))
            else:
                params[self._payload] = self._body(self._parse(body))
        head = request.head
        self._bindings.read(params, target.inputs, head.query, head.headers)
        return params

    def _parse(self, body: bytes) -> Any:
        if self._has_blob and len(body) > _CUT_MIN_BYTES:
            cut = CutBody(body)
            return cut.whole(parse_json(cut.rest))
        return parse_json(body)


def _is_constrained(shape: Shape, payload: str | None) -> bool:
    """Whether anything could be wrong with a raw payload as such."""
    if payload is None:
        return False
    return payload in shape.required or bool({"min", "max"} & set(shape.members[payload].traits))


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise serialization_error("The payload is not UTF-8 text") from error


class _Output:
    """Encodes one operation's output."""

    def __init__(self, shape: Shape, status: int, encoders: Encoders) -> None:
        self._bindings = OutputBindings(shape)
        self._status = status
        self._payload: str | None = shape.traits.get("payload")
        self._content_type = JSON
        self._encode: Convert | None = None
        if self._payload is None:
            self._encode = encoders.structure(shape)
        else:
            payload = shape.members[self._payload]
            if payload.is_event_stream:
                self._content_type = EVENT_STREAM
            elif payload.type not in ("blob", "string"):
                self._encode = encoders.encoder(payload)
            elif payload.traits.get("streaming"):
                self._content_type = ("Content-Type", "application/octet-stream")

    def encode(self, output: Params, request_id: RequestId) -> Response:
        bindings = self._bindings
        status = self._status
        if bindings.status_member is not None:
            status = output.get(bindings.status_member) or status
        headers = [("x-amzn-RequestId", request_id), *bindings.headers(output)]
        if status == 204:
            return Response(204, tuple(headers))
        if not bindings.has_content_type or not any(name.lower() == "content-type" for name, _ in headers):
            headers.append(self._content_type)
        return Response(status, tuple(headers), self._body(output))

    def _body(self, output: Params) -> Any:
        if self._payload is None:
            return orjson.dumps(self._encode(output)) if self._encode is not None else b""
        value = output.get(self._payload)
        if value is None:
            return b"{}" if self._encode is not None else b""
        if self._encode is not None:
            return orjson.dumps(self._encode(value))
        return value.encode() if isinstance(value, str) else value


class _Nothing:
    """The output of an operation that has none."""

    def __init__(self, status: int) -> None:
        self._status = status

    def encode(self, output: Params, request_id: RequestId) -> Response:
        headers = (("x-amzn-RequestId", request_id),)
        return Response(self._status, headers if self._status == 204 else (JSON, *headers))


class RestJsonOperation:
    """One operation in rest-json."""

    def __init__(self, operation: OperationModel, decoders: Decoders, encoders: Encoders) -> None:
        self._input = _Input(operation.input, operation.uri, decoders) if operation.input is not None else None
        self._output = (
            _Output(operation.output, operation.status, encoders)
            if operation.output is not None
            else _Nothing(operation.status)
        )

    @property
    def bound_headers(self) -> tuple[str, ...] | None:
        return self._input.bound_headers if self._input is not None else None

    @property
    def payload(self) -> str | None:
        return self._input.payload if self._input is not None else None

    def decode(self, request: Request, target: Target) -> Params:
        return self._input.decode(request, target) if self._input is not None else {}

    def encode(self, output: Params, request_id: RequestId) -> Response:
        return self._output.encode(output, request_id)


class RestJsonProtocol:
    """One service in rest-json."""

    name = "rest-json"

    def __init__(self, service: ServiceModel) -> None:
        self._service = service
        self._routes = RouteTable((model.name, model.method, model.uri) for model in service.operations.values())
        self._decoders = Decoders()
        self._encoders = Encoders()
        self._error_bindings: dict[str, tuple[OutputBindings, Convert]] = {}

    def claims(self, head: RequestHead) -> bool:
        return self._routes.match(head.method, head.path, head.query) is not None

    def operation_of(self, head: RequestHead) -> str | None:
        found = self._routes.match(head.method, head.path, head.query)
        return found[0] if found is not None else None

    def find(self, request: Request) -> Target | None:
        head = request.head
        found = self._routes.match(head.method, head.path, head.query)
        return Target(*found) if found is not None else None

    def unknown_operation(self, request: Request) -> ServiceError:
        text = f"{self._service.name} has no operation at {request.method} {request.path[:200]}"
        return ServiceError("UnknownOperationException", text, status=404, members={"Type": None})

    def codec(self, operation: OperationModel) -> RestJsonOperation:
        return RestJsonOperation(operation, self._decoders, self._encoders)

    def encode_error(self, error: ServiceError, request_id: RequestId) -> Response:
        return encode_error(error, request_id, self._service, self._encoders, self._error_bindings)


def encode_error(
    error: ServiceError,
    request_id: RequestId,
    service: ServiceModel | None,
    encoders: Encoders | None = None,
    bindings: dict[str, tuple[OutputBindings, Convert]] | None = None,
) -> Response:
    """An error in rest-json: its code in `x-amzn-ErrorType`, its members in the body or in headers as bound."""
    rendered = render_error(error, service)
    headers = [JSON, ("x-amzn-RequestId", request_id), ("x-amzn-ErrorType", header_text(rendered.code))]
    if rendered.model is None or encoders is None or bindings is None:
        body = {**rendered.members, rendered.message_key: rendered.message}
        return Response(rendered.status, tuple(headers), orjson.dumps(body, default=str))
    shape = rendered.model.shape
    compiled = bindings.get(shape.name)
    if compiled is None:
        compiled = bindings[shape.name] = (OutputBindings(shape), encoders.structure(shape))
    headers += compiled[0].headers(rendered.members)
    body = {**compiled[1](rendered.members), rendered.message_key: rendered.message}
    return Response(rendered.status, tuple(headers), orjson.dumps(body, default=str))
