"""The composition root: builds the parts from settings, wires the ports, starts and stops them in order.

Nothing else knows all the parts. `App.start` and `App.stop` are to be read from top to bottom: what is started later
depends on what was started before, and is stopped first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Coroutine, Mapping
from typing import Any

from lambent import __version__
from lambent.aws.authorisation import Authoriser
from lambent.aws.chain import AwsEndpoint, Forward
from lambent.aws.health import HEALTH_PATHS, Health
from lambent.aws.service import ServiceDefinition
from lambent.aws_client.s3_objects import GetObject
from lambent.config import Config
from lambent.control_plane.functions import FunctionsControlPlane, RoleCheck
from lambent.control_plane.functions import Settings as ControlPlaneSettings
from lambent.http.server import HttpServer
from lambent.http.sockets import bind_tcp
from lambent.iam.audit import AuditLog
from lambent.iam.authentication import AcceptAnyKey, Authenticate, Caller, VerifyEnvironment, VerifySignatures
from lambent.iam.enforcement import Enforcer
from lambent.iam.entities import IamEntities
from lambent.iam.identities import Identities, root_principal
from lambent.iam.policy_sources import PolicySource, StoredResourcePolicies
from lambent.iam.roles import Roles, RoleTrust
from lambent.iam.sessions import SessionIssuer, load_secret
from lambent.invoke.counting import Counting
from lambent.invoke.directory import FunctionDirectory
from lambent.invoke.frontend import Frontend
from lambent.invoke.pools import Pools
from lambent.invoke.reservations import Reservations
from lambent.invoke.specs import EnvironmentSpecs, MintCredentials
from lambent.invoke.upkeep import Upkeep
from lambent.model.clock import Clock, SystemClock
from lambent.model.execution import RoleCredentials
from lambent.observability.insights.engine import LogQueries
from lambent.observability.logs.metric_filters import MetricFilters
from lambent.observability.logs.metric_sink import MetricStoreSink
from lambent.observability.logs.store import LogStore
from lambent.observability.metrics.embedded import EmbeddedMetricsSink
from lambent.observability.metrics.invocations import InvocationMetrics
from lambent.observability.metrics.store import MetricStore
from lambent.packaging.code_store import CodeStore
from lambent.services.cloudwatch import access as cloudwatch_access
from lambent.services.cloudwatch.operations import definition as cloudwatch_service
from lambent.services.iam import access as iam_access
from lambent.services.iam.operations import definition as iam_service
from lambent.services.lambda_ import access as lambda_access
from lambent.services.lambda_ import download
from lambent.services.lambda_.operations import definition as lambda_service
from lambent.services.logs import access as logs_access
from lambent.services.logs.metric_filters import measure_for_ever
from lambent.services.logs.operations import definition as logs_service
from lambent.services.logs.queries import event_pointer
from lambent.services.logs.retention import keep_retention
from lambent.services.reports.cost import COST_PATH, CostReport
from lambent.services.reports.endpoint import Report, Reports
from lambent.services.reports.prometheus import METRICS_PATH, PrometheusReport
from lambent.services.sts import access as sts_access
from lambent.services.sts.operations import definition as sts_service
from lambent.store.api import Store
from lambent.store.data_directory import DataDirectory
from lambent.store.sqlite import SqliteStore
from lambent.worker.host import LocalWorker, WorkerSettings
from lambent.worker.ports import EnvironmentIdentity
from lambent.worker.runtimes.catalog import RuntimeCatalog
from lambent.worker.sandbox.api import BackendReport, SandboxBackend

logger = logging.getLogger(__name__)

CREDENTIALS_LIFETIME_S = 6 * 3600.0
CREDENTIALS_MARGIN_S = 300.0  # beyond the longest invocation, which ends before they expire
UPKEEP_INTERVAL_S = 5.0
RUNTIMES_INTERVAL_S = 1.0


class StartError(Exception):
    """The server cannot start; the message says why and what to do."""


class App:
    """A running server. `await App.start(...)`, later `await app.stop()`."""

    def __init__(self, config: Config, environ: Mapping[str, str], clock: Clock) -> None:
        self.config = config
        self.catalog = RuntimeCatalog(config.runtimes_dir, environ)
        self.data = DataDirectory(config.data_dir)
        self.clock = clock
        self.endpoint_url = ""
        self.sandbox_report: BackendReport
        self._ready = False
        self._runtimes: list[str] | None = None
        self._runtimes_found = asyncio.Event()
        self._runtimes_asked = asyncio.Event()
        self._stack = contextlib.AsyncExitStack()
        self._services: list[ServiceDefinition] = []

    @classmethod
    async def start(
        cls,
        config: Config,
        environ: Mapping[str, str],
        *,
        clock: Clock | None = None,
        backend: SandboxBackend | None = None,
    ) -> App:
        """Start everything; when this returns, requests are answered. Raises StartError, DataDirectoryError,
        StoreError, MetricStoreError, SandboxError, OSError (the port is taken). `clock` and `backend` are for tests."""
        app = cls(config, environ, clock or SystemClock())
        try:
            await app._start(backend)
        except BaseException:
            await app._stack.aclose()
            raise
        return app

    async def _start(self, backend: SandboxBackend | None) -> None:
        config, data, stack = self.config, self.data, self._stack
        sock = bind_tcp(config.host, config.port)
        stack.callback(sock.close)
        port = sock.getsockname()[1]
        data.acquire()
        stack.callback(data.release)
        backend = backend or make_backend(config, data)
        self.sandbox_report = backend.report()
        if not self.sandbox_report.usable:
            raise StartError(
                f"the {backend.name} sandbox cannot be used here: {self.sandbox_report.reason}. "
                "`lambent doctor` tells more; --sandbox process runs functions WITHOUT isolation."
            )

        store = await SqliteStore.open(data.database)
        stack.push_async_callback(store.close)
        logs = LogStore(data.logs, self.clock)
        await logs.start()
        stack.push_async_callback(logs.close)
        self._run_until_stopped(keep_retention(logs, store, self.clock), "keep log retention")
        metrics = MetricStore(data.metrics, self.clock)
        await metrics.start()
        stack.push_async_callback(metrics.close)
        code = CodeStore(data.code, unzipped_max_bytes=config.limits.unzipped_max_bytes)
        await code.start()
        stack.push_async_callback(code.close)

        identities = await Identities.load(store)
        stack.push_async_callback(identities.close)
        await identities.ensure_root_key(config.account, data.credentials)
        sessions = SessionIssuer(await load_secret(store))
        entities = IamEntities.of(store, identities, self.clock.now)
        roles = entities.roles
        callers = PolicySource(store, entities)
        stack.callback(callers.close)

        inner = _InnerEndpoints(sessions)
        await backend.start()
        sink = EmbeddedMetricsSink(logs, metrics)
        worker = LocalWorker(backend, self.catalog, code, sink, inner, WorkerSettings(endpoint_port=port))
        stack.push_async_callback(worker.close)
        pools = Pools(
            worker,
            EnvironmentSpecs(_mint_with(sessions), self.clock),
            self.clock,
            idle_timeout_s=config.idle_timeout,
            credentials_margin_s=config.limits.timeout_max_s + CREDENTIALS_MARGIN_S,
        )
        control_plane = FunctionsControlPlane(
            store,
            code,
            self.clock,
            settings=ControlPlaneSettings(
                require_roles=config.auth == "sigv4",
                account_concurrency=config.account_concurrency,
                limits=config.limits,
            ),
            role_check=_trusts_lambda(roles),
            digests_in_use=pools.digests_in_use,
            get_object=_s3_objects(stack, config.upstream["s3"]) if "s3" in config.upstream else None,
        )
        await control_plane.start()
        stack.push_async_callback(control_plane.close)
        directory = FunctionDirectory(store)
        stack.callback(directory.close)
        upkeep = Upkeep(pools, directory, self.clock, UPKEEP_INTERVAL_S, control_plane.collect_code)
        upkeep.start()
        stack.push_async_callback(upkeep.close)
        counting = Counting(config.account_concurrency)
        reservations = Reservations(store, counting)
        stack.callback(reservations.close)
        invocations = InvocationMetrics(self.clock, counting)
        metrics.add_source(invocations)
        frontend = Frontend(directory, counting, pools, reservations, invocations)

        queries = LogQueries(logs, event_pointer)
        stack.push_async_callback(queries.close)
        metric_filters = MetricFilters(logs, MetricStoreSink(metrics))
        self._run_until_stopped(measure_for_ever(store, metric_filters), "measure what metric filters ask for")
        downloads = download.CodeDownloads(await download.load_secret(store), code)
        stack.push_async_callback(downloads.handler.close)
        health = Health(self.describe)
        self._services = [
            lambda_service(control_plane, frontend, downloads),
            logs_service(logs, store, queries),
            cloudwatch_service(metrics),
            iam_service(entities, callers),
            sts_service(entities, sessions, callers),
        ]
        authenticate: Authenticate = (
            VerifySignatures(identities, sessions)
            if config.auth == "sigv4"
            else AcceptAnyKey(sessions, config.account, config.region)
        )
        authoriser = self._authoriser(store, entities, callers) if config.iam == "enforce" else None
        reports = Reports(
            {
                COST_PATH: Report(CostReport(metrics, self.clock).make, "ce"),
                METRICS_PATH: Report(
                    PrometheusReport(
                        __version__,
                        lambda: _server_samples(pools, frontend, logs, metrics),
                        invocations.totals,
                        counting.functions_in_use,
                        all_accounts=config.auth == "none",
                    ).make,
                    "cloudwatch",
                    open_here=True,
                ),
            },
            authenticate,
            authoriser.forward if authoriser is not None else None,
            local_caller=Caller(root_principal(config.account), config.region, None),
        )
        stack.push_async_callback(reports.close)
        endpoint = AwsEndpoint(
            self._services,
            authenticate,
            region=config.region,
            account=config.account,
            upstreams=config.upstream,
            forward=_forwarder(stack) if config.upstream else None,
            authorise=authoriser,
            authorise_forward=authoriser.forward if authoriser is not None else None,
            extra_routes=dict.fromkeys(HEALTH_PATHS, health.handle)
            | dict.fromkeys(reports.paths, reports.handle)
            | {download.CODE_PATH: downloads.handler},
        )
        inner.serve_with(endpoint)
        server = HttpServer(endpoint.handle, endpoint.policy, name="aws")
        await server.start(sock)
        stack.push_async_callback(self._stop_serving, server, endpoint, frontend, pools)
        self.endpoint_url = f"http://{_authority(config.host, port)}"
        self._run_until_stopped(self._find_runtimes(endpoint), "find runtimes")
        self._ready = True

    def _authoriser(self, store: Store, entities: IamEntities, callers: PolicySource) -> Authoriser:
        """What has IAM policies decide, and notes what they decided."""
        audit = AuditLog(self.data.audit)
        self._stack.push_async_callback(audit.close)
        resources = StoredResourcePolicies(store, entities)
        self._stack.callback(resources.close)
        rules = {
            "lambda": lambda_access.RULES,
            "logs": logs_access.RULES,
            "cloudwatch": cloudwatch_access.RULES,
            "iam": iam_access.rules(entities),
            "sts": sts_access.RULES,
        }
        return Authoriser(Enforcer(callers, resources, audit), rules)

    async def stop(self) -> None:
        """Let running invocations finish within the grace, then stop everything, leaving nothing behind."""
        self._ready = False
        await self._stack.aclose()

    async def runtimes(self) -> list[str]:
        """The identifiers of the runtimes found on this host."""
        await self._runtimes_found.wait()
        return self._runtimes or []

    def describe(self) -> dict[str, Any]:
        """See `aws.health`. `runtimes` is null until they have been looked for. Some may be installed later: asking
        makes the server look again, for the next one who asks."""
        self._runtimes_asked.set()
        return {
            "version": __version__,
            "edition": "lambent",
            "ready": self._ready,
            "services": {service.name: "running" for service in self._services},
            "sandbox": self.sandbox_report.name,
            "runtimes": self._runtimes,
        }

    def _run_until_stopped(self, work: Coroutine[None, None, None], name: str) -> None:
        """A task that runs as long as the server; its failure is logged."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_log_failure)

        async def stop() -> None:
            task.cancel()
            await asyncio.wait([task])

        self._stack.push_async_callback(stop)

    async def _stop_serving(self, server: HttpServer, endpoint: AwsEndpoint, frontend: Frontend, pools: Pools) -> None:
        await frontend.drain(self.config.shutdown_grace)
        pools.stop_all("the server stops")
        await endpoint.close(1.0)
        await server.close(1.0)

    async def _find_runtimes(self, endpoint: AwsEndpoint) -> None:
        """What takes long and can wait until requests are answered."""
        await self._look_for_runtimes()
        await asyncio.to_thread(endpoint.preload)
        while True:
            await self.clock.sleep(RUNTIMES_INTERVAL_S)
            self._runtimes_asked.clear()
            await self._runtimes_asked.wait()
            await self._look_for_runtimes()

    async def _look_for_runtimes(self) -> None:
        found = await asyncio.to_thread(self.catalog.installed)
        self._runtimes = [runtime.identifier for runtime in found]
        self._runtimes_found.set()


