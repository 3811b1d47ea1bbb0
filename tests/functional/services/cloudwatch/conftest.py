"""CloudWatch on a real HTTP server and a real file, with botocore in front, in each of its three protocols."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.loaders import Loader

from lambent.aws.chain import AwsEndpoint
from lambent.http.server import HttpServer
from lambent.http.sockets import bind_tcp
from lambent.iam.authentication import AcceptAnyKey
from lambent.iam.sessions import SessionIssuer
from lambent.model.clock import SystemClock
from lambent.model.ids import AccountId, Region
from lambent.observability.metrics.store import MetricStore
from lambent.services.cloudwatch.operations import definition

PROTOCOLS = ("smithy-rpc-v2-cbor", "json", "query")


@dataclass
class CloudWatchServer:
    """A running endpoint. `url` is its address."""

    data: Path
    url: str = ""
    ready: threading.Event = field(default_factory=threading.Event)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    loop: asyncio.AbstractEventLoop | None = None
    custom_below_bytes: int = 0
    clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    async def serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        store = MetricStore(self.data / "metrics.db", SystemClock(), custom_below_bytes=self.custom_below_bytes)
        await store.start()
        region, account = Region("us-east-1"), AccountId("000000000000")
        policy = AcceptAnyKey(SessionIssuer(b"s" * 32), account, region)
        endpoint = AwsEndpoint([definition(store)], policy, region=region, account=account)
        server = HttpServer(endpoint.handle, endpoint.policy)
        listener = bind_tcp("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        await server.start(listener)
        self.ready.set()
        await self.stop.wait()
        await server.close(1)
        await endpoint.close(1)
        await store.close()

    def client(self, protocol: str = PROTOCOLS[0], account: str = "000000000000") -> Any:
        """A client that speaks this protocol, in an account of its own if one is given."""
        if (protocol, account) in self.clients:
            return self.clients[protocol, account]

        class OneProtocol(Loader):
            def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
                model = super().load_service_model(service_name, type_name, api_version)
                if type_name == "service-2":
                    model = {**model, "metadata": {**model["metadata"], "protocol": protocol, "protocols": [protocol]}}
                return model

        session = botocore.session.Session()
        session.register_component("data_loader", OneProtocol())
        client = session.create_client(
            "cloudwatch",
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=account,
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}),
        )
        self.clients[protocol, account] = client
        return client


@contextlib.contextmanager
def running(server: CloudWatchServer) -> Iterator[CloudWatchServer]:
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    assert server.ready.wait(20)
    yield server
    for client in server.clients.values():
        client.close()
    assert server.loop is not None
    server.loop.call_soon_threadsafe(server.stop.set)
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def cloudwatch_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudWatchServer]:
    with running(CloudWatchServer(tmp_path_factory.mktemp("data"))) as server:
        yield server


@pytest.fixture(params=PROTOCOLS)
def cloudwatch(request: pytest.FixtureRequest, cloudwatch_server: CloudWatchServer) -> Any:
    """A client of it in each protocol."""
    return cloudwatch_server.client(request.param)


@pytest.fixture
def in_account(cloudwatch_server: CloudWatchServer) -> Callable[[str], Any]:
    """Account → a client."""
    return lambda account: cloudwatch_server.client(account=account)
