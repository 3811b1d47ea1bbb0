"""AWS JSON 1.0 and 1.1: the operation in `X-Amz-Target`, everything else in a JSON body.

https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html. CloudWatch Logs speaks 1.1.
"""

from __future__ import annotations

import orjson

from lambent.aws.context import Params
from lambent.aws.models import OperationModel, ServiceModel
from lambent.aws.protocols.api import Target
from lambent.aws.protocols.errors import render_error
from lambent.aws.protocols.json_values import Decoders, Encoders, parse_json
from lambent.aws.protocols.rest_bindings import header_text
from lambent.http.messages import Request, RequestHead, Response
from lambent.model.errors import ServiceError
from lambent.model.ids import RequestId

EVENT_STREAM = "application/vnd.amazon.eventstream"


class JsonOperation:
    """One operation in AWS JSON."""

    bound_headers: tuple[str, ...] | None = None
    payload: str | None = None

    def __init__(self, operation: OperationModel, content_type: str, decoders: Decoders, encoders: Encoders) -> None:
        shape = operation.output
        self._content_type = content_type
        self._decode = decoders.structure(operation.input) if operation.input is not None else None
        self._encode = encoders.structure(shape) if shape is not None else None
        self._stream = (
            next((name for name, member in shape.members.items() if member.is_event_stream), None) if shape else None
        )

    def decode(self, request: Request, target: Target) -> Params:
        if self._decode is None or not request.body:
            return {}
        params: Params = self._decode(parse_json(request.body))
        return params

    def encode(self, output: Params, request_id: RequestId) -> Response:
        stream = output.get(self._stream) if self._stream is not None else None
        content_type = self._content_type if stream is None else EVENT_STREAM
        headers = (("Content-Type", content_type), ("x-amzn-RequestId", request_id))
        if stream is not None:
            return Response(200, headers, stream)
        return Response(200, headers, orjson.dumps(self._encode(output)) if self._encode is not None else b"")


class JsonProtocol:
    """One service in AWS JSON."""

    name = "json"

    def __init__(self, service: ServiceModel) -> None:
        self._service = service
        self._prefix = f"{service.metadata['targetPrefix']}."
        self._content_type = f"application/x-amz-json-{service.metadata.get('jsonVersion', '1.0')}"
        self._decoders = Decoders()
        self._encoders = Encoders()

    def claims(self, head: RequestHead) -> bool:
        return (head.headers.get("x-amz-target") or "").startswith(self._prefix)

    def operation_of(self, head: RequestHead) -> str | None:
        target = head.headers.get("x-amz-target") or ""
        operation = target[len(self._prefix) :] if target.startswith(self._prefix) else ""
        return operation if operation in self._service.operations else None

    def find(self, request: Request) -> Target | None:
        operation = self.operation_of(request.head)
        return Target(operation) if operation is not None else None

    def unknown_operation(self, request: Request) -> ServiceError:
        target = (request.headers.get("x-amz-target") or "")[:200]
        text = f"{self._service.name} has no operation {target!r}"
        return ServiceError("UnknownOperationException", text, status=400, members={"Type": None})

    def codec(self, operation: OperationModel) -> JsonOperation:
        return JsonOperation(operation, self._content_type, self._decoders, self._encoders)

    def encode_error(self, error: ServiceError, request_id: RequestId) -> Response:
        return encode_error(error, request_id, self._service, self._content_type, self._encoders)


def encode_error(
    error: ServiceError,
    request_id: RequestId,
    service: ServiceModel | None,
    content_type: str = "application/x-amz-json-1.1",
    encoders: Encoders | None = None,
) -> Response:
    """An error in AWS JSON: its shape's name in `__type`; for former query services also its old code in a header."""
    rendered = render_error(error, service)
    name = rendered.model.shape.name if rendered.model is not None else rendered.code
    headers = [("Content-Type", content_type), ("x-amzn-RequestId", request_id)]
    if service is not None and "awsQueryCompatible" in service.metadata:
        fault = "Sender" if rendered.sender_fault else "Receiver"
        headers.append(("x-amzn-query-error", header_text(f"{rendered.code};{fault}")))
    members = rendered.members
    if rendered.model is not None and encoders is not None:
        members = encoders.structure(rendered.model.shape)(members)
    body = {"__type": name, **members, rendered.message_key: rendered.message}
    return Response(rendered.status, tuple(headers), orjson.dumps(body, default=str))
