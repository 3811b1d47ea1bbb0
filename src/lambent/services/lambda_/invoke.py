"""Invoke and InvokeAsync: the API's shapes ↔ the data plane's frontend.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping

from lambent.async_invoke.accepting import Acceptance
from lambent.aws.context import DirectOperation, Operations, Params, Reply, RequestContext
from lambent.control_plane.permissions import Permissions
from lambent.invoke.frontend import Frontend, InvokeRequest, InvokeResponse
from lambent.model import limits
from lambent.model.arn import FunctionReference
from lambent.model.errors import InvalidRequestContentException, ServiceError
from lambent.services.lambda_.references import action, named, not_authorized
from lambent.services.lambda_.support import refuse_unsupported

_TRACE_HEADER = "x-amzn-trace-id"
_SYNCHRONOUS = "RequestResponse"


class Invocations:
    """The operations that run a function."""

    def __init__(self, frontend: Frontend, acceptance: Acceptance, permissions: Permissions) -> None:
        self._frontend = frontend
        self._acceptance = acceptance
        self._permissions = permissions

    def operations(self) -> Operations:
        return {"Invoke": self.invoke, "InvokeAsync": self.invoke_async}

    def direct(self) -> Mapping[str, DirectOperation]:
        """Operations that can mostly be answered without a task."""
        return {"Invoke": self.invoke_directly}

    def invoke_directly(self, ctx: RequestContext, params: Params, reply: Reply) -> bool:
        """The everyday call: RequestResponse, of a function of the caller's account that is known and active."""
        function = named(ctx, params)
        if function.function.account != ctx.account or params.get("InvocationType", _SYNCHRONOUS) != _SYNCHRONOUS:
            return False
        refuse_unsupported("Invoke", params)

        def done(outcome: InvokeResponse | ServiceError) -> None:
            if isinstance(outcome, InvokeResponse):
                reply.succeed(_answer(outcome))
            else:
                reply.fail(outcome)

        return self._frontend.begin(_request(ctx, function, params), done)

    async def invoke(self, ctx: RequestContext, params: Params) -> Params:
        function = named(ctx, params)
        if function.function.account != ctx.account:
            await self._check_foreign(ctx, function)
        refuse_unsupported("Invoke", params)
        invocation_type = params.get("InvocationType", _SYNCHRONOUS)
        if invocation_type == "Event":
            await self._accept(ctx, function, params.get("Payload", b""), params.get("TenantId"))
            return {"StatusCode": 202}
        request = _request(ctx, function, params)
        response = await self._frontend.invoke(request)
        return {"StatusCode": 204} if request.dry_run else _answer(response)

    async def _check_foreign(self, ctx: RequestContext, function: FunctionReference) -> None:
        """Another account's function runs only for whom its own policy lets in."""
        if not await self._permissions.allows(function, ctx.principal, action(ctx)):
            raise not_authorized(ctx, function)

    async def invoke_async(self, ctx: RequestContext, params: Params) -> Params:
        function = named(ctx, params)
        if function.function.account != ctx.account:
            await self._check_foreign(ctx, function)
        await self._accept(ctx, function, params["InvokeArgs"])
        return {"Status": 202}

    async def _accept(
        self, ctx: RequestContext, function: FunctionReference, payload: bytes, tenant_id: str | None = None
    ) -> None:
        trace_header = ctx.request.headers.get(_TRACE_HEADER)
        await self._acceptance.accept(function, bytes(payload), ctx.request_id, trace_header, tenant_id)


def decode_client_context(given: str | None) -> bytes | None:
    """X-Amz-Client-Context as JSON. Raises InvalidRequestContentException."""
    if not given:
        return None
    if len(given) > limits.CLIENT_CONTEXT_MAX_BYTES:
        raise InvalidRequestContentException(
            f"Client context must be no more than {limits.CLIENT_CONTEXT_MAX_BYTES} bytes when base64-encoded."
        )
    try:
        decoded = base64.b64decode(given, validate=True)
        is_object = isinstance(json.loads(decoded), dict)
    except (binascii.Error, ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise InvalidRequestContentException("Client context must be a valid Base64-encoded JSON object.")
    return decoded


def _request(ctx: RequestContext, function: FunctionReference, params: Params) -> InvokeRequest:
    return InvokeRequest(
        reference=function,
        payload=bytes(params.get("Payload", b"")),
        request_id=ctx.request_id,
        log_tail=params.get("LogType") == "Tail",
        client_context=decode_client_context(params.get("ClientContext")),
        trace_header=ctx.request.headers.get(_TRACE_HEADER),
        dry_run=params.get("InvocationType") == "DryRun",
        tenant_id=params.get("TenantId"),
    )


def _answer(response: InvokeResponse) -> Params:
    answer: Params = {"StatusCode": 200, "Payload": response.payload}
    if response.executed_version is not None:
        answer["ExecutedVersion"] = response.executed_version
    if response.function_error is not None:
        answer["FunctionError"] = str(response.function_error)
    if response.log_tail is not None:
        answer["LogResult"] = base64.b64encode(response.log_tail).decode()
    return answer
