"""Smithy RPC v2 with CBOR: the operation in the path, everything else in a CBOR body.

https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html. CloudWatch's metrics are spoken to like this by
current SDKs.
"""

from __future__ import annotations

from typing import Any

from lambent.aws.context import Params
from lambent.aws.models import OperationModel, ServiceModel, Shape
from lambent.aws.protocols import cbor_format
from lambent.aws.protocols.api import Target
from lambent.aws.protocols.errors import render_error
from lambent.aws.protocols.json_values import INTEGER_BITS, Convert, Decoders, fits, identity, serialization_error
from lambent.aws.protocols.rest_bindings import header_text
from lambent.aws.protocols.timestamps import from_epoch
from lambent.http.messages import Request, RequestHead, Response
from lambent.model.errors import ServiceError
from lambent.model.ids import RequestId

CBOR = "application/cbor"
_HEADERS = (("smithy-protocol", "rpc-v2-cbor"), ("Content-Type", CBOR))


class RpcV2CborProtocol:
    """One service in RPC v2 CBOR."""

    name = "smithy-rpc-v2-cbor"

    def __init__(self, service: ServiceModel) -> None:
        self._service = service
        self._decoders = _CborDecoders()
        self._encoders = _Encoders()

    def claims(self, head: RequestHead) -> bool:
        return head.headers.get("smithy-protocol") == "rpc-v2-cbor"

    def operation_of(self, head: RequestHead) -> str | None:
        parts = head.path.rsplit("/", 4)  # …/service/NAME/operation/NAME
        if len(parts) != 5 or (parts[1], parts[3]) != ("service", "operation"):
            return None
        return parts[4] if parts[4] in self._service.operations else None

    def find(self, request: Request) -> Target | None:
        operation = self.operation_of(request.head)
        return Target(operation) if operation is not None else None

    def unknown_operation(self, request: Request) -> ServiceError:
        text = f"{self._service.name} has no operation at {request.path[:200]}"
        return ServiceError("UnknownOperationException", text, status=404, members={"Type": None})

    def codec(self, operation: OperationModel) -> RpcV2CborOperation:
        return RpcV2CborOperation(operation, self._decoders, self._encoders)

    def encode_error(self, error: ServiceError, request_id: RequestId) -> Response:
        rendered = render_error(error, self._service)
        name = rendered.model.shape.name if rendered.model is not None else rendered.code
        headers = [*_HEADERS, ("x-amzn-RequestId", request_id)]
        if "awsQueryCompatible" in self._service.metadata:
            fault = "Sender" if rendered.sender_fault else "Receiver"
            headers.append(("x-amzn-query-error", header_text(f"{rendered.code};{fault}")))
        members = rendered.members
        if rendered.model is not None:
            members = self._encoders.structure(rendered.model.shape)(members)
        else:
            members = {key: value for key, value in members.items() if isinstance(value, (str, int, float))}
        body = {"__type": name, **members, rendered.message_key: rendered.message}
        return Response(rendered.status, tuple(headers), cbor_format.encode(body))


class RpcV2CborOperation:
    """One operation in RPC v2 CBOR."""

    bound_headers: tuple[str, ...] | None = None
    payload: str | None = None

    def __init__(self, operation: OperationModel, decoders: Decoders, encoders: _Encoders) -> None:
        self._decode = decoders.structure(operation.input) if operation.input is not None else None
        self._encode = encoders.structure(operation.output) if operation.output is not None else None

    def decode(self, request: Request, target: Target) -> Params:
        if self._decode is None or not request.body:
            return {}
        try:
            document = cbor_format.decode(request.body)
        except cbor_format.CborError as error:
            raise serialization_error(f"Could not parse request body into cbor: {error}") from error
        params: Params = self._decode(document)
        return params

    def encode(self, output: Params, request_id: RequestId) -> Response:
        request_header = ("x-amzn-RequestId", request_id)
        if self._encode is None:
            return Response(200, (_HEADERS[0], request_header))
        return Response(200, (*_HEADERS, request_header), cbor_format.encode(self._encode(output)))


def _decode_blob(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    raise serialization_error("A blob member is not a byte string")


def _decode_time(value: Any) -> Any:
    if type(value) in (int, float):
        try:
            return from_epoch(value)
        except ValueError as error:
            raise serialization_error(str(error)) from error
    if not hasattr(value, "timestamp"):
        raise serialization_error("A timestamp member is not a time")
    return value


def _decode_float(value: Any) -> float:
    if type(value) not in (int, float):
        raise serialization_error("A number member is not a number")
    try:
        return float(value)
    except OverflowError as error:
        raise serialization_error("A number is out of range") from error


def _integer_decoder(bits: int) -> Convert:
    def decode(value: Any) -> int:
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is int and fits(value, bits):
            return value
        raise serialization_error("An integer member is not an integer in its range")

    return decode


class _CborDecoders(Decoders):
    """Values that JSON has no type for come typed: byte strings, times, and floats that are not finite."""

    def decoder(self, shape: Shape) -> Convert:
        match shape.type:
            case "blob":
                return _decode_blob
            case "timestamp":
                return _decode_time
            case "float" | "double":
                return _decode_float
            case kind if kind in INTEGER_BITS:
                return _integer_decoder(INTEGER_BITS[kind])
            case _:
                return super().decoder(shape)


class _Encoders:
    """Compiles and remembers encoders by shape; one per service."""

    def __init__(self) -> None:
        self._structures: dict[str, dict[str, Convert]] = {}

    def encoder(self, shape: Shape) -> Convert:
        match shape.type:
            case "structure":
                return self.structure(shape)
            case "list":
                element = self.encoder(shape.member)
                return lambda value: [None if item is None else element(item) for item in value]
            case "map":
                inner = self.encoder(shape.value)
                return lambda value: {key: inner(item) for key, item in value.items() if item is not None}
            case "timestamp":
                return _encode_time
            case "blob":
                return _encode_blob
            case "float" | "double":
                return float
            case _:
                return identity

    def structure(self, shape: Shape) -> Convert:
        members = self._structures.get(shape.name)
        if members is None:
            members = self._structures[shape.name] = {}
            for name, member in shape.members.items():
                members[name] = self.encoder(member)

        def encode(value: Any) -> dict[str, Any]:
            result: dict[str, Any] = {}
            for name, item in value.items():
                member = members.get(name)
                if member is not None and item is not None:
                    result[name] = member(item)
            return result

        return encode


def _encode_time(value: Any) -> Any:
    return value if hasattr(value, "timestamp") else from_epoch(value)


def _encode_blob(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)
