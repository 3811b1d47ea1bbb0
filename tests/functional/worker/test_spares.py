"""Spares: made when nobody waits, used by whoever they fit, and nothing is left of those that nobody wants."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lambent.worker.sandbox.api import Sandbox, SandboxError, SandboxLimits, SandboxSpec, SandboxTemplate
from lambent.worker.sandbox.fake import FakeBackend, FakeProcess
from lambent.worker.spares import Like, Spares
from lambent.worker.templates import Templates

TEMPLATE = SandboxTemplate("t")
LIKE = SandboxSpec("", (), {}, SandboxLimits(128 << 20, 1.0, 1 << 20), listen=(9001,))


class NoCode:
    def tree(self, digest: str) -> Path:
        raise AssertionError("no template is made here")

    async def merged(self, digests: Sequence[str]) -> Path:
        raise AssertionError("no template is made here")


async def program(process: FakeProcess) -> int:
    process.write(process.env["SAYS"].encode())
    return 0


class Lab:
    def __init__(self) -> None:
        self.backend = FakeBackend({"program": program})
        self.released: list[str] = []
        self.templates = Templates(self.backend, NoCode(), 0.01, self.released.append)
        self.room_mb = 1024
        self.spares = Spares(self.backend, self.templates, lambda memory_mb: memory_mb <= self.room_mb)
        self._count = 0

    async def like(self) -> Like:
        return TEMPLATE, LIKE

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.002)

    async def run(self, says: str, spec: SandboxSpec = LIKE) -> str:
        """Launch a program; the id of the sandbox that it ran in."""
        self._count += 1
        whole = replace(spec, sandbox_id=f"environment-{self._count}", argv=("program",), env={"SAYS": says})
        sandbox = await self.spares.launch(TEMPLATE, whole)
        await sandbox.wait()
        assert os.read(sandbox.output_fd, 100) == says.encode()
        self.close(sandbox)
        return sandbox.sandbox_id

    def close(self, sandbox: Sandbox) -> None:
        self.spares.settled(f"environment-{self._count}")
        os.close(sandbox.output_fd)
        for listener in sandbox.listeners:
            listener.close()


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    lab = Lab()
    await lab.backend.start()
    yield lab
    await lab.spares.close()
    await lab.templates.close()
    assert lab.backend.waiting == []
    assert lab.spares.ready == 0
    await lab.backend.close()


async def test_those_asked_for_are_made_used_and_made_again(lab: Lab) -> None:
    lab.spares.keep("t", lab.like, 2)
    await lab.until(lambda: lab.spares.ready == 2)
    assert [one.spec for one in lab.backend.waiting] == [
        replace(LIKE, sandbox_id="spare-1"), replace(LIKE, sandbox_id="spare-2")
    ]  # fmt: skip
    assert {await lab.run("a"), await lab.run("b")} == {"spare-1", "spare-2"}
    assert await lab.run("c") == "environment-3"
    await lab.until(lambda: lab.spares.ready == 2)
    assert (await lab.run("d")).startswith("spare-")


async def test_none_is_made_while_something_is_launched(lab: Lab) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    class SlowBackend(FakeBackend):
        async def launch(self, template: SandboxTemplate, spec: SandboxSpec) -> Sandbox:
            begun.set()
            await go_on.wait()
            return await super().launch(template, spec)

    lab.backend = SlowBackend({"program": program})
    await lab.backend.start()
    lab.spares = Spares(lab.backend, lab.templates, lambda _: True)
    running = asyncio.create_task(lab.run("a"))
    await begun.wait()
    lab.spares.keep("t", lab.like, 1)
    await asyncio.sleep(0.1)  # longer than what counts as quiet
    assert lab.spares.ready == 0
    go_on.set()
    await running
    await lab.until(lambda: lab.spares.ready == 1)


async def test_none_is_made_while_an_environment_starts_but_it_is_not_waited_for_ever(lab: Lab) -> None:
    spec = replace(LIKE, sandbox_id="slow", argv=("program",), env={"SAYS": ""})
    begun = asyncio.get_running_loop().time()
    sandbox = await lab.spares.launch(TEMPLATE, spec)
    lab.spares.keep("t", lab.like, 1)
    await lab.until(lambda: lab.spares.ready == 1)
    assert asyncio.get_running_loop().time() - begun >= 0.5
    lab.close(sandbox)


async def test_one_is_used_only_by_what_fits_it_in_all(lab: Lab) -> None:
    lab.spares.keep("t", lab.like, 1)
    await lab.until(lambda: lab.spares.ready == 1)
    larger = replace(LIKE, limits=replace(LIKE.limits, memory_bytes=256 << 20))
    assert await lab.run("a", larger) == "environment-1"
    assert await lab.run("b", replace(LIKE, fork=True)) == "environment-2"
    assert await lab.run("c") == "spare-1"


async def test_those_not_wanted_any_more_are_discarded_and_their_template_let_go(lab: Lab) -> None:
    lab.spares.keep("t", lab.like, 3)
    await lab.until(lambda: lab.spares.ready == 3)
    lab.spares.keep("t", lab.like, 1)
    await lab.until(lambda: len(lab.backend.waiting) == 1)
    assert lab.released == []
    lab.spares.keep("t", lab.like, 0)
    await lab.until(lambda: not lab.backend.waiting)
    await lab.until(lambda: lab.released == ["t"])
    lab.spares.keep("t", lab.like, 0)
    await asyncio.sleep(0.1)
    assert lab.backend.waiting == []


async def test_a_dead_one_is_replaced_and_nobody_notices(lab: Lab) -> None:
    lab.spares.keep("t", lab.like, 1)
    await lab.until(lambda: lab.spares.ready == 1)
    lab.backend.waiting.clear()
    assert await lab.run("a") == "environment-1"
    await lab.until(lambda: len(lab.backend.waiting) == 1)
    assert await lab.run("b") == "spare-2"


async def test_one_that_cannot_run_the_program_is_no_reason_to_fail(lab: Lab) -> None:
    lab.spares.keep("t", lab.like, 1)
    await lab.until(lambda: lab.spares.ready == 1)
    lab.backend.failure = SandboxError("it died just now")

    with pytest.raises(SandboxError):
        await lab.run("a")  # nor can a new one be made here
    lab.backend.failure = None
    assert (await lab.run("b")).startswith("environment-")


async def test_what_cannot_be_made_is_not_tried_again_until_it_is_asked_for(lab: Lab) -> None:
    tried = []

    async def like() -> Like:
        tried.append(1)
        raise SandboxError("no layers")

    lab.spares.keep("t", like, 1)
    await lab.until(lambda: len(tried) == 1)
    await lab.run("a")
    await asyncio.sleep(0.1)
    assert len(tried) == 1
    lab.spares.keep("t", like, 1)
    await lab.until(lambda: len(tried) == 2)


async def test_none_is_made_without_room_and_all_are_given_up_for_want_of_it(lab: Lab) -> None:
    lab.room_mb = 127
    lab.spares.keep("t", lab.like, 2)
    await asyncio.sleep(0.1)
    assert lab.spares.ready == 0
    lab.room_mb = 128
    await lab.run("a")  # the next launch: there may be room again
    await lab.until(lambda: lab.spares.ready == 2)
    lab.room_mb = 0
    assert lab.spares.give_up() == 0  # those of this backend take up nothing
    assert lab.spares.ready == 0
    await lab.until(lambda: not lab.backend.waiting)


async def test_one_that_is_made_when_it_is_not_wanted_any_more_is_discarded(lab: Lab) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def like() -> Like:
        asked.set()
        await go_on.wait()
        return TEMPLATE, LIKE

    lab.spares.keep("t", like, 1)
    await asked.wait()
    lab.spares.keep("t", like, 0)
    go_on.set()
    await asyncio.sleep(0.02)
    assert (lab.backend.waiting, lab.spares.ready) == ([], 0)


async def test_closing_while_one_is_made_leaves_nothing(lab: Lab) -> None:
    lab.spares.keep("t", lab.like, 8)
    await lab.until(lambda: lab.spares.ready >= 1)
    await lab.spares.close()
    assert (lab.backend.waiting, lab.spares.ready) == ([], 0)
    assert await lab.run("a") == "environment-1"
