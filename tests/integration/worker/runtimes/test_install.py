"""Installing with the real package managers, from registries on this machine."""

from __future__ import annotations

import fcntl
import platform
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lambent.worker.runtimes import install_node
from lambent.worker.runtimes.catalog import RuntimeCatalog
from lambent.worker.runtimes.identifiers import KNOWN
from lambent.worker.runtimes.install import InstallError, install, statuses
from lambent.worker.runtimes.layout import RuntimesLayout

OWN = f"python{sys.version_info[0]}.{sys.version_info[1]}"


def _quiet(line: str) -> None:
    """A report nobody reads."""


def test_boto3_is_the_newest_that_fits_the_python(tmp_path: Path, closed_environ: dict[str, str]) -> None:
    catalog = RuntimeCatalog(tmp_path, closed_environ)
    wanted = {name: "1.0" if name in ("python3.8", "python3.9") else "2.0" for name in ("python3.8", OWN)}
    for name, version in wanted.items():
        if catalog.find(name) is None:
            continue
        lines: list[str] = []
        (status,) = install(name, tmp_path, lines.append, closed_environ)
        assert (status.identifier, status.sdk_version, status.missing) == (name, version, "")
        assert lines[0] == f"{name}: installing boto3"
        runtime = catalog.find(name)
        assert runtime is not None
        assert runtime.sdk_dir is not None
        assert runtime.sdk_dir.name == f"packages-{version}"
        assert f"__version__ = '{version}'" in (runtime.sdk_dir / "boto3/__init__.py").read_text()
        (compiled,) = (runtime.sdk_dir / "boto3/__pycache__").glob("*.pyc")
        assert name.replace("python", "").replace(".", "") in compiled.name
        assert compiled.read_bytes()[4] == 1  # unchecked, by hash: valid wherever it is mounted
        assert stat.S_IMODE(runtime.sdk_dir.stat().st_mode) == 0o755


def test_installing_again_does_nothing_unless_asked_to(
    tmp_path: Path, closed_environ: dict[str, str], wheels: Path
) -> None:
    (wheels / "boto3-2.0-py3-none-any.whl").rename(tmp_path / "boto3-2.0-py3-none-any.whl")
    (first,) = install(OWN, tmp_path, _quiet, closed_environ)
    assert first.sdk_version == "1.0"
    (tmp_path / "boto3-2.0-py3-none-any.whl").rename(wheels / "boto3-2.0-py3-none-any.whl")
    lines: list[str] = []
    (second,) = install(OWN, tmp_path, lines.append, closed_environ)
    assert second == first
    assert lines[0] == f"{OWN}: the SDK 1.0 is there"
    (third,) = install(OWN, tmp_path, _quiet, closed_environ, refresh=True)
    assert third.sdk_version == "2.0"
    assert (tmp_path / f"{OWN}/packages-1.0/boto3").is_dir()  # running environments may have it mounted


def test_a_failed_installation_leaves_nothing_and_says_why(
    tmp_path: Path, closed_environ: dict[str, str], wheels: Path
) -> None:
    for wheel in wheels.iterdir():
        wheel.unlink()
    with pytest.raises(InstallError) as raised:
        install(OWN, tmp_path, _quiet, closed_environ)
    message = str(raised.value)
    assert message.startswith(f"Could not install boto3 for Python {OWN.removeprefix('python')}: ")
    assert "No matching distribution found for boto3" in message
    assert not list(tmp_path.glob(".new-*"))
    assert not (tmp_path / f"{OWN}").exists()
    catalog = RuntimeCatalog(tmp_path, closed_environ)
    runtime = catalog.find(OWN)
    assert runtime is not None
    assert runtime.sdk_dir is None


def test_remains_of_a_killed_installation_are_removed(tmp_path: Path, closed_environ: dict[str, str]) -> None:
    remains = tmp_path / ".new-dead/packages/boto3"
    remains.mkdir(parents=True)
    install(OWN, tmp_path, _quiet, closed_environ)
    assert not remains.exists()


