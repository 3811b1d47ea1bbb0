"""The way of a request to an AWS API: admit → route → identify → decode → validate → authorise → handle → encode.

`AwsEndpoint` is one endpoint for all registered APIs. The steps before `handle` are synchronous and cheap, so a refusal
never costs a task; each accepted request is one task, owned here. A request with a large body takes the same steps
with its hashing and decoding in a thread. Whatever goes wrong unexpectedly ends in `_error_response`, the one
supervision point: logged with the request id, answered without detail.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

from lambent.aws.compression import decompressed
from lambent.aws.context import Params, RequestContext
from lambent.aws.directory import ServiceDirectory
from lambent.aws.envelopes import Envelope, Envelopes
from lambent.aws.protocols.api import ServiceProtocol, Target
from lambent.aws.protocols.json_values import serialization_error
from lambent.aws.protocols.registry import encode_error_without_model
from lambent.aws.routing import is_from_foreign_page, signing_scope
from lambent.aws.service import BodyLimit, CompiledOperation, CompiledService, ServiceDefinition
from lambent.aws.validation import validation_error
from lambent.http.messages import Exchange, Handler, Headers, Request, RequestHead, Response
from lambent.iam.authentication import INLINE_HASH_MAX_BYTES, Authenticate, Caller
from lambent.iam.principal import Principal
from lambent.iam.refusals import WireFamily, wire_family
from lambent.iam.sigv4 import payload_digest
from lambent.model.errors import ServiceError, access_denied
from lambent.model.ids import AccountId, Region, RequestId, new_request_id
from lambent.model.limits import MIB
from lambent.store.api import StoreFullError

logger = logging.getLogger(__name__)

Authorise = Callable[[RequestContext, Params], Callable[[], Awaitable[None]] | None]
"""Raises the service's access denied error when the caller may not. What it returns, if anything, is called and awaited
before the operation is handled, and may still raise."""

AuthoriseForward = Callable[[Request, str, Caller, str | None], Awaitable[None]]
"""Request, service, caller, the client's IP address: raises ServiceError when the caller may not send that on."""

Forward = Callable[[Request, str, str, Caller], Awaitable[Response]]
"""Request, service (its signing name), the upstream's URL, caller → the upstream's answer. Raises ServiceError."""

_UPSTREAM_NAMES = {
    "monitoring": "cloudwatch",
    "email": "ses",
    "states": "stepfunctions",
    "elasticloadbalancing": "elbv2",
    "elasticfilesystem": "efs",
    "es": "opensearch",
    "tagging": "resourcegroupstaggingapi",
}
"""Signing name → botocore's name, where people would write the latter in `--upstream`."""

_SHORT_LENGTH = 5  # digits
_UNKNOWN_BODY = BodyLimit(MIB)
_FORWARDED_BODY = BodyLimit(64 * MIB)
_EXTRA_ROUTE_BODY = BodyLimit(2 * MIB)


class _Call:
    """One request on its way through the chain. A direct operation answers it as its `Reply`."""

    __slots__ = (
        "caller", "content", "context", "endpoint", "exchange", "operation", "params", "protocol", "request",
        "request_id", "service", "service_name", "target",
    )  # fmt: skip

    caller: Caller
    context: RequestContext
    operation: CompiledOperation
    params: Params
    protocol: ServiceProtocol
    target: Target

    def __init__(self, endpoint: AwsEndpoint, exchange: Exchange, request_id: RequestId) -> None:
        self.endpoint = endpoint
        self.exchange = exchange
        self.request = exchange.request
        self.content = exchange.request  # the same with its body decompressed; signatures are over what was sent
        self.request_id = request_id
        self.service: CompiledService | None = None
        self.service_name: str | None = None

    def succeed(self, output: Params) -> None:
        """See `context.Reply`."""
        self.endpoint.answer_directly(self, output)

    def fail(self, error: ServiceError) -> None:
        """See `context.Reply`."""
        self.endpoint.answer_directly(self, error)


