"""What an upstream gets of a request, and what comes back."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest

from lambent.aws_client.forward import UpstreamForwarder
from lambent.http.messages import Exchange, Headers, Request, RequestHead, Response
from lambent.http.server import HttpServer
from lambent.iam.authentication import Caller
from lambent.iam.identities import root_principal
from lambent.iam.signature import read_signature
from lambent.iam.sigv4 import payload_digest, verify
from lambent.model.errors import ServiceError
from lambent.model.ids import AccountId, Region

CALLER = Caller(root_principal(AccountId("000000000000")), Region("eu-west-1"), "s3")


class Upstream:
    """Answers everything with 206 and notes it. Implements `http.messages.Policy`."""

    def __init__(self) -> None:
        self.seen: list[Request] = []
        self.url = ""

    def handle(self, exchange: Exchange) -> None:
        self.seen.append(exchange.request)
        exchange.respond(Response(206, (("x-amz-id", "7"), ("ETag", '"e"')), b"part"))

    def body_limit(self, head: RequestHead) -> int:
        return 10_000_000

    def too_large(self, head: RequestHead, limit: int) -> Response:
        return Response(413)

    def malformed(self, status: int, reason: str) -> Response:
        return Response(status)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    server = HttpServer(upstream.handle, upstream, name="upstream")
    await server.start(sock)
    upstream.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    yield upstream
    await server.close(0)


@pytest.fixture
async def forward(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[UpstreamForwarder]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    forwarder = UpstreamForwarder()
    yield forwarder
    await forwarder.close()


def request(target: str, *fields: tuple[str, str], method: str = "PUT", body: bytes = b"") -> Request:
    path, _, query = target.partition("?")
    return Request(RequestHead(method, target, path, query, Headers((("host", "lambent:4566"), *fields))), body)


@pytest.mark.parametrize("size", [3, 1_000_000])
async def test_a_request_is_signed_anew(forward: UpstreamForwarder, upstream: Upstream, size: int) -> None:
    body = b"x" * size
    sent = request(
        "/bucket/a%20key?partNumber=1", ("authorization", "AWS4 theirs"), ("x-amz-date", "old"), ("if-match", "e"),
        body=body,
    )  # fmt: skip
    answer = await forward(sent, "s3", f"{upstream.url}/prefix", CALLER)
    assert (answer.status, answer.body, dict(answer.headers)) == (206, b"part", {"x-amz-id": "7", "etag": '"e"'})
    (got,) = upstream.seen
    assert (got.head.target, got.body) == ("/prefix/bucket/a%20key?partNumber=1", body)
    assert got.headers.get("if-match") == "e"
    signature = read_signature(got.head)
    assert signature is not None
    assert (signature.claim.region, signature.claim.service) == ("eu-west-1", "s3")
    verify(signature, got.head, payload_digest(body), "secret", signature.signed_at)


async def test_a_presigned_request_goes_as_it_is(forward: UpstreamForwarder, upstream: Upstream) -> None:
    target = "/bucket/key?X-Amz-Signature=theirs"
    await forward(request(target, method="GET"), "s3", upstream.url, CALLER)
    (got,) = upstream.seen
    assert (got.head.target, got.headers.get("authorization")) == (target, None)


async def test_an_upstream_that_is_not_there(forward: UpstreamForwarder) -> None:
    with pytest.raises(ServiceError, match="gave no answer") as refused:
        await forward(request("/"), "dynamodb", "http://127.0.0.1:1", CALLER)
    assert refused.value.status == 502
