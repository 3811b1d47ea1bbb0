"""`ProcessBackend`: no isolation at all (see `process/__init__`)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from lambent.worker.sandbox import descriptors
from lambent.worker.sandbox.api import (
    BackendReport,
    Guarantee,
    Sandbox,
    SandboxError,
    SandboxSpec,
    SandboxTemplate,
    check_program,
)
from lambent.worker.sandbox.process.sandbox import ProcessSandbox
from lambent.worker.sandbox.process.waiting import Surroundings, WaitingProcess

_SUPERVISOR = str(Path(__file__).parent / "supervisor.py")
_BACKLOG = 1024
_UNSAFE = "no isolation: functions run as ordinary processes of this user and can read and change all that it can"


class ProcessBackend:
    """`SandboxBackend` that isolates nothing, and says so. `state_dir`: where temporary directories are made."""

    def __init__(self, state_dir: Path) -> None:
        self._tmp = state_dir / "process-tmp"
        self._sandboxes: dict[str, tuple[SandboxTemplate, ProcessSandbox]] = {}
        self._running = False

    @property
    def name(self) -> str:
        return "process"

    def report(self) -> BackendReport:
        names = ("separate processes, users and files", "separate network", "few system calls", "no privileges")
        limits = ("memory limit", "CPU limit", "process limit", "limit on temporary files", "freezing while idle")
        guarantees = tuple(Guarantee(name, holds=False, how=_UNSAFE) for name in (*names, *limits))
        return BackendReport("process", usable=True, reason=f"UNSAFE: {_UNSAFE}", guarantees=guarantees)

    async def start(self) -> None:
        shutil.rmtree(self._tmp, ignore_errors=True)
        self._tmp.mkdir(parents=True, mode=0o700)
        self._running = True

    async def prepare(self, template: SandboxTemplate) -> None:
        """There is nothing to prepare; what is missing is noticed here as in other backends."""
        for bind in template.binds:
            if not bind.source.exists():
                raise SandboxError(f"template {template.name}: bind {bind.source}: No such file or directory")

    async def launch(self, template: SandboxTemplate, spec: SandboxSpec) -> Sandbox:
        check_program(spec)
        return await (await self.set_up(template, spec)).run(spec.argv, spec.env)

    async def set_up(self, template: SandboxTemplate, spec: SandboxSpec) -> WaitingProcess:
        if not self._running:
            raise SandboxError("the sandbox backend is not running")
        if spec.sandbox_id in self._sandboxes:
            raise SandboxError(f"sandbox {spec.sandbox_id} is there already")
        await self.prepare(template)
        waiting = self._start_supervisor(template, spec)
        self._sandboxes[spec.sandbox_id] = (template, waiting.sandbox)
        return waiting

    async def release(self, template: SandboxTemplate) -> None:
        await _end([sandbox for of, sandbox in self._sandboxes.values() if of == template])

    async def close(self) -> None:
        self._running = False
        await _end([sandbox for _, sandbox in self._sandboxes.values()])
        shutil.rmtree(self._tmp, ignore_errors=True)

    def _start_supervisor(self, template: SandboxTemplate, spec: SandboxSpec) -> WaitingProcess:
        listeners = tuple(_listen() for _ in spec.listen)
        ports = {inside: listener.getsockname()[1] for inside, listener in zip(spec.listen, listeners, strict=True)}
        tmp = Path(tempfile.mkdtemp(dir=self._tmp))
        output_read, output_write = descriptors.pipe()
        ready_read, ready_write = descriptors.pipe()
        status_read, status_write = descriptors.pipe()
        telemetry_read, telemetry_write = descriptors.pipe() if spec.telemetry_fd is not None else (None, None)
        control_read, control_write = os.pipe()
        channel, theirs = descriptors.channel() if spec.channel_fd is not None else (None, None)
        wanted = ((telemetry_write, spec.telemetry_fd), (theirs, spec.channel_fd))
        placed = tuple((fd, place) for fd, place in wanted if fd is not None and place is not None)
        inside = [output_write, ready_write, status_write, *(fd for fd, _ in placed)]
        surroundings = Surroundings(spec, template.binds, ports, str(tmp), output_write, placed)
        command = [sys.executable, "-I", "-S", "-X", "utf8", _SUPERVISOR, str(ready_write), str(status_write)]
        supervisor = subprocess.Popen(
            command, pass_fds=inside, env={}, cwd="/", stdin=control_read, start_new_session=True
        )
        for descriptor in (control_read, *inside):
            os.close(descriptor)
        sandbox = ProcessSandbox(
            spec.sandbox_id,
            supervisor,
            control_write,
            listeners,
            output_read,
            telemetry_read,
            channel,
            status_read,
            tmp,
            self._forget,
        )
        return WaitingProcess(sandbox, ready_read, control_write, surroundings)

    def _forget(self, sandbox: ProcessSandbox) -> None:
        self._sandboxes.pop(sandbox.sandbox_id, None)


async def _end(sandboxes: list[ProcessSandbox]) -> None:
    for sandbox in sandboxes:
        sandbox.kill()
    for sandbox in sandboxes:
        await sandbox.wait()


def _listen() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
    listener.setblocking(False)
    return listener
