"""Code from S3, with a small S3 of the test's own that checks signatures as S3 does."""

from __future__ import annotations

import io
import os
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from botocore.exceptions import ClientError

from lambent.aws_client.s3 import S3Objects
from lambent.aws_client.s3_objects import ObjectTooLargeError, S3Error, S3Object, S3UnreachableError
from lambent.http.messages import Headers, RequestHead
from lambent.iam.refusals import SignatureError
from lambent.iam.signature import read_signature
from lambent.iam.sigv4 import payload_digest, verify
from lambent.model.ids import Region
from lambent.testing.packages import zip_of

ROLE = "arn:aws:iam::000000000000:role/r"
REGION = Region("us-east-1")


@dataclass
class TinyS3:
    """Objects by (bucket, key, version); the regions that requests were signed for."""

    url: str = ""
    objects: dict[tuple[str, str, str | None], bytes] = field(default_factory=dict)
    regions: list[str] = field(default_factory=list)
    bytes_sent: int = 0

    def refusal(self, head: RequestHead) -> tuple[int, str, str] | None:
        signature = read_signature(head)
        if signature is None:
            return 403, "AccessDenied", "Access Denied"
        try:
            verify(signature, head, payload_digest(b""), "s3-secret", time.time())
        except SignatureError:
            return 403, "SignatureDoesNotMatch", "The request signature we calculated does not match"
        self.regions.append(f"{signature.claim.region}/{signature.claim.service}")
        return None

    def find(self, target: str) -> tuple[int, str, str] | bytes:
        parts = urlsplit(target)
        bucket, _, key = unquote(parts.path).removeprefix("/").partition("/")
        version = parse_qs(parts.query).get("versionId", [None])[0]
        if bucket == "secret":
            return 403, "AccessDenied", "Access Denied"
        if bucket not in {known[0] for known in self.objects}:
            return 404, "NoSuchBucket", "The specified bucket does not exist"
        if not any(known[:2] == (bucket, key) for known in self.objects):
            return 404, "NoSuchKey", "The specified key does not exist."
        found = self.objects.get((bucket, key, version))
        return found if found is not None else (400, "InvalidArgument", "Invalid version id specified")


@pytest.fixture(scope="module")
def s3() -> Iterator[TinyS3]:
    tiny = TinyS3()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            headers = Headers(tuple((name.lower(), value) for name, value in self.headers.items()))
            answer = tiny.refusal(RequestHead("GET", self.path, path, query, headers)) or tiny.find(self.path)
            if isinstance(answer, bytes):
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                try:
                    for start in range(0, len(answer), 1 << 20):
                        self.wfile.write(answer[start : start + (1 << 20)])
                        tiny.bytes_sent += 1 << 20
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True  # the client has seen enough
                return
            status, code, message = answer
            body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tiny.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield tiny
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture(scope="module")
def objects(s3: TinyS3) -> Iterator[S3Objects]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIAS3KEY")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "s3-secret")
        objects = S3Objects(s3.url + "/")
        yield objects
        objects.close()


@pytest.fixture(scope="module")
def client(start_lambda: Callable[..., Any], objects: S3Objects) -> Any:
    return start_lambda(get_object=objects.get).client()


def deploy(client: Any, name: str, **code: str) -> dict[str, Any]:
    answer: dict[str, Any] = client.create_function(
        FunctionName=name, Runtime="python3.12", Role=ROLE, Handler="index.handler", Code=code
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})
    return answer


def download(location: str) -> bytes:
    with urllib.request.urlopen(location, timeout=5) as response:
        return bytes(response.read())


