"""Others that run functions, measured in the same run by the same load. Each is a `Subject` with a life of its own.

They are installed by `scripts/bench-peers` into a virtual environment of theirs, listen on the loopback only, and run
without isolation. What one cannot do says so in the table.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

from peers import ministack, rie, serverless_offline
from subject import Subject

PEERS: Mapping[str, Callable[[], AbstractContextManager[Subject]]] = {
    "ministack": ministack.running,
    "rie": rie.running,
    "serverless-offline": serverless_offline.running,
}


@contextlib.contextmanager
def running(name: str) -> Iterator[Subject]:
    """A peer that has just been started, stopped at the end."""
    with PEERS[name]() as subject:
        yield subject
