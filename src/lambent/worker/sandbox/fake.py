"""An in-memory `SandboxBackend` for tests of what lies above: a sandbox's program is an async function in this process,
with real listening sockets and pipes, so that real clients and servers can be at their ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from lambent.worker.sandbox import descriptors
from lambent.worker.sandbox.api import (
    BackendReport,
    Sandbox,
    SandboxError,
    SandboxExit,
    SandboxSpec,
    SandboxTemplate,
    check_program,
)

Program = Callable[["FakeProcess"], Awaitable[int | None]]


class FakeProcess:
    """What a program of the fake sees of its sandbox. It ends by returning its exit status (None is 0), by raising
    (exit status 1, the exception as output), or through `exit`."""

    def __init__(
        self,
        template: SandboxTemplate,
        spec: SandboxSpec,
        ports: Mapping[int, int],
        output: int,
        telemetry: int | None,
        channel: socket.socket | None,
    ) -> None:
        """`channel`: the program's end of the channel; the sandbox closes it."""
        self.channel = channel
        self.template = template
        self.spec = spec
        self._ports = ports
        self._output = output
        self._telemetry = telemetry
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._ended: asyncio.Future[SandboxExit] = asyncio.get_running_loop().create_future()

    @property
    def env(self) -> Mapping[str, str]:
        return self.spec.env

    def address(self, port: int) -> tuple[str, int]:
        """Where 127.0.0.1:`port` of the inside really is. `port`: one of `spec.listen`."""
        return "127.0.0.1", self._ports[port]

    def write(self, output: bytes) -> None:
        """To standard output. At most what a pipe holds (64 KiB) until it is read."""
        os.write(self._output, output)

    def write_telemetry(self, data: bytes) -> None:
        """To the telemetry pipe, which the spec must have asked for."""
        if self._telemetry is None:
            raise OSError("the spec has asked for no telemetry pipe")
        os.write(self._telemetry, data)

    def exit(self, result: SandboxExit) -> None:
        """End the sandbox now, in any way: by a signal, out of memory. The first end counts."""
        if not self._ended.done():
            self._ended.set_result(result)

    @property
    def frozen(self) -> bool:
        return not self._thawed.is_set()

    async def not_frozen(self) -> None:
        """Wait while the sandbox is frozen: nothing else stops a function of this process from running."""
        await self._thawed.wait()


class FakeSandbox:
    """See `lambent.worker.sandbox.api.Sandbox`. Tests may set `memory_bytes`, and reach the program by `process`."""

    def __init__(
        self,
        process: FakeProcess,
        program: Program,
        listeners: tuple[socket.socket, ...],
        inner: tuple[int, ...],
        outer: tuple[int, int | None],
        channel: socket.socket | None,
    ) -> None:
        self.process = process
        self.memory_bytes = 0
        self._listeners = listeners
        self._inner = inner  # write ends of the pipes
        self._output_fd, self._telemetry_fd = outer
        self._channel = channel
        self._exit: asyncio.Future[SandboxExit] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(program), name=f"fake sandbox {process.spec.sandbox_id}")

    @property
    def sandbox_id(self) -> str:
        return self.process.spec.sandbox_id

    @property
    def listeners(self) -> tuple[socket.socket, ...]:
        return self._listeners

    @property
    def output_fd(self) -> int:
        return self._output_fd

    @property
    def telemetry_fd(self) -> int | None:
        return self._telemetry_fd

    @property
    def channel(self) -> socket.socket | None:
        return self._channel

    @property
    def ended(self) -> bool:
        return self._exit.done()

    async def wait(self) -> SandboxExit:
        return await asyncio.shield(self._exit)

    def freeze(self) -> None:
        if not self.ended:
            self.process._thawed.clear()  # noqa: SLF001 - the two halves of one thing

    def thaw(self) -> None:
        self.process._thawed.set()  # noqa: SLF001

    def limit_cpus(self, cpus: float) -> None:
        """CPU time is not limited here."""

    def kill(self) -> None:
        self.process.exit(SandboxExit(signal=int(signal.SIGKILL), killed=True))

    def memory_peak_bytes(self) -> int:
        return self.memory_bytes

    def memory_current_bytes(self) -> int:
        return 0 if self.ended else self.memory_bytes

    async def _run(self, program: Program) -> None:
        """The life of the sandbox: until the program ends or is ended."""
        running = asyncio.ensure_future(program(self.process))
        ended = self.process._ended  # noqa: SLF001
        await asyncio.wait((running, ended), return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            self.process.exit(SandboxExit(status=self._status(running)))
        elif not running.done():
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):  # it was killed: what it says does not count
                await running
        for descriptor in self._inner:
            os.close(descriptor)
        if self.process.channel is not None:
            self.process.channel.close()
        self._exit.set_result(ended.result())

    def _status(self, running: asyncio.Future[int | None]) -> int:
        error = running.exception()
        if error is None:
            return running.result() or 0
        self.process.write(f"{type(error).__name__}: {error}\n".encode())
        return 1


