"""How errors are told at paths that are no API of AWS's, such as reports: as JSON, with a code and a message."""

from __future__ import annotations

import orjson

from lambent.http.messages import Exchange, Response
from lambent.model.errors import ServiceError


def failed(_exchange: Exchange, error: Exception) -> Response:
    """See `http.coroutines`: what is no `ServiceError` is in the log, and not told."""
    if not isinstance(error, ServiceError):
        error = ServiceError("InternalFailure", "The cause is in Lambent's log.", status=500)
    body = orjson.dumps({"code": error.code, "message": error.message})
    return Response(error.status, (("Content-Type", "application/json"),), body)
