"""`GET /metrics`: this server and its functions, for Prometheus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from lambent.async_invoke.backlog import Backlog
from lambent.http.messages import Request, Response
from lambent.iam.authentication import Caller
from lambent.model.arn import FunctionId
from lambent.observability.metrics import prometheus
from lambent.observability.metrics.invocations import Totals

METRICS_PATH: Final = "/metrics"

ServerSamples = Callable[[], Mapping[str, tuple[str, str, float]]]
"""Name → kind, help and value of what is known of the server."""


class PrometheusReport:
    """The functions of the caller's account; of all accounts where anybody may be anyone (`all_accounts`)."""

    def __init__(
        self,
        version: str,
        server: ServerSamples,
        backlogs: Callable[[], Awaitable[Mapping[FunctionId, Backlog]]],
        totals: Callable[[], Mapping[FunctionId, Totals]],
        in_use: Callable[[], Mapping[FunctionId, int]],
        *,
        all_accounts: bool,
    ) -> None:
        self._version = version
        self._server = server
        self._backlogs = backlogs
        self._totals = totals
        self._in_use = in_use
        self._all_accounts = all_accounts

    async def make(self, _: Request, caller: Caller) -> Response:
        """See `endpoint.Make`."""

        def is_shown(function: FunctionId) -> bool:
            return self._all_accounts or function.account == caller.account

        totals = {function: total for function, total in self._totals().items() if is_shown(function)}
        backlogs = {function: one for function, one in (await self._backlogs()).items() if is_shown(function)}
        text = prometheus.family("lambent_info", "gauge", "This server.", [("", {"version": self._version}, 1)])
        for name, (kind, help_, value) in self._server().items():
            text += prometheus.family(name, kind, help_, [("", {}, value)])
        text += prometheus.function_families(totals, self._in_use())
        text += prometheus.backlog_families(
            {function: (backlog.events, backlog.oldest_age_s) for function, backlog in backlogs.items()}
        )
        return Response(200, (("Content-Type", prometheus.CONTENT_TYPE),), text.encode())
