"""Messages between server and spawner; and what the base costs to start."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lambent
from lambent.worker.sandbox.linux import wire

_MODULES = (
    "attendant", "base", "enter", "init", "init_code", "memory", "rootfs", "spawner", "syscalls", "thread_state",
    "wire",
)  # fmt: skip


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with left, right:
        yield left, right


def test_messages_keep_their_bounds_and_descriptors(pair: tuple[socket.socket, socket.socket]) -> None:
    read, write = os.pipe()
    wire.send(pair[0], ("one", 1, None, (b"x", "\udce9")), (write,))
    wire.send(pair[0], ("two",))
    message, descriptors = wire.receive(pair[1])
    assert message == ("one", 1, None, (b"x", "\udce9"))
    assert wire.receive(pair[1]) == (("two",), ())
    assert not os.get_inheritable(descriptors[0])
    os.write(descriptors[0], b"through")
    assert os.read(read, 10) == b"through"
    for descriptor in (read, write, *descriptors):
        os.close(descriptor)


def test_end_of_file(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[0].shutdown(socket.SHUT_WR)
    assert wire.receive(pair[1]) == (None, ())


def test_too_large_a_message_is_refused(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(OSError, match="Message too long"):
        wire.send(pair[0], ("launch", b"x" * wire.MAX_MESSAGE_BYTES))


def test_records_travel_whole() -> None:
    launch = wire.Launch(
        ahead=5,
        channel_fd=4,
        cwd="/",
        descriptors=1024,
        fork=False,
        host_id=1,
        hostname="localhost",
        init=True,
        listen=(9001,),
        network=False,
        processes=None,
        sandbox_id="s",
        telemetry_fd=3,
        tmp_bytes=1,
    )
    assert wire.Launch(*launch.fields()).fields() == launch.fields()  # type: ignore[arg-type]


def test_the_base_imports_little() -> None:
    """Its start-up is part of a cold start; each of these costs milliseconds."""
    program = "import sys; sys.path.append(sys.argv[1]); import lambent.worker.sandbox.linux.base; print(*sys.modules)"
    root = str(Path(lambent.__file__).parent.parent)
    run = subprocess.run([sys.executable, "-I", "-S", "-c", program, root], capture_output=True, text=True, check=True)
    modules = set(run.stdout.split())
    heavy = {
        "asyncio",
        "collections",
        "contextlib",
        "dataclasses",
        "enum",
        "json",
        "logging",
        "pathlib",
        "re",
        "signal",
    }
    assert modules.isdisjoint(heavy | {"socket", "subprocess", "typing"})
    assert {name for name in modules if name.startswith("lambent.")} <= {
        "lambent.worker",
        "lambent.worker.sandbox",
        "lambent.worker.sandbox.linux",
        *(f"lambent.worker.sandbox.linux.{name}" for name in _MODULES),
    }
