"""Many launches while spawners are killed, templates released and launches cancelled: every launch ends in a sandbox, a
`SandboxError` or a cancellation, every sandbox ends, and nothing is left (the fixture checks)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from dataclasses import replace
from typing import Any

import pytest

from lambent.worker.sandbox.api import Sandbox, SandboxError, SandboxTemplate

pytestmark = [pytest.mark.root, pytest.mark.alone]

PROGRAMS = ("exit 3", "sleep 0.05; exit 3", "sleep 100 & exec sleep 100")


async def one_life(lab: Any, dice: random.Random, template: SandboxTemplate, number: int) -> str:
    """Launch, perhaps cancel, perhaps freeze, kill. What became of it, in a word."""
    await asyncio.sleep(dice.random() * 3)
    argv = ("/bin/sh", "-c", dice.choice(PROGRAMS))
    telemetry_fd, channel_fd = dice.choice([(None, None), (3, 4)])
    spec = lab.spec(argv, sandbox_id=f"s{number}", listen=(9001,), init=dice.random() < 0.5, telemetry_fd=telemetry_fd)
    spec = replace(spec, channel_fd=channel_fd)
    launch: asyncio.Task[Sandbox] = asyncio.create_task(lab.backend.launch(template, spec))
    if dice.random() < 0.15:
        await asyncio.sleep(dice.random() * 0.02)
        launch.cancel()
    try:
        sandbox = await launch
    except (SandboxError, asyncio.CancelledError) as error:
        return type(error).__name__
    if dice.random() < 0.3:
        sandbox.freeze()
    await asyncio.sleep(dice.random() * 0.1)
    sandbox.kill()
    ran = await asyncio.wait_for(lab.finish(sandbox), 20)
    for listener in sandbox.listeners:
        listener.close()
    if sandbox.telemetry_fd is not None:
        os.close(sandbox.telemetry_fd)
    if sandbox.channel is not None:
        sandbox.channel.close()
    assert ran.exit.status == 3 or (ran.exit.signal == signal.SIGKILL and ran.exit.killed)
    return "ended"


async def chaos(lab: Any, dice: random.Random, templates: list[SandboxTemplate]) -> None:
    while True:
        await asyncio.sleep(0.1 + dice.random() * 0.4)
        spawners = lab.spawners()
        if spawners and dice.random() < 0.5:
            with contextlib.suppress(ProcessLookupError):
                os.kill(dice.choice(spawners), signal.SIGKILL)
        elif dice.random() < 0.3:
            await lab.backend.release(dice.choice(templates))


@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_is_lost_or_left(lab: Any, seed: int) -> None:
    dice = random.Random(seed)
    templates = [SandboxTemplate(f"t{number}") for number in range(3)]
    trouble = asyncio.create_task(chaos(lab, dice, templates))
    fates = await asyncio.gather(*(one_life(lab, dice, dice.choice(templates), number) for number in range(80)))
    trouble.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await trouble
    assert set(fates) <= {"ended", "SandboxError", "CancelledError"}
    assert fates.count("ended") > 20
