"""Calling AWS APIs: a request is made, signed as a caller, sent, and its answer read or its error raised.

Three wire protocols, as far as the calls of this folder need them: AWS JSON, query (answers unread), REST.
https://smithy.io/2.0/aws/protocols/
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from lambent.aws_client.errors import AwsError, AwsUnreachableError
from lambent.aws_client.transport import Answer, Transport
from lambent.http.messages import Headers, Request, RequestHead
from lambent.iam.authentication import INLINE_HASH_MAX_BYTES
from lambent.iam.principal import Credentials
from lambent.iam.sigv4 import payload_digest, sign
from lambent.model.ids import Region

TIMEOUT_S: Final = 30.0
_CODE = re.compile(rb"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]*)</Message>")


@dataclass(frozen=True, slots=True)
class AwsCaller:
    """Who calls, and in which region."""

    credentials: Credentials
    region: Region


class AwsClient:
    """Calls over one transport. `now`: real time, which signatures follow."""

    def __init__(self, transport: Transport, now: Callable[[], float] = time.time) -> None:
        self._transport = transport
        self._now = now

    async def close(self) -> None:
        """Close the transport."""
        await self._transport.close()

    async def json(
        self,
        caller: AwsCaller,
        service: str,
        target: str,
        parameters: Mapping[str, object],
        *,
        version: str = "1.0",
        headers: tuple[tuple[str, str], ...] = (),
        timeout_s: float = TIMEOUT_S,
    ) -> Any:
        """An operation of AWS JSON; `target` as in X-Amz-Target. The decoded answer.

        Raises AwsError, AwsUnreachableError, as all calls do.
        """
        fields = (("content-type", f"application/x-amz-json-{version}"), ("x-amz-target", target), *headers)
        answer = await self.send(caller, service, "POST", "/", fields, orjson.dumps(parameters), timeout_s=timeout_s)
        if not answer.body:
            return {}
        try:
            return orjson.loads(answer.body)
        except orjson.JSONDecodeError as error:
            raise AwsUnreachableError(f"{target}: the answer is not JSON") from error

    async def query(
        self, caller: AwsCaller, service: str, action: str, version: str, parameters: Mapping[str, str]
    ) -> Answer:
        """An operation of the query protocol."""
        body = urlencode({"Action": action, "Version": version, **parameters}, quote_via=quote, safe="-_.~").encode()
        fields = (("content-type", "application/x-www-form-urlencoded; charset=utf-8"),)
        return await self.send(caller, service, "POST", "/", fields, body)

    async def send(
        self,
        caller: AwsCaller,
        service: str,
        method: str,
        target: str,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> Answer:
        """A request; `target` (path and query) percent-encoded. Its answer, if that is none of an error."""
        answer = await self._transport.send(
            await self._signed(caller, service, method, target, headers, body), timeout_s
        )
        if answer.status >= 300:
            raise read_error(answer)
        return answer

    async def _signed(
        self,
        caller: AwsCaller,
        service: str,
        method: str,
        target: str,
        headers: tuple[tuple[str, str], ...],
        body: bytes,
    ) -> Request:
        digest = await digest_of(body)
        return signed_request(self._transport.host, caller, service, method, target, headers, body, digest, self._now())


async def digest_of(body: bytes) -> str:
    """Its hex SHA-256; that of a large body from a thread."""
    if len(body) > INLINE_HASH_MAX_BYTES:
        return await asyncio.to_thread(payload_digest, body)
    return payload_digest(body)


def signed_request(
    host: str,
    caller: AwsCaller,
    service: str,
    method: str,
    target: str,
    headers: tuple[tuple[str, str], ...],
    body: bytes,
    digest: str,
    now: float,
) -> Request:
    """A request with its Host, and what signs it. Pure."""
    path, _, query = target.partition("?")
    fields = (("host", host), *headers)
    head = RequestHead(method, target, path, query, Headers(fields))
    added = sign(head, digest, caller.credentials, region=caller.region, service=service, now=now)
    return Request(RequestHead(method, target, path, query, Headers((*fields, *added))), body)


def read_error(answer: Answer) -> AwsError | AwsUnreachableError:
    """What an answer of status 300 or more says, in any of AWS's protocols."""
    headers, body = answer.headers, answer.body
    code, message = headers.get("x-amzn-errortype"), ""
    if body[:1] == b"{":
        code, message = _json_error(body, code)
    elif body[:1] == b"<":
        found, words = _CODE.search(body), _MESSAGE.search(body)
        code = unescape(found[1].decode("utf-8", "replace")) if found else code
        message = unescape(words[1].decode("utf-8", "replace")) if words else ""
    if not code:
        if answer.status < 500:
            return AwsUnreachableError(f"answered with status {answer.status} and no error of AWS's")
        code = "ServiceUnavailable"
    query_code = headers.get("x-amzn-query-error")
    return AwsError(
        code.partition(":")[0].rpartition("#")[2],
        message,
        answer.status,
        query_code.partition(";")[0] if query_code else None,
    )


def _json_error(body: bytes, code: str | None) -> tuple[str | None, str]:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return code, ""
    if not isinstance(told, dict):
        return code, ""
    code = code or told.get("__type") or told.get("code")
    message = told.get("message") or told.get("Message") or ""
    return (code if isinstance(code, str) else None), str(message)
