"""The APIs, and what else the endpoint answers."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from typing import Any

from lambent import __version__
from lambent.app.asynchronous import Asynchronous
from lambent.app.functions import Functions
from lambent.app.identity import Identity
from lambent.app.stage import Stage
from lambent.app.storage import Storage
from lambent.aws.chain import AwsEndpoint, Forward
from lambent.aws.health import HEALTH_PATHS, Health
from lambent.aws.service import ServiceDefinition
from lambent.aws_client.open_id_keys import OpenIdKeys
from lambent.config import Config
from lambent.http import tls
from lambent.http.messages import Handler
from lambent.iam.authentication import Caller
from lambent.iam.identities import root_principal
from lambent.model.movable_clock import MovableClock
from lambent.observability.insights.engine import LogQueries
from lambent.observability.logs.metric_filters import MetricFilters
from lambent.observability.logs.metric_sink import MetricStoreSink
from lambent.services.cloudwatch.operations import definition as cloudwatch_service
from lambent.services.development.clock_control import ClockControl
from lambent.services.development.endpoint import CLOCK_PATH, ClockEndpoint
from lambent.services.iam.operations import definition as iam_service
from lambent.services.lambda_ import download
from lambent.services.lambda_.operations import definition as lambda_service
from lambent.services.logs.metric_filters import measure_for_ever
from lambent.services.logs.operations import definition as logs_service
from lambent.services.reports.cost import COST_PATH, CostReport
from lambent.services.reports.endpoint import Report, Reports
from lambent.services.reports.prometheus import METRICS_PATH, PrometheusReport
from lambent.services.sqs.directory import QueueDirectory
from lambent.services.sqs.metrics import QueueMetrics
from lambent.services.sqs.move_tasks import MoveTasks
from lambent.services.sqs.operations import definition as sqs_service
from lambent.services.sqs.upkeep import keep_queues
from lambent.services.sts.operations import definition as sts_service
from lambent.store.data_directory import DataDirectory


async def make_endpoint(
    stage: Stage,
    storage: Storage,
    identity: Identity,
    functions: Functions,
    asynchronous: Asynchronous,
    describe: Callable[[], dict[str, Any]],
    services: list[ServiceDefinition],
) -> AwsEndpoint:
    """The endpoint, with everything it answers. Fills `services`. `describe`: what health says."""
    config, stack = stage.config, stage.stack
    queries = LogQueries(storage.logs)
    stack.push_async_callback(queries.close)
    metric_filters = MetricFilters(storage.logs, MetricStoreSink(storage.metrics))
    stage.run_until_stopped(measure_for_ever(storage.documents, metric_filters), "measure what metric filters ask for")
    downloads = download.CodeDownloads(await download.load_secret(storage.documents), storage.code)
    stack.push_async_callback(downloads.handler.close)
    services += [
        lambda_service(functions.control_plane, functions.frontend, asynchronous.acceptance, downloads),
        logs_service(storage.logs, storage.documents, queries),
        cloudwatch_service(storage.metrics),
        await _sqs(stage, storage),
        iam_service(identity.entities, identity.callers),
        sts_service(identity.entities, identity.sessions, identity.callers, OpenIdKeys()),
    ]
    services[:] = [service for service in services if service.name not in config.upstream]  # what is forwarded
    reports = _reports(stage, storage, identity, functions, asynchronous)
    stack.push_async_callback(reports.handler.close)
    development = _development(stage)
    health = Health(describe)
    authoriser = identity.authoriser
    return AwsEndpoint(
        services,
        identity.authenticate,
        region=config.region,
        account=config.account,
        upstreams=config.upstream,
        forward=_forwarder(stack) if config.upstream else None,
        authorise=authoriser,
        authorise_forward=authoriser.forward if authoriser is not None else None,
        extra_routes=dict.fromkeys(HEALTH_PATHS, health.handle)
        | dict.fromkeys(reports.paths, reports.handler)
        | {download.CODE_PATH: downloads.handler}
        | development,
        scheme="https" if speaks_tls(config) else "http",
    )


async def _sqs(stage: Stage, storage: Storage) -> ServiceDefinition:
    """SQS, and what it does without being asked."""
    directory = QueueDirectory(storage.documents, stage.clock, policies_enforced=stage.config.iam == "enforce")
    stage.stack.callback(directory.close)
    metrics = QueueMetrics(stage.clock)
    storage.metrics.add_source(metrics)
    move_tasks = MoveTasks(directory, storage.queues, storage.documents, stage.clock)
    await move_tasks.start()
    stage.stack.push_async_callback(move_tasks.close)
    stage.run_until_stopped(keep_queues(directory, storage.queues, metrics, stage.clock), "look after queues")
    return sqs_service(directory, storage.queues, move_tasks, metrics, stage.clock)


def speaks_tls(config: Config) -> bool:
    """Whether the endpoint is to be reached by https."""
    return config.tls == "auto" or config.tls_cert is not None


def tls_context(config: Config, data: DataDirectory) -> ssl.SSLContext | None:
    """What the endpoint's socket needs to speak TLS, if it is to. Raises TlsError."""
    if config.tls_cert is not None and config.tls_key is not None:
        return tls.server_context(config.tls_cert, config.tls_key)
    if config.tls == "auto":
        names = ["localhost", "127.0.0.1", "::1"]
        if config.host not in (*names, "0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            names.append(config.host)
        else:
            names += tls.own_addresses()
        _, certificate, key = tls.self_made(data.tls, names)
        return tls.server_context(certificate, key)
    return None


def _reports(
    stage: Stage, storage: Storage, identity: Identity, functions: Functions, asynchronous: Asynchronous
) -> Reports:
    """What is told beside AWS's APIs: costs, and figures for Prometheus."""
    config = stage.config
    prometheus = PrometheusReport(
        __version__,
        lambda: _server_samples(storage, functions, asynchronous),
        asynchronous.backlogs.read,
        functions.invocations.totals,
        functions.counting.functions_in_use,
        all_accounts=config.auth == "none",
    )
    authoriser = identity.authoriser
    return Reports(
        {
            COST_PATH: Report(CostReport(storage.metrics, stage.clock).make, "ce"),
            METRICS_PATH: Report(prometheus.make, "cloudwatch", open_here=True),
        },
        identity.authenticate,
        authoriser.forward if authoriser is not None else None,
        local_caller=Caller(root_principal(config.account), config.region, None),
    )


def _development(stage: Stage) -> dict[str, Handler]:
    """What only a server in development mode answers."""
    if not stage.config.dev or not isinstance(stage.clock, MovableClock):
        return {}
    clock = ClockEndpoint(ClockControl(stage.clock, stage.activities))
    stage.stack.push_async_callback(clock.handler.close)
    return {CLOCK_PATH: clock.handler}


def _server_samples(
    storage: Storage, functions: Functions, asynchronous: Asynchronous
) -> dict[str, tuple[str, str, float]]:
    """See `services.reports.prometheus.ServerSamples`."""
    lost_lines, lost_points = storage.logs.dropped_events, storage.metrics.dropped_points
    return {
        "lambent_environments": ("gauge", "Execution environments.", functions.pools.environments),
        "lambent_spare_environments": (
            "gauge",
            "Environments prepared ahead, of those that `lambent_environments` does not count.",
            functions.worker.spares,
        ),
        "lambent_invocations_in_flight": ("gauge", "Invocations that run now.", functions.frontend.in_flight),
        "lambent_async_events_running": (
            "gauge",
            "Asynchronous events that are tried now.",
            asynchronous.dispatcher.consumers.in_flight,
        ),
        "lambent_deliveries_waiting": (
            "gauge",
            "Records on their way to destinations and dead-letter queues.",
            asynchronous.outbox.depth(),
        ),
        "lambent_dropped_log_events_total": ("counter", "Log events lost for want of disk.", lost_lines),
        "lambent_dropped_metric_points_total": ("counter", "Metrics lost for want of disk.", lost_points),
    }


def _forwarder(stack: contextlib.AsyncExitStack) -> Forward:
    from lambent.aws_client.forward import UpstreamForwarder  # its imports take 80 ms that few servers need

    forwarder = UpstreamForwarder()
    stack.push_async_callback(forwarder.close)
    return forwarder
