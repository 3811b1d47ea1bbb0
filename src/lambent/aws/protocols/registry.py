"""The protocols there are, and how to answer a request of which no service is known."""

from __future__ import annotations

from collections.abc import Callable

from lambent.aws.models import ServiceModel
from lambent.aws.protocols import json, query, rest_json, rpc_v2_cbor
from lambent.aws.protocols.api import ServiceProtocol
from lambent.http.messages import RequestHead, Response
from lambent.model.errors import ServiceError
from lambent.model.ids import RequestId

PROTOCOLS: dict[str, Callable[[ServiceModel], ServiceProtocol]] = {
    "rest-json": rest_json.RestJsonProtocol,
    "json": json.JsonProtocol,
    "query": query.QueryProtocol,
    "smithy-rpc-v2-cbor": rpc_v2_cbor.RpcV2CborProtocol,
}
"""By botocore's name of the protocol."""

_XML_SERVICES = frozenset({"s3", "s3express", "route53", "cloudfront", "ec2", "sdb"})


def encode_error_without_model(
    head: RequestHead, service: str | None, error: ServiceError, request_id: RequestId
) -> Response:
    """Render an error in the protocol the request seems to be in, so that its client can read it."""
    if "x-amz-target" in head.headers:
        version = "1.0" if "x-amz-json-1.0" in (head.headers.get("content-type") or "") else "1.1"
        return json.encode_error(error, request_id, None, f"application/x-amz-json-{version}")
    is_form = "content-type" in head.headers and query.is_form(head)
    if is_form or "Action=" in head.query or service in _XML_SERVICES:
        return query.encode_error(error, request_id, None)
    return rest_json.encode_error(error, request_id, None)
