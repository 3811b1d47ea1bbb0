"""What an operation handler gets and gives. Services import this module (and errors from `model.errors`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from lambent.http.messages import Request
from lambent.iam.principal import Principal
from lambent.model.errors import ServiceError
from lambent.model.ids import AccountId, Region, RequestId

Params = dict[str, Any]
"""Input or output of an operation in botocore's Python shapes: member names as in the model; blobs are `bytes`,
timestamps `datetime` (aware, UTC) or epoch seconds, absent members absent."""


@dataclass(slots=True)
class RequestContext:
    """One request to an AWS API, decoded as far as its operation."""

    request_id: RequestId
    service: str  # botocore's service name, e.g. "lambda"
    operation: str  # e.g. "CreateFunction"
    account: AccountId  # the account the request acts on (the caller's)
    region: Region
    principal: Principal
    request: Request
    endpoint_url: str  # scheme://authority the client used, for URLs in answers
    on_disconnect: Callable[[Callable[[], None]], None]  # register what to do when the client hangs up
    client_address: str | None = None  # the IP address the request came from


Operation = Callable[[RequestContext, Params], Awaitable[Params]]


class Reply(Protocol):
    """Where a direct operation's answer goes. Called once, on the event loop, then or later."""

    def succeed(self, output: Params) -> None: ...

    def fail(self, error: ServiceError) -> None: ...


DirectOperation = Callable[[RequestContext, Params, Reply], bool]
"""Begins an operation that answers its `Reply` without a task. False: nothing has happened, and the operation's handler
is to do it. Raises ServiceError as the handler would."""

Operations = Mapping[str, Operation]
"""Operation name → handler, of one service. Errors are raised as `model.errors.ServiceError`."""
