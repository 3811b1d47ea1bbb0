"""Passing a request on to an upstream that answers an AWS API we do not, re-signed with the server's own keys.

The HTTP client is urllib3 (botocore's), used from threads.
"""

from __future__ import annotations

import asyncio
from typing import Final

import urllib3
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest

from lambent.aws_client.own_keys import OwnKeys
from lambent.http.messages import Request, Response
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
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=connect_timeout_s, read=read_timeout_s))
        self._keys = OwnKeys()

    async def __call__(self, request: Request, service: str, url: str, caller: Caller) -> Response:
        """The upstream's answer. Raises ServiceError 502 when it gives none."""
        return await asyncio.to_thread(self._forward, request, service, url, caller)

    def close(self) -> None:
        """Close idle connections."""
        self._pool.clear()

    def _forward(self, request: Request, service: str, url: str, caller: Caller) -> Response:
        target = url + request.head.target
        signed = AWSRequest(
            method=request.method,
            url=target,
            headers={name: value for name, value in request.headers if name not in _OURS_TO_SET},
            data=request.body,
        )
        if "authorization" in request.headers or "X-Amz-Signature=" not in request.query:
            auth = S3SigV4Auth if service == "s3" else SigV4Auth
            auth(self._keys.find(), service, caller.region).add_auth(signed)
        try:
            answer = self._pool.request(
                request.method,
                target,
                body=request.body,
                headers=dict(signed.headers.items()),
                redirect=False,
                retries=False,
                decode_content=False,
            )
        except urllib3.exceptions.HTTPError as error:
            text = f"The upstream of {service}, {url}, gave no answer: {error}"
            raise ServiceError("ServiceUnavailableException", text, status=502) from error
        headers = tuple((name, value) for name, value in answer.headers.items() if name.lower() not in _NOT_PASSED_BACK)
        return Response(answer.status, headers, answer.data)
