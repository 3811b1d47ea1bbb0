"""botocore as the other side of the wire: values made from its models, its serializers and its parsers."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore import parsers, serialize
from botocore.awsrequest import HeadersDict, create_request_object, prepare_request_dict
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape

from lambent.aws.chain import AwsEndpoint
from lambent.http.messages import Headers, Request, RequestHead, Response
from lambent.iam.authentication import Caller
from lambent.iam.principal import Principal
from lambent.iam.refusals import WireFamily
from lambent.model.errors import ServiceError
from lambent.model.ids import AccountId, Region

_DEEPEST = 5
_TEXT = "a b/ü:%41+&=\"'<\u2028>\\"
_HEADER_TEXT = 'a b/:%41+&="x'


@functools.cache
def load_botocore_model(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


@pytest.fixture(scope="session")
def botocore_model() -> Callable[[str], ServiceModel]:
    """Service → botocore's model of it."""
    return load_botocore_model


def _scalar(shape: Any, location: str | None) -> Any:
    if shape.type_name == "string" and shape.enum:
        return shape.enum[0]
    values: dict[str, Any] = {
        "string": _HEADER_TEXT if location in ("header", "headers") else _TEXT,
        "integer": 200 if location == "statusCode" else 42,
        "long": 2**40 + 1,
        "float": 0.5,
        "double": 1.25,
        "boolean": True,
        "blob": b"\x00\xff bytes",
        "timestamp": datetime(2026, 11, 23, 17, 30, 5, tzinfo=UTC),
    }
    return values[shape.type_name]


def make_value(shape: Any, maximal: bool, depth: int = 0, location: str | None = None) -> Any:
    """A value of a shape: every member, or only the required ones."""
    if shape.type_name == "structure":
        names = list(shape.members) if maximal and depth < _DEEPEST else list(shape.required_members)
        if getattr(shape, "is_tagged_union", False) or (depth and not names):
            names = (names or list(shape.members))[:1]
        return {
            name: make_value(shape.members[name], maximal, depth + 1, shape.members[name].serialization.get("location"))
            for name in names
            if not shape.members[name].serialization.get("eventstream")
        }
    if shape.type_name == "list":
        return [make_value(shape.member, maximal, depth + 1, location)] * (2 if maximal else 1)
    if shape.type_name == "map":
        return {key: make_value(shape.value, maximal, depth + 1) for key in (["one", "two.x"] if maximal else ["one"])}
    return _scalar(shape, location)


@pytest.fixture(scope="session")
def sample() -> Callable[[Shape, bool], Any]:
    """Shape, maximal? → a value."""
    return make_value


def to_request(operation: OperationModel, params: dict[str, Any]) -> Request:
    """What botocore sends for these parameters."""
    metadata = operation.service_model.metadata
    serializer = serialize.create_serializer(metadata["protocol"], include_validation=False)
    request_dict = serializer.serialize_to_request(params, operation)
    prepare_request_dict(request_dict, endpoint_url="http://localhost:4566", user_agent="test")
    prepared = create_request_object(request_dict).prepare()
    parts = urlsplit(prepared.url)
    body = prepared.body or b""
    items = tuple(
        (str(name).lower(), value.decode("latin-1") if isinstance(value, bytes) else str(value))
        for name, value in prepared.headers.items()
    )
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    head = RequestHead(str(prepared.method), target, parts.path, parts.query, Headers(items))
    return Request(head, body.encode() if isinstance(body, str) else bytes(body))


@pytest.fixture(scope="session")
def serialized() -> Callable[[OperationModel, dict[str, Any]], Request]:
    """Operation, parameters → the request botocore makes."""
    return to_request


def from_response(protocol: str, response: Response, shape: Any) -> dict[str, Any]:
    """What botocore reads in a response."""
    assert isinstance(response.body, bytes)
    parser = parsers.create_parser(protocol)
    payload = shape.serialization.get("payload") if shape is not None else None
    raw = payload is not None and shape.members[payload].type_name == "blob"
    body = BytesIO(response.body) if raw else response.body  # a client leaves raw payloads unread
    headers = HeadersDict(dict(response.headers))
    parsed: dict[str, Any] = parser.parse({"status_code": response.status, "headers": headers, "body": body}, shape)
    if raw:
        parsed[str(payload)] = response.body
    return parsed


@pytest.fixture(scope="session")
def parsed() -> Callable[[str, Response, Shape | None], dict[str, Any]]:
    """Protocol, response, shape → what botocore reads."""
    return from_response


class RecordedExchange:
    """An exchange without a connection."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.response: Response | None = None
        self.answered = asyncio.Event()

    @property
    def request(self) -> Request:
        return self._request

    @property
    def closed(self) -> bool:
        return self.response is not None

    @property
    def client_address(self) -> str | None:
        return "192.0.2.7"

    def respond(self, response: Response) -> None:
        if self.response is not None:
            raise RuntimeError("answered twice")
        self.response = response
        self.answered.set()

    def on_disconnect(self, callback: Callable[[], None]) -> None:
        pass


class StubbornAuthenticate:
    """Believes everybody but the key REFUSED; remembers the digests it was given."""

    def __init__(self) -> None:
        self.digests: list[str | None] = []

    def covers_body(self, head: RequestHead) -> bool:
        return True

    def authenticate(self, request: Request, family: WireFamily, body_sha256: str | None = None) -> Caller:
        self.digests.append(body_sha256)
        if "REFUSED" in (request.headers.get("authorization") or ""):
            raise ServiceError(f"Refused{family.name}", "No.", status=403, members={"Type": None})
        account = AccountId("000000000000")
        principal = Principal(account, "arn:aws:iam::000000000000:root", account, "AKID")
        return Caller(principal, Region("eu-west-1"), None)


@pytest.fixture
def authenticate() -> StubbornAuthenticate:
    return StubbornAuthenticate()


@pytest.fixture
def answer() -> Callable[[AwsEndpoint, Request], Awaitable[Response]]:
    """Endpoint, request → the response."""

    async def ask(endpoint: AwsEndpoint, request: Request) -> Response:
        exchange = RecordedExchange(request)
        endpoint.handle(exchange)
        await asyncio.wait_for(exchange.answered.wait(), 10)
        assert exchange.response is not None
        return exchange.response

    return ask
