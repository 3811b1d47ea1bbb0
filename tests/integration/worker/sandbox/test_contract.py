"""The contract of `lambent.worker.sandbox.api`, over every backend."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from lambent.worker.sandbox.api import Bind, SandboxBackend, SandboxError, SandboxExit, SandboxTemplate
from lambent.worker.sandbox.fake import FakeBackend, FakeProcess
from lambent.worker.sandbox.linux.backend import LinuxBackend
from lambent.worker.sandbox.process.backend import ProcessBackend

pytestmark = [pytest.mark.alone, pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")]

PYTHON = f"{sys.base_prefix}/bin/python3"
GREET = "import sys; print('hello'); sys.stdout.flush(); print('bye', file=sys.stderr); sys.exit(7)"
ABORT = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
CONNECT = """
import os, _socket
host, port = os.environ["ENDPOINT"].split(":")
client = _socket.socket(); client.connect((host, int(port))); client.send(b"from inside"); client.close()
"""
CHANNEL = """
import os
if os.environ["TELEMETRY_FD"] != "None":
    os.write(int(os.environ["TELEMETRY_FD"]), b"telemetry")
channel = int(os.environ["CHANNEL_FD"])
os.write(channel, os.read(channel, 100) + b", answer")
"""
TELEMETRY = "import os; os.write(int(os.environ['TELEMETRY_FD']), b'telemetry')"
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True: time.sleep(1)
"""
FLOOD = "import sys; sys.stdout.write('x' * 60000)"


async def fake_python(process: FakeProcess) -> int | None:
    """The same programs for the backend whose programs are functions."""
    match process.spec.argv[-1]:
        case script if script == GREET:
            process.write(b"hello\nbye\n")
            return 7
        case script if script == ABORT:
            process.exit(SandboxExit(signal=signal.SIGTERM))
        case script if script == CONNECT:
            _, writer = await asyncio.open_connection(*process.address(9001))
            writer.write(b"from inside")
            writer.close()
            await writer.wait_closed()
        case script if script == TELEMETRY:
            process.write_telemetry(b"telemetry")
        case script if script == CHANNEL:
            if process.spec.telemetry_fd is not None:
                process.write_telemetry(b"telemetry")
            assert process.channel is not None
            loop = asyncio.get_running_loop()
            question = await loop.sock_recv(process.channel, 100)
            await loop.sock_sendall(process.channel, question + b", answer")
        case script if script == STUBBORN:
            process.write(b"ready\n")
            await asyncio.Event().wait()
        case script if script == FLOOD:
            process.write(b"x" * 60000)
    return 0


ORDINARY_USER = pytest.mark.skipif(os.geteuid() == 0, reason="test_rootless runs it as an ordinary user")


@pytest.fixture(
    params=[
        pytest.param("linux", marks=pytest.mark.root),
        pytest.param("rootless", marks=ORDINARY_USER),
        "process",
        "fake",
    ]
)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> SandboxBackend:
    if request.param == "linux":
        return LinuxBackend(str(tmp_path), tmp_path / "state")
    if request.param == "rootless":
        return LinuxBackend(str(tmp_path), tmp_path / "state", rootless=True)
    if request.param == "process":
        return ProcessBackend(tmp_path / "state")
    return FakeBackend({PYTHON: fake_python})


@pytest.fixture
async def any_lab(backend: SandboxBackend, template: SandboxTemplate, open_lab: Any) -> AsyncIterator[Any]:
    async with open_lab(backend, template) as lab:
        yield lab


@pytest.mark.parametrize("init", [True, False])
async def test_status_and_all_output_are_reported(any_lab: Any, init: bool) -> None:
    ran = await any_lab.run_python(GREET, init=init)
    assert ran.exit == SandboxExit(status=7)
    assert ran.text == "hello\nbye\n"


async def test_output_can_be_read_after_the_end(any_lab: Any) -> None:
    sandbox = await any_lab.launch_python(FLOOD)
    assert await sandbox.wait() == SandboxExit(status=0)
    assert (await any_lab.finish(sandbox)).output == b"x" * 60000


async def test_death_by_signal_is_reported(any_lab: Any) -> None:
    ran = await any_lab.run_python(ABORT)
    assert ran.exit == SandboxExit(signal=signal.SIGTERM)


