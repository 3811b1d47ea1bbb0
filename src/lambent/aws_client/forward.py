"""Passing a request on to an upstream that answers an AWS API we do not, re-signed with the server's own keys."""

from __future__ import annotations

import time
from typing import Final
from urllib.parse import urlsplit

from lambent.aws_client.client import AwsCaller, digest_of, signed_request
from lambent.aws_client.errors import AwsUnreachableError
from lambent.aws_client.http_transport import HttpTransport
from lambent.aws_client.own_keys import OwnKeys
from lambent.http.messages import Headers, Request, RequestHead, Response
from lambent.iam.authentication import Caller
from lambent.model.errors import ServiceError

_OURS_TO_SET: Final = frozenset(
    {
        "authorization", "connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization", "te",
        "trailer", "transfer-encoding", "upgrade", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token",
    }
)  # fmt: skip
_NOT_PASSED_BACK: Final = frozenset({"connection", "content-length", "date", "keep-alive", "transfer-encoding"})


class UpstreamForwarder:
    """Called with a request, its service's signing name, the upstream's URL and who called."""

    def __init__(self, connect_timeout_s: float = 5.0, read_timeout_s: float = 60.0) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._keys = OwnKeys()
        self._transports: dict[str, HttpTransport] = {}

    async def __call__(self, request: Request, service: str, url: str, caller: Caller) -> Response:
        """The upstream's answer. Raises ServiceError 502 when it gives none."""
        parts = urlsplit(url)
        transport = self._transport(f"{parts.scheme}://{parts.netloc}")
        target = parts.path + request.head.target
        fields = tuple((name, value) for name, value in request.headers if name not in _OURS_TO_SET)
        if "authorization" in request.headers or "X-Amz-Signature=" not in request.query:
            digest = await digest_of(request.body)
            as_us = AwsCaller(await self._keys.credentials(), caller.region)
            sent = signed_request(
                transport.host, as_us, service, request.method, target, fields, request.body, digest, time.time()
            )
        else:
            path, _, query = target.partition("?")
            sent = Request(
                RequestHead(request.method, target, path, query, Headers((("host", transport.host), *fields))),
                request.body,
            )
        try:
            answer = await transport.send(sent, self._read_timeout_s)
        except AwsUnreachableError as error:
            text = f"The upstream of {service}, {url}, gave no answer: {error}"
            raise ServiceError("ServiceUnavailableException", text, status=502) from error
        headers = tuple((name, value) for name, value in answer.headers if name not in _NOT_PASSED_BACK)
        return Response(answer.status, headers, answer.body)

    async def close(self) -> None:
        """Close connections."""
        for transport in self._transports.values():
            await transport.close()

    def _transport(self, origin: str) -> HttpTransport:
        found = self._transports.get(origin)
        if found is None:
            found = self._transports[origin] = HttpTransport(origin, connect_timeout_s=self._connect_timeout_s)
        return found
