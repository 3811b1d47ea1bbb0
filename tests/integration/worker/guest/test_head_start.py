"""Environments whose Node.js was started before it was known whose they are: what cannot be told from one that was
started for them, and what they do not share."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lambent.worker.runtimes.catalog import Runtime, RuntimeCatalog
from lambent.worker.runtimes.identifiers import KNOWN
from lambent.worker.sandbox.api import Bind, Sandbox, SandboxLimits, SandboxSpec, SandboxTemplate
from lambent.worker.sandbox.linux.backend import LinuxBackend

RUNTIMES = Path(os.environ.get("LAMBENT_RUNTIMES_DIR", ".runtimes"))
NODES = [name for name, known in KNOWN.items() if known.language == "nodejs"]
NEWEST = "nodejs22.x"
ENVIRONMENT = {
    "_LAMBENT_CHANNEL_FD": "4", "_LAMBDA_TELEMETRY_LOG_FD": "3", "_HANDLER": "app.handler", "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1", "LAMBDA_TASK_ROOT": "/var/task",
}  # fmt: skip
REPORT = """
const fs = require("node:fs");
const read = (name) => fs.readFileSync(`/proc/self/${name}`, "utf8");
const status = Object.fromEntries(read("status").split("\\n").map((line) => line.split(":\\t")));
const pick = (...names) => names.map((name) => status[name]);
const list = (path) => fs.readdirSync(path).sort();
const linkOf = (n) => { try { return fs.readlinkSync("/proc/self/fd/" + n); } catch { return "gone"; } };
const mounts = read("mountinfo").split("\\n").map((line) => line.split(" ")).filter((parts) => parts.length > 5);
const kinds = list("/proc/self/fd").map(linkOf).map((to) => to.split(":")[0]);
const processes = () => { // who told it its variables may need a moment to end
  for (let left = 400; ; left--) {
    const pids = list("/proc").filter((name) => +name);
    if (pids.length === 2 || left === 0) return pids;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  }
};
const report = {
  env: process.env, cwd: process.cwd(), argv: process.argv, execArgv: process.execArgv, execPath: process.execPath,
  title: process.title, umask: process.umask(), ids: [process.geteuid(), process.getegid(), process.getgroups()],
  security: pick("CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"),
  signals: pick("SigBlk", "SigIgn", "SigCgt"), heap: require("v8").getHeapStatistics().heap_size_limit,
  limits: read("limits"), oom: read("oom_score_adj"),
  descriptors: kinds.filter((kind) => kind === "pipe" || kind === "anon_inode").sort(),
  processes: processes(),
  task: list("/var/task"), opt: list("/opt"), tmp: list("/tmp"), root: list("/"), own: process.ppid,
  mounts: mounts.map((parts) => [parts[4], parts[5]]).sort(),
  date: new Date(2020, 6, 1).toString(), locale: Intl.DateTimeFormat().resolvedOptions(),
  child: require("node:child_process").execFileSync("/bin/sh", ["-c", "env | sort; pwd"]).toString().split("\\n"),
  paths: module.paths, globals: Object.getOwnPropertyNames(globalThis).sort(),
  awslambda: Object.keys(globalThis.awslambda || {}),
  loaded: Object.keys(require.cache).filter((name) => !name.startsWith("/var/runtime/")).sort(),
};
"""
END = 'fs.writeSync(1, JSON.stringify(report) + "\\n"); process.exit(0);\n'


class Starter:
    """Runs `app.js` in environments of one runtime."""

    def __init__(self, backend: LinuxBackend, runtime: Runtime, directory: Path) -> None:
        self.backend = backend
        self.runtime = runtime
        self._directory = directory
        self._count = 0

    def template(self, files: Mapping[str, str], layer: Mapping[str, str] | None = None) -> SandboxTemplate:
        self._count += 1
        code = self._write("code", files)
        assert self.runtime.no_layers is not None
        at_opt = self.runtime.no_layers if layer is None else Bind(self._write("layer", layer), "/opt")
        binds = (*self.runtime.binds, Bind(code, "/var/task"), at_opt)
        directories = ("/opt", *self.runtime.directories)
        return SandboxTemplate(f"t{self._count}", binds, directories, head_start=self.runtime.head_start)

    def _write(self, kind: str, files: Mapping[str, str]) -> Path:
        directory = self._directory / f"{kind}{self._count}"
        for name, text in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return directory

    def spec(self, env: Mapping[str, str] = {}, *, ahead: bool = True) -> SandboxSpec:
        self._count += 1
        variables = {**self.runtime.env, **ENVIRONMENT, **env}
        return SandboxSpec(
            sandbox_id=f"s{self._count}", argv=self.runtime.command(256), env=variables, telemetry_fd=3, channel_fd=4,
            limits=SandboxLimits(256 << 20, 1.0, 1 << 26), cwd="/var/task", listen=(9001,), ahead=ahead,
        )  # fmt: skip

    async def until_ready(self, template: SandboxTemplate) -> None:
        """Return when one was started ahead, whatever template it will be for."""
        await self.run(template)
        for _ in range(200):
            if self.backend._head_starts._ready:
                await next(iter(self.backend._head_starts._ready.values()))
                return
            await asyncio.sleep(0.01)
        raise AssertionError("nothing was started ahead")

    async def run(self, template: SandboxTemplate, env: Mapping[str, str] = {}, *, ahead: bool = True) -> Any:
        """The report of a new environment."""
        return await self.report(await self.backend.launch(template, self.spec(env, ahead=ahead)))

    async def run_in_spare(self, template: SandboxTemplate) -> Any:
        """The same of one that was set up before."""
        spec = self.spec()
        waiting = await self.backend.set_up(template, replace(spec, env={}))
        return await self.report(await waiting.run(spec.argv, spec.env))

    async def report(self, sandbox: Sandbox) -> Any:
        """What it printed; it has ended."""
        await asyncio.wait_for(sandbox.wait(), 20)
        output = os.read(sandbox.output_fd, 1 << 20).decode()
        assert sandbox.telemetry_fd is not None
        assert sandbox.channel is not None
        sandbox.channel.close()
        logged = os.read(sandbox.telemetry_fd, 1 << 20)
        os.close(sandbox.output_fd)
        os.close(sandbox.telemetry_fd)
        sandbox.listeners[0].close()
        assert output, logged
        return json.loads(output.splitlines()[-1])


ORDINARY_USER = pytest.mark.skipif(os.geteuid() == 0, reason="test_rootless runs it as an ordinary user")
KINDS = [pytest.param("linux", marks=pytest.mark.root), pytest.param("rootless", marks=ORDINARY_USER)]


@pytest.fixture
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LinuxBackend]:
    rootless = getattr(request, "param", "linux") == "rootless"
    backend = LinuxBackend(str(tmp_path), tmp_path / "state", rootless=rootless)
    await backend.start()
    yield backend
    await backend.close()


def starter_of(backend: LinuxBackend, identifier: str, tmp_path: Path) -> Starter:
    catalog = RuntimeCatalog(RUNTIMES.resolve(), os.environ)
    runtime = catalog.find(identifier)
    if runtime is None:
        pytest.skip(catalog.missing_message(identifier))
    return Starter(backend, runtime, tmp_path)


@pytest.mark.parametrize("backend", KINDS, indirect=True)
@pytest.mark.parametrize("identifier", NODES)
async def test_one_in_a_spare_looks_like_one_started_for_its_function(
    backend: LinuxBackend, tmp_path: Path, identifier: str
) -> None:
    starter = starter_of(backend, identifier, tmp_path)
    template = starter.template({"app.js": REPORT + END})
    executed = await starter.run(template, ahead=False)
    assert await starter.run_in_spare(template) == executed
    assert executed["cwd"] == "/var/task"


@pytest.mark.root
@pytest.mark.parametrize("identifier", NODES)
async def test_one_started_ahead_looks_like_one_started_for_its_function(
    backend: LinuxBackend, tmp_path: Path, identifier: str
) -> None:
    starter = starter_of(backend, identifier, tmp_path)
    template = starter.template({"app.js": REPORT + END})
    executed = await starter.run(template, ahead=False)
    await starter.until_ready(template)
    ahead = await starter.run(template)
    assert ahead == executed


@pytest.fixture
def starter(backend: LinuxBackend, tmp_path: Path) -> Starter:
    return starter_of(backend, NEWEST, tmp_path)


@pytest.mark.root
async def test_variables_that_are_looked_at_later_are_taken_up(starter: Starter) -> None:
    template = starter.template({"app.js": REPORT + END})
    env = {"TZ": "America/New_York", "NODE_ENV": "production", "EMPTY": "", "LINES": "a\nb=c", "PATH": "/bin"}
    executed = await starter.run(template, env, ahead=False)
    await starter.until_ready(template)
    assert await starter.run(template, env) == executed
    assert "GMT-0400" in executed["date"]


SHARED = """
const fs = require("node:fs");
const crypto = require("node:crypto");
const report = [Math.random(), crypto.randomUUID(), crypto.randomBytes(8).toString("hex")];
"""


@pytest.mark.root
async def test_none_shares_random_numbers_with_another(starter: Starter) -> None:
    template = starter.template({"app.js": SHARED + END})
    await starter.until_ready(template)
    first = await starter.run(template)
    await starter.until_ready(template)
    assert not set(first) & set(await starter.run(template))


MODULES = """
import dep from "dep";
import fs from "node:fs";
import { createRequire } from "node:module";
const require = createRequire(import.meta.url);
const begun = performance.now();
await new Promise((resolve) => setTimeout(resolve, 50));
const waited = performance.now() - begun;
const report = [dep, require("dep"), fs.readdirSync("/opt"), waited >= 49];
"""


@pytest.mark.root
async def test_each_has_its_own_functions_modules_and_layers(starter: Starter) -> None:
    layer = {"nodejs/node_modules/dep/index.js": "module.exports = 'of the layer'"}
    layered = starter.template({"app.mjs": MODULES + END}, layer)
    plain = starter.template({"app.mjs": MODULES + END, "node_modules/dep/index.js": "module.exports = 'own'"})
    await starter.until_ready(layered)
    assert await starter.run(layered) == ["of the layer", "of the layer", ["nodejs"], True]
    await starter.until_ready(plain)
    assert await starter.run(plain) == ["own", "own", [], True]
