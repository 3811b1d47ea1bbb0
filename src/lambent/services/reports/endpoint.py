"""Reports by GET, for whoever the endpoint knows: under `--auth sigv4` a request must be signed like any other.

Prometheus cannot sign, so `/metrics` is also answered to programs on this host.

With `--iam enforce` somebody who is not root needs `cloudwatch:*` for metrics and `ce:*` for cost, on every resource:
what reads metrics and bills on AWS.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from lambent.aws.local_callers import is_local
from lambent.aws.own_errors import failed
from lambent.aws.routing import is_from_foreign_page, signing_scope
from lambent.http.coroutines import coroutine_handler
from lambent.http.messages import Exchange, Request, Response
from lambent.iam.authentication import Authenticate, Caller
from lambent.iam.refusals import WireFamily
from lambent.model.errors import ServiceError, access_denied

Make = Callable[[Request, Caller], Awaitable[Response]]
"""Makes a report. Raises ServiceError."""

AuthoriseReport = Callable[[Request, str, Caller], Awaitable[None]]
"""Request, service whose actions the caller needs, caller. Raises ServiceError."""


@dataclass(frozen=True, slots=True)
class Report:
    """`service`: the prefix of the actions somebody needs to read it. `open_here`: whoever asks from this host may."""

    make: Make
    service: str
    open_here: bool = False


class Reports:
    """Reports by path. `handler` is to be served under each of them, and closed after the server."""

    def __init__(
        self,
        reports: Mapping[str, Report],
        authenticate: Authenticate,
        authorise: AuthoriseReport | None,
        local_caller: Caller,
    ) -> None:
        """`local_caller`: as whom somebody without a signature reads a report that is open on this host."""
        self._reports = reports
        self._authenticate = authenticate
        self._authorise = authorise
        self._local_caller = local_caller
        self.handler = coroutine_handler(self._report, failed)

    @property
    def paths(self) -> tuple[str, ...]:
        """What it answers."""
        return tuple(self._reports)

    async def _report(self, exchange: Exchange) -> Response:
        request = exchange.request
        if is_from_foreign_page(request.head):
            raise access_denied("Requests from web pages of another origin are refused.")
        report = self._reports.get(request.path)
        if report is None:
            raise ServiceError("NotFound", f"There is nothing at {request.path[:200]}", status=404)
        if request.method != "GET":
            raise ServiceError("MethodNotAllowed", "Only GET is answered here.", status=405)
        if report.open_here and signing_scope(request.head) is None and is_local(exchange):
            return await report.make(request, self._local_caller)
        caller = self._authenticate.authenticate(request, WireFamily.REST_JSON)
        if self._authorise is not None:
            await self._authorise(request, report.service, caller)
        return await report.make(request, caller)
