"""The S3 that is in force is the upstream called s3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from lambent.testing.packages import zip_of
from lambent.testing.server import ROLE, RunningServer

pytestmark = pytest.mark.root


@pytest.fixture
def s3_url() -> Iterator[str]:
    """An S3 in which every object is the same deployment package."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = zip_of({"app.py": f"def handler(event, context): return {self.path!r}"})
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join(10)
    server.server_close()


def test_a_function_from_s3_runs(make_server: Callable[..., RunningServer], s3_url: str) -> None:
    server = make_server("--upstream", f"s3={s3_url}", AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b")
    client: Any = server.client("lambda")
    code = {"S3Bucket": "bucket", "S3Key": "key.zip"}
    client.create_function(FunctionName="f", Runtime="python3.11", Handler="app.handler", Role=ROLE, Code=code)
    assert server.invoke("f").payload == "/bucket/key.zip"