class _InnerEndpoints:
    """Implements `worker.ports.EndpointHost`: the same services, for nobody but the environment's role."""

    def __init__(self, sessions: SessionIssuer) -> None:
        self._sessions = sessions
        self._outer: AwsEndpoint

    def serve_with(self, outer: AwsEndpoint) -> None:
        """The endpoint whose services environments get too."""
        self._outer = outer

    async def serve_endpoint(self, sock: socket.socket, identity: EnvironmentIdentity) -> _InnerEndpoint:
        """See `worker.ports.EndpointHost`."""
        authenticate = VerifyEnvironment(self._sessions, identity.credentials.principal_arn)
        endpoint = self._outer.for_callers(authenticate)
        server = HttpServer(endpoint.handle, endpoint.policy, name=f"aws endpoint of {identity.environment_id}")
        await server.start(sock)
        return _InnerEndpoint(server, endpoint)


class _InnerEndpoint:
    def __init__(self, server: HttpServer, endpoint: AwsEndpoint) -> None:
        self._server = server
        self._endpoint = endpoint

    async def close(self) -> None:
        """See `worker.ports.ServedEndpoint`."""
        await self._endpoint.close(0)
        await self._server.close(0)


def _server_samples(
    pools: Pools, frontend: Frontend, logs: LogStore, metrics: MetricStore
) -> dict[str, tuple[str, str, float]]:
    """See `services.reports.prometheus.ServerSamples`."""
    return {
        "lambent_environments": ("gauge", "Execution environments.", pools.environments),
        "lambent_invocations_in_flight": ("gauge", "Invocations that run now.", frontend.in_flight),
        "lambent_dropped_log_events_total": ("counter", "Log events lost for want of disk.", logs.dropped_events),
        "lambent_dropped_metric_points_total": ("counter", "Metrics lost for want of disk.", metrics.dropped_points),
    }


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("the task to %s failed", task.get_name(), exc_info=error)


