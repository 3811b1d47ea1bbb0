"""A server that speaks TLS, with real clients."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable

import pytest
from botocore.exceptions import SSLError

from lambent.testing.server import RunningServer


@pytest.fixture
def server(make_server: Callable[..., RunningServer]) -> RunningServer:
    return make_server("--tls", "auto", "--sandbox", "process")


def test_boto3_the_aws_cli_and_our_own_commands(server: RunningServer) -> None:
    server.deploy("hello", {"app.py": "def handler(event, context): return [event, 'hello']"})
    assert server.invoke("hello", "x" * 300_000).payload == ["x" * 300_000, "hello"]
    location = server.client("lambda").get_function(FunctionName="hello")["Code"]["Location"]
    assert location.startswith("https://")
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    environ = {**os.environ, **keys, "AWS_CA_BUNDLE": str(server.authority)}
    aws = [sys.executable, "-m", "awscli", "--endpoint-url", server.url, "lambda", "list-functions"]
    assert "hello" in subprocess.run(aws, env=environ, check=True, capture_output=True, text=True).stdout
    command = [sys.executable, "-m", "lambent.cli.main", "invoke", "hello", "--endpoint-url", server.url]
    environ = {**environ, "LAMBENT_DATA_DIR": str(server.data_dir)}
    del environ["AWS_CA_BUNDLE"]  # found in the data directory
    done = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
    assert '"hello"' in done.stdout


def test_whoever_does_not_trust_the_authority_refuses(server: RunningServer) -> None:
    import boto3

    client = boto3.client(
        "lambda", region_name="us-east-1", endpoint_url=server.url, aws_access_key_id="a", aws_secret_access_key="b"
    )
    with pytest.raises(SSLError):
        client.list_functions()


def test_what_is_not_tls_or_breaks_off_harms_nobody(server: RunningServer) -> None:
    for bytes_ in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01", b""):
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            sock.sendall(bytes_)
            sock.shutdown(socket.SHUT_WR)
            sock.settimeout(5)
            assert b"HTTP/1.1 200" not in sock.recv(1000)
    trusted = ssl.create_default_context(cafile=server.authority)
    raw = socket.create_connection(("127.0.0.1", server.port))
    with trusted.wrap_socket(raw, server_hostname="localhost") as sock:
        sock.sendall(b"POST /2015-03-31/functions HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 413")
    assert server.health()["ready"]
    assert "Traceback" not in server.log.read_text()


def test_tls_1_2_is_still_spoken(server: RunningServer) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(server.authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    raw = socket.create_connection(("127.0.0.1", server.port))
    with context.wrap_socket(raw, server_hostname="127.0.0.1") as sock:
        assert sock.version() == "TLSv1.2"
