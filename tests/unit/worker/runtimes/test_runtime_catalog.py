"""The catalog over the interpreters of this machine and over made-up ones."""

from __future__ import annotations

import json
import os
import shlex
import stat
import sys
from pathlib import Path

import pytest

from lambent.worker import failures
from lambent.worker.runtimes.catalog import PROVIDED_BOOTSTRAPS, RuntimeCatalog, provided_argv
from lambent.worker.runtimes.identifiers import KNOWN
from lambent.worker.runtimes.probe import Prober
from lambent.worker.sandbox.api import Bind

OWN = f"python{sys.version_info[0]}.{sys.version_info[1]}"
OWN_ENVIRON = {"PATH": f"{sys.base_prefix}/bin", "HOME": "/nonexistent"}


@pytest.fixture
def catalog(tmp_path: Path) -> RuntimeCatalog:
    return RuntimeCatalog(tmp_path, OWN_ENVIRON)


def test_the_running_python_is_found_at_its_version(catalog: RuntimeCatalog, tmp_path: Path) -> None:
    runtime = catalog.find(OWN)
    assert runtime is not None
    assert runtime.interpreter_version == "{}.{}.{}".format(*sys.version_info[:3])
    assert runtime.argv == (f"/var/lang/bin/{OWN}", "-S", "/var/runtime/bootstrap.py")
    targets = [bind.target for bind in runtime.binds]
    assert targets[0] == "/var/lang"
    assert targets[-2:] == [f"/var/lang/lib/{OWN}/site-packages", "/var/runtime"]
    assert runtime.binds[-2].source == tmp_path / "empty"
    assert list(runtime.binds[-2].source.iterdir()) == []
    assert (runtime.prefix, runtime.binds[0].target) == (runtime.binds[0].source, "/var/lang")
    assert runtime.execution_env == f"AWS_Lambda_{OWN}"
    assert runtime.version_label == f"python:{OWN.removeprefix('python')}.v1"
    assert len(bytes.fromhex(runtime.version_hash)) == 32
    assert runtime.env["PATH"] == "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin"
    assert runtime.env["PYTHONPATH"] == "/var/runtime"
    assert runtime.env["LD_LIBRARY_PATH"].startswith("/var/lang/lib:")
    assert runtime.sdk_dir is None


def test_the_guest_is_compiled_and_open_to_all(catalog: RuntimeCatalog) -> None:
    runtime = catalog.find(OWN)
    assert runtime is not None
    guest = runtime.binds[-1].source
    modules = {path.stem for path in (guest / "_lambda_runtime").glob("*.py")}
    compiled = {path.name.split(".")[0] for path in (guest / "_lambda_runtime/__pycache__").glob("*.pyc")}
    assert modules == compiled
    assert "loop" in modules
    for path in [guest, *guest.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o755 if path.is_dir() else 0o644)


def test_finding_again_is_the_same_and_survives_restarts(catalog: RuntimeCatalog, tmp_path: Path) -> None:
    first = catalog.find(OWN)
    assert catalog.find(OWN) is first
    again = RuntimeCatalog(tmp_path, OWN_ENVIRON)
    assert again.find(OWN) == first
    assert not list((tmp_path / "guest").glob(".new-*"))


def test_an_installed_sdk_is_mounted_without_a_restart(catalog: RuntimeCatalog, tmp_path: Path) -> None:
    assert catalog.find(OWN) is not None
    packages = tmp_path / f"{OWN}/packages-1.0"
    packages.mkdir(parents=True)
    (tmp_path / f"{OWN}/site-packages").symlink_to("packages-1.0")
    runtime = catalog.find(OWN)
    assert runtime is not None
    assert Bind(packages, f"/var/lang/lib/{OWN}/site-packages") in runtime.binds
    assert runtime.sdk_dir == packages