def make_backend(config: Config, data: DataDirectory) -> SandboxBackend:
    """The sandbox backend that was asked for. Never another one."""
    if config.sandbox == "process":
        from lambent.worker.sandbox.process.backend import ProcessBackend

        return ProcessBackend(data.sandbox)
    from lambent.worker.sandbox.linux.backend import LinuxBackend

    return LinuxBackend(data.instance_id, data.sandbox)


def _forwarder(stack: contextlib.AsyncExitStack) -> Forward:
    from lambent.aws_client.forward import UpstreamForwarder  # its imports take 80 ms that few servers need

    forwarder = UpstreamForwarder()
    stack.callback(forwarder.close)
    return forwarder


def _s3_objects(stack: contextlib.AsyncExitStack, url: str) -> GetObject:
    from lambent.aws_client.s3 import S3Objects  # as above

    objects = S3Objects(url)
    stack.callback(objects.close)
    return objects.get


def _mint_with(sessions: SessionIssuer) -> MintCredentials:
    def mint(role_arn: str, session_name: str) -> RoleCredentials:
        credentials, principal = sessions.assume_role(
            role_arn, session_name, CREDENTIALS_LIFETIME_S, source="lambda.amazonaws.com"
        )
        return RoleCredentials(
            credentials.access_key_id,
            credentials.secret_access_key,
            credentials.session_token or "",
            credentials.expires_at or 0.0,
            principal.arn,
            principal.user_id,
        )

    return mint


def _trusts_lambda(roles: Roles) -> RoleCheck:
    async def check(role_arn: str) -> bool:
        return await roles.trust_in_service(role_arn) is RoleTrust.TRUSTED

    return check


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