def test_installations_wait_for_each_other(tmp_path: Path, closed_environ: dict[str, str]) -> None:
    tmp_path.mkdir(exist_ok=True)
    script = "import os, sys\nfrom pathlib import Path\nfrom lambent.worker.runtimes.install import install\n"
    script += f"install({OWN!r}, Path(sys.argv[1]), print, os.environ)"
    with (tmp_path / ".install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], env=closed_environ) as process:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1.0)
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert process.wait(30) == 0
    assert (tmp_path / f"{OWN}/site-packages/boto3").is_dir()


def test_unknown_runtimes_and_missing_tools(tmp_path: Path, closed_environ: dict[str, str]) -> None:
    with pytest.raises(InstallError, match=r"The runtime java21 cannot be run here"):
        install("java21", tmp_path, _quiet, closed_environ)
    environ = {**closed_environ, "PATH": str(tmp_path)}
    layout = RuntimesLayout(tmp_path)
    with pytest.raises(InstallError, match=r"Could not look up Node.js 22: npm is not installed, or not on PATH\."):
        install_node.install_interpreter(KNOWN["nodejs22.x"], layout, environ, _quiet)


def test_node_comes_from_npm_at_the_newest_version_of_its_major(
    tmp_path: Path, closed_environ: dict[str, str], npm: Any
) -> None:
    package = f"node-linux-{install_node._MACHINES[platform.machine()]}"
    for version in ("22.9.0", "22.11.0", "22.12.0-rc.1", "23.0.0", "2.22.0"):
        npm.add(package, version, {"bin/node": f"#!/bin/sh\necho {version}\n"})
    environ = {**closed_environ, "npm_config_registry": npm.url}
    layout = RuntimesLayout(tmp_path)
    layout.root.mkdir(exist_ok=True)
    install_node.install_interpreter(KNOWN["nodejs22.x"], layout, environ, _quiet)
    node = layout.node_prefix("nodejs22.x") / "bin/node"
    assert subprocess.run([node], capture_output=True, text=True, check=True).stdout == "22.11.0\n"
    assert node.resolve() == layout.root / "nodejs22.x/node-22.11.0/bin/node"
    with pytest.raises(InstallError, match=r"has no node-linux-\w+ of version 24\."):
        install_node.install_interpreter(KNOWN["nodejs24.x"], layout, environ, _quiet)
    assert not list(layout.root.glob(".new-*"))


def _publish_sdk(npm: Any, version: str, node: str, code: str = "module.exports = 1") -> None:
    for name in install_node.SDK_PACKAGES:
        npm.add(f"@aws-sdk/{name}", version, {"index.js": code}, engines={"node": f">={node}"})


def test_the_sdk_is_the_newest_that_supports_the_node(tmp_path: Path, closed_environ: dict[str, str], npm: Any) -> None:
    environ = {**closed_environ, "npm_config_registry": npm.url}
    catalog = RuntimeCatalog(tmp_path, environ)
    found = [runtime for runtime in catalog.installed() if runtime.language == "nodejs"]
    if not found:
        pytest.skip("no Node.js on this machine")
    name = found[0].identifier
    _publish_sdk(npm, "3.901.0", "18.0.0")
    _publish_sdk(npm, "3.1000.0", "18.0.0")
    _publish_sdk(npm, "3.1001.0", "99.0.0")
    (status,) = install(name, tmp_path, _quiet, environ)
    assert status.sdk_version == "3.1000.0"
    runtime = catalog.find(name)
    assert runtime is not None
    modules = runtime.sdk_dir and runtime.sdk_dir / "node_modules"
    assert [bind.target for bind in runtime.binds if bind.source == modules] == [
        "/var/runtime/node_modules",
        "/var/node_modules",
    ]

    _publish_sdk(npm, "3.1002.0", "18.0.0", code="throw new Error('needs a newer Node.js')")
    environ["npm_config_prefer_online"] = "true"
    with pytest.raises(InstallError, match=r"(?s)Could not load the AWS SDK just installed.*needs a newer Node\.js"):
        install(name, tmp_path, _quiet, environ, refresh=True)
    assert catalog.find(name) == runtime
    assert not (tmp_path / "node-sdk/3.1002.0").exists()


def test_statuses_tell_what_is_there_and_what_to_do(tmp_path: Path, closed_environ: dict[str, str]) -> None:
    install(OWN, tmp_path, _quiet, closed_environ)
    by_name = {status.identifier: status for status in statuses(tmp_path, closed_environ)}
    assert set(by_name) == set(KNOWN)
    own = by_name[OWN]
    assert own.interpreter_version.startswith(OWN.removeprefix("python") + ".")
    assert (own.sdk_version, own.missing) == ("2.0", "")
    assert own.interpreter is not None
    assert own.interpreter.is_file()
    for status in by_name.values():
        if status.identifier.startswith("provided"):
            assert status.missing == ""
        elif status.interpreter is None:
            assert status.missing.endswith(f"Add it with: lambent runtimes install {status.identifier}")
        elif not status.sdk_version:
            assert status.missing == (
                f"The AWS SDK is missing. Add it with: lambent runtimes install {status.identifier}"
            )
