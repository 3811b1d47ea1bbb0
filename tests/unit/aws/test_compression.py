"""Compressed bodies: read, bounded, refused."""

from __future__ import annotations

import gzip

import pytest

from lambent.aws.compression import decompressed
from lambent.aws.service import BodyLimit
from lambent.http.messages import Headers, Request, RequestHead
from lambent.model.errors import ServiceError

LIMIT = BodyLimit(1000)


def _request(body: bytes, encoding: str = "gzip") -> Request:
    return Request(RequestHead("POST", "/", "/", "", Headers((("content-encoding", encoding),))), body)


def test_gzip_is_undone() -> None:
    assert decompressed(_request(gzip.compress(b"a" * 1000, mtime=0)), LIMIT).body == b"a" * 1000


def test_other_encodings_are_left_alone() -> None:
    assert decompressed(_request(b"as it is", "aws-chunked"), LIMIT).body == b"as it is"


def test_a_body_that_grows_beyond_the_limit_is_refused() -> None:
    with pytest.raises(ServiceError) as refused:
        decompressed(_request(gzip.compress(b"\0" * 50_000_000, mtime=0)), LIMIT)
    assert refused.value.status == 413


@pytest.mark.parametrize("body", [b"not gzip", gzip.compress(b"hello", mtime=0)[:-4], b""])
def test_what_is_not_gzip_is_refused(body: bytes) -> None:
    with pytest.raises(ServiceError, match="SerializationException"):
        decompressed(_request(body), LIMIT)
