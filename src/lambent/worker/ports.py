"""What a worker needs from the rest: a place for log lines, and somebody to answer an environment's AWS calls."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lambent.model.arn import FunctionId
from lambent.model.execution import RoleCredentials
from lambent.model.ids import EnvironmentId
from lambent.observability.logs.events import LogEvent, LogStreamId


@dataclass(frozen=True, slots=True)
class EnvironmentIdentity:
    """Who calls on an environment's own AWS endpoint: nobody but its execution role, with its own credentials."""

    environment_id: EnvironmentId
    function: FunctionId
    credentials: RoleCredentials


class ServedEndpoint(Protocol):
    """An endpoint being served."""

    async def close(self) -> None:
        """Stop serving; close the socket."""
        ...


class EndpointHost(Protocol):
    """Answers AWS calls made inside an environment."""

    async def serve_endpoint(self, sock: socket.socket, identity: EnvironmentIdentity) -> ServedEndpoint:
        """Serve the AWS API on a listening socket handed out of an environment; owns the socket from now on."""
        ...


class LogSink(Protocol):
    """Where log lines go. Returns when the kernel has them (they survive a crash of this process)."""

    def append(self, stream: LogStreamId, events: Sequence[LogEvent]) -> None: ...


class CodeTrees(Protocol):
    """Where code trees are on this host."""

    def tree(self, digest: str) -> Path:
        """The directory of a code tree. It exists while a function version refers to it."""
        ...

    async def merged(self, digests: Sequence[str]) -> Path:
        """The directory of what layers make together, merged in this order; as long-lived. Raises OSError."""
        ...
