"""A small, real Runtime API on a socket, and the guests as plain processes in front of it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import socket
import struct
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lambent.worker.runtimes.catalog import Runtime, RuntimeCatalog
from lambent.worker.runtimes.identifiers import KNOWN
from lambent.worker.runtimes.layout import RuntimesLayout
from lambent.worker.runtimes.probe import ask_directly
from lambent.worker.runtimes.search import candidates
from lambent.worker.sandbox.api import (
    HEAD_START_VARIABLE,
    Bind,
    Sandbox,
    SandboxLimits,
    SandboxSpec,
    SandboxTemplate,
)
from lambent.worker.sandbox.linux.backend import LinuxBackend

GUEST = Path(__file__).parents[4] / "src/lambent/worker/guest"
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:fn"


@functools.cache
def found_argvs(language: str) -> dict[str, list[str]]:
    """How to start each guest that can be started on this machine. LAMBENT_RUNTIMES_DIR: a directory with more
    runtimes."""
    layout = RuntimesLayout(Path(os.environ.get("LAMBENT_RUNTIMES_DIR", "/nonexistent")))
    found = {}
    for known in KNOWN.values():
        if known.language != language:
            continue
        for path in candidates(known, layout, os.environ):
            interpreter = ask_directly(known.language, path)
            if interpreter is not None and interpreter.is_version(known.version):
                entry = "python/bootstrap.py" if language == "python" else "node/index.cjs"
                flags = ["-S"] if language == "python" else []
                found[known.name] = [str(path), *flags, str(GUEST / entry)]
                break
    return found


class Ahead(list[str]):
    """How to start a guest that is told only then whose it is."""

    # What a process looks at when it starts, and what is the same for all.
    known = ("PATH", "LANG", "TZ", "NODE_", "_LAMBENT_CHANNEL_FD")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for name, language in (("python_argv", "python"), ("node_argv", "nodejs")):
        if name in metafunc.fixturenames:
            found = found_argvs(language)
            if language == "nodejs":
                found = found | {f"{name}-ahead": Ahead(argv) for name, argv in found.items()}
            metafunc.parametrize(name, list(found.values()), ids=list(found))


@dataclass
class Answer:
    """What the runtime sent for an invocation or its initialisation."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class RuntimeApi:
    """The server side: `invoke` hands an event out and waits for the answer. It reads requests strictly one after the
    other, so a runtime may pipeline. `status` answers what is posted, `chunked` and `closing` say how it answers."""

    port: int = 0
    answers: asyncio.Queue[Answer] = field(default_factory=asyncio.Queue)
    invocations: asyncio.Queue[tuple[dict[str, str], bytes]] = field(default_factory=asyncio.Queue)
    next_asked: asyncio.Event = field(default_factory=asyncio.Event)
    status: int = 202
    chunked: bool = False
    closing: bool = False
    _count: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                line, *rest = head.rstrip().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (item.partition(":") for item in rest)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                path = line.split()[1]
                if path.endswith("/invocation/next"):
                    self.next_asked.set()
                    extra, payload = await self.invocations.get()
                    self.next_asked.clear()
                    writer.write(self._invocation(extra, payload))
                else:
                    self.answers.put_nowait(Answer(path, headers, body))
                    close = "Connection: close\r\n" if self.closing else ""
                    writer.write(f"HTTP/1.1 {self.status} X\r\n{close}Content-Length: 16\r\n\r\n".encode())
                    writer.write(b'{"status": "OK"}')
                    if self.closing:
                        break
        writer.close()

    def _invocation(self, headers: dict[str, str], payload: bytes) -> bytes:
        text = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
        if not self.chunked:
            return f"HTTP/1.1 200 OK\r\n{text}Content-Length: {len(payload)}\r\n\r\n".encode() + payload
        half = len(payload) // 2
        parts = b"".join(b"%x;x=y\r\n%s\r\n" % (len(part), part) for part in (payload[:half], payload[half:]) if part)
        return f"HTTP/1.1 200 OK\r\n{text}Transfer-Encoding: chunked\r\n\r\n".encode() + parts + b"0\r\n\r\n"

    def push(self, event: object, **headers: str) -> str:
        """Queue an invocation; its request id."""
        self._count += 1
        request_id = f"00000000-0000-4000-8000-{self._count:012d}"
        base = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": "99999999999999",
            "Lambda-Runtime-Invoked-Function-Arn": ARN,
            "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0",
        }
        base.update({"Lambda-Runtime-" + name.replace("_", "-"): value for name, value in headers.items()})
        payload = event if isinstance(event, bytes) else json.dumps(event).encode()
        self.invocations.put_nowait((base, payload))
        return request_id

    async def invoke(self, event: object, **headers: str) -> Answer:
        request_id = self.push(event, **headers)
        answer = await asyncio.wait_for(self.answers.get(), 20)
        assert f"/invocation/{request_id}/" in answer.path
        return answer


