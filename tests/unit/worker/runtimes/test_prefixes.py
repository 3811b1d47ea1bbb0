"""What of an interpreter's prefix functions get to see."""

from __future__ import annotations

from pathlib import Path

import pytest

from lambent.worker.runtimes import prefixes
from lambent.worker.runtimes.identifiers import KNOWN
from lambent.worker.runtimes.layout import RuntimesLayout
from lambent.worker.runtimes.probe import Interpreter
from lambent.worker.runtimes.search import has_own_prefix
from lambent.worker.sandbox.api import Bind


@pytest.fixture
def layout(tmp_path: Path) -> RuntimesLayout:
    return RuntimesLayout(tmp_path / "runtimes")


def _interpreter(prefix: Path, binary: str) -> Interpreter:
    """In a directory that somebody also keeps a key in."""
    for directory in ("bin", "lib/python3.12", "share/keyrings"):
        (prefix / directory).mkdir(parents=True)
    (prefix / "share/keyrings/key").touch()
    (prefix / "bin" / binary).touch()
    return Interpreter(prefix / "bin" / binary, "3.12.1", str(prefix), str(prefix / "lib/python3.12"), "cpython-312")


def _mounted(binds: tuple[Bind, ...]) -> dict[str, Path]:
    """What is at each place, by the order of the mounts; each has something to be mounted over."""
    root = binds[0].source
    for bind in binds[1:]:
        assert (root / Path(bind.target).relative_to(prefixes.TARGET)).exists(), bind
    return {bind.target: bind.source for bind in binds[1:]}


def test_of_a_prefix_that_may_be_shared_only_binary_and_libraries_are_mounted(
    layout: RuntimesLayout, tmp_path: Path
) -> None:
    prefix = tmp_path / "home/.local"
    binds = prefixes.of_python(layout, _interpreter(prefix, "python3.12"), "python3.12", own=False)
    assert binds[0].target == "/var/lang"
    assert sorted(path.name for path in binds[0].source.iterdir()) == ["bin", "lib"]
    assert (binds[0].source / "bin/python3").readlink() == Path("python3.12")
    assert _mounted(binds) == {
        "/var/lang/bin/python3.12": prefix / "bin/python3.12",
        "/var/lang/lib": prefix / "lib",
    }


def test_a_prefix_of_its_own_is_mounted_whole(layout: RuntimesLayout, tmp_path: Path) -> None:
    interpreter = _interpreter(tmp_path / "3.12.1", "python3.12")
    assert prefixes.of_python(layout, interpreter, "python3.12", own=True) == (Bind(tmp_path / "3.12.1", "/var/lang"),)


def test_nodes_libraries_are_mounted_where_it_has_some(layout: RuntimesLayout, tmp_path: Path) -> None:
    prefix = tmp_path / "home/.local"
    interpreter = _interpreter(prefix, "node")
    assert _mounted(prefixes.of_node(layout, interpreter, own=False)) == {"/var/lang/bin/node": prefix / "bin/node"}
    (prefix / "lib/libnode.so.127").touch()
    assert _mounted(prefixes.of_node(layout, interpreter, own=False)) == {
        "/var/lang/bin/node": prefix / "bin/node",
        "/var/lang/lib": prefix / "lib",
    }
    assert prefixes.of_node(layout, interpreter, own=True) == (Bind(prefix, "/var/lang"),)


@pytest.mark.parametrize(
    ("path", "own"),
    [
        (".pyenv/versions/3.12.1/bin/python3.12", True),
        (".local/share/uv/python/cpython-3.12.4-linux/bin/python3.12", True),
        (".local/bin/python3.12", False),
        ("bin/python3.12", False),
    ],
)
def test_only_version_managers_keep_interpreters_apart(
    layout: RuntimesLayout, tmp_path: Path, path: str, own: bool
) -> None:
    environ = {"HOME": str(tmp_path)}
    assert has_own_prefix(KNOWN["python3.12"], tmp_path / path, layout, environ) is own
    installed = layout.pythons / "cpython-3.12.0-linux/bin/python3.12"
    assert has_own_prefix(KNOWN["python3.12"], installed, layout, environ)
