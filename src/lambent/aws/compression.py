"""Bodies that a client compressed before it signed them: `Content-Encoding: gzip`. Pure.

https://smithy.io/2.0/spec/behavior-traits.html#requestcompression-trait: SDKs do so with a PutMetricData of 10 KB or
more. Other encodings are what they are elsewhere: `aws-chunked` belongs to the payload of S3.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

from lambent.aws.protocols.json_values import serialization_error
from lambent.aws.service import BodyLimit
from lambent.http.messages import Request

_GZIP = 16 + zlib.MAX_WBITS


def decompressed(request: Request, limit: BodyLimit) -> Request:
    """The request with its body as it was before `gzip`, which must keep to the limit as well.

    Raises SerializationException, and the limit's refusal (413).
    """
    if (request.head.headers.get("content-encoding") or "").lower() != "gzip":
        return request
    decoder = zlib.decompressobj(_GZIP)
    try:
        body = decoder.decompress(request.body, limit.max_bytes + 1)
    except zlib.error as error:
        raise serialization_error("The body is not the gzip its Content-Encoding says") from error
    if len(body) > limit.max_bytes:
        raise limit.refusal("requested")
    if not decoder.eof:
        raise serialization_error("The body ends before its gzip does")
    return replace(request, body=body)
