"""The Lambda API on a real HTTP server, over the real control plane and code store, with boto3 in front.

Behind Invoke stands the real frontend with `EchoWorker`, which runs no code: it answers with what it was handed.
"""

from __future__ import annotations

import asyncio
import io
import json
import socket
import threading
import zipfile
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import boto3
import pytest
from botocore.config import Config

from lambent.async_invoke.accepting import Acceptance
from lambent.async_invoke.dispatch import Dispatcher
from lambent.async_invoke.settings import SettingsView
from lambent.aws.chain import AwsEndpoint
from lambent.aws_client import role_credentials
from lambent.aws_client.client import AwsCaller, AwsClient
from lambent.aws_client.http_transport import HttpTransport
from lambent.aws_client.s3_objects import GetObject
from lambent.aws_client.sqs import Sqs
from lambent.control_plane.event_source_mappings import EventSourceMapping
from lambent.control_plane.event_sources import SourceKind
from lambent.control_plane.functions import FunctionsControlPlane, Settings
from lambent.delivery.outbox import Delivery, Outbox
from lambent.event_sources.mappings import EventSources
from lambent.event_sources.ports import Report
from lambent.event_sources.sqs_check import SqsCheck
from lambent.event_sources.sqs_poller import SqsPoller, SqsTools
from lambent.http.server import HttpServer
from lambent.iam.authentication import AcceptAnyKey
from lambent.iam.sessions import SessionIssuer
from lambent.invoke.counting import Counting
from lambent.invoke.directory import FunctionDirectory
from lambent.invoke.frontend import Frontend
from lambent.invoke.pools import Pools
from lambent.invoke.ports import Done, WorkerEvents
from lambent.invoke.recursion import LoopSwitches
from lambent.invoke.reservations import Reservations
from lambent.invoke.tracing import Tracing
from lambent.model.arn import parse_function_reference
from lambent.model.clock import SystemClock
from lambent.model.execution import Completed, EnvironmentSpec, FunctionError, Invocation, RoleCredentials, TemplateSpec
from lambent.model.function import FunctionVersion
from lambent.model.ids import AccountId, EnvironmentId, Region, new_environment_id
from lambent.observability.metrics.asynchronous import AsynchronousMetrics
from lambent.packaging.code_store import CodeStore
from lambent.queues.sqlite import SqliteQueues
from lambent.services.lambda_.download import CODE_PATH, CodeDownloads, load_secret
from lambent.services.lambda_.operations import definition
from lambent.store.api import Store
from lambent.store.memory import MemoryStore

T = TypeVar("T")
QUICK = Settings(collect_again_s=0.35)
REGION = Region("us-east-1")
ACCOUNT = AccountId("000000000000")


class EchoWorker:
    """A worker whose environments answer with the invocation itself; `{"fail": …}` makes them fail. `seen`: what they
    were handed."""

    def __init__(self) -> None:
        self.seen: list[Invocation] = []

    def start_environment(self, spec: EnvironmentSpec, events: WorkerEvents) -> None:
        asyncio.get_running_loop().call_soon(events.environment_ready, spec.environment_id)
        self._events = events

    def invoke(self, environment_id: EnvironmentId, invocation: Invocation, done: Done) -> None:
        asyncio.get_running_loop().call_soon(self._answer, environment_id, invocation, done)

    def stop_environment(self, environment_id: EnvironmentId, reason: str) -> None:
        asyncio.get_running_loop().call_soon(self._events.environment_ended, environment_id, None)

    def prepare(self, template: TemplateSpec) -> None:
        """It does nothing ahead."""

    def keep_spares(self, template: TemplateSpec, number: int) -> None:
        """It has none."""

    def has_capacity(self, memory_mb: int) -> bool:
        return True

    def _answer(self, environment_id: EnvironmentId, invocation: Invocation, done: Done) -> None:
        self.seen.append(invocation)
        event = json.loads(invocation.payload)
        fails = isinstance(event, dict) and "fail" in event
        payload = {
            "event": event,
            "request_id": invocation.request_id,
            "arn": invocation.invoked_function_arn,
            "trace": invocation.trace_header,
            "client_context": json.loads(invocation.client_context) if invocation.client_context else None,
        }
        done(
            Completed(
                payload=json.dumps(payload).encode(),
                function_error=FunctionError.UNHANDLED if fails else None,
                log_tail=b"START\nEND\n" if invocation.log_tail else None,
            )
        )
        self._events.environment_ready(environment_id)


