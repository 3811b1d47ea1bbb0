"""`lambent serve`: what it does on a host that is not as it should be, and when it is told to stop early."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from lambent.testing.server import RunningServer


def test_a_runtimes_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """The server runs, and stops when it is told to; once the directory is as it should be, it finds runtimes."""
    (tmp_path / "file").touch()
    environ = {"LAMBENT_RUNTIMES_DIR": str(tmp_path / "file" / "runtimes")}
    server = RunningServer(tmp_path / "data", ("--sandbox", "process"), environ)
    server.start()
    assert server.health()["runtimes"] == []
    assert "cannot look for runtimes: " in server.log.read_text()
    (tmp_path / "file").unlink()
    while not server.health()["runtimes"]:
        time.sleep(0.05)
    assert server.stop() == 0


def test_it_stops_also_before_it_has_found_its_runtimes(tmp_path: Path) -> None:
    """An interpreter that never answers is asked in a thread; the server does not wait for it to be told to stop."""
    slow = tmp_path / "bin" / f"python3.{sys.version_info.minor}"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 1\n")
    slow.chmod(0o755)
    command = [sys.executable, "-m", "lambent.cli.main", "serve", "--sandbox", "process", "--port", "0"]
    environ = os.environ | {"PATH": f"{slow.parent}:/usr/bin:/bin", "LAMBENT_RUNTIMES_DIR": str(tmp_path / "runtimes")}
    with subprocess.Popen(
        [*command, "--data-dir", str(tmp_path / "data")], stdout=subprocess.PIPE, text=True, env=environ
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("data"):
                break
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
    assert process.returncode == 0
    assert rest.startswith("stopping")
