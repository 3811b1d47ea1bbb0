"""On a host where secrets lie about that everybody may read, a function finds those below `/usr` that we say it finds,
and no other: not in files, names, variables, nor in what its process was copied from."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lambent.packaging.build import zip_directory
from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

_HERE = Path(__file__).parent
HIDDEN = (
    "/etc", "/etc/app.d", "/etc/pki/tls/private", "/etc/pki/entitlement", "/etc/ssl", "/etc/ssl/private",
    "/etc/javascript-common", "/etc/java.d", "/home/somebody", "/media", "/mnt", "/opt/app", "/root", "/run/secrets",
    "/srv/app", "/usr", "/usr/app", "/usr/src", "/usr/local", "/usr/local/app/conf", "/usr/local/bin",
    "/usr/local/etc", "/usr/local/games", "/usr/local/include", "/usr/local/libexec", "/usr/local/man",
    "/usr/local/sbin", "/usr/local/share", "/usr/local/share/app", "/usr/local/src", "/var/backups", "/var/lib/app",
    "/var/log", "/var/spool/app",
)  # fmt: skip
# What the isolation page says can be read.
OPEN = ("/usr/bin", "/usr/lib/app", "/usr/libexec", "/usr/sbin", "/usr/share/app", "/usr/local/lib", "/etc/ssl/certs")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What a function sees there; its interpreter is in somebody's ~/.local."""
    directory = tmp_path_factory.mktemp("planted")
    mark, secret = f"planted-{uuid.uuid4().hex}", uuid.uuid4().hex
    (directory / "layer").mkdir()
    wrapper = directory / "python"
    places = " ".join((*HIDDEN, *OPEN))
    script = f'#!/bin/sh\nexec {sys.executable} {_HERE / "planted.py"} {sys.executable} {places} -- "$@"\n'
    wrapper.write_text(script)
    wrapper.chmod(0o755)
    environ = {
        "A_SECRET": secret,
        "LAMBENT_TEST_MARK": mark,
        "LAMBENT_TEST_LAYER": str(directory / "layer"),
        "LAMBENT_TEST_HOME": str(directory / "home"),
    }
    runtime = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    with RunningServer(directory / "data", ("--network", "none"), environ, python=str(wrapper)) as server:
        settings = {"Handler": "hostile.attempts.handler", "Timeout": 60, "MemorySize": 512, "Runtime": runtime}
        server.deploy("finder", zip_directory(_HERE.parent / "hostile_code"), **settings)
        event = {"group": "seen", "mark": mark, "secrets_reversed": [text[::-1] for text in (mark[8:], secret)]}
        invoked = server.invoke("finder", event)
        assert invoked.function_error is None, invoked
        yield invoked.payload | {"mark": mark, "secret": secret, "home": str(directory / "home")}


def test_files(seen: dict[str, Any]) -> None:
    assert seen["files_with_a_mark"] == sorted(f"{place}/{seen['mark']}" for place in OPEN)


def test_the_interpreter_is_that_of_the_home_directory(seen: dict[str, Any]) -> None:
    [where] = [root for root, point, _, _ in seen["mounts"] if point == "/var/lang/lib"]
    assert where.endswith("/lib")
    assert not [point for root, point, _, _ in seen["mounts"] if root.endswith(("/.local", "/home"))]


def test_variables_and_names(seen: dict[str, Any]) -> None:
    assert [name for name, value in seen["variables"].items() if seen["secret"] in value or seen["mark"] in value] == []
    assert seen["names_of_the_host"][:2] == ["localhost", ""]


def test_memory(seen: dict[str, Any]) -> None:
    """The function was forked from a process that the server started."""
    assert seen["secrets_in_own_memory"] == [0]  # the mark, which the event says