def make_spec(version: FunctionVersion) -> EnvironmentSpec:
    credentials = RoleCredentials("ASIA", "secret", "token", 4_000_000_000.0, version.role, "AROA:x")
    return EnvironmentSpec(
        environment_id=new_environment_id(),
        template=f"{version.qualified_arn}/{version.environment_revision}",
        function=version.function,
        version=version.version,
        runtime=version.runtime or "",
        handler=version.handler or "",
        code_digest=version.code_digest,
        memory_mb=version.memory_mb,
        timeout_s=version.timeout_s,
        ephemeral_storage_mb=version.ephemeral_storage_mb,
        architecture=version.architectures[0],
        environment=version.environment or {},
        credentials=credentials,
        log_group=version.logging.log_group,
        log_stream="stream",
    )


@dataclass
class LambdaServer:
    """A running endpoint; `run` executes a coroutine on its loop."""

    url: str
    store: Store
    code: CodeStore
    control_plane: FunctionsControlPlane
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event
    worker: EchoWorker
    sent: list[Delivery]
    clients: list[Any] = field(default_factory=list)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def client(self, *, account: str = ACCOUNT, region: str = REGION, validate: bool = True) -> Any:
        """A boto3 client; `validate=False` sends what boto3 itself would refuse."""
        client = boto3.client(
            "lambda",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=account,
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=validate, inject_host_prefix=False),
        )
        self.clients.append(client)
        return client


