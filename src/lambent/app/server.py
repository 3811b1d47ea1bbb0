"""A running server: its stages in order, and what it says of itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any

from lambent import __version__
from lambent.app.asynchronous import Asynchronous, make_asynchronous
from lambent.app.calls import make_calls, serve_calls
from lambent.app.event_sources import start_event_sources
from lambent.app.functions import Functions, start_functions
from lambent.app.identity import load_identity
from lambent.app.networks import is_optional, wanted_networks
from lambent.app.serving import make_endpoint, speaks_tls, tls_context
from lambent.app.stage import Stage
from lambent.app.storage import open_storage
from lambent.aws.chain import AwsEndpoint
from lambent.aws.service import ServiceDefinition
from lambent.config import Config
from lambent.event_sources.mappings import EventSources
from lambent.http.server import HttpServer
from lambent.http.sockets import bind_tcp
from lambent.model.clock import Clock, SystemClock
from lambent.model.movable_clock import MovableClock
from lambent.store.data_directory import DataDirectory
from lambent.worker import host_memory
from lambent.worker.runtimes.catalog import RuntimeCatalog
from lambent.worker.sandbox.api import BackendReport, SandboxBackend

RUNTIMES_INTERVAL_S = 1.0

logger = logging.getLogger(__name__)


class StartError(Exception):
    """The server cannot start; the message says why and what to do."""


class App:
    """A running server. `await App.start(...)`, later `await app.stop()`."""

    def __init__(self, config: Config, environ: Mapping[str, str], clock: Clock) -> None:
        self.config = config
        self.data = DataDirectory(config.data_dir)
        self.endpoint_url = ""
        self.sandbox_report: BackendReport
        self.event_sources: EventSources
        self._catalog = RuntimeCatalog(config.runtimes_dir, environ)
        self._stage = Stage(config, self.data, clock, contextlib.AsyncExitStack())
        self._ready = False
        self._runtimes: list[str] | None = None
        self._runtimes_found = asyncio.Event()
        self._runtimes_asked = asyncio.Event()
        self._preloaded = asyncio.Event()
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
        StoreError, MetricStoreError, SandboxError, TlsError, OSError (the port is taken). `clock` and `backend` are
        for tests."""
        app = cls(config, environ, clock or (MovableClock() if config.dev else SystemClock()))
        try:
            await app._start(backend)
        except BaseException:
            await app._stage.stack.aclose()
            raise
        return app

    async def stop(self) -> None:
        """Let running invocations finish within the grace, then stop everything, leaving nothing behind."""
        self._ready = False
        await self._stage.stack.aclose()

    async def runtimes(self) -> list[str]:
        """The identifiers of the runtimes found on this host."""
        await self._runtimes_found.wait()
        return self._runtimes or []

    async def preloaded(self) -> None:
        """Wait until everything is in memory that is not loaded on demand."""
        await self._preloaded.wait()

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

    async def _start(self, backend: SandboxBackend | None) -> None:
        stage, config = self._stage, self.config
        sock = bind_tcp(config.host, config.port)
        stage.stack.callback(sock.close)
        port = sock.getsockname()[1]
        self.data.acquire()
        stage.stack.callback(self.data.release)
        tls = tls_context(config, self.data)
        backend = self._usable(backend or make_backend(config, self.data))

        storage = await open_storage(stage)
        identity = await load_identity(stage, storage)
        authority = _authority(config.host, port)
        self.endpoint_url = f"{'https' if speaks_tls(config) else 'http'}://{authority}"
        calls = make_calls(stage, identity, authority)
        functions = await start_functions(stage, storage, identity, calls, backend, self._catalog, port)
        self._check_networks(backend)
        asynchronous = make_asynchronous(stage, storage, functions, calls, self.endpoint_url)
        endpoint = await make_endpoint(stage, storage, identity, functions, asynchronous, self.describe, self._services)
        functions.inner_endpoints.serve_with(endpoint)
        serve_calls(stage, identity, calls, endpoint)
        await functions.provisioning.start()
        stage.stack.push_async_callback(functions.provisioning.close)
        await asynchronous.begin()

        server = HttpServer(endpoint.handle, endpoint.policy, name="aws")
        await server.start(sock, tls)
        stage.stack.push_async_callback(self._stop_serving, server, endpoint, functions, asynchronous)
        self.event_sources = await start_event_sources(stage, storage, calls, functions)
        stage.run_until_stopped(self._find_runtimes(endpoint), "find runtimes")
        self._ready = True

    def _usable(self, backend: SandboxBackend) -> SandboxBackend:
        self.sandbox_report = backend.report()
        if not self.sandbox_report.usable:
            raise StartError(
                f"the {backend.name} sandbox cannot be used here: {self.sandbox_report.reason}. "
                "`lambent doctor` tells more; --sandbox process runs functions WITHOUT isolation."
            )
        return backend

    def _check_networks(self, backend: SandboxBackend) -> None:
        """What was asked for is given, or the server does not start."""
        self.sandbox_report = backend.report()
        if self.sandbox_report.why_no_network and wanted_networks(self.config).all and not is_optional(self.config):
            raise StartError(f"functions cannot be given a network here: {self.sandbox_report.why_no_network}")

    async def _stop_serving(
        self, server: HttpServer, endpoint: AwsEndpoint, functions: Functions, asynchronous: Asynchronous
    ) -> None:
        await asynchronous.stop_taking()
        await functions.frontend.drain(self.config.shutdown_grace)
        functions.pools.stop_all("the server stops")
        await asynchronous.close()
        await endpoint.close(1.0)
        await server.close(1.0)

    async def _find_runtimes(self, endpoint: AwsEndpoint) -> None:
        """What takes long and can wait until requests are answered."""
        await self._look_for_runtimes()
        await asyncio.to_thread(endpoint.preload)
        self._preloaded.set()
        while True:
            await asyncio.sleep(RUNTIMES_INTERVAL_S)
            self._runtimes_asked.clear()
            await self._runtimes_asked.wait()
            await self._look_for_runtimes()

    async def _look_for_runtimes(self) -> None:
        try:
            found = await asyncio.to_thread(self._catalog.installed)
        except OSError as error:  # a full disk, a directory of somebody else's: it may be otherwise when asked again
            logger.warning("cannot look for runtimes: %s", error)
            found = []
        self._runtimes = [runtime.identifier for runtime in found]
        self._runtimes_found.set()


def make_backend(config: Config, data: DataDirectory) -> SandboxBackend:
    """The sandbox backend that was asked for. Never another one."""
    if config.sandbox == "process":
        from lambent.worker.sandbox.process.backend import ProcessBackend

        return ProcessBackend(data.sandbox)
    from lambent.worker.sandbox.linux.backend import LinuxBackend

    memory_bytes = host_memory.for_all_environments(host_memory.own_levels())
    return LinuxBackend(
        data.instance_id,
        data.sandbox,
        memory_bytes,
        wanted_networks(config).all,
        rootless=config.sandbox == "rootless",
    )


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
