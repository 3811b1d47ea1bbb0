"""SQS on a real HTTP server, over a real queue engine and store, with boto3 in front."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from lambent.aws.chain import AwsEndpoint
from lambent.http.server import HttpServer
from lambent.http.sockets import bind_tcp
from lambent.iam.authentication import AcceptAnyKey
from lambent.iam.sessions import SessionIssuer
from lambent.model.ids import AccountId, Region
from lambent.queues.sqlite import SqliteQueues
from lambent.services.sqs.directory import QueueDirectory
from lambent.services.sqs.metrics import QueueMetrics
from lambent.services.sqs.move_tasks import MoveTasks
from lambent.services.sqs.operations import definition
from lambent.services.sqs.upkeep import look_after
from lambent.store.sqlite import SqliteStore
from lambent.testing.clock import OffsetClock

ACCOUNT, REGION = AccountId("000000000000"), Region("us-east-1")


class SqsServer:
    """A running endpoint. `clock.offset_s` lets time pass."""

    def __init__(self, data: Path) -> None:
        self.clock = OffsetClock()
        self.data = data
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._clients: dict[tuple[str, str], Any] = {}
        self._thread.start()
        assert self._ready.wait(20)

    def client(self, account: str = ACCOUNT, region: str = REGION) -> Any:
        """A boto3 client in an account: with `--auth none` twelve digits as a key name it."""
        if (account, region) not in self._clients:
            make: Any = boto3.client  # its overloads want literal service names
            self._clients[account, region] = make(
                "sqs",
                endpoint_url=self.url,
                region_name=region,
                aws_access_key_id=account,
                aws_secret_access_key="test",
                config=Config(retries={"total_max_attempts": 1}, max_pool_connections=50),
            )
        return self._clients[account, region]

    def look_after(self) -> None:
        """What happens once a minute."""
        work = look_after(self.directory, self.queues, self.metrics, set())
        asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        store = await SqliteStore.open(self.data / "lambent.db")
        self.queues = await SqliteQueues.open(self.data / "queues.db", self.clock)
        self.directory = QueueDirectory(store, self.clock)
        self.metrics = QueueMetrics(self.clock)
        move_tasks = MoveTasks(self.directory, self.queues, store, self.clock)
        await move_tasks.start()
        service = definition(self.directory, self.queues, move_tasks, self.metrics, self.clock)
        who = AcceptAnyKey(SessionIssuer(b"s" * 32), ACCOUNT, REGION)
        endpoint = AwsEndpoint([service], who, region=REGION, account=ACCOUNT)
        server = HttpServer(endpoint.handle, endpoint.policy)
        listener = bind_tcp("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        await server.start(listener)
        self._ready.set()
        await self._stop.wait()
        await endpoint.close(0.5)
        await server.close(1)
        await move_tasks.close()
        self.directory.close()
        await self.queues.close()
        await store.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqsServer]:
    running = SqsServer(tmp_path_factory.mktemp("data"))
    yield running
    running.close()


@pytest.fixture
def sqs(server: SqsServer) -> Any:
    """A boto3 client."""
    return server.client()


@pytest.fixture
def pass_time(server: SqsServer) -> Callable[[float], None]:
    """Let seconds pass for delays, leases, windows and retention."""

    def advance(seconds: float) -> None:
        server.clock.offset_s += seconds

    return advance


_numbers = itertools.count()

MakeQueue = Callable[..., str]


@pytest.fixture
def make_queue(sqs: Any) -> MakeQueue:
    """Attributes → the URL of a new queue."""

    def make(name: str = "queue", **attributes: str) -> str:
        suffix = ".fifo" if attributes.get("FifoQueue") == "true" else ""
        url: str = sqs.create_queue(QueueName=f"{name}-{next(_numbers)}{suffix}", Attributes=attributes)["QueueUrl"]
        return url

    return make


@pytest.fixture
def queue(make_queue: MakeQueue) -> str:
    return make_queue()


@pytest.fixture
def fifo(make_queue: MakeQueue) -> str:
    return make_queue(FifoQueue="true", ContentBasedDeduplication="true")


def arn_of(url: str) -> str:
    return f"arn:aws:sqs:us-east-1:{url.split('/')[-2]}:{url.split('/')[-1]}"
