"""`Code.Location` really downloads, and only as it was signed."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from lambent.model.arn import FunctionId
from lambent.model.function import FunctionVersion, LoggingConfig
from lambent.model.ids import AccountId, Region, RevisionId
from lambent.services.lambda_.download import CodeDownloads, load_secret
from lambent.store.memory import MemoryStore

Create = Callable[..., dict[str, Any]]


def fetch(url: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request(method, f"{parts.path}?{parts.query}")
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, headers, response.read()
    finally:
        connection.close()


@pytest.fixture
def location(client: Any, create: Create, make_zip: Callable[..., bytes]) -> str:
    with contextlib.suppress(client.exceptions.ResourceConflictException):
        create("downloaded", Code={"ZipFile": make_zip("# large\n" * 100_000)})
    url: str = client.get_function(FunctionName="downloaded")["Code"]["Location"]
    return url


def test_the_archive_comes_back_as_it_went(server: Any, location: str, make_zip: Callable[..., bytes]) -> None:
    assert location.startswith(f"{server.url}/_lambent/code/")
    archive = make_zip("# large\n" * 100_000)
    status, headers, body = fetch(location)
    assert (status, headers["content-type"], headers["content-length"]) == (
        200,
        "application/zip",
        str(len(archive)),
    )
    assert body == archive
    status, headers, body = fetch(location, "HEAD")
    assert (status, headers["content-length"], body) == (200, str(len(archive)), b"")


def test_versions_download_their_own_code(client: Any, create: Create, make_zip: Callable[..., bytes]) -> None:
    create("two-codes", Code={"ZipFile": make_zip("one")}, Publish=True)
    client.update_function_code(FunctionName="two-codes", ZipFile=make_zip("two"))
    for qualifier, text in (("1", "one"), ("$LATEST", "two")):
        url = client.get_function(FunctionName="two-codes", Qualifier=qualifier)["Code"]["Location"]
        assert fetch(url)[2] == make_zip(text)


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url[:-1] + ("0" if url[-1] != "0" else "1"),
        lambda url: url.partition("?")[0],
        lambda url: url.replace("Expires=", "Expires=9"),
        lambda url: url.replace("downloaded.zip", "other.zip"),
        lambda url: url.replace("/_lambent/code/", "/_lambent/code/../code/"),
        lambda url: url + "%C3%A9",
    ],
)
def test_a_changed_url_is_refused(location: str, change: Callable[[str], str]) -> None:
    status, _, body = fetch(change(location))
    assert status == 403
    assert b"SignatureDoesNotMatch" in body


def test_other_methods(location: str) -> None:
    assert fetch(location, "DELETE")[0] == 405


def test_the_code_of_a_deleted_function_is_gone(client: Any, server: Any, create: Create, make_zip: Any) -> None:
    create("deleted-code", Code={"ZipFile": make_zip("only here")})
    url = client.get_function(FunctionName="deleted-code")["Code"]["Location"]
    client.delete_function(FunctionName="deleted-code")
    digest = url.partition("/_lambent/code/")[2].partition("/")[0]
    removed = server.code.archive(digest)
    deadline = 200
    while removed.exists() and deadline:
        server.run(asyncio.sleep(0.01))
        deadline -= 1
    assert fetch(url)[0] == 404


def test_a_url_lives_ten_minutes(server: Any) -> None:
    now = [1000.0]
    downloads = CodeDownloads(b"k" * 32, server.code, lambda: now[0])
    url = downloads.location("http://localhost:4566/", _version())
    query = urlsplit(url).query
    name = urlsplit(url).path.removeprefix("/_lambent/code/")
    assert url.startswith("http://localhost:4566/_lambent/code/")
    now[0] = 1600.0
    assert downloads._refusal_of(name, query) is None
    now[0] = 1601.0
    refused = downloads._refusal_of(name, query)
    assert refused is not None
    assert isinstance(refused.body, bytes)
    assert (refused.status, b"Request has expired" in refused.body) == (403, True)
    other = CodeDownloads(b"o" * 32, server.code, lambda: 1000.0)
    assert other._refusal_of(name, query) is not None


async def test_the_secret_is_made_once() -> None:
    store = MemoryStore()
    secret = await load_secret(store)
    assert len(secret) == 32
    assert await load_secret(store) == secret
    assert await load_secret(MemoryStore()) != secret


def _version() -> FunctionVersion:
    function = FunctionId(AccountId("000000000000"), Region("us-east-1"), "greet")
    return FunctionVersion(
        function=function,
        version="3",
        role="arn:aws:iam::000000000000:role/r",
        code_digest="ab" * 32,
        code_sha256="q6ur",
        code_size=10,
        revision_id=RevisionId("r"),
        environment_revision="e",
        last_modified="2026-11-23T10:00:00.000+0000",
        logging=LoggingConfig("Text", "/aws/lambda/greet"),
    )