@dataclass
class Frame:
    kind: int
    micros: int
    text: str


def frames_of(data: bytes) -> list[Frame]:
    result = []
    while data:
        kind, length, micros = struct.unpack(">IIQ", data[:16])
        assert len(data) >= 16 + length
        result.append(Frame(kind, micros, data[16 : 16 + length].decode()))
        data = data[16 + length :]
    return result


@dataclass
class Guest:
    """A running guest process."""

    api: RuntimeApi
    task: Path
    process: subprocess.Popen[bytes]
    telemetry: int
    output: int
    _collected: dict[int, bytearray] = field(default_factory=dict)

    async def exited(self) -> int:
        return await asyncio.to_thread(self.process.wait, 20)

    def _drain(self, descriptor: int) -> bytes:
        data = self._collected.setdefault(descriptor, bytearray())
        while True:
            try:
                part = os.read(descriptor, 1 << 20)
            except BlockingIOError:
                return bytes(data)
            if not part:
                return bytes(data)
            data += part

    def frames(self) -> list[Frame]:
        """All records so far."""
        return frames_of(self._drain(self.telemetry))

    def frames_so_far(self) -> None:
        """Only read, so that writers do not block."""
        self._drain(self.telemetry)

    async def pause(self) -> None:
        await asyncio.sleep(0.005)

    def texts(self) -> list[str]:
        return [frame.text for frame in self.frames()]

    def raw_output(self) -> str:
        return self._drain(self.output).decode()


StartGuest = Callable[..., Awaitable[Guest]]


@pytest.fixture
async def start_guest(tmp_path: Path) -> AsyncIterator[StartGuest]:
    """`await start_guest(argv, files, handler, env={}, framed=True, channel=None)`: write the code, start the guest
    before its own Runtime API (and at the other end of the socket `channel`); everything ends with the test."""
    guests: list[Guest] = []
    servers: list[asyncio.Server] = []

    async def start(
        argv: list[str],
        files: Mapping[str, str],
        handler: str = "index.handler",
        *,
        env: Mapping[str, str] | None = None,
        framed: bool = True,
        channel: socket.socket | None = None,
        runtime_dir: Path = GUEST,
    ) -> Guest:
        task = tmp_path / f"task{len(guests)}"
        for name, text in files.items():
            path = task / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        task.mkdir(exist_ok=True)
        api = RuntimeApi()
        server = await asyncio.start_server(api.serve, "127.0.0.1", 0, limit=1 << 24)
        servers.append(server)
        api.port = server.sockets[0].getsockname()[1]
        telemetry, writer = os.pipe()
        output, output_writer = os.pipe()
        base = {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
            "LAMBDA_TASK_ROOT": str(task),
            "LAMBDA_RUNTIME_DIR": str(runtime_dir),
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.port}",
            "_HANDLER": handler,
            "AWS_LAMBDA_FUNCTION_NAME": "fn",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/fn",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/23/[$LATEST]abc",
        }
        if framed:
            base["_LAMBDA_TELEMETRY_LOG_FD"] = str(writer)
        inherited = [writer] if framed else []
        if channel is not None:
            base["_LAMBENT_CHANNEL_FD"] = str(channel.fileno())
            inherited.append(channel.fileno())
        base.update(env or {})
        variables, told = os.pipe()
        first = base
        if isinstance(argv, Ahead):
            first = {name: value for name, value in base.items() if name.startswith(Ahead.known)}
            first[HEAD_START_VARIABLE] = str(variables)
        process = subprocess.Popen(
            argv,
            env=first,
            cwd=task if first is base else "/",
            stdin=subprocess.DEVNULL,
            stdout=output_writer,
            stderr=output_writer,
            pass_fds=[*inherited, *([variables] if first is not base else [])],
        )
        os.close(variables)
        if first is not base:
            os.write(told, "".join(f"{name}={value}\0" for name, value in base.items()).encode())
        os.close(told)
        os.close(writer)
        os.close(output_writer)
        os.set_blocking(telemetry, False)
        os.set_blocking(output, False)
        guests.append(Guest(api, task, process, telemetry, output))
        return guests[-1]

    try:
        yield start
    finally:
        for guest in guests:
            guest.process.kill()
            guest.process.wait()
            os.close(guest.telemetry)
            os.close(guest.output)
        for server in servers:
            server.close()
            await server.wait_closed()
        await asyncio.sleep(0)


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> RuntimeCatalog:
    given = os.environ.get("LAMBENT_RUNTIMES_DIR")
    return RuntimeCatalog(Path(given) if given else tmp_path_factory.mktemp("data"), os.environ)


