"""The chain's `authorise` step: from a decoded request to what must be allowed, and to AWS's refusal.

Each service has a table of rules beside it (`services/…/access.py`): operation → what it needs. An operation without a
rule needs the action of its own name on every resource (`*`), which is never less than it should. The account's own
root is not asked. https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qs

import orjson

from lambent.aws.context import Params, RequestContext
from lambent.http.messages import Request
from lambent.iam.authentication import Caller
from lambent.iam.enforcement import Access, AccessDeniedError, Enforcer, Occasion
from lambent.iam.principal import Principal
from lambent.model.errors import ServiceError
from lambent.model.ids import new_request_id

AccessRule = Callable[[RequestContext, Params], Sequence[Access] | Awaitable[Sequence[Access]]]
"""What a request needs; nothing at all if that is empty. May raise what the operation would (ServiceError)."""

AccessRules = Mapping[str, AccessRule]
"""Operation → rule, of one service."""

Pending = Callable[[], Awaitable[None]]

# Code and status of a denial, by service; for others those of JSON services.
_DENIALS: Final[Mapping[str, tuple[str, int]]] = {
    "lambda": ("AccessDeniedException", 403),
    **dict.fromkeys(("iam", "sts", "sqs", "sns", "s3", "cloudwatch", "cloudformation"), ("AccessDenied", 403)),
}
_JSON_DENIAL: Final = ("AccessDeniedException", 400)
_ANONYMOUS: Final = "anonymous"
_DATA_EVENTS: Final = frozenset(
    {"PutMetricData", "GetMetricData", "SendMessage", "SendMessageBatch", "ReceiveMessage", "DeleteMessage",
     "DeleteMessageBatch", "ChangeMessageVisibility", "ChangeMessageVisibilityBatch"}
)  # fmt: skip


class Authoriser:
    """Implements `chain.Authorise` and `chain.AuthoriseForward` with an `Enforcer`."""

    def __init__(self, enforcer: Enforcer, rules: Mapping[str, AccessRules]) -> None:
        self._enforcer = enforcer
        self._rules = rules

    def __call__(self, context: RequestContext, params: Params) -> Pending | None:
        """See `chain.Authorise`."""
        if context.principal.arn == _ANONYMOUS:
            return None  # an operation that takes no signature; it looks after itself
        rule = self._rules.get(context.service, {}).get(context.operation, _any_resource)
        accesses = rule(context, params)
        if not isinstance(accesses, Sequence):
            needed = accesses
            return lambda: self._check_later(context, needed)
        return self._check(context, accesses)

    async def forward(self, request: Request, service: str, caller: Caller, address: str | None = None) -> None:
        """May a request be forwarded to an upstream? Raises ServiceError."""
        access = _forwarded_access(request, service, caller)
        occasion = _occasion(request, caller.principal, new_request_id(), caller.region, "http", address)
        try:
            pending = self._pending(occasion, [access])
            if pending is not None:
                await pending()
        except AccessDeniedError as error:
            raise _denied(service, error) from error

    def _check(self, context: RequestContext, accesses: Sequence[Access]) -> Pending | None:
        accesses = _asked(context.principal, accesses)
        if not accesses:
            return None
        scheme = context.endpoint_url.partition(":")[0]
        occasion = _occasion(
            context.request, context.principal, context.request_id, context.region, scheme, context.client_address
        )
        try:
            pending = self._pending(occasion, accesses)
        except AccessDeniedError as error:
            raise _denied(context.service, error) from error
        return None if pending is None else lambda: self._await(context.service, pending)

    async def _check_later(self, context: RequestContext, accesses: Awaitable[Sequence[Access]]) -> None:
        pending = self._check(context, await accesses)
        if pending is not None:
            await pending()

    async def _await(self, service: str, pending: Pending) -> None:
        try:
            await pending()
        except AccessDeniedError as error:
            raise _denied(service, error) from error

    def _pending(self, occasion: Occasion, accesses: Sequence[Access]) -> Pending | None:
        accesses = _asked(occasion.principal, accesses)
        return self._enforcer.check(occasion, accesses) if accesses else None


def _asked(principal: Principal, accesses: Sequence[Access]) -> Sequence[Access]:
    """Those that policies are asked about: an account's root may do anything in it."""
    if not principal.arn.endswith(":root"):
        return accesses
    return [access for access in accesses if access.account not in (None, principal.account)]


def _any_resource(context: RequestContext, _: Params) -> Sequence[Access]:
    return (Access(f"{context.service}:{context.operation}", is_data_event=context.operation in _DATA_EVENTS),)


def _occasion(
    request: Request, principal: Principal, request_id: str, region: str, scheme: str, address: str | None
) -> Occasion:
    def keys() -> Mapping[str, tuple[str, ...]]:
        now = datetime.now(UTC)
        found = {
            "aws:currenttime": (now.strftime("%Y-%m-%dT%H:%M:%SZ"),),
            "aws:epochtime": (str(int(now.timestamp())),),
            "aws:requestedregion": (region,),
            "aws:securetransport": (str(scheme == "https").lower(),),
        }
        if address is not None:
            found["aws:sourceip"] = (address,)
        for key, header in (("aws:useragent", "user-agent"), ("aws:referer", "referer")):
            value = request.headers.get(header)
            if value is not None:
                found[key] = (value,)
        return found

    return Occasion(principal, request_id, region, keys)


def _forwarded_access(request: Request, service: str, caller: Caller) -> Access:
    """What a request to an API we know nothing of needs: its action if it names one, else all of the service's.

    On every resource; only DynamoDB's tables are recognised.
    """
    action, resource = f"{service}:*", "*"
    target = request.headers.get("x-amz-target")
    if target is not None:
        action = f"{service}:{target.rpartition('.')[2]}"
    elif (request.headers.get("content-type") or "").startswith("application/x-www-form-urlencoded"):
        named = parse_qs(request.body.decode("ascii", "replace")).get("Action", ["*"])
        action = f"{service}:{named[0]}"
    if service == "dynamodb" and (table := _table_name(request.body)) is not None:
        if table.startswith("arn:"):
            resource = table
        else:
            resource = f"arn:aws:dynamodb:{caller.region}:{caller.account}:table/{table}"
    return Access(action, resource)


def _table_name(body: bytes) -> str | None:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    name = document.get("TableName") if isinstance(document, dict) else None
    return name if isinstance(name, str) and re.fullmatch(r"[\w.:/-]+", name) else None


def _denied(service: str, error: AccessDeniedError) -> ServiceError:
    code, status = _DENIALS.get(service, _JSON_DENIAL)
    return ServiceError(code, error.message, status=status, members={"Type": None})
