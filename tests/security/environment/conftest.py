"""Hostile functions on a real server, deployed and invoked by its API, beside one that must not notice."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lambent.packaging.build import zip_directory
from lambent.testing.inventory import Inventory
from lambent.testing.server import Invoked, RunningServer, ServerFailedError

_CODE = Path(__file__).parents[1] / "hostile_code"


@dataclass(frozen=True)
class Isolation:
    """A way to run a server that isolates. Every attempt is made under each of `ISOLATIONS`."""

    name: str
    arguments: tuple[str, ...] = ()
    by_ordinary_user: bool = False


ISOLATIONS = (
    Isolation("root", ("--network", "none")),
    Isolation("rootless", ("--sandbox", "rootless", "--network", "none"), by_ordinary_user=True),
)
WITH_INTERNET = (
    Isolation("root-internet", ("--network", "internet")),
    Isolation("rootless-internet", ("--sandbox", "rootless", "--network", "internet"), by_ordinary_user=True),
)
# In the place of an ordinary user's Python: on some hosts only root may open the device that a network needs.
_WITH_DEVICE = """#!/bin/sh
exec unshare --mount sh -c 'mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200 && exec setpriv \\
    --reuid {user} --regid {user} --clear-groups {python} "$@"' sh "$@"
"""


@dataclass
class Arena:
    """A server with a hostile function and its neighbour."""

    server: RunningServer
    package: bytes
    before: dict[str, Any]
    host: dict[str, Any]  # what attempts are told of the host
    neighbour_credentials: dict[str, str]
    _answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    _deployed: set[str] = field(default_factory=set)

    def deploy(self, name: str, **settings: Any) -> str:
        """A hostile function with an environment of its own, once."""
        if name not in self._deployed:
            self._deployed.add(name)
            request = {"Handler": "hostile.attempts.handler", "Timeout": 30, "MemorySize": 256} | settings
            self.server.deploy(name, self.package, **request)
        return name

    def attack(self, name: str, group: str, *attempts: str, **event: Any) -> Invoked:
        return self.server.invoke(name, self.host | {"group": group, "attempts": list(attempts)} | event)

    def answers(self, group: str) -> dict[str, Any]:
        """What all attempts of a group came to, made in one invocation; the neighbour is looked at afterwards."""
        if group not in self._answers:
            invoked = self.attack(self.deploy("attacker"), group)
            assert invoked.function_error is None, invoked
            self._answers[group] = invoked.payload
            self.check_neighbour()
        return self._answers[group]

    def ask_neighbour(self, **event: Any) -> dict[str, Any]:
        invoked = self.server.invoke("neighbour", event)
        assert invoked.function_error is None, invoked
        answer: dict[str, Any] = invoked.payload
        return answer

    def check_neighbour(self) -> None:
        """It lives, in the same process as before, and has everything that it had, and nothing more."""
        assert self.ask_neighbour() == self.before


def _host_addresses() -> list[str]:
    """Of this host's interfaces, by the address that a route outwards would use; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            return []
        return [str(sock.getsockname()[0])]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "isolation" in metafunc.fixturenames:
        metafunc.parametrize("isolation", ISOLATIONS, indirect=True, scope="session", ids=lambda each: each.name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
            continue
        marker, isolation = item.get_closest_marker("not_rootless"), item.callspec.params.get("isolation")
        if marker is not None and isinstance(isolation, Isolation) and isolation.by_ordinary_user:
            item.add_marker(pytest.mark.skip(reason=f"an ordinary user cannot give it: {marker.args[0]}"))


@pytest.fixture(scope="session")
def isolation(request: pytest.FixtureRequest) -> Isolation:
    chosen: Isolation = request.param
    return chosen


def _files_of_the_server(server: RunningServer, directory: Path) -> list[str]:
    """What its user must keep to itself: keys at home, and everything in the data directory."""
    keys = [directory / ".ssh" / "id_ed25519", directory / ".aws" / "credentials"]
    for path in keys:
        path.parent.mkdir(mode=0o700)
        path.write_text("a key")
        for made in (path.parent, path):
            if server.user is not None:
                os.chown(made, server.user, server.user)
    paths = [directory, *keys, server.data_dir, *server.data_dir.rglob("*")]
    return [str(path) for path in paths][:100]


@contextlib.contextmanager
def open_arena(isolation: Isolation, directory: Path, user: Any = None, python: str = "") -> Iterator[Arena]:
    """Afterwards nothing of the server is on the host. `user`: the one who runs it, if not this one. `python`: becomes
    that user by itself."""
    (directory / "secret").write_text("secret of the host")
    (directory / "secret").chmod(0o644)
    package = zip_directory(_CODE)
    server = RunningServer(directory / "data", isolation.arguments)
    if user is not None:
        server.environ, server.python = user.environ(directory), python or user.python
        server.user = None if python else user.id
    abstract = socket.socket(socket.AF_UNIX)
    name = f"lambent-host-{os.getpid()}-{directory.name}"
    with abstract, socket.create_server(("127.0.0.1", 0)) as listener:
        abstract.bind(f"\0{name}")
        abstract.listen()
        server.start()
        try:
            server.deploy("neighbour", package, Handler="hostile.neighbour.handler", Timeout=30)
            invoked = server.invoke("neighbour", {"credentials": True}).payload
            arena = Arena(server, package, server.invoke("neighbour", {}).payload, {}, invoked["credentials"])
            credentials = invoked["credentials"]
            secrets = [invoked["secret"], credentials["AWS_SECRET_ACCESS_KEY"], credentials["AWS_SESSION_TOKEN"]]
            arena.host |= {
                "secrets_reversed": [secret[::-1] for secret in secrets],
                "host_pids": [server.pid, os.getpid()],
                "host_secret": str(directory / "secret"),
                "host_port": listener.getsockname()[1],
                "host_addresses": _host_addresses(),
                "server_port": server.port,
                "server_files": _files_of_the_server(server, directory),
                "abstract": name,
                "shm_key": 0x6C616D63,
                "sleep_s": str(300_000_000 + os.getpid() * 2 + isolation.by_ordinary_user),
            }
            yield arena
            arena.check_neighbour()
        finally:
            server.stop()
    assert Inventory.of(server.data_dir).nothing, Inventory.of(server.data_dir)


@pytest.fixture(scope="session")
def arena(
    isolation: Isolation, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Arena]:
    """Functions without a network."""
    with contextlib.ExitStack() as stack:
        user = request.getfixturevalue("ordinary_user") if isolation.by_ordinary_user else None
        directory = tmp_path_factory.mktemp("arena") if user is None else stack.enter_context(user.home())
        yield stack.enter_context(open_arena(isolation, directory, user))


@pytest.fixture(scope="module", params=WITH_INTERNET, ids=lambda each: each.name)
def arena_with_internet(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Arena]:
    """Functions that reach the internet, where this host can give it to them."""
    isolation: Isolation = request.param
    with contextlib.ExitStack() as stack:
        directory, user, python = tmp_path_factory.mktemp("internet"), None, ""
        if isolation.by_ordinary_user:
            user = request.getfixturevalue("ordinary_user")
            directory = stack.enter_context(user.home())
            path = tmp_path_factory.mktemp("device") / "python"
            path.write_text(_WITH_DEVICE.format(user=user.id, python=user.python))
            path.chmod(0o755)
            python = str(path)
        try:
            arena = stack.enter_context(open_arena(isolation, directory, user, python))
        except ServerFailedError as error:
            pytest.skip(f"this host gives functions no internet: {error}")
        yield arena
