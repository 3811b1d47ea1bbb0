"""Which log group a request means: by name, by identifier (name or ARN), or by resource ARN. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Any

import orjson

from lambent.aws.context import Params, RequestContext
from lambent.observability.logs.events import LogGroupId, LogStreamId
from lambent.services.logs.errors import group_not_found, invalid_parameter, resource_not_found

_ARN = re.compile(r"arn:aws[a-z-]*:logs:(?P<region>[^:]+):(?P<account>\d{12}):log-group:(?P<name>[^:*]+)\Z")


def named_group(ctx: RequestContext, name: str) -> LogGroupId:
    """The caller's group of that name."""
    return LogGroupId(ctx.account, ctx.region, name)


def named_stream(ctx: RequestContext, params: Params) -> LogStreamId:
    """The stream of `logGroupName` and `logStreamName`."""
    return LogStreamId(ctx.account, ctx.region, params["logGroupName"], params["logStreamName"])


def identified_group(ctx: RequestContext, params: Params) -> LogGroupId:
    """The group of `logGroupName` or `logGroupIdentifier`, exactly one of which must be there."""
    name, identifier = params.get("logGroupName"), params.get("logGroupIdentifier")
    if (name is None) == (identifier is None):
        raise invalid_parameter("You must include either logGroupIdentifier or logGroupName, but not both.")
    if name is not None:
        return named_group(ctx, name)
    assert identifier is not None  # noqa: S101  for the type checker
    return parse_identifier(ctx, identifier)


def parse_identifier(ctx: RequestContext, identifier: str) -> LogGroupId:
    """The group of a name or ARN; one of another account or region does not exist here."""
    if not identifier.startswith("arn:"):
        return named_group(ctx, identifier)
    match = _ARN.match(identifier)
    if match is None or (match["account"], match["region"]) != (ctx.account, ctx.region):
        raise group_not_found()
    return named_group(ctx, match["name"])


def resource_group(ctx: RequestContext, arn: str) -> LogGroupId:
    """The group of a `resourceArn`; only log groups have tags here."""
    match = _ARN.match(arn)
    if match is None or (match["account"], match["region"]) != (ctx.account, ctx.region):
        raise resource_not_found()
    return named_group(ctx, match["name"])


def page_token(position: Sequence[Any]) -> str:
    """An opaque token for a position made of JSON values."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).decode()


def parse_page_token(token: str, *types: type) -> list[Any]:
    """The position of a token that `page_token` made of values of these types."""
    try:
        position = orjson.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, binascii.Error):
        position = None
    if not isinstance(position, list) or [type(value) for value in position] != list(types):
        raise invalid_parameter("The specified nextToken is invalid.")
    return position