async def test_program_reaches_the_listening_socket(any_lab: Any, accept: Any) -> None:
    sandbox = await any_lab.launch_python(CONNECT, listen=(9001, 9002), env={"ENDPOINT": "127.0.0.1:9001"})
    assert len(sandbox.listeners) == 2
    assert await accept(sandbox.listeners[0]) == b"from inside"
    assert (await any_lab.finish(sandbox)).exit == SandboxExit(status=0)


@pytest.mark.parametrize("number", [3, 100])
async def test_telemetry_pipe_is_at_its_number(any_lab: Any, number: int) -> None:
    sandbox = await any_lab.launch_python(TELEMETRY, telemetry_fd=number, env={"TELEMETRY_FD": str(number)})
    await any_lab.finish(sandbox)
    assert os.read(sandbox.telemetry_fd, 100) == b"telemetry"
    assert os.read(sandbox.telemetry_fd, 100) == b""


@pytest.mark.parametrize(("telemetry", "number"), [(None, 3), (3, 4), (4, 3), (100, 50)])
async def test_channel_is_at_its_number(any_lab: Any, telemetry: int | None, number: int) -> None:
    env = {"CHANNEL_FD": str(number), "TELEMETRY_FD": str(telemetry)}
    sandbox = await any_lab.launch_python(CHANNEL, telemetry_fd=telemetry, channel_fd=number, env=env)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sandbox.channel, b"question")
    assert await loop.sock_recv(sandbox.channel, 100) == b"question, answer"
    await any_lab.finish(sandbox)
    assert await loop.sock_recv(sandbox.channel, 100) == b""
    if telemetry is not None:
        assert os.read(sandbox.telemetry_fd, 100) == b"telemetry"


async def test_without_asking_there_is_no_channel(any_lab: Any) -> None:
    sandbox = await any_lab.launch_python("pass")
    await any_lab.finish(sandbox)
    assert sandbox.channel is None


@pytest.mark.parametrize("init", [True, False])
async def test_kill_cannot_be_refused_and_is_idempotent(any_lab: Any, init: bool) -> None:
    sandbox = await any_lab.launch_python(STUBBORN, init=init)
    assert await any_lab.line(sandbox) == b"ready\n"
    sandbox.kill()
    sandbox.kill()
    for ended in await asyncio.gather(sandbox.wait(), sandbox.wait()):
        assert ended == SandboxExit(signal=signal.SIGKILL, killed=True)
    sandbox.kill()
    sandbox.freeze()
    sandbox.thaw()
    assert await sandbox.wait() == SandboxExit(signal=signal.SIGKILL, killed=True)
    assert sandbox.memory_current_bytes() == 0
    await any_lab.finish(sandbox)


async def test_kill_right_after_launch(any_lab: Any) -> None:
    sandbox = await any_lab.launch_python(STUBBORN)
    sandbox.kill()
    assert (await any_lab.finish(sandbox)).exit.killed


async def test_kill_works_on_a_frozen_sandbox(any_lab: Any) -> None:
    sandbox = await any_lab.launch_python(STUBBORN)
    assert await any_lab.line(sandbox) == b"ready\n"
    sandbox.freeze()
    sandbox.kill()
    assert (await any_lab.finish(sandbox)).exit.killed


async def test_frozen_and_thawed_it_goes_on(any_lab: Any) -> None:
    sandbox = await any_lab.launch_python(GREET)
    sandbox.freeze()
    sandbox.freeze()
    sandbox.thaw()
    assert (await any_lab.finish(sandbox)).exit == SandboxExit(status=7)


async def test_missing_program_is_an_error_that_leaves_nothing(any_lab: Any, leftovers: Any) -> None:
    await any_lab.backend.prepare(any_lab.template)
    before = leftovers(any_lab.backend)
    with pytest.raises(SandboxError, match="execute"):
        await any_lab.launch("/no/such/program", listen=(9001,), telemetry_fd=3)
    assert not leftovers(any_lab.backend).beyond(before)


async def test_an_id_can_be_used_once_at_a_time(any_lab: Any) -> None:
    sandbox = await any_lab.launch_python(STUBBORN, sandbox_id="one")
    with pytest.raises(SandboxError, match="one"):
        await any_lab.launch_python(STUBBORN, sandbox_id="one")
    sandbox.kill()
    await any_lab.finish(sandbox)
    again = await any_lab.launch_python(GREET, sandbox_id="one")
    assert (await any_lab.finish(again)).exit == SandboxExit(status=7)