class FakeWaitingSandbox:
    """See `lambent.worker.sandbox.api.WaitingSandbox`. There is nothing of it before its program runs."""

    def __init__(self, backend: FakeBackend, template: SandboxTemplate, spec: SandboxSpec) -> None:
        self._backend = backend
        self.template = template
        self.spec = spec

    @property
    def ended(self) -> bool:
        return self not in self._backend.waiting

    async def run(self, argv: tuple[str, ...], env: Mapping[str, str]) -> Sandbox:
        if self.ended:
            raise SandboxError(f"sandbox {self.spec.sandbox_id}: it died while it waited for its program")
        self._backend.waiting.remove(self)
        return await self._backend.launch(self.template, replace(self.spec, argv=argv, env=env))

    async def discard(self) -> None:
        if not self.ended:
            self._backend.waiting.remove(self)

    def memory_current_bytes(self) -> int:
        return 0


class FakeBackend:
    """`programs`: what runs for which `argv[0]`. `launches`: the specs of all launches so far; `waiting`: those
    that were set up and have no program yet; `failure`: when set, the next launches raise it."""

    def __init__(self, programs: Mapping[str, Program]) -> None:
        self._programs = programs
        self._sandboxes: dict[str, FakeSandbox] = {}
        self.launches: list[SandboxSpec] = []
        self.waiting: list[FakeWaitingSandbox] = []
        self.prepared: set[SandboxTemplate] = set()
        self.failure: SandboxError | None = None
        self._running = False

    @property
    def name(self) -> str:
        return "fake"

    @property
    def sandboxes(self) -> Mapping[str, FakeSandbox]:
        """Those that run, by id."""
        return {name: sandbox for name, sandbox in self._sandboxes.items() if not sandbox.ended}

    def report(self) -> BackendReport:
        return BackendReport("fake", usable=True, reason="programs are functions of the test's own process")

    async def start(self) -> None:
        self._running = True

    async def prepare(self, template: SandboxTemplate) -> None:
        if not self._running:
            raise SandboxError("the sandbox backend is not running")
        self.prepared.add(template)

    async def launch(self, template: SandboxTemplate, spec: SandboxSpec) -> Sandbox:
        await self.prepare(template)
        if self.failure is not None:
            raise self.failure
        if spec.sandbox_id in self.sandboxes:
            raise SandboxError(f"sandbox {spec.sandbox_id} is there already")
        check_program(spec)
        if spec.argv[0] not in self._programs:
            raise SandboxError(f"sandbox {spec.sandbox_id}: execute: no program {spec.argv[:1]} here")
        self.launches.append(spec)
        listeners = tuple(socket.create_server(("127.0.0.1", 0), backlog=1024) for _ in spec.listen)
        for listener in listeners:
            listener.setblocking(False)
        ports = {port: listener.getsockname()[1] for port, listener in zip(spec.listen, listeners, strict=True)}
        output_read, output_write = descriptors.pipe()
        telemetry_read, telemetry_write = descriptors.pipe() if spec.telemetry_fd is not None else (None, None)
        channel, theirs = socket.socketpair() if spec.channel_fd is not None else (None, None)
        for end in (channel, theirs):
            if end is not None:
                end.setblocking(False)
        process = FakeProcess(template, spec, ports, output_write, telemetry_write, theirs)
        inner = (output_write,) if telemetry_write is None else (output_write, telemetry_write)
        program = self._programs[spec.argv[0]]
        sandbox = FakeSandbox(process, program, listeners, inner, (output_read, telemetry_read), channel)
        self._sandboxes[spec.sandbox_id] = sandbox
        return sandbox

    async def set_up(self, template: SandboxTemplate, spec: SandboxSpec) -> FakeWaitingSandbox:
        await self.prepare(template)
        if self.failure is not None:
            raise self.failure
        if spec.sandbox_id in self.sandboxes or any(one.spec.sandbox_id == spec.sandbox_id for one in self.waiting):
            raise SandboxError(f"sandbox {spec.sandbox_id} is there already")
        waiting = FakeWaitingSandbox(self, template, spec)
        self.waiting.append(waiting)
        return waiting

    async def release(self, template: SandboxTemplate) -> None:
        self.waiting = [one for one in self.waiting if one.template != template]
        self.prepared.discard(template)
        await _end([sandbox for sandbox in self._sandboxes.values() if sandbox.process.template == template])

    async def close(self) -> None:
        self._running = False
        self.waiting = []
        await _end(list(self._sandboxes.values()))
        self._sandboxes.clear()


async def _end(sandboxes: list[FakeSandbox]) -> None:
    for sandbox in sandboxes:
        sandbox.kill()
    for sandbox in sandboxes:
        await sandbox.wait()
