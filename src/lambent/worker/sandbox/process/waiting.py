"""A supervisor that waits for its orders."""

from __future__ import annotations

import asyncio
import marshal
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lambent.worker.sandbox.api import Bind, Sandbox, SandboxError, SandboxSpec, check_program
from lambent.worker.sandbox.process.rewrite import rewrite_command
from lambent.worker.sandbox.process.sandbox import ProcessSandbox


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Of a program to come. Descriptors are the supervisor's; those that are `placed` shall get the numbers beside."""

    spec: SandboxSpec
    binds: tuple[Bind, ...]
    ports: Mapping[int, int]
    tmp: str
    output: int
    placed: tuple[tuple[int, int], ...]


class WaitingProcess:
    """`WaitingSandbox`. `ready`: the pipe on which the supervisor says whether the program was executed; `control`: its
    standard input, which is the sandbox's to close."""

    def __init__(self, sandbox: ProcessSandbox, ready: int, control: int, surroundings: Surroundings) -> None:
        self.sandbox = sandbox
        self._ready = ready
        self._control = control
        self._surroundings = surroundings
        self._is_over = False

    @property
    def ended(self) -> bool:
        return self._is_over or self.sandbox.ended

    async def run(self, argv: tuple[str, ...], env: Mapping[str, str]) -> Sandbox:
        spec = replace(self._surroundings.spec, argv=argv, env=env)
        try:
            check_program(spec)
            if self.ended:
                raise SandboxError(f"sandbox {spec.sandbox_id}: it died while it waited for its program")
            self._order(spec)
        except SandboxError:
            await self.discard()
            raise
        self._is_over = True
        try:
            answer = await _read_all(self._ready)
        except BaseException:
            self._give_up()
            raise
        if answer != b"+":
            self._give_up()
            await self.sandbox.wait()
            why = answer.removeprefix(b"+").decode(errors="replace") or "its supervisor died"
            raise SandboxError(f"sandbox {spec.sandbox_id}: {why}")
        return self.sandbox

    async def discard(self) -> None:
        if not self._is_over:
            self._is_over = True
            os.close(self._ready)
            self._give_up()
            await self.sandbox.wait()

    def memory_current_bytes(self) -> int:
        return 0

    def _give_up(self) -> None:
        self.sandbox.kill()
        self.sandbox.close_handed_out()

    def _order(self, spec: SandboxSpec) -> None:
        around = self._surroundings
        argv, env, cwd = rewrite_command(spec, around.binds, around.ports, around.tmp)
        orders = {
            "argv": [os.fsencode(argument) for argument in argv],
            "cwd": cwd,
            "descriptors": spec.limits.descriptors,
            "env": {os.fsencode(name): os.fsencode(value) for name, value in env.items()},
            "output": around.output,
            "placed": around.placed,
        }
        data = marshal.dumps(orders)
        try:
            with os.fdopen(self._control, "wb", closefd=False) as control:
                control.write(struct.pack("I", len(data)) + data)
        except BrokenPipeError as error:
            raise SandboxError(f"sandbox {spec.sandbox_id}: its supervisor died") from error


async def _read_all(descriptor: int) -> bytes:
    """Everything until end of file; closes the descriptor."""
    loop = asyncio.get_running_loop()
    data = b""
    try:
        while True:
            try:
                part = os.read(descriptor, 65536)
            except BlockingIOError:
                readable = asyncio.Event()
                loop.add_reader(descriptor, readable.set)
                try:
                    await readable.wait()
                finally:
                    loop.remove_reader(descriptor)
                continue
            if not part:
                return data
            data += part
    finally:
        os.close(descriptor)
