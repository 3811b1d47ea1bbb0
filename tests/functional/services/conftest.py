"""IAM and STS on a real HTTP server and a real store file, with boto3 in front; each server with its own `--auth`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from lambent.aws.authorisation import Authoriser
from lambent.aws.chain import AwsEndpoint
from lambent.aws_client.open_id_keys import OpenIdKeys
from lambent.http.server import HttpServer
from lambent.http.sockets import bind_tcp
from lambent.iam.audit import AuditLog
from lambent.iam.authentication import AcceptAnyKey, Authenticate, VerifyEnvironment, VerifySignatures
from lambent.iam.enforcement import Enforcer
from lambent.iam.entities import IamEntities
from lambent.iam.identities import AccessKey, Identities
from lambent.iam.policy_sources import PolicySource, StoredResourcePolicies
from lambent.iam.sessions import SessionIssuer, load_secret
from lambent.model.ids import AccountId, Region
from lambent.services.iam import access as iam_access
from lambent.services.iam import operations as iam
from lambent.services.sts import access as sts_access
from lambent.services.sts import operations as sts
from lambent.store.sqlite import SqliteStore

ACCOUNT, REGION = AccountId("000000000000"), Region("us-east-1")


@dataclass
class IdentityServer:
    """A running endpoint for IAM and STS. `root` is its root access key, `sessions` what mints its sessions."""

    url: str
    root: AccessKey
    sessions: SessionIssuer
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event
    thread: threading.Thread
    clients: list[Any] = field(default_factory=list)

    def client(self, service: str, key: str, secret: str, token: str | None = None, **config: Any) -> Any:
        """A boto3 client with these credentials."""
        make: Any = boto3.client  # its overloads want literal service names
        client = make(
            service,
            endpoint_url=self.url,
            region_name="eu-west-1",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}, **config),
        )
        self.clients.append(client)
        return client

    def close(self) -> None:
        """Stop and wait until everything is let go. Idempotent."""
        for client in self.clients:
            client.close()
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.stop.set)
            self.thread.join(20)
        assert not self.thread.is_alive()

    def as_root(self, service: str) -> Any:
        return self.client(service, self.root.access_key_id, self.root.secret_access_key)

    def with_session(self, service: str, credentials: dict[str, Any]) -> Any:
        """A client with the Credentials of an STS answer."""
        key, secret = credentials["AccessKeyId"], credentials["SecretAccessKey"]
        return self.client(service, key, secret, credentials["SessionToken"])


class _Running:
    """One server in a thread of its own."""

    def __init__(self, data: Path, auth: str, enforce: bool) -> None:
        self._data = data
        self._auth = auth
        self._enforce = enforce
        self._ready = threading.Event()
        self.server: IdentityServer | None = None
        self.failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> IdentityServer:
        self._thread.start()
        assert self._ready.wait(20)
        if self.failure is not None:
            raise self.failure
        assert self.server is not None
        return self.server

    def close(self) -> None:
        if self.server is not None:
            self.server.close()
        assert self.failure is None

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001 raised again in the test's thread
            self.failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        store = await SqliteStore.open(self._data / "lambent.db")
        identities = await Identities.load(store)
        root = await identities.ensure_root_key(ACCOUNT, self._data / "credentials")
        assert root is not None
        sessions = SessionIssuer(await load_secret(store))
        entities = IamEntities.of(store, identities)
        callers = PolicySource(store, entities)
        policy: Authenticate = AcceptAnyKey(sessions, ACCOUNT, REGION)
        if self._auth == "sigv4":
            policy = VerifySignatures(identities, sessions)
        elif self._auth != "none":
            policy = VerifyEnvironment(sessions, self._auth)
        definitions = [iam.definition(entities, callers), sts.definition(entities, sessions, callers, OpenIdKeys())]
        authoriser: Authoriser | None = None
        audit = AuditLog(self._data / "audit")
        if self._enforce:
            resources = StoredResourcePolicies(store, entities)
            rules = {"iam": iam_access.rules(entities), "sts": sts_access.RULES}
            authoriser = Authoriser(Enforcer(callers, resources, audit), rules)
        endpoint = AwsEndpoint(definitions, policy, region=REGION, account=ACCOUNT, authorise=authoriser)
        server = HttpServer(endpoint.handle, endpoint.policy)
        listener = bind_tcp("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        await server.start(listener)
        stop = asyncio.Event()
        self.server = IdentityServer(url, root, sessions, asyncio.get_running_loop(), stop, self._thread)
        self._ready.set()
        await stop.wait()
        await server.close(1)
        await endpoint.close(1)
        await audit.close()
        await identities.close()
        await store.close()


StartIdentity = Callable[..., IdentityServer]


@pytest.fixture(scope="module")
def start_identity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartIdentity]:
    """`start_identity(auth=…, data=…, enforce=…)`: `auth` is none, sigv4, or the principal ARN of an environment's
    endpoint; `enforce` is `--iam enforce`."""
    running: list[_Running] = []

    def start(*, auth: str = "none", data: Path | None = None, enforce: bool = False) -> IdentityServer:
        running.append(_Running(data or tmp_path_factory.mktemp("data"), auth, enforce))
        return running[-1].start()

    yield start
    for one in running:
        one.close()


@pytest.fixture(scope="module")
def open_server(start_identity: StartIdentity) -> IdentityServer:
    """`--auth none`."""
    return start_identity()


@pytest.fixture(scope="module")
def strict_server(start_identity: StartIdentity) -> IdentityServer:
    """`--auth sigv4`."""
    return start_identity(auth="sigv4")
