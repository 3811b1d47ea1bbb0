"""Programs that are started before it is known whose they are, and the sandboxes they wait in."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from lambent.worker.sandbox.api import Bind, HeadStart, SandboxError, SandboxSpec, SandboxTemplate
from lambent.worker.sandbox.linux.waiting import WaitingLinuxSandbox

pytestmark = pytest.mark.root

PROGRAM = """
import json, os, sys
PLACES = ("/", "/tmp", "/var/task", "/opt")
environ, ahead = dict(os.environ), os.environ.get("_LAMBENT_HEAD_START")
environ.pop("LC_CTYPE", None)  # Python sets it itself
if ahead is not None:
    data = b""
    while part := os.read(int(ahead), 65536):
        data += part
    if not data:
        sys.exit(9)
    environ = dict(item.split("=", 1) for item in data.decode().split("\\0")[:-1])
    os.close(int(ahead))
    os.chdir("/var/task")
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
room = os.statvfs("/tmp")
print(json.dumps({
    "ahead": ahead is not None, "environ": environ, "cwd": os.getcwd(), "task": os.listdir("/var/task"),
    "opt": os.listdir("/opt"), "tmp": [os.listdir("/tmp"), room.f_bavail * room.f_frsize >> 20],
    "security": [status[name] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")],
    "ids": [os.getresuid(), os.getresgid()], "writable": [place for place in PLACES if os.access(place, os.W_OK)],
    "mounts": sorted((f[4], f[5]) for f in map(str.split, open("/proc/self/mountinfo")) if f[4] in PLACES),
}), flush=True)
if environ.get("STAY"):
    import time
    time.sleep(60)
"""


class Starter:
    """Launches PROGRAM for owners, whose files are in templates of their own."""

    def __init__(self, lab: Any, directory: Path, program: str = PROGRAM) -> None:
        self.lab = lab
        self._directory = directory
        script = directory / "program"
        script.mkdir(exist_ok=True)
        (script / "main.py").write_text(program)
        binds = (Bind(Path(sys.base_prefix), sys.base_prefix), Bind(script, "/var/runtime"))
        self.head_start = HeadStart("test", (("PATH", "/bin"),), binds, ("/var/task", "/opt", "/opt/lib"))

    def template(self, name: str) -> SandboxTemplate:
        task = self._directory / name
        task.mkdir(exist_ok=True)
        (task / f"of-{name}").touch()
        empty = self._directory / "empty"
        empty.mkdir(exist_ok=True)
        binds = (*self.head_start.binds, Bind(task, "/var/task"), Bind(empty, "/opt"))
        return SandboxTemplate(name, binds, ("/var/task", "/opt"), head_start=self.head_start)

    def spec(self, **changes: Any) -> SandboxSpec:
        argv = (self.lab.python, "-I", "-S", "/var/runtime/main.py")
        changes = {"cwd": "/var/task", "ahead": True, "tmp_bytes": 16 << 20} | changes
        spec: SandboxSpec = self.lab.spec(argv, **changes)
        return spec

    async def launch(self, template: SandboxTemplate, **changes: Any) -> Any:
        return await self.lab.backend.launch(template, self.spec(**changes))

    async def run(self, template: SandboxTemplate, **changes: Any) -> Any:
        """What it reports."""
        ran = await self.lab.finish(await self.launch(template, **changes))
        return json.loads(ran.output)

    async def ready(self) -> WaitingLinuxSandbox:
        """What was started ahead, once it is there."""
        for _ in range(500):
            for task in self.lab.backend._head_starts._ready.values():
                waiting: WaitingLinuxSandbox = await asyncio.shield(task)
                return waiting
            await asyncio.sleep(0.01)
        raise AssertionError("nothing was started ahead")

    def program_of(self, waiting: WaitingLinuxSandbox) -> int:
        """The process of a program that was started ahead."""
        name = waiting.sandbox.sandbox_id
        for tasks in Path("/sys/fs/cgroup").rglob(f"{self.lab.backend._cgroups.directory}/{name}/cgroup.procs"):
            for pid in map(int, tasks.read_text().split()):
                if b"main.py" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        raise AssertionError(f"no program in {name}")


@pytest.fixture
async def starter(lab: Any, tmp_path: Path) -> Starter:
    starter = Starter(lab, tmp_path)
    assert not (await starter.run(starter.template("first")))["ahead"]
    return starter


async def test_it_becomes_the_sandbox_of_who_takes_it(starter: Starter) -> None:
    one, other = starter.template("one"), starter.template("other")
    executed = await starter.run(one, ahead=False, env={"OF": "one"})
    await starter.ready()
    ahead = await starter.run(one, env={"OF": "one"})
    assert ahead["ahead"]
    assert ahead | {"ahead": False} == executed
    assert ahead["task"] == ["of-one"]
    assert ahead["environ"] == {"OF": "one"}
    await starter.ready()
    of_other = await starter.run(other, env={"OF": "other", "LINES": "a\nb = c"})
    assert of_other["ahead"]
    assert of_other["task"] == ["of-other"]
    assert of_other["environ"] == {"OF": "other", "LINES": "a\nb = c"}


async def test_what_is_fixed_at_the_start_is_the_same(starter: Starter) -> None:
    template = starter.template("one")
    for changes in (
        {"memory_bytes": 64 << 20},
        {"listen": (9001,)},
        {"hostname": "h"},
        {"cwd": "/opt"},
        {"ahead": False},
    ):
        await starter.ready()
        sandbox = await starter.launch(template, **changes)
        for listener in sandbox.listeners:
            listener.close()
        ran = await starter.lab.finish(sandbox)
        assert not json.loads(ran.output)["ahead"], changes


async def test_a_program_that_died_is_not_given_to_anybody(starter: Starter) -> None:
    waiting = await starter.ready()
    while True:  # it may not have been executed yet
        try:
            os.kill(starter.program_of(waiting), signal.SIGKILL)
            break
        except AssertionError:
            await asyncio.sleep(0.01)
    await waiting.sandbox.wait()
    assert not (await starter.run(starter.template("one")))["ahead"]
    await starter.ready()
    assert (await starter.run(starter.template("one")))["ahead"]


async def test_one_that_is_stopped_on_its_way_is_not_waited_for(lab: Any, tmp_path: Path) -> None:
    """It ends as soon as it is started ahead."""
    starter = Starter(lab, tmp_path, "import os, sys\nif '_LAMBENT_HEAD_START' in os.environ: sys.exit(3)\n" + PROGRAM)
    for _ in range(2):
        assert not (await starter.run(starter.template("one")))["ahead"]
        await (await starter.ready()).sandbox.wait()


async def test_releasing_a_template_ends_its_sandboxes_only(starter: Starter) -> None:
    one, other = starter.template("one"), starter.template("other")
    await starter.ready()
    sandbox = await starter.launch(one, env={"STAY": "1"})
    assert b'"ahead": true' in await starter.lab.line(sandbox)
    await starter.lab.backend.release(one)
    ran = await starter.lab.finish(sandbox)
    assert ran.exit.killed
    await starter.ready()
    assert (await starter.run(other))["ahead"]


async def test_files_that_are_not_there_are_told_as_ever(starter: Starter) -> None:
    template = starter.template("gone")
    await starter.ready()
    (starter._directory / "gone" / "of-gone").unlink()
    (starter._directory / "gone").rmdir()
    with pytest.raises(SandboxError, match="No such file or directory"):
        await starter.launch(template)


async def test_a_server_that_closes_leaves_none_behind(starter: Starter) -> None:
    """The fixture looks for what is left."""
    await starter.ready()
    sandbox = await starter.launch(starter.template("one"), env={"STAY": "1"})
    await starter.lab.line(sandbox)
    await starter.ready()
    await starter.lab.backend.close()
    await starter.lab.finish(sandbox)


async def test_a_sandbox_that_is_set_up_has_its_program_started(starter: Starter) -> None:
    backend, template = starter.lab.backend, starter.template("one")
    executed = await starter.run(template, ahead=False, env={"OF": "one"})
    spec = starter.spec()
    waiting = await backend.set_up(template, spec)
    ran = await starter.lab.finish(await waiting.run(spec.argv, {"OF": "one"}))
    assert json.loads(ran.output) == executed | {"ahead": True}
    waiting = await backend.set_up(template, starter.spec())
    with pytest.raises(SandboxError, match="another program"):
        await waiting.run((*spec.argv, "more"), {})
    waiting = await backend.set_up(template, starter.spec())
    await waiting.discard()
    assert waiting.ended
