"""A peer as processes: where it is installed, a free port, started in a session of its own and ended with all of it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import processes

HOME = Path(__file__).resolve().parent.parent.parent / ".bench-peers"
"""What `scripts/bench-peers` made."""

_START_S = 30.0


class PeerError(Exception):
    """A peer is not installed, or does not start; the message says what to do."""


def program(name: str) -> str:
    """The path of an installed program. Raises PeerError."""
    path = HOME / "bin" / name
    if not path.exists():
        raise PeerError(f"{path} is missing: run scripts/bench-peers")
    return str(path)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def started(command: Sequence[str], port: int, environ: Mapping[str, str], cwd: Path) -> Iterator[processes.Started]:
    """Run a server until the end; yields its process once it accepts connections on `port`. Raises PeerError."""
    log = cwd / "peer.log"
    begun = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=cwd, start_new_session=True,
            env={"PATH": f"{HOME / 'bin'}:{os.environ['PATH']}", "HOME": str(cwd), **environ},
        )  # fmt: skip
    try:
        _wait_for(process, port, log)
        yield processes.Started(process.pid, time.monotonic() - begun)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise PeerError(f"the peer does not start: {log.read_text('utf-8', 'replace')[-500:]}") from error
            time.sleep(0.02)
        else:
            return
