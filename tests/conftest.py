"""What holds for all tests: who may run which, where installed runtimes are, a real server, the examples."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lambent.packaging.build import zip_directory
from lambent.testing.server import RunningServer

_CHECKOUT = Path(__file__).parents[1]
_INSTALLED = _CHECKOUT / ".runtimes"  # made by scripts/test-runtimes

_NOBODY = 65534

if _INSTALLED.is_dir():
    os.environ.setdefault("LAMBENT_RUNTIMES_DIR", str(_INSTALLED))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    reason = pytest.mark.skip(reason="needs root: sandboxes are made of namespaces, mounts and cgroups")
    for item in items:
        if item.get_closest_marker("root") is not None:
            item.add_marker(reason)


@pytest.fixture(scope="session")
def make_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RunningServer]]:
    """Starts servers, `lambent serve` as a process with the `linux` sandbox; stops them at the end of the session, in
    order."""
    servers: list[RunningServer] = []

    def make(*arguments: str, **environ: str) -> RunningServer:
        server = RunningServer(tmp_path_factory.mktemp("server") / "data", arguments, environ)
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def server(make_server: Callable[..., RunningServer]) -> RunningServer:
    """A server shared by the tests that leave it as it is."""
    return make_server()


@dataclass(frozen=True)
class OrdinaryUser:
    """One who sees this project and its dependencies, and an interpreter to run them with. Used by root."""

    id: int
    python: str

    @staticmethod
    @contextlib.contextmanager
    def home() -> Iterator[Path]:
        """A directory of the user's, where that can get to it."""
        directory = Path(tempfile.mkdtemp(prefix="rootless-", dir="/var/tmp"))
        os.chown(directory, _NOBODY, _NOBODY)
        try:
            yield directory
        finally:
            shutil.rmtree(directory)

    def environ(self, home: Path) -> dict[str, str]:
        """What Python needs to find this project."""
        packages = [path for path in sys.path if path.endswith("site-packages")]
        return {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": os.pathsep.join([str(_CHECKOUT / "src"), *packages]),
            "HOME": str(home),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LAMBENT_RUNTIMES_DIR": str(home / "runtimes"),
        }

    def run(self, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python as the user, to its end."""
        return subprocess.run(
            ["setpriv", "--reuid", str(self.id), "--regid", str(self.id), "--clear-groups", self.python, *arguments],
            env=self.environ(home),
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="session")
def ordinary_user() -> OrdinaryUser:
    """If the machine is so that there can be one."""
    version = f"python3.{sys.version_info.minor}"
    # Twice: the first start may have been possible because `setpriv` was root until then.
    imports = "import lambent, pytest_asyncio, uvloop"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{imports}'], check=True)"
    with OrdinaryUser.home() as home:
        for python in (sys.executable, shutil.which(version, path="/usr/bin:/usr/local/bin") or version):
            user = OrdinaryUser(_NOBODY, python)
            if user.run(home, "-c", program).returncode == 0:
                return user
    pytest.skip("an ordinary user can read neither this interpreter nor another of its version, or not this project")


@dataclass(frozen=True)
class Example:
    """One of examples/, ready to be deployed. `event` is the text of its event.json, empty when it has none."""

    runtime: str
    handler: str
    package: bytes
    event: str


@pytest.fixture(scope="session")
def example(newest: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Example]:
    """An example by name; those that have a `build` are built, once."""
    handlers = {
        "greeting": ("python", "lambda_function.lambda_handler"),
        "api-gateway": ("python", "app.handler"),
        "dynamodb-item": ("nodejs", "index.handler"),
        "thumbnail": ("python", "lambda_function.lambda_handler"),
    }

    @functools.cache
    def load(name: str) -> Example:
        directory = _CHECKOUT / "examples" / name
        language, handler = handlers[name]
        runtime = newest(language)
        source = directory
        if (directory / "build").exists():
            source = tmp_path_factory.mktemp(name)
            command = [str(directory / "build"), str(source), runtime.removeprefix("python")]
            subprocess.run(command, env={**os.environ, "PYTHON": sys.executable}, check=True)
        event = directory / "event.json"
        return Example(runtime, handler, zip_directory(source), event.read_text() if event.exists() else "")

    return load


@pytest.fixture(scope="session")
def grace_hopper() -> bytes:
    """A JPEG of 512x600 pixels."""
    return (_CHECKOUT / "examples/thumbnail/grace_hopper.jpg").read_bytes()


@pytest.fixture(scope="session")
def newest(health: dict[str, Any]) -> Callable[[str], str]:
    """Language → the newest runtime of it that the server found."""

    def find(language: str) -> str:
        found: list[str] = [name for name in health["runtimes"] if name.startswith(language)]
        return max(found, key=lambda name: [int(part) for part in re.findall(r"\d+", name)])

    return find


@pytest.fixture(scope="session")
def health(server: RunningServer) -> dict[str, Any]:
    """What the shared server says of itself, once it has looked for runtimes."""
    return server.health()


def _jpeg_size(data: bytes) -> tuple[int, int]:
    assert data[:2] == b"\xff\xd8", "not a JPEG"
    position = 2
    while data[position + 1] not in (0xC0, 0xC1, 0xC2):  # a frame header, which tells the size
        position += 2 + int.from_bytes(data[position + 2 : position + 4])
    height, width = (int.from_bytes(data[position + at : position + at + 2]) for at in (5, 7))
    assert data.endswith(b"\xff\xd9")
    return width, height


@pytest.fixture(scope="session")
def jpeg_size() -> Callable[[bytes], tuple[int, int]]:
    """A JPEG's width and height in pixels; fails when it is none."""
    return _jpeg_size
