"""Where interpreters are looked for, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from lambent.worker.runtimes.identifiers import KNOWN
from lambent.worker.runtimes.layout import RuntimesLayout
from lambent.worker.runtimes.search import candidates


def _binary(path: Path, content: bytes = b"\x7fELF rest") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _found(tmp_path: Path, identifier: str, **environ: str) -> list[str]:
    environ = {"HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "bin"), **environ}
    layout = RuntimesLayout(tmp_path / "data/runtimes")
    paths = candidates(KNOWN[identifier], layout, environ)
    return [str(path.relative_to(tmp_path)) for path in paths if path.is_relative_to(tmp_path)]


def test_pythons_come_installed_first_then_from_managers_then_from_path(tmp_path: Path) -> None:
    home = tmp_path / "home"
    _binary(tmp_path / "bin/python3.12")
    _binary(home / ".pyenv/versions/3.12.1/bin/python3.12")
    _binary(home / ".pyenv/versions/3.12.10/bin/python3.12")
    _binary(home / ".pyenv/versions/3.11.7/bin/python3.11")
    _binary(home / ".local/share/uv/python/cpython-3.12.4-linux-x86_64-gnu/bin/python3.12")
    _binary(home / ".asdf/installs/python/3.12.2/bin/python3.12")
    _binary(home / ".local/share/mise/installs/python/3.12.3/bin/python3.12")
    _binary(tmp_path / "data/runtimes/python/cpython-3.12.0-linux-x86_64-gnu/bin/python3.12")
    assert _found(tmp_path, "python3.12") == [
        "data/runtimes/python/cpython-3.12.0-linux-x86_64-gnu/bin/python3.12",
        "home/.pyenv/versions/3.12.10/bin/python3.12",
        "home/.pyenv/versions/3.12.1/bin/python3.12",
        "home/.local/share/uv/python/cpython-3.12.4-linux-x86_64-gnu/bin/python3.12",
        "home/.asdf/installs/python/3.12.2/bin/python3.12",
        "home/.local/share/mise/installs/python/3.12.3/bin/python3.12",
        "bin/python3.12",
    ]


def test_3_1_is_not_3_10(tmp_path: Path) -> None:
    _binary(tmp_path / "home/.pyenv/versions/3.1.5/bin/python3.1")
    _binary(tmp_path / "home/.pyenv/versions/3.10.5/bin/python3.10")
    assert _found(tmp_path, "python3.10") == ["home/.pyenv/versions/3.10.5/bin/python3.10"]


def test_nodes(tmp_path: Path) -> None:
    home = tmp_path / "home"
    _binary(home / ".nvm/versions/node/v22.9.0/bin/node")
    _binary(home / ".nvm/versions/node/v22.11.0/bin/node")
    _binary(home / ".nvm/versions/node/v20.1.0/bin/node")
    _binary(home / ".local/share/fnm/node-versions/v22.1.0/installation/bin/node")
    _binary(home / ".volta/tools/image/node/22.2.0/bin/node")
    _binary(home / ".asdf/installs/nodejs/22.3.0/bin/node")
    _binary(tmp_path / "data/runtimes/nodejs22.x/node/bin/node")
    _binary(tmp_path / "bin/node")
    found = _found(tmp_path, "nodejs22.x")
    assert found[0] == "data/runtimes/nodejs22.x/node/bin/node"
    assert found[1:3] == ["home/.nvm/versions/node/v22.11.0/bin/node", "home/.nvm/versions/node/v22.9.0/bin/node"]
    assert "home/.nvm/versions/node/v20.1.0/bin/node" not in found
    assert found[-1] == "bin/node"
    assert len(found) == 7


@pytest.mark.parametrize("variable", ["PYENV_ROOT", "ASDF_DATA_DIR", "UV_PYTHON_INSTALL_DIR"])
def test_managers_elsewhere(tmp_path: Path, variable: str) -> None:
    inside = {
        "PYENV_ROOT": "versions/3.13.0",
        "ASDF_DATA_DIR": "installs/python/3.13.0",
        "UV_PYTHON_INSTALL_DIR": "cpython-3.13.0-linux",
    }[variable]
    _binary(tmp_path / "elsewhere" / inside / "bin/python3.13")
    found = _found(tmp_path, "python3.13", **{variable: str(tmp_path / "elsewhere")})
    assert found == [f"elsewhere/{inside}/bin/python3.13"]


def test_shims_links_and_broken_things_are_seen_through(tmp_path: Path) -> None:
    _binary(tmp_path / "bin/python3.9", b"#!/bin/sh\nexec pyenv\n")
    real = _binary(tmp_path / "home/.pyenv/versions/3.9.1/bin/python3.9")
    (tmp_path / "home/.pyenv/versions/3.9").symlink_to("3.9.1")
    (tmp_path / "home/.pyenv/versions/3.9.2").symlink_to("gone")
    (tmp_path / "bin/python3.8").symlink_to(tmp_path / "nowhere")
    assert _found(tmp_path, "python3.9") == [str(real.relative_to(tmp_path))]
    assert _found(tmp_path, "python3.8") == []
