"""The HTTP surface of the Runtime API 2018-06-01: requests → calls of `RuntimeCalls`, and the bodies it answers with.

One server per sandbox, on the socket handed out of it: whoever speaks here *is* that environment.
"""

from __future__ import annotations

from typing import Final

from lambent.http.messages import Exchange, RequestHead, Response
from lambent.http.rendering import FixedResponse, PreparedResponse
from lambent.model import limits
from lambent.model.execution import Invocation
from lambent.model.ids import RequestId
from lambent.worker.runtime_api.calls import RuntimeCalls
from lambent.worker.runtime_api.frames import ascii_json
from lambent.worker.runtime_api.machine import RefusedError
from lambent.worker.runtime_api.paths import INIT_ERROR, INVOCATION, NEXT

_JSON: Final = (("Content-Type", "application/json"),)
ACCEPTED: Final = FixedResponse(202, _JSON, b'{"status":"OK"}\n')
_ERROR_TYPE_HEADER: Final = "lambda-runtime-function-error-type"
_ERROR_BODY_MAX_BYTES: Final = limits.SYNC_RESPONSE_MAX_BYTES


class RuntimeApi:
    """Handler and policy of one environment's Runtime API."""

    def __init__(self, calls: RuntimeCalls) -> None:
        self._calls = calls

    def handle(self, exchange: Exchange) -> None:
        """An `http` handler."""
        request = exchange.request
        path = request.path
        try:
            if path == NEXT:
                if request.method != "GET":
                    exchange.respond(_refusal(405, "MethodNotAllowed", "Method not allowed"))
                else:
                    self._next(exchange)
                return
            exchange.respond(self._post(exchange))
        except RefusedError as refused:
            exchange.respond(Response(refused.status, _JSON, refused.body))

    def _next(self, exchange: Exchange) -> None:
        poll = HttpPoll(exchange)
        self._calls.wait_for_event(poll)
        exchange.on_disconnect(lambda: self._calls.poll_lost(poll))

    def _post(self, exchange: Exchange) -> Response:
        request = exchange.request
        error_type = request.headers.get(_ERROR_TYPE_HEADER)
        request_id, what = _invocation_path(request.path)
        if request_id is None and request.path != INIT_ERROR:
            return _refusal(404, "NotFound", f"There is no {request.path} in the Runtime API 2018-06-01")
        if request.method != "POST":
            return _refusal(405, "MethodNotAllowed", "Method not allowed")
        if request_id is None:
            self._calls.init_error(request.body, error_type)
        elif what == "response":
            self._calls.response(request_id, request.body)
        else:
            self._calls.error(request_id, request.body, error_type)
        return ACCEPTED

    def body_limit(self, head: RequestHead) -> int:
        """See `http.messages.Policy`."""
        return limits.SYNC_RESPONSE_MAX_BYTES if head.path.endswith("/response") else _ERROR_BODY_MAX_BYTES

    def too_large(self, head: RequestHead, limit: int) -> Response:
        """See `http.messages.Policy`: AWS's 413, and the invocation fails with Function.ResponseSizeTooLarge."""
        request_id, what = _invocation_path(head.path)
        if request_id is not None and what == "response":
            try:
                self._calls.response_too_large(request_id)
            except RefusedError as refused:
                return Response(refused.status, _JSON, refused.body)
        return _refusal(413, "RequestEntityTooLarge", f"Exceeded maximum allowed payload size ({limit} bytes).")

    def malformed(self, status: int, reason: str) -> Response:
        """See `http.messages.Policy`."""
        return _refusal(status, "InvalidRequest", reason)


class HttpPoll:
    """A `next` that waits for its answer."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    @property
    def closed(self) -> bool:
        """See `calls.Poll`."""
        return self._exchange.closed

    def hand_out(self, invocation: Invocation, deadline_ms: int) -> None:
        """See `calls.Poll`."""
        self._exchange.respond(next_response(invocation, deadline_ms))


def next_response(invocation: Invocation, deadline_ms: int) -> Response:
    """The answer to `next`: the event and its headers."""
    return _Event(invocation, deadline_ms)


class _Event(PreparedResponse):
    __slots__ = ("_deadline_ms", "_invocation")

    def __init__(self, invocation: Invocation, deadline_ms: int) -> None:
        super().__init__(200, (), invocation.payload)
        self._invocation = invocation
        self._deadline_ms = deadline_ms

    def general(self) -> Response:
        invocation = self._invocation
        headers = [
            ("Content-Type", "application/json"),
            ("Lambda-Runtime-Aws-Request-Id", invocation.request_id),
            ("Lambda-Runtime-Deadline-Ms", str(self._deadline_ms)),
            ("Lambda-Runtime-Invoked-Function-Arn", invocation.invoked_function_arn),
            ("Lambda-Runtime-Trace-Id", invocation.trace_header),
        ]
        if invocation.client_context is not None:
            # A header cannot carry every byte: JSON is re-written in ASCII, which means the same.
            headers.append(("Lambda-Runtime-Client-Context", ascii_json(invocation.client_context)))
        if invocation.cognito_identity is not None:
            headers.append(("Lambda-Runtime-Cognito-Identity", invocation.cognito_identity))
        if invocation.tenant_id is not None:
            headers.append(("Lambda-Runtime-Aws-Tenant-Id", invocation.tenant_id))
        return Response(200, tuple(headers), invocation.payload)

    def prepared(self, date_line: str) -> tuple[bytes, bytes] | None:
        invocation = self._invocation
        trace_header, payload = invocation.trace_header, invocation.payload
        if invocation.client_context is not None or invocation.cognito_identity is not None:
            return None
        if invocation.tenant_id is not None:
            return None
        if not (trace_header.isascii() and trace_header.isprintable()):
            return None
        head = (
            f"HTTP/1.1 200 OK\r\n{date_line}\r\nContent-Type: application/json\r\n"
            f"Lambda-Runtime-Aws-Request-Id: {invocation.request_id}\r\n"
            f"Lambda-Runtime-Deadline-Ms: {self._deadline_ms}\r\n"
            f"Lambda-Runtime-Invoked-Function-Arn: {invocation.invoked_function_arn}\r\n"
            f"Lambda-Runtime-Trace-Id: {trace_header}\r\nContent-Length: {len(payload)}\r\n\r\n"
        )
        return head.encode("ascii"), payload


def _invocation_path(path: str) -> tuple[RequestId | None, str]:
    if path.startswith(INVOCATION):
        request_id, _, what = path[len(INVOCATION) :].partition("/")
        if what in {"response", "error"}:
            return RequestId(request_id), what
    return None, ""


def _refusal(status: int, error_type: str, message: str) -> Response:
    return Response(status, _JSON, RefusedError(status, error_type, message).body)
