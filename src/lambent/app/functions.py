"""Functions: the control plane that keeps them, and the data plane that runs them on this host's worker."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from lambent.app.calls import Calls
from lambent.app.environments import InnerEndpoints, mint_with
from lambent.app.event_sources import POLLED, check_source
from lambent.app.identity import Identity
from lambent.app.networks import wanted_networks
from lambent.app.stage import Stage
from lambent.app.storage import Storage
from lambent.aws_client.s3_objects import GetObject
from lambent.control_plane.functions import FunctionsControlPlane, RoleCheck, Settings
from lambent.iam.roles import Roles, RoleTrust
from lambent.invoke.counting import Counting
from lambent.invoke.directory import FunctionDirectory
from lambent.invoke.frontend import Frontend
from lambent.invoke.pools import Pools
from lambent.invoke.provisioning import Provisioning
from lambent.invoke.recursion import LoopSwitches
from lambent.invoke.reservations import Reservations
from lambent.invoke.specs import EnvironmentSpecs
from lambent.invoke.tracing import Tracing
from lambent.invoke.upkeep import Upkeep
from lambent.model.limits import TENANT_ENVIRONMENTS_PER_CONCURRENCY
from lambent.observability.metrics.embedded import EmbeddedMetrics
from lambent.observability.metrics.invocations import InvocationMetrics
from lambent.worker.host import LocalWorker, WorkerSettings
from lambent.worker.networks import FunctionNetworks
from lambent.worker.processor import ProcessorTime
from lambent.worker.runtimes.catalog import RuntimeCatalog
from lambent.worker.sandbox.api import SandboxBackend

CREDENTIALS_MARGIN_S = 300.0  # beyond the longest invocation, which ends before they expire
UPKEEP_INTERVAL_S = 5.0


@dataclass(frozen=True, slots=True)
class Functions:
    """What runs functions."""

    control_plane: FunctionsControlPlane
    frontend: Frontend
    directory: FunctionDirectory
    tracing: Tracing
    worker: LocalWorker
    pools: Pools
    provisioning: Provisioning
    counting: Counting
    invocations: InvocationMetrics
    inner_endpoints: InnerEndpoints


async def start_functions(
    stage: Stage,
    storage: Storage,
    identity: Identity,
    calls: Calls,
    backend: SandboxBackend,
    catalog: RuntimeCatalog,
    port: int,
) -> Functions:
    """Start the worker, the data plane and the control plane. `port`: of the AWS endpoint, inside as outside."""
    config, stack, clock = stage.config, stage.stack, stage.clock
    inner_endpoints = InnerEndpoints(identity.sessions)
    await backend.start()
    storage.logs.tap(EmbeddedMetrics(storage.metrics).take_in)
    worker = LocalWorker(
        backend,
        catalog,
        storage.code,
        storage.logs,
        inner_endpoints,
        WorkerSettings(
            endpoint_port=port,
            log_limit_mb=config.log_limit,
            networks=FunctionNetworks() if backend.report().why_no_network else wanted_networks(config),
        ),
        clock,
    )
    stack.push_async_callback(worker.close)
    counting = Counting(config.account_concurrency)
    pools = Pools(
        worker,
        EnvironmentSpecs(mint_with(identity.sessions), clock),
        clock,
        idle_timeout_s=config.idle_timeout,
        credentials_margin_s=config.limits.timeout_max_s + CREDENTIALS_MARGIN_S,
        may_start=counting.may_start,
        spare_time=ProcessorTime().spare,
        spares_max=config.spare_environments,
        tenant_environments_max=int(config.account_concurrency * TENANT_ENVIRONMENTS_PER_CONCURRENCY),
    )
    directory = FunctionDirectory(storage.documents)
    stack.callback(directory.close)
    provisioning = Provisioning(storage.documents, directory, pools, counting, clock)
    control_plane = _control_plane(stage, storage, identity, calls, pools, provisioning)
    await control_plane.start()
    stack.push_async_callback(control_plane.close)
    upkeep = Upkeep(pools, directory, clock, UPKEEP_INTERVAL_S, control_plane.collect_code)
    upkeep.start()
    stack.push_async_callback(upkeep.close)
    reservations = Reservations(storage.documents, counting)
    stack.callback(reservations.close)
    invocations = InvocationMetrics(clock, counting)
    storage.metrics.add_source(invocations)
    switches = LoopSwitches(storage.documents)
    stack.callback(switches.close)
    tracing = Tracing(switches, clock)
    frontend = Frontend(directory, counting, pools, reservations, tracing, invocations)
    stage.activities.add(frontend)
    stage.activities.add(provisioning)
    return Functions(
        control_plane,
        frontend,
        directory,
        tracing,
        worker,
        pools,
        provisioning,
        counting,
        invocations,
        inner_endpoints,
    )


def _control_plane(
    stage: Stage,
    storage: Storage,
    identity: Identity,
    calls: Calls,
    pools: Pools,
    provisioning: Provisioning,
) -> FunctionsControlPlane:
    config = stage.config
    return FunctionsControlPlane(
        storage.documents,
        storage.code,
        stage.clock,
        settings=Settings(
            require_roles=config.auth == "sigv4",
            account_concurrency=config.account_concurrency,
            limits=config.limits,
        ),
        role_check=_trusts_lambda(identity.entities.roles),
        digests_in_use=pools.digests_in_use,
        provisioned_progress=provisioning.progress,
        get_object=_s3_objects(stage.stack, config.upstream["s3"]) if "s3" in config.upstream else None,
        polled=POLLED,
        check_source=check_source(stage, calls),
    )


def _trusts_lambda(roles: Roles) -> RoleCheck:
    async def check(role_arn: str) -> bool:
        return await roles.trust_in_service(role_arn) is RoleTrust.TRUSTED

    return check


def _s3_objects(stack: contextlib.AsyncExitStack, url: str) -> GetObject:
    from lambent.aws_client.s3 import S3Objects  # its imports take 80 ms that few servers need

    objects = S3Objects(url)
    stack.callback(objects.close)
    return objects.get