async def test_concurrent_launches(any_lab: Any) -> None:
    runs = await asyncio.gather(*(any_lab.run_python(GREET) for _ in range(8)))
    assert [ran.exit.status for ran in runs] == [7] * 8


async def test_release_kills_what_was_launched_from_it(any_lab: Any) -> None:
    other = SandboxTemplate("other", any_lab.template.binds)
    kept = await any_lab.launch_python(STUBBORN)
    any_lab.template, first = other, any_lab.template
    released = await any_lab.launch_python(STUBBORN)
    await any_lab.backend.release(other)
    assert (await released.wait()).killed
    await any_lab.backend.release(other)
    await any_lab.backend.release(SandboxTemplate("never seen"))
    await any_lab.finish(released)
    any_lab.template = first
    kept.thaw()
    kept.kill()
    assert (await any_lab.finish(kept)).exit.killed


async def test_close_kills_everything_and_is_idempotent(any_lab: Any) -> None:
    sandboxes = [await any_lab.launch_python(STUBBORN) for _ in range(3)]
    await any_lab.backend.close()
    for sandbox in sandboxes:
        assert (await any_lab.finish(sandbox)).exit.killed
    with pytest.raises(SandboxError):
        await any_lab.launch_python(GREET)
    await any_lab.backend.close()


async def test_cancelled_launch_leaves_nothing(any_lab: Any) -> None:
    task = asyncio.create_task(any_lab.launch_python(STUBBORN))
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        sandbox = await task
        sandbox.kill()
        await any_lab.finish(sandbox)


@pytest.mark.parametrize("init", [True, False])
async def test_a_sandbox_that_waited_runs_its_program_as_one_that_was_launched(
    any_lab: Any, accept: Any, init: bool
) -> None:
    telling, greeting = await asyncio.gather(
        any_lab.set_up(listen=(9001, 9002), telemetry_fd=5, init=init), any_lab.set_up(init=init)
    )
    assert not telling.ended
    sandbox = await any_lab.run_in(telling, CONNECT, {"ENDPOINT": "127.0.0.1:9001"})
    assert telling.ended
    assert await accept(sandbox.listeners[0]) == b"from inside"
    assert (await any_lab.finish(sandbox)).exit == SandboxExit(status=0)
    assert os.read(sandbox.telemetry_fd, 100) == b""
    ran = await any_lab.finish(await any_lab.run_in(greeting, GREET, {}))
    assert (ran.exit, ran.text) == (SandboxExit(status=7), "hello\nbye\n")
    await greeting.discard()


async def test_a_sandbox_that_waits_is_discarded_without_a_trace(any_lab: Any, leftovers: Any) -> None:
    await any_lab.backend.prepare(any_lab.template)
    before = leftovers(any_lab.backend)
    waiting = await any_lab.set_up(listen=(9001,), telemetry_fd=3, sandbox_id="one")
    await waiting.discard()
    await waiting.discard()
    assert waiting.ended
    assert not leftovers(any_lab.backend).beyond(before)
    with pytest.raises(SandboxError):
        await any_lab.run_in(waiting, GREET, {})
    ran = await any_lab.run_python(GREET, sandbox_id="one")
    assert ran.exit == SandboxExit(status=7)


async def test_a_program_that_cannot_be_run_in_a_sandbox_that_waited_leaves_nothing(
    any_lab: Any, leftovers: Any
) -> None:
    await any_lab.backend.prepare(any_lab.template)
    before = leftovers(any_lab.backend)
    for argv, why in ((("/no/such/program",), "execute"), ((), "no program"), (("\0",), "cannot hold")):
        waiting = await any_lab.set_up(listen=(9001,), telemetry_fd=3)
        with pytest.raises(SandboxError, match=why):
            await waiting.run(argv, {})
        assert waiting.ended
        assert not leftovers(any_lab.backend).beyond(before)


async def test_release_and_close_end_those_that_wait(any_lab: Any) -> None:
    first = await any_lab.set_up(listen=(9001,))
    await any_lab.backend.release(any_lab.template)
    assert first.ended
    with pytest.raises(SandboxError):
        await any_lab.run_in(first, GREET, {})
    second = await any_lab.set_up()
    await any_lab.backend.close()
    assert second.ended
    await second.discard()


async def test_cancelled_set_up_leaves_nothing(any_lab: Any) -> None:
    for steps in (0, 1, 3, 10):
        task = asyncio.create_task(any_lab.set_up(listen=(9001,)))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await (await task).discard()