class AwsEndpoint:
    """One endpoint for every registered AWS API: a handler for the HTTP server, and (as `policy`) its policy.

    `authenticate` says who calls; an endpoint inside an execution environment is a second one (`for_callers`) with that
    environment's own. `region` and `account` are for requests that name none. `upstreams` are service → URL of APIs to
    `forward` requests to. `extra_routes` are path prefixes (`/_lambent/`) that other handlers answer. `scheme` is that
    of the URLs in answers. Use from the event loop's thread only.
    """

    def __init__(
        self,
        services: Sequence[ServiceDefinition] | ServiceDirectory,
        authenticate: Authenticate,
        *,
        region: Region,
        account: AccountId,
        upstreams: Mapping[str, str] | None = None,
        forward: Forward | None = None,
        authorise: Authorise | None = None,
        authorise_forward: AuthoriseForward | None = None,
        extra_routes: Mapping[str, Handler] | None = None,
        scheme: str = "http",
    ) -> None:
        self._directory = services if isinstance(services, ServiceDirectory) else ServiceDirectory(services)
        self._authenticate = authenticate
        self._region = region
        self._account = account
        self._upstreams = dict(upstreams or {})
        self._forward = forward or _forward_nothing
        self._authorise_caller = authorise
        self._authorise_forward = authorise_forward
        self._extra_routes = dict(extra_routes or {})
        self._extra_prefixes = tuple(self._extra_routes)
        self._scheme = scheme
        self._smallest_limit = min(self._directory.smallest_body_limit, _UNKNOWN_BODY.max_bytes)
        self._envelopes = Envelopes()
        self._tasks: set[asyncio.Task[None]] = set()
        self._direct: set[_Call] = set()  # what was begun without a task
        self._direct_emptied: asyncio.Event | None = None
        self._closing = False

    def for_callers(self, authenticate: Authenticate) -> AwsEndpoint:
        """The same services for other callers (those inside an execution environment).

        Shares what was compiled, offers no extra routes, and has tasks of its own to close. Cheap.
        """
        return AwsEndpoint(
            self._directory,
            authenticate,
            region=self._region,
            account=self._account,
            upstreams=self._upstreams,
            forward=self._forward,
            authorise=self._authorise_caller,
            authorise_forward=self._authorise_forward,
            scheme=self._scheme,
        )

    @property
    def policy(self) -> AwsEndpoint:
        """This endpoint as the HTTP server's `Policy`."""
        return self

    def preload(self) -> None:
        """Read the models of all services now (some 30 ms) rather than on each one's first request. Thread-safe."""
        for service in self._directory:
            _ = service.protocols

    def handle(self, exchange: Exchange) -> None:
        """Answer a request, now or later. An `http.messages.Handler`."""
        path = exchange.request.head.path
        if self._extra_prefixes and path.startswith(self._extra_prefixes):
            self._extra_routes[max((p for p in self._extra_prefixes if path.startswith(p)), key=len)](exchange)
            return
        call = _Call(self, exchange, new_request_id())
        try:
            self._admit(call)
            envelope = self._envelopes.find(call.request.head)
            if envelope is not None and len(call.request.body) <= INLINE_HASH_MAX_BYTES:
                self._open(call, envelope)
                self._identify(call, envelope.service, None)
                call.params = envelope.decode(call.request.body)
                self._begin(call)
                return
            service = self._route(call)
            if service is None:
                self._spawn(call, self._forward_upstream(call, self._upstream(call)))
            elif len(call.request.body) > INLINE_HASH_MAX_BYTES:
                self._spawn(call, self._serve_large(call, service))
            else:
                self._identify(call, service, None)
                self._decode(call)
                self._validate(call, service)
                self._remember(call, service)
                self._begin(call)
        except Exception as error:  # noqa: BLE001 the supervision point of the steps without a task
            self._respond(call, self._error_response(call, error))

    # ---- the steps, in their order

    def _admit(self, call: _Call) -> None:
        """Refuse what is not to be looked at: requests while closing, and those a web page makes its reader send."""
        if self._closing:
            raise _closing_error()
        if is_from_foreign_page(call.request.head):
            raise access_denied("Requests from web pages of another origin are refused.")

    def _route(self, call: _Call) -> CompiledService | None:
        """Find service and operation; None when the service is not one of ours."""
        request = call.request
        service, call.service_name = self._directory.find(request.head, request.body)
        if service is None:
            return None
        if "content-encoding" in request.head.headers:
            request = call.content = decompressed(request, service.body_limit(None))
        call.protocol = protocol = service.protocol_for(request.head)
        call.service = service
        target = protocol.find(request)
        if target is None:
            raise protocol.unknown_operation(request)
        call.target = target
        call.operation = service.operation(protocol, target.operation)
        return service

    def _identify(self, call: _Call, service: CompiledService, body_sha256: str | None) -> None:
        """Find out who calls."""
        request, operation = call.request, call.operation
        if operation.is_unsigned and signing_scope(request.head) is None:
            caller = Caller(Principal(self._account, "anonymous", "anonymous"), self._region, None)
        else:
            family = wire_family(service.name, call.protocol.name)
            caller = self._authenticate.authenticate(request, family, body_sha256)
        call.caller = caller
        host = request.head.headers.get("host") or "localhost"
        call.context = RequestContext(
            request_id=call.request_id,
            service=service.name,
            operation=operation.name,
            account=caller.principal.account,
            region=caller.region,
            principal=caller.principal,
            request=request,
            endpoint_url=f"{self._scheme}://{host}",
            on_disconnect=call.exchange.on_disconnect,
            client_address=call.exchange.client_address,
        )

    def _decode(self, call: _Call) -> None:
        try:
            call.params = call.operation.codec.decode(call.content, call.target)
        except RecursionError as error:
            raise serialization_error("The request is nested too deeply") from error

    def _validate(self, call: _Call, service: CompiledService) -> None:
        validate = call.operation.validate
        if validate is not None and (violations := validate(call.params)):
            raise validation_error(violations, service.validation_code(call.protocol))

    def _authorise(self, call: _Call) -> Callable[[], Awaitable[None]] | None:
        if self._authorise_caller is None:
            return None
        return self._authorise_caller(call.context, call.params)

    def _begin(self, call: _Call) -> None:
        """Authorise, and handle: without a task if that can be."""
        authorised = self._authorise(call)
        direct = call.operation.direct
        if direct is not None and authorised is None:
            self._direct.add(call)
            is_begun = False
            try:
                is_begun = direct(call.context, call.params, call)
            finally:
                if not is_begun:
                    self._direct.discard(call)
            if is_begun:
                return
        self._spawn(call, self._serve(call, authorised))

    async def _serve(self, call: _Call, authorised: Callable[[], Awaitable[None]] | None) -> Response:
        """Handle and encode, once `authorised` has returned."""
        if authorised is not None:
            await authorised()
        operation = call.operation
        return operation.codec.encode(await operation.handler(call.context, call.params), call.request_id)

    # ---- known envelopes

    def _open(self, call: _Call, envelope: Envelope) -> None:
        """Instead of `_route`."""
        call.service = envelope.service
        call.service_name = envelope.service.signing_name
        call.protocol = envelope.protocol
        call.target = envelope.target
        call.operation = envelope.operation

    def _remember(self, call: _Call, service: CompiledService) -> None:
        """After `_validate`: the same envelope will be known."""
        if not call.operation.has_plain_envelope:
            return
        payload = call.operation.codec.payload
        params = {name: value for name, value in call.params.items() if name != payload}
        envelope = Envelope(service, call.protocol, call.target, call.operation, params, payload)
        self._envelopes.remember(call.request.head, envelope)

    # ---- the same for large bodies, and for what is not ours

    async def _serve_large(self, call: _Call, service: CompiledService) -> Response:
        """The steps after `_route`, hashing and decoding in a thread."""
        self._identify(call, service, await self._digest(call.request))
        await asyncio.to_thread(self._decode, call)
        self._validate(call, service)
        return await self._serve(call, self._authorise(call))

    async def _digest(self, request: Request) -> str | None:
        """The body's digest if it is needed and too costly for the event loop."""
        if len(request.body) <= INLINE_HASH_MAX_BYTES or not self._authenticate.covers_body(request.head):
            return None
        return await asyncio.to_thread(payload_digest, request.body)

    def _upstream(self, call: _Call) -> str:
        """The name of the service an upstream is to answer for; else raises the reason why nobody does."""
        name = call.service_name
        if name is None:
            text = f"No AWS service Lambent answers has {call.request.method} {call.request.path[:200]}"
            raise ServiceError("UnknownOperationException", text, status=404)
        for known in (name, _UPSTREAM_NAMES.get(name, name)):
            if known in self._upstreams:
                return known
        text = (
            f"Lambent does not answer {name[:100]}; start it with --upstream {name[:100]}=URL to forward {name[:100]}"
        )
        raise ServiceError("NotImplementedException", text, status=501)

    async def _forward_upstream(self, call: _Call, name: str) -> Response:
        request = call.request
        digest = await self._digest(request)
        caller = self._authenticate.authenticate(request, _family_by_looks(name, request.head), digest)
        if self._authorise_forward is not None:
            await self._authorise_forward(request, name, caller, call.exchange.client_address)
        return await self._forward(request, name, self._upstreams[name], caller)

    # ---- errors

    def _error_response(self, call: _Call, error: Exception) -> Response:
        """Render an error in the request's protocol; what is not a ServiceError is our failure, and logged."""
        service = call.service
        if isinstance(error, StoreFullError) and service is not None:
            logger.warning("a request was refused: the disk is full", extra=_described(call))
            error = service.unavailable_error("There is no room to keep this: the disk is full.")
        elif not isinstance(error, ServiceError):
            logger.error("a request failed inside Lambent", exc_info=error, extra=_described(call))
            error = service.internal_error() if service is not None else ServiceError("InternalFailure", "", status=500)
        if service is None:
            return encode_error_without_model(call.request.head, call.service_name, error, call.request_id)
        protocol = service.protocol_for(call.request.head)
        return protocol.encode_error(error, call.request_id)

    # ---- http.messages.Policy

    def body_limit(self, head: RequestHead) -> int:
        length = head.headers.get("content-length")
        if length is not None and len(length) <= _SHORT_LENGTH and self._smallest_limit >= 10**_SHORT_LENGTH:
            return self._smallest_limit  # whatever it is for: not a larger body than this
        return self._limit(head)[0].max_bytes

    def too_large(self, head: RequestHead, limit: int) -> Response:
        body_limit, operation, service = self._limit(head)
        error = body_limit.refusal(operation)
        request_id = new_request_id()
        if service is None:
            return encode_error_without_model(head, None, error, request_id)
        return service.protocol_for(head).encode_error(error, request_id)

    def malformed(self, status: int, reason: str) -> Response:
        code = "ServiceUnavailableException" if status == 503 else "BadRequestException"
        error = ServiceError(code, reason, status=status)
        return encode_error_without_model(_NO_HEAD, None, error, new_request_id())

    def _limit(self, head: RequestHead) -> tuple[BodyLimit, str, CompiledService | None]:
        if self._extra_prefixes and head.path.startswith(self._extra_prefixes):
            return _EXTRA_ROUTE_BODY, head.path, None
        service, name = self._directory.find(head)
        if service is None:
            return _FORWARDED_BODY if self._upstreams else _UNKNOWN_BODY, name or "requested", None
        operation = service.protocol_for(head).operation_of(head)
        return service.body_limit(operation), operation or "requested", service

    # ---- answers of direct operations

    def answer_directly(self, call: _Call, outcome: Params | ServiceError) -> None:
        """What a direct operation has to say. Ignored if the call was given up meanwhile."""
        if call not in self._direct:
            return
        self._direct.discard(call)
        try:
            if isinstance(outcome, ServiceError):
                raise outcome
            response = call.operation.codec.encode(outcome, call.request_id)
        except Exception as error:  # noqa: BLE001 the supervision point of answers without a task
            response = self._error_response(call, error)
        self._respond(call, response)
        if self._direct_emptied is not None and not self._direct:
            self._direct_emptied.set()

    async def _close_direct(self, grace_s: float) -> None:
        if self._direct:
            self._direct_emptied = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._direct_emptied.wait(), grace_s)
        for call in list(self._direct):
            call.fail(_closing_error())

    # ---- tasks

    def _spawn(self, call: _Call, work: Coroutine[None, None, Response]) -> None:
        task = asyncio.get_running_loop().create_task(self._supervised(call, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _supervised(self, call: _Call, work: Coroutine[None, None, Response]) -> None:
        """Answer with what the work gives, or with why it failed."""
        try:
            response = await work
        except asyncio.CancelledError:
            self._respond(call, self._error_response(call, _closing_error()))
            raise
        except Exception as error:  # noqa: BLE001 the supervision point of handlers and of steps in threads
            response = self._error_response(call, error)
        self._respond(call, response)

    def _respond(self, call: _Call, response: Response) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("answered", extra={**_described(call), "status": response.status})
        call.exchange.respond(response)

    async def close(self, grace_s: float) -> None:
        """Refuse new requests (503), give those in flight `grace_s` seconds, then cancel and answer them (503)."""
        self._closing = True
        await asyncio.gather(self._close_direct(grace_s), self._close_tasks(grace_s))

    async def _close_tasks(self, grace_s: float) -> None:
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=grace_s)
        if late:
            logger.warning("cancelling requests in flight", extra={"requests": len(late)})
            for task in late:
                task.cancel()
            await asyncio.wait(late)


async def _forward_nothing(request: Request, service: str, url: str, caller: Caller) -> Response:
    raise ServiceError("NotImplementedException", f"Lambent was built without a way to reach {url}", status=501)


def _described(call: _Call) -> dict[str, str | None]:
    return {
        "request_id": call.request_id,
        "service": call.service_name,
        "method": call.request.method,
        "path": call.request.path[:500],
    }


def _closing_error() -> ServiceError:
    return ServiceError("ServiceUnavailableException", "Lambent is shutting down", status=503)


def _family_by_looks(service: str, head: RequestHead) -> WireFamily:
    if "x-amz-target" in head.headers:
        return wire_family(service, "json")
    is_form = (head.headers.get("content-type") or "").startswith("application/x-www-form-urlencoded")
    return wire_family(service, "query" if is_form else "rest-json")


_NO_HEAD = RequestHead("GET", "/", "/", "", Headers())
