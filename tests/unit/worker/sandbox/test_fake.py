"""What the fake offers to tests beyond the contract."""

from __future__ import annotations

import asyncio
import os

import pytest

from lambent.worker.sandbox.api import SandboxError, SandboxExit, SandboxLimits, SandboxSpec, SandboxTemplate
from lambent.worker.sandbox.fake import FakeBackend, FakeProcess, FakeSandbox

TEMPLATE = SandboxTemplate("t")


def spec(program: str, sandbox_id: str = "s") -> SandboxSpec:
    return SandboxSpec(sandbox_id, (program,), {"A": "1"}, SandboxLimits(1, 1.0, 1))


async def wait_forever(process: FakeProcess) -> int | None:
    await asyncio.Event().wait()
    return None


async def crash(process: FakeProcess) -> int | None:
    raise RuntimeError(process.env["A"])


@pytest.fixture
async def backend() -> FakeBackend:
    backend = FakeBackend({"wait": wait_forever, "crash": crash})
    await backend.start()
    return backend


async def launch(backend: FakeBackend, program: str) -> FakeSandbox:
    sandbox = await backend.launch(TEMPLATE, spec(program))
    assert isinstance(sandbox, FakeSandbox)
    return sandbox


async def test_any_exit_can_be_made(backend: FakeBackend) -> None:
    sandbox = await launch(backend, "wait")
    sandbox.memory_bytes = 5
    assert (sandbox.memory_current_bytes(), list(backend.sandboxes)) == (5, ["s"])
    sandbox.process.exit(SandboxExit(signal=9, oom_killed=True))
    assert await sandbox.wait() == SandboxExit(signal=9, oom_killed=True)
    assert (sandbox.memory_current_bytes(), sandbox.memory_peak_bytes(), dict(backend.sandboxes)) == (0, 5, {})
    os.close(sandbox.output_fd)


async def test_an_exception_is_exit_status_1_and_output(backend: FakeBackend) -> None:
    sandbox = await launch(backend, "crash")
    assert await sandbox.wait() == SandboxExit(status=1)
    assert os.read(sandbox.output_fd, 100) == b"RuntimeError: 1\n"
    os.close(sandbox.output_fd)


async def test_freezing_is_seen(backend: FakeBackend) -> None:
    sandbox = await launch(backend, "wait")
    sandbox.freeze()
    assert sandbox.process.frozen
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(sandbox.process.not_frozen(), 0.01)
    sandbox.thaw()
    await sandbox.process.not_frozen()
    await backend.close()
    os.close(sandbox.output_fd)


async def test_failures_can_be_ordered(backend: FakeBackend) -> None:
    backend.failure = SandboxError("no memory")
    with pytest.raises(SandboxError, match="no memory"):
        await backend.launch(TEMPLATE, spec("wait"))
    assert backend.launches == []
    with pytest.raises(OSError, match="no telemetry"):
        FakeProcess(TEMPLATE, spec("wait"), {}, 1, None, None).write_telemetry(b"")
