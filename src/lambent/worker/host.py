"""This host as a worker: makes execution environments out of specs. Implements `invoke.ports.Worker`.

Knows the host: its interpreters, its memory, its sandbox backend.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from lambent.model import limits
from lambent.model.clock import Clock
from lambent.model.execution import EnvironmentSpec, Invocation, LaunchFailure, LaunchFailureKind, Outcome, TemplateSpec
from lambent.model.ids import EnvironmentId
from lambent.observability.logs.events import LogStreamId
from lambent.worker import host_memory
from lambent.worker.environment_settings import INIT_CPUS, EnvironmentSettings, NoEntrypoint
from lambent.worker.execution_environment import ExecutionEnvironment
from lambent.worker.log_budget import LogBudgets
from lambent.worker.memory_promises import MemoryPromises
from lambent.worker.networks import FunctionNetworks
from lambent.worker.output import OutputLog
from lambent.worker.platform_log import RuntimeVersion
from lambent.worker.ports import CodeTrees, EndpointHost, EnvironmentIdentity, LogSink
from lambent.worker.runtimes.catalog import (
    EXEC_WRAPPER,
    PROVIDED_BOOTSTRAPS,
    Runtime,
    RuntimeCatalog,
    provided_argv,
    wrapped_argv,
)
from lambent.worker.sandbox.api import SandboxBackend, SandboxLimits, SandboxSpec
from lambent.worker.session import SessionPlan
from lambent.worker.spares import Like, Spares
from lambent.worker.templates import Templates
from lambent.worker.variables import CHANNEL_FD, RUNTIME_API_PORT, TELEMETRY_FD, environment_variables

_ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64"}


class WorkerEvents(Protocol):
    """Told of environments (the port's own `WorkerEvents`, seen from here)."""

    def environment_ready(self, environment_id: EnvironmentId) -> None: ...

    def environment_ended(self, environment_id: EnvironmentId, failure: LaunchFailure | None) -> None: ...


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Times in seconds. `memory_reserve_mb`: what the host keeps free before it refuses another environment.
    `log_limit_mb`: what a function may print in an hour; 0 is no limit."""

    environment: EnvironmentSettings = field(default_factory=EnvironmentSettings)
    endpoint_port: int = 4566  # where the AWS API answers, inside as outside
    template_linger_s: float = 60.0
    memory_reserve_mb: int = 256
    log_limit_mb: int = 1024
    networks: FunctionNetworks = field(default_factory=FunctionNetworks)


class LocalWorker:
    """The execution environments of this host."""

    def __init__(
        self,
        backend: SandboxBackend,
        catalog: RuntimeCatalog,
        code: CodeTrees,
        log_sink: LogSink,
        endpoints: EndpointHost,
        settings: WorkerSettings,
        clock: Clock,
    ) -> None:
        self._backend = backend
        self._catalog = catalog
        self._code = code
        self._log_sink = log_sink
        self._endpoints = endpoints
        self._settings = settings
        self._environments: dict[EnvironmentId, ExecutionEnvironment] = {}
        self._templates = Templates(backend, code, settings.template_linger_s, self._released)
        self._spares = Spares(backend, self._templates, self._has_room)
        self._log_budgets = LogBudgets(settings.log_limit_mb, clock.now)
        self._promises = MemoryPromises()
        self._freeing: dict[EnvironmentId, int] = {}  # MB, of those that were stopped and still have it
        self._memory_levels = host_memory.own_levels()
        self._all_ended = asyncio.Event()
        self._all_ended.set()

    def prepare(self, template: TemplateSpec) -> None:
        """See `invoke.ports.Worker`."""
        runtime = self._runtime(template.runtime, template.architecture)
        if not isinstance(runtime, LaunchFailure):
            self._templates.prepare(template, runtime)

    def keep_spares(self, template: TemplateSpec, number: int) -> None:
        """See `invoke.ports.Worker`."""
        runtime = self._runtime(template.runtime, template.architecture)
        if isinstance(runtime, LaunchFailure):
            return

        async def like() -> Like:
            layers = await self._templates.merged_layers(template.name, template.layer_digests)
            sandbox_template = self._templates.template(template.name, runtime, template.code_digest, layers)
            return sandbox_template, self._surroundings(template, runtime)

        self._spares.keep(template.name, like, number)

    def start_environment(self, spec: EnvironmentSpec, events: WorkerEvents) -> None:
        """See `invoke.ports.Worker`."""
        runtime = self._runtime(spec.runtime, spec.architecture)
        if isinstance(runtime, LaunchFailure):
            asyncio.get_running_loop().call_soon(events.environment_ended, spec.environment_id, runtime)
            return
        environment_id = spec.environment_id

        def ready() -> None:
            if not environment.memory_used_mb:
                self._promises.ready(environment_id, environment.memory_taken_mb())
                self._spares.settled(environment_id)
            self._learn(environment)
            events.environment_ready(environment_id)

        def ended(failure: LaunchFailure | None) -> None:
            self._learn(environment)
            self._forget(environment_id, spec.template)
            events.environment_ended(environment_id, failure)

        self._templates.hold(spec.template)
        stream = LogStreamId(spec.function.account, spec.function.region, spec.log_group, spec.log_stream)
        environment = ExecutionEnvironment(
            spec,
            lambda: self._plan(spec, runtime),
            RuntimeVersion(
                runtime.version_label, f"arn:aws:lambda:{spec.function.region}::runtime:{runtime.version_hash}"
            ),
            self._spares,
            OutputLog(self._log_sink, stream, spec.application_log_level, self._log_budgets.of(spec.function)),
            self._endpoints,
            self._settings.environment,
            ready=ready,
            ended=ended,
        )
        self._environments[environment_id] = environment
        self._promises.begin(environment_id, spec.template, spec.memory_mb)
        self._all_ended.clear()
        environment.start()

    def invoke(self, environment_id: EnvironmentId, invocation: Invocation, done: Callable[[Outcome], None]) -> None:
        """See `invoke.ports.Worker`."""
        self._environments[environment_id].invoke(invocation, done)

    def stop_environment(self, environment_id: EnvironmentId, reason: str) -> None:
        """See `invoke.ports.Worker`."""
        environment = self._environments.get(environment_id)
        if environment is not None:
            self._freeing.setdefault(environment_id, environment.memory_current_mb())
            environment.stop(reason)

    def has_capacity(self, memory_mb: int) -> bool:
        """See `invoke.ports.Worker`."""
        return self._has_room(memory_mb) or self._has_room(memory_mb, self._spares.give_up())

    def _has_room(self, memory_mb: int, more_mb: int = 0) -> bool:
        """Whether the host has room beyond the reserve, and beyond what was promised to those that do not use yet what
        they will. `more_mb`: what will be free in a moment."""
        free_mb = host_memory.available_mb(self._memory_levels) + sum(self._freeing.values()) + more_mb
        return free_mb - self._settings.memory_reserve_mb >= self._promises.with_another(memory_mb)

    async def close(self) -> None:
        """End every environment and wait until nothing of them is left."""
        for environment in list(self._environments.values()):
            environment.stop("the server stops")
        await self._all_ended.wait()
        await self._spares.close()
        await self._templates.close()
        await self._backend.close()

    @property
    def environments(self) -> int:
        """How many environments there are."""
        return len(self._environments)

    @property
    def spares(self) -> int:
        """How many spares there are."""
        return self._spares.ready

    def _runtime(self, identifier: str, architecture: str) -> Runtime | LaunchFailure:
        host = _ARCHITECTURES.get(platform.machine(), platform.machine())
        if architecture != host:
            return LaunchFailure(
                LaunchFailureKind.ARCHITECTURE,
                f"The function is built for {architecture}, and this host runs {host}. Create the function with "
                f"Architectures=[{host}] and a package built for it.",
            )
        runtime = self._catalog.find(identifier)
        if runtime is None:
            return LaunchFailure(LaunchFailureKind.RUNTIME_MISSING, self._catalog.missing_message(identifier))
        return runtime

    async def _plan(self, spec: EnvironmentSpec, runtime: Runtime) -> SessionPlan | NoEntrypoint:
        tree = self._code.tree(spec.code_digest)
        layers = await self._templates.merged_layers(spec.template, spec.layer_digests)
        argv = _argv(spec, runtime, tree, layers)
        if argv is None:
            return NoEntrypoint(PROVIDED_BOOTSTRAPS)
        return SessionPlan(
            template=self._templates.template(spec.template, runtime, spec.code_digest, layers),
            sandbox=replace(
                self._surroundings(spec, runtime),
                sandbox_id=spec.environment_id,
                argv=argv,
                env=environment_variables(
                    spec,
                    runtime_env=runtime.env,
                    execution_env=None if runtime.language == "provided" else runtime.execution_env,
                    endpoint_port=self._settings.endpoint_port,
                ),
            ),
            identity=EnvironmentIdentity(spec.environment_id, spec.function, spec.credentials),
        )

    def _surroundings(self, spec: EnvironmentSpec | TemplateSpec, runtime: Runtime) -> SandboxSpec:
        """Of an environment's program. The program itself only if it may be started before its variables are known."""
        ahead = runtime.may_start_ahead(spec.environment)
        return SandboxSpec(
            sandbox_id="",
            argv=runtime.command(spec.memory_mb) if ahead else (),
            env={},
            limits=SandboxLimits(
                memory_bytes=spec.memory_mb * limits.MIB,
                cpus=max(INIT_CPUS, spec.memory_mb / limits.MEMORY_MB_PER_VCPU),
                tmp_bytes=spec.ephemeral_storage_mb * limits.MIB,
                descriptors=limits.FILE_DESCRIPTORS_MAX,
                processes=limits.PROCESSES_AND_THREADS_MAX,
            ),
            cwd="/var/task",
            listen=(RUNTIME_API_PORT, self._settings.endpoint_port),
            telemetry_fd=TELEMETRY_FD,
            channel_fd=None if runtime.language == "provided" else CHANNEL_FD,
            init=runtime.needs_init,
            fork=runtime.may_fork(spec.environment),
            ahead=ahead,
            network=self._settings.networks.of(spec.function.name),
        )

    def _learn(self, environment: ExecutionEnvironment) -> None:
        """What this environment's invocation used, others of its function version will use."""
        spec = environment.spec
        if environment.memory_used_mb:
            self._promises.finished(spec.environment_id, spec.template, environment.memory_used_mb)

    def _forget(self, environment_id: EnvironmentId, template: str) -> None:
        self._promises.ended(environment_id)
        self._freeing.pop(environment_id, None)
        self._spares.settled(environment_id)
        if self._environments.pop(environment_id, None) is None:
            return
        self._templates.let_go(template)
        if not self._environments:
            self._all_ended.set()

    def _released(self, template: str) -> None:
        self._promises.forget(template)


def _argv(spec: EnvironmentSpec, runtime: Runtime, tree: Path, layers: Path | None) -> tuple[str, ...] | None:
    if runtime.language == "provided":
        return provided_argv(tree, () if layers is None else (layers,))
    argv = runtime.command(spec.memory_mb, spec.environment.get("NODE_OPTIONS", ""))
    return wrapped_argv(argv) if spec.environment.get(EXEC_WRAPPER) else argv
