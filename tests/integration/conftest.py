"""The real thing: `lambent serve` as a process of its own with the `linux` sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from lambent.testing.server import RunningServer


@pytest.fixture(scope="session")
def make_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RunningServer]]:
    """Starts servers; stops them at the end of the session, in order."""
    servers: list[RunningServer] = []

    def make(*arguments: str, **environ: str) -> RunningServer:
        server = RunningServer(tmp_path_factory.mktemp("server") / "data", arguments, environ)
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def server(make_server: Callable[..., RunningServer]) -> RunningServer:
    """A server shared by the tests that leave it as it is."""
    return make_server()
