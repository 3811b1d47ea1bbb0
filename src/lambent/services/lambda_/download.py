"""`Code.Location`: a signed, short-lived URL of our own endpoint, and what answers it.

The URL alone is the permission, as with AWS's presigned S3 URLs: it names one archive, ends after ten minutes, and
cannot be changed without the secret of this installation.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlencode

from lambent.http.coroutines import coroutine_handler
from lambent.http.messages import Exchange, Response
from lambent.model.function import FunctionVersion
from lambent.model.layer import LayerVersion
from lambent.packaging.code_store import CodeStore
from lambent.store.api import SETTINGS, ConflictError, Put, Store

CODE_PATH: Final = "/_lambent/code/"
"""Where the handler belongs on the endpoint."""

VALID_S: Final = 600
_CHUNK_BYTES: Final = 256 * 1024
_SECRET_NAME: Final = "code-download-secret"  # noqa: S105 (its name in the store)


async def load_secret(store: Store) -> bytes:
    """This installation's secret for download URLs, made at first use."""
    while True:
        stored = await store.get(SETTINGS, _SECRET_NAME)
        if stored is not None:
            return bytes.fromhex(stored.value["hex"])
        try:
            await store.commit([Put(SETTINGS, _SECRET_NAME, {"hex": secrets.token_hex(32)}, expect=0)])
        except ConflictError:
            continue  # somebody else made one


class CodeDownloads:
    """Makes the URLs and answers them. `now` is real time: a signature's age is not a policy.

    `handler` is to be served under CODE_PATH, and closed after the server.
    """

    def __init__(self, secret: bytes, code_store: CodeStore, now: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._code_store = code_store
        self._now = now
        self.handler = coroutine_handler(self._answer, _failed)

    def location(self, endpoint_url: str, version: FunctionVersion | LayerVersion) -> str:
        """The URL of a version's archive."""
        if isinstance(version, LayerVersion):
            name = f"{version.digest}/{version.layer.name}.zip"
        else:
            name = f"{version.code_digest}/{version.function.name}.zip"
        expires = str(int(self._now()) + VALID_S)
        query = urlencode({"Expires": expires, "Signature": self._signature(name, expires)})
        return f"{endpoint_url.rstrip('/')}{CODE_PATH}{name}?{query}"

    async def _answer(self, exchange: Exchange) -> Response:
        request = exchange.request
        if request.method not in ("GET", "HEAD"):
            return _refusal(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        name = request.path.removeprefix(CODE_PATH)
        refusal = self._refusal_of(name, request.query)
        if refusal is not None:
            return refusal
        try:
            archive = self._code_store.archive(name.partition("/")[0])
            size = (await asyncio.to_thread(archive.stat)).st_size
        except FileNotFoundError:
            return _refusal(404, "NoSuchKey", "The specified key does not exist.")
        headers = (("Content-Type", "application/zip"), ("Content-Length", str(size)))
        return Response(200, headers, b"" if request.method == "HEAD" else _chunks(archive))

    def _refusal_of(self, name: str, query: str) -> Response | None:
        given = parse_qs(query)
        expires, signature = given.get("Expires", [""])[0], given.get("Signature", [""])[0]
        if not hmac.compare_digest(self._signature(name, expires).encode(), signature.encode()):
            return _refusal(403, "SignatureDoesNotMatch", "The request signature does not match.")
        if self._now() > int(expires):  # signed, so it is a number
            return _refusal(403, "AccessDenied", "Request has expired")
        return None

    def _signature(self, name: str, expires: str) -> str:
        return hmac.new(self._secret, f"{name}\n{expires}".encode(), hashlib.sha256).hexdigest()


async def _chunks(archive: Path) -> AsyncIterator[bytes]:
    """Opened only when the server begins to send. Fails, and so ends the connection, if it was collected since."""
    opened = await asyncio.to_thread(archive.open, "rb")
    try:
        while chunk := await asyncio.to_thread(opened.read, _CHUNK_BYTES):
            yield chunk
    finally:
        opened.close()


def _failed(_exchange: Exchange, _error: Exception) -> Response:
    return _refusal(500, "InternalError", "We encountered an internal error. Please try again.")


def _refusal(status: int, code: str, message: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(status, (("Content-Type", "application/xml"),), body.encode())
