"""Getting objects from an S3 endpoint: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html

Path-style addresses, which AWS and its stand-ins all answer; signed with the server's own keys. urllib3 (botocore's)
on threads of its own, so that a slow S3 holds up nothing else: an object is read as a stream, never further than is
wanted, and never longer than is bearable.
"""

from __future__ import annotations

import asyncio
import html
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import quote, urlencode

import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest

from lambent.aws_client.own_keys import OwnKeys
from lambent.aws_client.s3_objects import ObjectTooLargeError, S3Error, S3Object, S3UnreachableError
from lambent.model.ids import Region

_AT_ONCE: Final = 4
_CHUNK_BYTES: Final = 256 * 1024
_ERROR_MAX_BYTES: Final = 64 * 1024
_CODE = re.compile("<Code>([^<]+)</Code>")
_MESSAGE = re.compile("<Message>([^<]*)</Message>")


class S3Objects:
    """The objects behind one endpoint. `get` implements `s3_objects.GetObject`; `close` ends idle connections."""

    def __init__(
        self,
        endpoint_url: str,
        connect_timeout_s: float = 5.0,
        read_timeout_s: float = 30.0,
        total_timeout_s: float = 300.0,
    ) -> None:
        self._endpoint_url = endpoint_url.rstrip("/")
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=connect_timeout_s, read=read_timeout_s))
        self._keys = OwnKeys()
        self._total_timeout_s = total_timeout_s
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="s3")

    async def get(self, wanted: S3Object, region: Region, max_bytes: int) -> bytes:
        """The object's content. Raises S3Error, ObjectTooLargeError, S3UnreachableError."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._get, wanted, region, max_bytes)

    def close(self) -> None:
        """Close idle connections; what is being read ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._pool.clear()

    def _get(self, wanted: S3Object, region: Region, max_bytes: int) -> bytes:
        url = f"{self._endpoint_url}/{quote(wanted.bucket)}/{quote(wanted.key, safe='/~')}"
        if wanted.version is not None:
            url += "?" + urlencode({"versionId": wanted.version})
        signed = AWSRequest(method="GET", url=url)
        S3SigV4Auth(self._keys.find(), "s3", region).add_auth(signed)
        headers = dict(signed.headers.items())
        try:
            answer = self._pool.request(
                "GET", url, headers=headers, redirect=False, retries=False, decode_content=False, preload_content=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(f"gave no answer: {error}") from error
        try:
            if answer.status != 200:
                raise self._refusal(answer)
            return self._content(answer, max_bytes)
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(f"broke off: {error}") from error
        finally:
            answer.close()  # what was not read is not wanted

    def _content(self, answer: urllib3.BaseHTTPResponse, max_bytes: int) -> bytes:
        announced = answer.headers.get("Content-Length", "0")
        if announced.isdecimal() and int(announced) > max_bytes:
            raise ObjectTooLargeError(announced)
        until = time.monotonic() + self._total_timeout_s
        content = bytearray()
        while chunk := answer.read(_CHUNK_BYTES):
            content += chunk
            if len(content) > max_bytes:
                raise ObjectTooLargeError(len(content))
            if time.monotonic() > until:
                raise self._unreachable(f"did not send the object within {self._total_timeout_s:g} seconds")
        return bytes(content)

    def _refusal(self, answer: urllib3.BaseHTTPResponse) -> S3Error | S3UnreachableError:
        text = answer.read(_ERROR_MAX_BYTES).decode("utf-8", "replace")
        code, message = _CODE.search(text), _MESSAGE.search(text)
        if code is None:
            return self._unreachable(f"answered with status {answer.status} and no S3 error")
        return S3Error(html.unescape(code[1]), html.unescape(message[1]) if message else "")

    def _unreachable(self, what: str) -> S3UnreachableError:
        return S3UnreachableError(f"The S3 endpoint {self._endpoint_url} {what}")