@dataclass
class SandboxedGuest:
    """A guest in a real sandbox, mounted as the catalog says."""

    api: RuntimeApi
    sandbox: Sandbox

    def texts(self) -> list[str]:
        assert self.sandbox.telemetry_fd is not None
        try:
            return [frame.text for frame in frames_of(os.read(self.sandbox.telemetry_fd, 1 << 20))]
        except BlockingIOError:
            return []

    def raw_output(self) -> str:
        try:
            return os.read(self.sandbox.output_fd, 1 << 20).decode()
        except BlockingIOError:
            return ""


@pytest.fixture
async def start_sandboxed(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[SandboxedGuest]]]:
    """`await start_sandboxed(runtime, files, handler, layer={})`: code at /var/task, the layer at /opt."""
    backend = LinuxBackend(f"test-guest-{os.getpid()}", tmp_path / "state")
    await backend.start()
    servers: list[asyncio.Server] = []
    sandboxes: list[Sandbox] = []

    def write(directory: Path, files: Mapping[str, str]) -> Path:
        directory.mkdir()
        for name, text in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return directory

    async def start(
        runtime: Runtime, files: Mapping[str, str], handler: str = "index.handler", *, layer: Mapping[str, str] = {}
    ) -> SandboxedGuest:
        number = len(sandboxes)
        code = write(tmp_path / f"code{number}", files)
        binds = [*runtime.binds, Bind(code, "/var/task")]
        if layer:
            binds.append(Bind(write(tmp_path / f"layer{number}", layer), "/opt"))
        template = SandboxTemplate(f"t{number}", tuple(binds), runtime.directories)
        env = {
            **runtime.env,
            "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
            "_HANDLER": handler,
            "_LAMBDA_TELEMETRY_LOG_FD": "3",
            "AWS_LAMBDA_FUNCTION_NAME": "fn",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/fn",
            "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
        }
        spec = SandboxSpec(
            sandbox_id=f"guest{number}",
            argv=runtime.command(512),
            env=env,
            limits=SandboxLimits(memory_bytes=512 << 20, cpus=2.0, tmp_bytes=16 << 20),
            cwd="/var/task",
            listen=(9001,),
            telemetry_fd=3,
            init=runtime.needs_init,
        )
        sandbox = await backend.launch(template, spec)
        sandboxes.append(sandbox)
        api = RuntimeApi()
        servers.append(await asyncio.start_server(api.serve, sock=sandbox.listeners[0], limit=1 << 24))
        return SandboxedGuest(api, sandbox)

    try:
        yield start
    finally:
        for sandbox in sandboxes:
            sandbox.kill()
            await sandbox.wait()
            os.close(sandbox.output_fd)
            if sandbox.telemetry_fd is not None:
                os.close(sandbox.telemetry_fd)
        for server in servers:
            server.close()
            await server.wait_closed()
        await backend.close()
