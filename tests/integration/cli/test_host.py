"""`lambent doctor` and `lambent runtimes`: what this machine has, and how installing fails. They need no server."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lambent.worker.runtimes.identifiers import KNOWN

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shared() -> str:
    """The runtimes directory of the tests."""
    directory = os.environ.get("LAMBENT_RUNTIMES_DIR")
    if directory is None or not Path(directory, "nodejs22.x").is_dir():
        pytest.skip("the runtimes for tests are not installed: run scripts/test-runtimes")
    return directory


@pytest.fixture
def refusing_registry() -> Iterator[str]:
    """The URL of a registry that answers 403 to everything."""

    class Refuse(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(403)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as registry:
        thread = threading.Thread(target=registry.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{registry.server_port}/"
        registry.shutdown()
        thread.join()


@pytest.mark.root
def test_doctor(lambent: Command, shared: str, tmp_path: Path) -> None:
    done = lambent("doctor", "--data-dir", str(tmp_path / "data"), "--runtimes-dir", shared)
    assert (done.returncode, done.stderr) == (0, "")
    first, *_ = lines = done.stdout.splitlines()
    assert first.startswith("Host: Linux ")
    assert first.endswith(f"MB free at {tmp_path / 'data'}")
    assert "Sandbox linux: usable" in lines
    assert {line.split()[0] for line in lines[lines.index("Sandbox linux: usable") + 2 :] if line} >= {"yes"}
    (network,) = [line for line in lines if line.startswith("The internet for functions (linux): ")]
    told = json.loads(
        lambent("doctor", "--json", "--data-dir", str(tmp_path / "data"), LAMBENT_RUNTIMES_DIR=shared).stdout
    )
    assert told["sandbox"]["usable"]
    assert network.endswith(told["sandbox"]["why_no_network"] or told["sandbox"]["network"])
    assert [runtime["name"] for runtime in told["runtimes"]] == list(KNOWN)
    assert next(runtime for runtime in told["runtimes"] if runtime["name"] == "nodejs22.x")["sdk"]
    assert told["host"]["cpus"] == os.cpu_count()


def test_runtimes_are_listed(lambent: Command, shared: str) -> None:
    done = lambent("runtimes", LAMBENT_RUNTIMES_DIR=shared)
    assert (done.returncode, done.stderr) == (0, "")
    header, *rows = done.stdout.splitlines()
    assert header.split() == ["NAME", "VERSION", "SDK", "ADVICE"]
    assert [row.split()[0] for row in rows] == list(KNOWN)
    told = {item["name"]: item for item in json.loads(lambent("runtimes", "--json", "--runtimes-dir", shared).stdout)}
    installed = told["nodejs22.x"]  # by scripts/test-runtimes
    assert installed["interpreter_version"].startswith("22.")
    assert installed["interpreter"].startswith(str(Path(shared) / "nodejs22.x"))
    assert (installed["sdk_version"][:2], installed["advice"]) == ("3.", "")
    for name, item in told.items():
        if KNOWN[name].language != "provided" and item["interpreter"] is None:
            assert item["advice"].endswith(f"Add it with: lambent runtimes install {name}")
    [one] = json.loads(lambent("runtimes", "list", "nodejs22.x", "--json", LAMBENT_RUNTIMES_DIR=shared).stdout)
    assert one == installed


def test_what_is_complete_is_not_installed_again(lambent: Command, shared: str) -> None:
    done = lambent("runtimes", "install", "nodejs22.x", "--runtimes-dir", shared)
    assert (done.returncode, done.stdout) == (0, "")
    there, complete = done.stderr.splitlines()
    assert there.startswith("nodejs22.x: the SDK 3.")
    assert complete.startswith("nodejs22.x: complete (interpreter 22.")
    [told] = json.loads(lambent("runtimes", "install", "nodejs22.x", "--json", "--runtimes-dir", shared).stdout)
    assert told["name"] == "nodejs22.x"


def test_unknown_runtimes_are_refused(lambent: Command, tmp_path: Path) -> None:
    done = lambent("runtimes", "install", "java21", "provided.al2", "--data-dir", str(tmp_path))
    assert done.returncode == 1
    nothing, refusal = done.stderr.splitlines()  # one name does not keep the others from being installed
    assert nothing == "provided.al2: nothing to install"
    assert refusal.startswith("lambent: The runtime java21 cannot be run here; the runtimes that can are: python3.8")
    done = lambent("runtimes", "list", "java21", "--data-dir", str(tmp_path))
    assert (done.returncode, done.stderr[:40]) == (1, "lambent: there is no runtime java21 here")
    assert lambent("runtimes", "remove").returncode == 2


def test_a_registry_that_refuses_is_told_with_its_words(
    lambent: Command, refusing_registry: str, tmp_path: Path
) -> None:
    found = json.loads(lambent("runtimes", "--json", "--data-dir", str(tmp_path)).stdout)
    python = next(item["name"] for item in found if item["name"].startswith("python") and item["interpreter"])
    environ = {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_INDEX_URL": refusing_registry + "simple",
        "PIP_FIND_LINKS": "",
        "PIP_RETRIES": "0",
        "npm_config_registry": refusing_registry,
        "npm_config_fetch_retries": "0",
    }
    for name, what, words in (
        (python, "install boto3 for Python", "No matching distribution found for boto3"),
        ("nodejs26.x", "look up Node.js 26", "403 Forbidden"),
    ):
        done = lambent("runtimes", "install", name, "--data-dir", str(tmp_path), **environ)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"lambent: Could not {what}" in done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert [path.name for path in (tmp_path / "runtimes").iterdir() if path.name.startswith(name)] == []


def test_settings_that_cannot_be_used_are_told(lambent: Command) -> None:
    done = lambent("doctor", LAMBENT_PORT="many")
    assert done.returncode == 2
    assert done.stderr == "lambent: LAMBENT_PORT: port must be a whole number from 0 to 65535, not 'many'\n"


def test_help_and_version(lambent: Command) -> None:
    told = lambent("--help").stdout
    for command in ("serve", "deploy", "invoke", "logs", "list", "delete", "doctor", "runtimes"):
        assert f"\n    {command} " in told
        assert lambent(command, "--help").returncode == 0
    assert lambent("--version").stdout.startswith("lambent ")
    assert lambent().returncode == 2
