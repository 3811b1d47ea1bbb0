"""The pytest plugin: a server of its own for each test that asks for one (docs/how-to/test.md).

It imports what it needs when a fixture is used: having the plugin costs a test run nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lambent.testing.server import RunningServer

Deploy = Callable[..., str]
Advance = Callable[[float], None]
WaitForIdle = Callable[[], None]
Logs = Callable[[str], list[str]]

_SETTINGS = {
    "lambent_sandbox": ("Isolation of functions: linux (default), or process for NONE.", "linux"),
    "lambent_arguments": ("Further arguments of `lambent serve`, e.g. --iam enforce.", ""),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Settings of the configuration file."""
    for name, (text, default) in _SETTINGS.items():
        parser.addini(name, text, default=default)


@pytest.fixture
def lambent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningServer]:
    """A running server with `--dev`, on a free port, with a data directory of its own; stopped after the test."""
    from lambent.testing.server import RunningServer

    settings = request.config
    arguments = ("--dev", "--sandbox", settings.getini("lambent_sandbox"))
    with RunningServer(tmp_path / "lambent", (*arguments, *settings.getini("lambent_arguments").split())) as server:
        yield server


@pytest.fixture
def deploy(lambent: RunningServer) -> Deploy:
    """`deploy(name, code, **settings)` creates a function and waits until it is active; returns its name.

    `code`: the text of a Python module, a directory, or a mapping of file names to contents. `settings`: those of
    CreateFunction; without them the runtime is that of the tests, the handler `app.handler` (a module's text is
    `app.py`).
    """

    def make(name: str, code: str | Path | Mapping[str, str | bytes], **settings: Any) -> str:
        from lambent.testing.packages import files_in

        settings.setdefault("Runtime", f"python{sys.version_info.major}.{sys.version_info.minor}")
        files = {"app.py": code} if isinstance(code, str) else files_in(code) if isinstance(code, Path) else code
        lambent.deploy(name, files, **settings)
        return name

    return make


@pytest.fixture
def advance(lambent: RunningServer) -> Advance:
    """`advance(seconds)` moves the server's clock on; what becomes due on the way has happened when it returns."""
    return lambda seconds: _move(lambent, "advance", seconds=seconds)


@pytest.fixture
def wait_for_idle(lambent: RunningServer) -> WaitForIdle:
    """`wait_for_idle()` moves the clock on until nothing waits: retries are over, records delivered, queues drained."""
    return lambda: _move(lambent, "run-until-idle")


@pytest.fixture
def logs(lambent: RunningServer) -> Logs:
    """`logs(name)`: the messages in a function's log group."""
    return lambent.logs


def _move(server: RunningServer, action: str, **parameters: float) -> None:
    server.clock(action, **parameters)