class QueuesElsewhere:
    """Event source mappings of queues on an SQS server of somebody else's."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._transport = HttpTransport(url)
        self._sqs = Sqs(AwsClient(self._transport))
        self._roles = role_credentials.RoleCredentials(SessionIssuer(b"s" * 32))

    def _caller(self, role_arn: str, function_name: str, region: Region) -> AwsCaller:
        return AwsCaller(self._roles.find(role_arn, function_name), region)

    def for_control_plane(self) -> dict[str, Any]:
        return {"polled": {SourceKind.SQS}, "check_source": SqsCheck(self._sqs, self._caller, self._url)}

    async def start(self, store: Store, frontend: Frontend, directory: FunctionDirectory) -> None:
        clock = SystemClock()
        tools = SqsTools(self._sqs, frontend, directory, self._caller, clock, self._url, cancels=False, wait_s=1)

        def make(mapping: EventSourceMapping, report: Report) -> SqsPoller:
            function = parse_function_reference(
                mapping.function_arn, None, account=mapping.account, region=mapping.region
            )
            return SqsPoller(mapping, function, tools, report)

        self._sources = EventSources(store, {SourceKind.SQS: make}, clock)
        await self._sources.start()

    async def close(self) -> None:
        await self._sources.close(1)
        await self._transport.close()


StartLambda = Callable[..., LambdaServer]


@pytest.fixture(scope="module")
def start_lambda(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartLambda]:
    """Start servers: `start_lambda(settings=…, role_check=…, store=…, root=…, get_object=…)`; stopped at the end of
    the module."""
    running: list[tuple[threading.Thread, LambdaServer]] = []
    failures: list[Exception] = []

    def start(
        *,
        settings: Settings | None = None,
        role_check: Callable[[str], Awaitable[bool]] | None = None,
        store: Store | None = None,
        root: Path | None = None,
        get_object: GetObject | None = None,
        sqs_url: str | None = None,
    ) -> LambdaServer:
        root = root or tmp_path_factory.mktemp("code")
        ready: list[LambdaServer] = []
        started = threading.Event()

        def serve() -> None:
            try:
                asyncio.run(
                    _serve(
                        root, store or MemoryStore(), settings or QUICK, role_check, get_object, sqs_url, ready, started
                    )
                )
            except Exception as error:  # noqa: BLE001 raised in the test's own thread
                failures.append(error)
            finally:
                started.set()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert started.wait(20)
        if failures:
            raise failures[0]
        running.append((thread, ready[0]))
        return ready[0]

    yield start
    for thread, server in running:
        for client in server.clients:
            client.close()
        server.loop.call_soon_threadsafe(server.stop.set)
        thread.join(20)
        assert not thread.is_alive()
    assert not failures


async def _serve(
    root: Path,
    store: Store,
    settings: Settings,
    role_check: Callable[[str], Awaitable[bool]] | None,
    get_object: GetObject | None,
    sqs_url: str | None,
    ready: list[LambdaServer],
    started: threading.Event,
) -> None:
    code = CodeStore(root, pending_grace_s=0.3, unzipped_max_bytes=settings.limits.unzipped_max_bytes)
    await code.start()
    elsewhere = QueuesElsewhere(sqs_url) if sqs_url is not None else None
    control_plane = FunctionsControlPlane(
        store,
        code,
        SystemClock(),
        settings=settings,
        role_check=role_check,
        get_object=get_object,
        **(elsewhere.for_control_plane() if elsewhere is not None else {}),
    )
    await control_plane.start()
    worker = EchoWorker()
    pools = Pools(worker, make_spec, SystemClock(), idle_timeout_s=60, credentials_margin_s=0)
    directory = FunctionDirectory(store)
    counting = Counting(settings.account_concurrency)
    reservations = Reservations(store, counting)
    switches = LoopSwitches(store)
    clock, tracing = SystemClock(), Tracing(switches, SystemClock())
    frontend = Frontend(directory, counting, pools, reservations, tracing)
    queues = await SqliteQueues.open(root / "queues.db", clock)
    event_settings = SettingsView(store)
    sent: list[Delivery] = []
    metrics = AsynchronousMetrics(clock)
    outbox = Outbox(queues, _remembering(sent), clock, metrics)
    dispatcher = Dispatcher(queues, frontend, directory, tracing, event_settings, outbox, clock, metrics)
    acceptance = Acceptance(directory, tracing, queues, dispatcher.consumers.ensure, metrics)
    downloads = CodeDownloads(await load_secret(store), code)
    endpoint = AwsEndpoint(
        [definition(control_plane, frontend, acceptance, downloads)],
        AcceptAnyKey(SessionIssuer(b"s" * 32), ACCOUNT, REGION),
        region=REGION,
        account=ACCOUNT,
        extra_routes={CODE_PATH: downloads.handler},
    )
    server = HttpServer(endpoint.handle, endpoint.policy)
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    await server.start(listener)
    stop = asyncio.Event()
    ready.append(LambdaServer(url, store, code, control_plane, asyncio.get_running_loop(), stop, worker, sent))
    if elsewhere is not None:
        await elsewhere.start(store, frontend, directory)
    started.set()
    await stop.wait()
    if elsewhere is not None:
        await elsewhere.close()
    await server.close(1)
    await endpoint.close(1)
    await downloads.handler.close()
    await dispatcher.consumers.close()
    await outbox.consumers.close()
    await queues.close()
    event_settings.close()
    directory.close()
    reservations.close()
    switches.close()
    await control_plane.close()
    await code.close()


def _remembering(sent: list[Delivery]) -> Callable[[Delivery], Awaitable[None]]:
    async def send(delivery: Delivery) -> None:
        sent.append(delivery)

    return send


@pytest.fixture(scope="module")
def server(start_lambda: StartLambda) -> LambdaServer:
    return start_lambda()


@pytest.fixture(scope="module")
def client(server: LambdaServer) -> Any:
    return server.client()


@pytest.fixture(scope="session")
def make_zip() -> Callable[..., bytes]:
    """A deployment package with one file of the given text."""

    def make(text: str = "def handler(event, context):\n    return event\n", name: str = "index.py") -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), text)
        return buffer.getvalue()

    return make


@pytest.fixture
def create(client: Any, make_zip: Callable[..., bytes]) -> Callable[..., dict[str, Any]]:
    """CreateFunction with what every test needs; keywords override, None removes."""

    def make(name: str, *, using: Any = None, **given: Any) -> dict[str, Any]:
        params: dict[str, Any] = {
            "FunctionName": name,
            "Runtime": "python3.12",
            "Role": f"arn:aws:iam::{ACCOUNT}:role/r",
            "Handler": "index.handler",
            "Code": {"ZipFile": make_zip()},
        } | given
        params = {key: value for key, value in params.items() if value is not None}
        answer: dict[str, Any] = (using or client).create_function(**params)
        return answer

    return make