def test_functions_and_layers_from_objects(client: Any, s3: TinyS3) -> None:
    archives = [zip_of({"index.py": text}) for text in ("one", "two", "three")]
    s3.objects["code", "app.zip", None] = archives[0]
    s3.objects["code", "app.zip", "v+2/="] = archives[1]
    s3.objects["code", "dir with space/ü+~:app.zip", None] = archives[2]
    deploy(client, "from-s3", S3Bucket="code", S3Key="app.zip")
    assert download(client.get_function(FunctionName="from-s3")["Code"]["Location"]) == archives[0]
    client.update_function_code(
        FunctionName="from-s3", S3Bucket="code", S3Key="app.zip", S3ObjectVersion="v+2/=", S3ObjectStorageMode="COPY"
    )
    assert download(client.get_function(FunctionName="from-s3")["Code"]["Location"]) == archives[1]
    layer = client.publish_layer_version(
        LayerName="l", Content={"S3Bucket": "code", "S3Key": "dir with space/ü+~:app.zip"}
    )
    assert download(layer["Content"]["Location"]) == archives[2]
    assert set(s3.regions) == {"us-east-1/s3"}


def test_archives_larger_than_may_be_uploaded_directly(client: Any, s3: TinyS3) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("blob", os.urandom(1 << 20) * 51)
    s3.objects["code", "large.zip", None] = buffer.getvalue()
    assert deploy(client, "large", S3Bucket="code", S3Key="large.zip")["CodeSize"] > 50 * (1 << 20)
    del s3.objects["code", "large.zip", None]


REFUSED = [
    (
        {"S3Bucket": "nowhere", "S3Key": "k"},
        "InvalidParameterValueException",
        400,
        (
            "Error occurred while GetObject. S3 Error Code: NoSuchBucket. "
            "S3 Error Message: The specified bucket does not exist"
        ),
    ),
    (
        {"S3Bucket": "code", "S3Key": "missing"},
        "InvalidParameterValueException",
        400,
        (
            "Error occurred while GetObject. S3 Error Code: NoSuchKey. "
            "S3 Error Message: The specified key does not exist."
        ),
    ),
    (
        {"S3Bucket": "code", "S3Key": "app.zip", "S3ObjectVersion": "unknown"},
        "InvalidParameterValueException",
        400,
        (
            "Error occurred while GetObject. S3 Error Code: InvalidArgument. "
            "S3 Error Message: Invalid version id specified"
        ),
    ),
    (
        {"S3Bucket": "secret", "S3Key": "k"},
        "AccessDeniedException",
        403,
        (
            "Your access has been denied by S3, please make sure your request credentials have permission to "
            "GetObject for secret/k. S3 Error Code: AccessDenied. S3 Error Message: Access Denied"
        ),
    ),
    (
        {"S3Bucket": "code", "S3Key": "no.zip"},
        "InvalidParameterValueException",
        400,
        "Could not unzip uploaded file. Please check your file, then try to upload again.",
    ),
]


@pytest.mark.parametrize(("code", "error", "status", "message"), REFUSED)
def test_refused(client: Any, s3: TinyS3, code: dict[str, str], error: str, status: int, message: str) -> None:
    s3.objects["code", "app.zip", None] = zip_of({"index.py": "x"})
    s3.objects["code", "no.zip", None] = b"no archive"
    for call in (
        lambda: deploy(client, "refused", **code),
        lambda: client.publish_layer_version(LayerName="refused", Content=code),
    ):
        with pytest.raises(ClientError) as refused:
            call()
        answer = refused.value.response
        assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]) == (
            error,
            status,
            message,
        )


async def test_no_more_is_read_than_is_wanted(objects: S3Objects, s3: TinyS3) -> None:
    s3.objects["big", "object", None] = bytes(64 << 20)
    s3.bytes_sent = 0
    with pytest.raises(ObjectTooLargeError):
        await objects.get(S3Object("big", "object"), REGION, 1000)
    assert s3.bytes_sent < 32 << 20
    assert len(await objects.get(S3Object("big", "object"), REGION, 64 << 20)) == 64 << 20


async def test_wrong_keys_are_refused_by_s3(s3: TinyS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAS3KEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    objects = S3Objects(s3.url)
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        await objects.get(S3Object("code", "app.zip"), REGION, 1000)
    objects.close()


async def test_an_endpoint_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAS3KEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3-secret")
    objects = S3Objects("http://127.0.0.1:1")
    with pytest.raises(S3UnreachableError, match=r"The S3 endpoint http://127.0.0.1:1 gave no answer"):
        await objects.get(S3Object("code", "app.zip"), REGION, 1000)
    objects.close()
