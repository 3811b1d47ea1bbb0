"""What the tests of identities share: a store, a session issuer with a clock of its own, botocore as signer."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable
from unittest import mock
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from lambent.http.messages import Headers, Request, RequestHead
from lambent.iam.sessions import SessionIssuer
from lambent.testing.clock import ManualClock
from lambent.testing.store import MemoryStore

Sign = Callable[[SigV4Auth, AWSRequest, float], Request]


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    store = MemoryStore()
    yield store
    await store.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sessions(clock: ManualClock) -> SessionIssuer:
    return SessionIssuer(b"s" * 32, clock.now)


@pytest.fixture(scope="session")
def signed() -> Sign:
    """Has a botocore signer sign a request at a moment (epoch seconds); gives it as our server would receive it."""

    def sign(auth: SigV4Auth, request: AWSRequest, moment: float) -> Request:
        now = dt.datetime.fromtimestamp(moment, dt.UTC).replace(tzinfo=None)
        with mock.patch("botocore.auth.get_current_datetime", return_value=now):
            auth.add_auth(request)
        parts = urlsplit(str(request.url))
        fields = [(name.lower(), " ".join(str(value).split(None))) for name, value in request.headers.items()]
        if all(name != "host" for name, _ in fields):
            fields.append(("host", parts.netloc))
        path = parts.path or "/"
        target = f"{path}?{parts.query}" if parts.query else path
        head = RequestHead(str(request.method), target, path, parts.query, Headers(tuple(fields)))
        body = request.data or b""
        return Request(head, body.encode() if isinstance(body, str) else body)

    return sign