def _fake(path: Path, answer: dict[str, str]) -> Path:
    """Something that runs and answers like an interpreter, through the binary that the search insists on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho run >> {shlex.quote(str(path))}.runs\necho {shlex.quote(json.dumps(answer))}\n")
    path.chmod(0o755)
    return path


def test_answers_are_remembered_until_the_file_changes(tmp_path: Path) -> None:
    answer = {"version": "3.12.1", "prefix": "/p", "library": "/p/lib", "tag": "cpython-312"}
    path = _fake(tmp_path / "python3.12", answer)
    for _ in range(2):  # the second from the file
        prober = Prober(tmp_path / "cache/probes.json")
        for _ in range(2):
            interpreter = prober.ask("python", path)
            assert interpreter is not None
            assert interpreter.version == "3.12.1"
            assert interpreter.is_version((3, 12))
            assert not interpreter.is_version((3, 1))
    assert (tmp_path / "python3.12.runs").read_text() == "run\n"
    _fake(path, {**answer, "version": "3.12.10"})
    os.utime(path, ns=(1, 1))
    changed = prober.ask("python", path)
    assert changed is not None
    assert changed.version == "3.12.10"
    (tmp_path / "cache/probes.json").write_text("{damaged")
    assert Prober(tmp_path / "cache/probes.json").ask("python", path) == changed


def test_what_does_not_run_is_no_interpreter(tmp_path: Path) -> None:
    path = tmp_path / "python3.12"
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    assert Prober(tmp_path / "probes.json").ask("python", path) is None
    path.write_text("#!/bin/sh\necho no json\n")
    assert Prober(tmp_path / "probes.json").ask("python", path) is None
    _fake(path, {"version": "3.15.0", "level": "alpha"})
    assert Prober(tmp_path / "probes.json").ask("python", path) is None


def test_another_version_is_never_taken(tmp_path: Path) -> None:
    """A binary named as if it were 3.14 that is something else."""
    real = Path(sys.base_prefix) / "bin" / OWN
    prefix = tmp_path / "home/.pyenv/versions/3.14.0"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin/python3.14").symlink_to(real)
    catalog = RuntimeCatalog(tmp_path, {"PATH": "", "HOME": str(tmp_path / "home")})
    assert catalog.find("python3.14") is None


def test_what_is_missing_is_said_with_the_command(catalog: RuntimeCatalog) -> None:
    expected = "No Python 3.14 was found on this host. Add it with: lambent runtimes install python3.14"
    assert catalog.missing_message("python3.14") == expected
    assert "No Node.js 24 was found" in catalog.missing_message("nodejs24.x")
    unknown = catalog.missing_message("java21")
    assert unknown.startswith("The runtime java21 cannot be run here; the runtimes that can are: python3.8, ")
    assert catalog.find("java21") is None


def test_identifiers() -> None:
    assert set(KNOWN) >= {f"python3.{minor}" for minor in range(8, 16)}
    assert set(KNOWN) >= {"nodejs18.x", "nodejs20.x", "nodejs22.x", "nodejs24.x", "provided.al2", "provided.al2023"}
    assert KNOWN["provided.al2023"].label == "provided:al2023"
    assert KNOWN["nodejs22.x"].label == "nodejs:22"


def test_provided_runtimes_need_only_a_bootstrap(catalog: RuntimeCatalog, tmp_path: Path) -> None:
    runtime = catalog.find("provided.al2023")
    assert runtime is not None
    assert (runtime.argv, runtime.binds, runtime.execution_env, runtime.needs_init) == ((), (), None, True)
    code, first, second = tmp_path / "code", tmp_path / "layer1", tmp_path / "layer2"
    for directory in (code, first, second):
        directory.mkdir()
    assert provided_argv(code, [first, second]) is None
    (second / "bootstrap").touch()
    assert provided_argv(code, [first, second]) == ("/opt/bootstrap",)
    (code / "bootstrap").mkdir()
    assert provided_argv(code, [first, second]) == ("/opt/bootstrap",)
    (code / "bootstrap").rmdir()
    (code / "bootstrap").touch()
    assert provided_argv(code, [first, second]) == ("/var/task/bootstrap",)
    failure = failures.invalid_entrypoint("id-1", PROVIDED_BOOTSTRAPS)
    assert json.loads(failure.payload)["errorMessage"] == (
        "RequestId: id-1 Error: Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"
    )


def test_node_gets_heap_limits_below_the_functions_memory(tmp_path: Path) -> None:
    catalog = RuntimeCatalog(tmp_path, os.environ)
    node = next((runtime for runtime in catalog.installed() if runtime.language == "nodejs"), None)
    if node is None:
        pytest.skip("no Node.js on this machine")
    command = node.command(1000)
    assert command[0] == "/var/lang/bin/node"
    assert command[-3:] == ("--max-semi-space-size=33", "--max-old-space-size=900", "/var/runtime/index.cjs")
    assert node.command(1000, "--max_old_space_size=100") == node.argv
    assert [bind.target for bind in node.binds][-1] == "/var/runtime"
    assert (node.binds[-1].source / "node_modules").is_dir()


def test_variables_that_are_read_at_the_start_need_a_start(tmp_path: Path) -> None:
    catalog = RuntimeCatalog(tmp_path, os.environ)
    node = next((runtime for runtime in catalog.installed() if runtime.language == "nodejs"), None)
    if node is None:
        pytest.skip("no Node.js on this machine")
    assert node.head_start is not None
    assert node.binds == node.head_start.binds
    assert node.may_start_ahead({"TZ": "Europe/Berlin", "NODE_ENV": "production", "PATH": "/bin", "A": "1"})
    assert node.may_start_ahead({"NODE_PATH": node.env["NODE_PATH"]})
    at_start = ("NODE_OPTIONS", "NODE_EXTRA_CA_CERTS", "NODE_PATH", "LD_PRELOAD", "LANG", "LC_ALL", "OPENSSL_CONF")
    for name in (*at_start, "UV_THREADPOOL_SIZE", "SSL_CERT_FILE", "AWS_LAMBDA_EXEC_WRAPPER"):
        assert not node.may_start_ahead({name: "/x"}), name
    python = next(runtime for runtime in catalog.installed() if runtime.language == "python")
    assert not python.may_start_ahead({})
