"""The CloudWatch Logs API on a real HTTP server, over a real log store and a real store file, with boto3 in front."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import boto3
import pytest
from botocore.config import Config

from lambent.aws.chain import AwsEndpoint
from lambent.http.server import HttpServer
from lambent.http.sockets import bind_tcp
from lambent.iam.authentication import AcceptAnyKey
from lambent.iam.sessions import SessionIssuer
from lambent.model.ids import AccountId, Region
from lambent.observability.insights.engine import LogQueries
from lambent.observability.logs.group import LogStoreSettings
from lambent.observability.logs.store import LogStore
from lambent.services.logs.operations import definition
from lambent.services.logs.retention import apply_retention
from lambent.store.sqlite import SqliteStore
from lambent.testing.clock import OffsetClock

T = TypeVar("T")
ACCOUNT, REGION = AccountId("000000000000"), Region("us-east-1")


class LogsServer:
    """A running endpoint. `run` calls a function on the server's loop, as the worker does when functions print."""

    def __init__(self, data: Path, settings: LogStoreSettings) -> None:
        self.clock = OffsetClock()
        self.data = data
        self._settings = settings
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._clients: list[Any] = []
        self._thread.start()
        assert self._ready.wait(20)
        self.client = self.make_client()

    def make_client(self, region: str = "us-east-1", key: str = "test") -> Any:
        make: Any = boto3.client  # its overloads want literal service names
        client = make(
            "logs",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=key,
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}),
        )
        self._clients.append(client)
        return client

    def run(self, call: Callable[[LogStore], T]) -> T:
        async def calling() -> T:
            return call(self.log_store)

        return asyncio.run_coroutine_threadsafe(calling(), self._loop).result(20)

    def apply_retention(self) -> int:
        return asyncio.run_coroutine_threadsafe(apply_retention(self.log_store, self._store), self._loop).result(20)

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._store = await SqliteStore.open(self.data / "lambent.db")
        self.log_store = LogStore(self.data / "logs", self.clock, self._settings)
        await self.log_store.start()
        queries = LogQueries(self.log_store)
        who = AcceptAnyKey(SessionIssuer(b"s" * 32), ACCOUNT, REGION)
        endpoint = AwsEndpoint([definition(self.log_store, self._store, queries)], who, region=REGION, account=ACCOUNT)
        server = HttpServer(endpoint.handle, endpoint.policy)
        listener = bind_tcp("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        await server.start(listener)
        self._ready.set()
        await self._stop.wait()
        await server.close(1)
        await endpoint.close(1)
        await queries.close()
        await self.log_store.close()
        await self._store.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LogsServer]:
    running = LogsServer(tmp_path, LogStoreSettings(segment_bytes=20_000, block_bytes=2_000))
    yield running
    running.close()


@pytest.fixture
def logs(server: LogsServer) -> Any:
    """A boto3 client."""
    return server.client
