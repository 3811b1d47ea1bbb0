"""Emulators of AWS as processes on the loopback, from the environment that `scripts/setup-emulators` makes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from lambent.testing.server import RunningServer

HOME = Path(__file__).resolve().parents[3] / ".emulators" / "bin"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def _started(command: Sequence[str], environ: Mapping[str, str], port: int, directory: Path) -> Iterator[str]:
    """The URL of a server that accepts connections, killed with all of its children at the end."""
    program = HOME / command[0]
    assert program.exists(), f"{program} is missing: run scripts/setup-emulators"
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=directory,
            env={"PATH": f"{HOME}:{os.environ['PATH']}", "HOME": str(directory), **environ},
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            assert process.poll() is None, (directory / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, "the emulator does not start"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = _free_port()
    environ = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)}
    with _started(["ministack"], environ, port, tmp_path_factory.mktemp("ministack")) as url:
        yield url


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = _free_port()
    command = ["moto_server", "-H", "127.0.0.1", "-p", str(port)]
    with _started(command, {}, port, tmp_path_factory.mktemp("moto")) as url:
        yield url


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with RunningServer(tmp_path_factory.mktemp("lambent") / "data", ("--sandbox", "process")) as server:
        yield server.url
