"""Package registries of our own, on this machine, for the package managers' real clients."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest


@dataclass
class NpmRegistry:
    """An npm registry: `add` packages, point npm at `url`."""

    url: str = ""
    packages: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    tarballs: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def add(self, name: str, version: str, files: Mapping[str, str], **manifest: Any) -> None:
        described = {"name": name, "version": version, **manifest}
        tarball = _tarball({"package.json": json.dumps(described), **files})
        path = f"/{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode()
        dist = {"tarball": self.url + path, "integrity": integrity}
        self.packages.setdefault(name, {})[version] = {**described, "dist": dist}
        self.tarballs[path] = tarball

    def answer(self, path: str) -> bytes | None:
        path = unquote(path)
        self.requests.append(path)
        if path in self.tarballs:
            return self.tarballs[path]
        versions = self.packages.get(path.lstrip("/"))
        if versions is None:
            return None
        latest = list(versions)[-1]
        document = {"name": path.lstrip("/"), "versions": versions, "dist-tags": {"latest": latest}}
        return json.dumps(document).encode()


def _tarball(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(text.encode())
            info.mode = 0o755 if "bin/" in name else 0o644
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


@pytest.fixture
def npm(tmp_path: Path) -> Iterator[NpmRegistry]:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    registry = NpmRegistry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = registry.answer(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    registry.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A directory of wheels: boto3 2.0 for Python 3.10 and later, 1.0 for all."""
    directory = tmp_path / "wheels"
    directory.mkdir()
    for version, python in (("1.0", ">=3.8"), ("2.0", ">=3.10")):
        info = f"boto3-{version}.dist-info"
        with zipfile.ZipFile(directory / f"boto3-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr("boto3/__init__.py", f"__version__ = '{version}'\n")
            metadata = f"Metadata-Version: 2.1\nName: boto3\nVersion: {version}\nRequires-Python: {python}\n"
            wheel.writestr(f"{info}/METADATA", metadata)
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    return directory


@pytest.fixture
def closed_environ(tmp_path: Path, wheels: Path) -> dict[str, str]:
    """What the package managers see: nothing of this machine's configuration, nothing beyond it."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "PYENV_ROOT": os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv")),
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": str(wheels),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "npm_config_cache": str(tmp_path / "npm-cache"),
        "npm_config_registry": "http://127.0.0.1:1",
        "npm_config_fetch_retries": "0",
    }
