"""Paths and ports of a sandbox without a file system and network of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from lambent.worker.sandbox.api import Bind, SandboxLimits, SandboxSpec
from lambent.worker.sandbox.process.rewrite import rewrite_command, rewrite_paths, rewrite_ports

BINDS = (
    Bind(Path("/data/code"), "/var/task"),
    Bind(Path("/data/layers"), "/opt"),
    Bind(Path("/data/x"), "/var/task/x"),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/var/task", "/data/code"),
        ("/var/task/a.py", "/data/code/a.py"),
        ("/var/task/x/b", "/data/x/b"),
        ("/opt/bin:/usr/bin:/var/task", "/data/layers/bin:/usr/bin:/data/code"),
        ("--path=/opt/lib", "--path=/data/layers/lib"),
        ("/var/tasks", "/var/tasks"),
        ("/srv/opt/x", "/srv/opt/x"),
        ("/optional", "/optional"),
        ("nothing", "nothing"),
    ],
)
def test_paths(text: str, expected: str) -> None:
    assert rewrite_paths(text, BINDS) == expected


def test_a_source_below_another_target_is_not_rewritten_again() -> None:
    binds = (Bind(Path("/opt/real"), "/var/task"), Bind(Path("/data/layers"), "/opt"))
    assert rewrite_paths("/var/task/a:/opt/b", binds) == "/opt/real/a:/data/layers/b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:9001", "127.0.0.1:40000"),
        ("http://localhost:9001/2018-06-01", "http://localhost:40000/2018-06-01"),
        ("127.0.0.1:90010", "127.0.0.1:90010"),
        ("10.127.0.0.1:9001x", "10.127.0.0.1:40000x"),
        ("9001", "9001"),
    ],
)
def test_ports(text: str, expected: str) -> None:
    assert rewrite_ports(text, {9001: 40000}) == expected


def test_command() -> None:
    limits = SandboxLimits(1, 1.0, 1)
    spec = SandboxSpec("s", ("/var/task/run", "127.0.0.1:9001"), {"HOME": "/opt"}, limits, cwd="/var/task")
    argv, env, cwd = rewrite_command(spec, BINDS, {9001: 1234}, "/private")
    assert argv == ["/data/code/run", "127.0.0.1:1234"]
    assert env == {"HOME": "/data/layers", "TMPDIR": "/private"}
    assert cwd == "/data/code"