@pytest.mark.parametrize(
    "kind",
    [pytest.param("linux", marks=pytest.mark.root), pytest.param("rootless", marks=ORDINARY_USER), "process"],
)
class TestRealBackends:
    """What only makes sense for programs that are processes."""

    @pytest.fixture
    async def real(self, kind: str, tmp_path: Path, template: SandboxTemplate, open_lab: Any) -> AsyncIterator[Any]:
        backends: dict[str, Callable[[], SandboxBackend]] = {
            "linux": lambda: LinuxBackend(str(tmp_path), tmp_path / "state"),
            "rootless": lambda: LinuxBackend(str(tmp_path), tmp_path / "state", rootless=True),
            "process": lambda: ProcessBackend(tmp_path / "state"),
        }
        async with open_lab(backends[kind](), template) as lab:
            yield lab

    async def test_environment_is_exactly_the_specs(self, real: Any, kind: str, monkeypatch: Any) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the host's")
        ran = await real.run("/usr/bin/env", env={"A": "1", "B": "two words", "C": ""})
        lines = set(ran.text.splitlines())
        assert {line for line in lines if not line.startswith("TMPDIR=")} == {"A=1", "B=two words", "C="}
        assert kind == "process" or len(lines) == 3

    async def test_no_descriptors_of_ours_inside(self, real: Any) -> None:
        ran = await real.run("/bin/ls", "/proc/self/fd", telemetry_fd=5)
        assert ran.text.split() == ["0", "1", "2", "3", "5"]  # 3: the directory being listed

    async def test_environment_and_descriptors_of_one_that_waited(self, real: Any, kind: str) -> None:
        waiting, other = await real.set_up(telemetry_fd=5), await real.set_up(telemetry_fd=5)
        sandbox = await real.handed_out(waiting.run(("/bin/sh", "-c", "env; echo $(ls /proc/self/fd)"), {"A": "1"}))
        lines = (await real.finish(sandbox)).text.splitlines()
        assert lines[-1] == "0 1 2 3 5"
        theirs = ("TMPDIR=", "PWD=", "OLDPWD=", "SHLVL=", "_=")  # the shell's own
        assert [line for line in lines[:-1] if not line.startswith(theirs)] == ["A=1"]
        await other.discard()

    async def test_one_that_dies_while_it_waits_can_be_told(self, real: Any, kind: str, leftovers: Any) -> None:
        await real.backend.prepare(real.template)
        before = leftovers(real.backend)
        waiting = await real.set_up(listen=(9001,))
        supervisors = leftovers(real.backend).children - before.children
        (born,) = map(int, supervisors) if kind == "process" else real.in_sandboxes()
        os.kill(born, signal.SIGKILL)
        async with asyncio.timeout(10):
            while not waiting.ended:
                await asyncio.sleep(0.01)
        with pytest.raises(SandboxError):
            await real.run_in(waiting, GREET, {})
        assert not leftovers(real.backend).beyond(before)

    @pytest.mark.parametrize("init", [True, False])
    async def test_detached_processes_end_with_the_program(self, real: Any, init: bool, tmp_path: Path) -> None:
        script = """
import os, time
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(100)
        os._exit(0)
print("left", flush=True)
"""
        ran = await real.run_python(script, init=init)  # the end of output is the end of all its writers
        assert ran.exit == SandboxExit(status=0)
        assert ran.text == "left\n"

    async def test_missing_bind_is_an_error(self, real: Any, tmp_path: Path) -> None:
        template = SandboxTemplate("broken", (Bind(tmp_path / "nothing", "/var/task"),))
        with pytest.raises(SandboxError, match=r"nothing.*No such file"):
            await real.backend.prepare(template)

    async def test_bound_files_are_found(self, real: Any, tmp_path: Path) -> None:
        (tmp_path / "code").mkdir()
        (tmp_path / "code" / "handler.txt").write_text("the code")
        (tmp_path / "code").chmod(0o755)
        real.template = SandboxTemplate("bound", (Bind(tmp_path / "code", "/var/task"),))
        ran = await real.run("/bin/cat", "/var/task/handler.txt", cwd="/var/task")
        assert (ran.exit.status, ran.text) == (0, "the code")

    async def test_missing_working_directory_is_an_error(self, real: Any) -> None:
        with pytest.raises(SandboxError, match="No such file"):
            await real.run("/bin/true", cwd="/no/such/place")
