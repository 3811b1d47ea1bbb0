"""The sandbox backend without a server: how many environments of Python get ready in a second.

One is ready when its runtime asks for an event, having imported a handler that imports boto3.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

from functions import FUNCTIONS
from lambent.worker.runtimes.catalog import Runtime, RuntimeCatalog
from lambent.worker.sandbox.api import Bind, Sandbox, SandboxError, SandboxLimits, SandboxSpec, SandboxTemplate
from lambent.worker.sandbox.linux.backend import LinuxBackend

_RUNTIME = "python3.11"
_PORT = 9001
_TELEMETRY = 3
_PREPARED_S = 10.0


async def measure(count: int, at_once: int) -> tuple[float, float]:
    """(environments ready in a second, p50 of a launch in ms): `count` of them, so many being started at a time, all
    kept until the end. Raises SandboxError."""
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        (directory / "code").mkdir()
        (directory / "code" / "app.py").write_text(FUNCTIONS["python-import"][1])
        runtime = RuntimeCatalog(_runtimes(directory), os.environ).find(_RUNTIME)
        if runtime is None:
            raise SandboxError(f"no {_RUNTIME} on this host")
        template = SandboxTemplate(
            "bench", (*runtime.binds, Bind(directory / "code", "/var/task")), runtime.directories, runtime.zygote
        )
        backend = LinuxBackend(f"bench{os.getpid()}", directory / "state")
        await backend.start()
        try:
            await backend.prepare(template)
            await asyncio.sleep(1)  # the zygote's preparations, and the shelf's
            return await _launch_all(backend, template, runtime, count, at_once)
        finally:
            await backend.close()


def _runtimes(directory: Path) -> Path:
    return Path(os.environ.get("LAMBENT_RUNTIMES_DIR") or directory / "runtimes")


async def _launch_all(
    backend: LinuxBackend, template: SandboxTemplate, runtime: Runtime, count: int, at_once: int
) -> tuple[float, float]:
    kept: list[Sandbox] = []
    times_ms: list[float] = []
    numbers = iter(range(count))

    async def launcher() -> None:
        for number in numbers:
            begun = time.perf_counter()
            sandbox = await backend.launch(template, _spec(runtime, number))
            kept.append(sandbox)
            await _asks_for_an_event(sandbox)
            times_ms.append((time.perf_counter() - begun) * 1000)

    begun = time.perf_counter()
    try:
        await asyncio.gather(*(launcher() for _ in range(at_once)))
        elapsed = time.perf_counter() - begun
    finally:
        for sandbox in kept:
            sandbox.kill()
        for sandbox in kept:
            await sandbox.wait()
            for listener in sandbox.listeners:
                listener.close()
            for descriptor in (sandbox.output_fd, sandbox.telemetry_fd):
                if descriptor is not None:
                    os.close(descriptor)
    return count / elapsed, sorted(times_ms)[len(times_ms) // 2]


def _spec(runtime: Runtime, number: int) -> SandboxSpec:
    limits = SandboxLimits(memory_bytes=128 << 20, cpus=1.0, tmp_bytes=512 << 20)
    env = {
        **runtime.env, "_HANDLER": "app.handler", "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{_PORT}",
        "_LAMBDA_TELEMETRY_LOG_FD": str(_TELEMETRY), "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128", "AWS_LAMBDA_LOG_FORMAT": "Text", "AWS_REGION": "us-east-1",
    }  # fmt: skip
    return SandboxSpec(
        f"s{number}", runtime.command(128), env, limits, listen=(_PORT,), telemetry_fd=_TELEMETRY,
        init=runtime.needs_init, fork=True, cwd="/var/task",
    )  # fmt: skip


async def _asks_for_an_event(sandbox: Sandbox) -> None:
    loop = asyncio.get_running_loop()
    listener = sandbox.listeners[0]
    listener.setblocking(False)
    connection, _ = await loop.sock_accept(listener)
    connection.setblocking(False)
    asked = await loop.sock_recv(connection, 4096)
    if b"/invocation/next" not in asked:
        raise SandboxError(f"the runtime did not start: {asked[:500]!r}")
    connection.detach()  # open until the sandbox ends
