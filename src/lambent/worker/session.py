"""One run of a runtime: a sandbox, its Runtime API and AWS endpoint, and what the runtime may do next.

An execution environment has one session at a time (a second one when its init is tried again). The session does the
I/O and keeps the Runtime API's rules, whether the runtime speaks over TCP or over the channel it was born with; what
anything means for the invocation is decided by its `SessionOwner`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from lambent.http.limits import HttpLimits
from lambent.http.server import HttpServer
from lambent.model.execution import Invocation
from lambent.worker.output import OutputLog
from lambent.worker.ports import EndpointHost, EnvironmentIdentity, ServedEndpoint
from lambent.worker.runtime_api.calls import Poll
from lambent.worker.runtime_api.channel import RuntimeChannel
from lambent.worker.runtime_api.machine import RuntimeMachine
from lambent.worker.runtime_api.server import RuntimeApi
from lambent.worker.sandbox.api import Launcher, Sandbox, SandboxExit, SandboxSpec, SandboxTemplate


class SessionOwner(Protocol):
    """Told what the runtime did; each call is on the event loop."""

    def runtime_waits(self) -> None:
        """It asks for an event."""
        ...

    def runtime_responded(self, payload: bytes) -> None: ...

    def runtime_response_too_large(self) -> None: ...

    def runtime_failed(self, payload: bytes, error_type: str | None) -> None:
        """It reported that handling the event failed."""
        ...

    def runtime_init_failed(self, payload: bytes, error_type: str | None) -> None: ...

    def runtime_exited(self, exit_: SandboxExit) -> None:
        """The sandbox ended, whyever. The last call."""
        ...


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """What to launch, and for whom."""

    template: SandboxTemplate
    sandbox: SandboxSpec
    identity: EnvironmentIdentity


class Session:
    """Made by `launch`; ends with `close`."""

    def __init__(
        self, owner: SessionOwner, sandbox: Sandbox, output: OutputLog, runtime_api_limits: HttpLimits
    ) -> None:
        self._owner = owner
        self._sandbox = sandbox
        self._output = output
        self._machine = RuntimeMachine()
        self._poll: Poll | None = None
        api = RuntimeApi(self)
        self._server = HttpServer(api.handle, api, runtime_api_limits, "runtime api")
        self._channel = None if sandbox.channel is None else RuntimeChannel(self, sandbox.channel)
        self._endpoint: ServedEndpoint | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._closed = False

    @classmethod
    async def launch(
        cls,
        plan: SessionPlan,
        owner: SessionOwner,
        launcher: Launcher,
        output: OutputLog,
        endpoints: EndpointHost,
        runtime_api_limits: HttpLimits,
    ) -> Session:
        """Start the sandbox and serve its sockets. Raises SandboxError."""
        sandbox = await launcher.launch(plan.template, plan.sandbox)
        session = cls(owner, sandbox, output, runtime_api_limits)
        output.attach(sandbox.output_fd, sandbox.telemetry_fd)
        runtime_api, aws_endpoint = sandbox.listeners
        try:
            await session._server.start(runtime_api)
            session._endpoint = await endpoints.serve_endpoint(aws_endpoint, plan.identity)
        except BaseException:
            await session.close()
            raise
        session._watcher = asyncio.create_task(session._watch(), name=f"sandbox {plan.sandbox.sandbox_id}")
        return session

    @property
    def waits(self) -> bool:
        """Whether the runtime can be handed an event now."""
        return self._machine.waits and self._poll is not None and not self._poll.closed

    def hand_out(self, invocation: Invocation, deadline_ms: int) -> None:
        """Answer the waiting `next` with an event."""
        poll, self._poll = self._poll, None
        if poll is None:
            raise RuntimeError("the runtime does not wait for an event")
        self._machine.hand_out(invocation.request_id)
        poll.hand_out(invocation, deadline_ms)

    def freeze(self) -> None:
        """Stop its processes until `thaw`."""
        self._sandbox.freeze()

    def thaw(self) -> None:
        """Let them run again."""
        self._sandbox.thaw()

    def limit_cpus(self, cpus: float) -> None:
        """Change its share of CPU time; 1.0 is one whole CPU."""
        self._sandbox.limit_cpus(cpus)

    def kill(self) -> None:
        """End all its processes; `runtime_exited` follows."""
        self._sandbox.kill()

    def memory_peak_bytes(self) -> int:
        """The most memory its processes used together so far."""
        return self._sandbox.memory_peak_bytes()

    def memory_current_bytes(self) -> int:
        """What its processes use now."""
        return self._sandbox.memory_current_bytes()

    async def close(self) -> None:
        """End it and let go of everything; the owner hears nothing more. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._sandbox.kill()
        await self._sandbox.wait()
        self._output.detach()
        await self._server.close(0)
        if self._endpoint is not None:
            await self._endpoint.close()
        if self._watcher is not None and self._watcher is not asyncio.current_task():
            await self._watcher
        if self._channel is not None:
            await self._channel.close()

    # The runtime's calls (see `runtime_api.calls.RuntimeCalls`)

    def wait_for_event(self, poll: Poll) -> None:
        self._machine.next()
        self._poll = poll
        self._owner.runtime_waits()

    def poll_lost(self, poll: Poll) -> None:
        if self._poll is poll:
            self._poll = None
            self._machine.poll_lost()

    def response(self, request_id: str, payload: bytes) -> None:
        self._machine.response(request_id)
        self._owner.runtime_responded(payload)

    def response_too_large(self, request_id: str) -> None:
        self._machine.response(request_id)
        self._owner.runtime_response_too_large()

    def error(self, request_id: str, payload: bytes, error_type: str | None) -> None:
        self._machine.error(request_id)
        self._owner.runtime_failed(payload, error_type)

    def init_error(self, payload: bytes, error_type: str | None) -> None:
        self._machine.init_error()
        self._owner.runtime_init_failed(payload, error_type)

    async def _watch(self) -> None:
        if self._channel is not None:
            await self._channel.open()  # not before the owner knows of this session
        exit_ = await self._sandbox.wait()
        if not self._closed:
            self._output.drain()
            self._owner.runtime_exited(exit_)
