"""The API client the commands use: botocore, pointed at the server, with errors turned into one line."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config as ClientConfig
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from lambent.cli.errors import CommandError
from lambent.config import default_data_dir

_ANY_KEYS = {"aws_access_key_id": "lambent", "aws_secret_access_key": "lambent"}
READ_TIMEOUT_S = 960  # longer than the longest function


def endpoint_url(options: Namespace) -> str:
    """The server to talk to."""
    default = f"http://127.0.0.1:{os.environ.get('LAMBENT_PORT', '4566')}"
    return (options.endpoint_url or os.environ.get("LAMBENT_ENDPOINT_URL") or default).rstrip("/")


def client(options: Namespace, service: str) -> Any:
    """A botocore client of the server. Keys: the usual AWS ones, else those of the server's data directory if they
    can be read, else any (`--auth none` takes them)."""
    session = botocore.session.Session()
    keys: dict[str, Any] = {}
    if session.get_credentials() is None:
        keys = _own_keys() or _ANY_KEYS
    return session.create_client(
        service,
        region_name=_region(options),
        endpoint_url=endpoint_url(options),
        verify=_ca_bundle(options),
        config=ClientConfig(
            read_timeout=READ_TIMEOUT_S,
            connect_timeout=5,
            retries={"total_max_attempts": 1},
            tcp_keepalive=True,
            inject_host_prefix=False,  # stream-127.0.0.1 is no host
        ),
        **keys,
    )


def report(options: Namespace, path: str) -> dict[str, Any]:
    """One of the server's own reports, asked for with a signature of the same keys. Raises CommandError."""
    keys = _own_keys() or _ANY_KEYS
    own = Credentials(keys["aws_access_key_id"], keys["aws_secret_access_key"])
    credentials = botocore.session.Session().get_credentials() or own
    request = AWSRequest("GET", endpoint_url(options) + path)
    SigV4Auth(credentials, "lambent", _region(options)).add_auth(request)
    prepared = request.prepare()
    signed = urllib.request.Request(prepared.url, headers=dict(prepared.headers.items()))  # noqa: S310
    try:
        with urllib.request.urlopen(signed, timeout=READ_TIMEOUT_S, context=_trust(options)) as response:  # noqa: S310
            document: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            raise CommandError(_refusal(error.read())) from None
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise CommandError(_no_server(endpoint_url(options), error)) from None
    return document


def health(options: Namespace) -> dict[str, Any]:
    """What the server says of itself."""
    url = endpoint_url(options) + "/_lambent/health"
    try:
        with urllib.request.urlopen(url, timeout=5, context=_trust(options)) as response:  # noqa: S310 - the user's own endpoint
            document: dict[str, Any] = json.load(response)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise CommandError(_no_server(endpoint_url(options), error)) from None
    return document


def _ca_bundle(options: Namespace) -> str | None:
    """Certificates to trust: AWS_CA_BUNDLE, else those of a server of this machine with `--tls auto`."""
    if not endpoint_url(options).startswith("https:"):
        return None
    own = _data_dir() / "tls" / "ca.pem"
    return os.environ.get("AWS_CA_BUNDLE") or (str(own) if own.exists() else None)


def _trust(options: Namespace) -> ssl.SSLContext | None:
    if not endpoint_url(options).startswith("https:"):
        return None
    return ssl.create_default_context(cafile=_ca_bundle(options))


@contextmanager
def one_line_errors(options: Namespace) -> Iterator[None]:
    """Turn what a client raises into a `CommandError`."""
    try:
        yield
    except EndpointConnectionError as error:
        raise CommandError(_no_server(endpoint_url(options), error)) from None
    except ClientError as error:
        details = error.response.get("Error", {})
        raise CommandError(f"{details.get('Code', 'Error')}: {details.get('Message', error)}") from None
    except BotoCoreError as error:
        raise CommandError(str(error)) from None


def error_code(error: ClientError) -> str:
    """The error's code, e.g. ResourceNotFoundException."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _region(options: Namespace) -> str:
    named = options.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return str(named or "us-east-1")


def _refusal(body: bytes) -> str:
    try:
        answer = json.loads(body)
        return f"{answer['code']}: {answer['message']}"
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace")[:300]


def _no_server(url: str, error: Exception) -> str:
    return f"no server answers at {url} ({error}). Start one with `lambent serve`, or name it with --endpoint-url."


def _data_dir() -> Path:
    return Path(os.environ.get("LAMBENT_DATA_DIR") or default_data_dir(os.environ))


def _own_keys() -> dict[str, str] | None:
    file = _data_dir() / "credentials"
    keys: dict[str, Any] = {}
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, equals, value = line.partition("=")
        if equals and name.strip() in {"aws_access_key_id", "aws_secret_access_key"}:
            keys[name.strip()] = value.strip()
    return keys if len(keys) == 2 else None
