"""Environments that are forks of a zygote: what cannot be told from an executed one, and what they do not share.

As an ordinary user, with `rootless` sandboxes: `sandbox/test_rootless` runs it so."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lambent.worker.runtimes.catalog import Runtime, RuntimeCatalog
from lambent.worker.sandbox.api import Bind, SandboxLimits, SandboxSpec, SandboxTemplate
from lambent.worker.sandbox.linux.backend import LinuxBackend

RUNTIMES = Path(os.environ.get("LAMBENT_RUNTIMES_DIR", ".runtimes"))
REPORT = """
import os, resource, signal, sys
import json
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
report = {
    "argv": sys.argv, "flags": str(sys.flags), "path": sys.path, "executable": sys.executable,
    "cmdline": open("/proc/self/cmdline").read(), "name": status["Name"], "pid": os.getpid(), "parent": os.getppid(),
    "session": os.getsid(0), "ids": [os.getresuid(), os.getresgid(), os.getgroups()], "umask": os.umask(0o22),
    "security": [status[name] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")],
    "signals": [int(status[name], 16) & 0x7FFFFFFF for name in ("SigBlk", "SigIgn", "SigCgt")], "cwd": os.getcwd(),
    "limits": [resource.getrlimit(number) for number in range(16) if number != resource.RLIMIT_NPROC],
    "descriptors": {name: [os.readlink(f"/proc/self/fd/{name}").split(":")[0], os.get_inheritable(int(name))]
                    for name in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{name}")},
    "environ": dict(os.environ),
    "pids": sorted(os.listdir("/proc")),
    "readable": os.access("/proc/self/environ", os.R_OK), "oom": open("/proc/self/oom_score_adj").read(),
    "namespaces": sorted(os.listdir("/proc/self/ns")), "sdk": "boto3" in sys.modules or "ssl" in sys.modules,
    "mounts": sorted({line.split()[4] for line in open("/proc/self/mountinfo")}), "gc": __import__("gc").isenabled(),
}
report["pids"] = [pid for pid in report["pids"] if pid.isdigit()]
report["of init"] = []
look, change = os.listdir, lambda path: open(path, "w")
for call, name in ((look, "fd"), (look, "map_files"), (open, "environ"), (open, "mem"), (os.readlink, "exe"),
                   (change, "oom_score_adj"), (change, "comm")):
    try:
        call("/proc/1/" + name)
    except OSError as error:
        report["of init"].append(error.errno)
"""
END = "print(json.dumps(report), flush=True); os._exit(0)\n"
ENVIRONMENT = {
    "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001", "_HANDLER": "app.handler", "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
}  # fmt: skip


class Nursery:
    """Runs `app.py` in environments of one runtime."""

    def __init__(self, backend: LinuxBackend, runtime: Runtime, directory: Path) -> None:
        self.backend = backend
        self.runtime = runtime
        self._directory = directory
        self._count = 0

    def template(self, files: Mapping[str, str]) -> SandboxTemplate:
        self._count += 1
        code = self._directory / f"code{self._count}"
        for name, text in files.items():
            path = code / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        binds = (*self.runtime.binds, Bind(code, "/var/task"))
        return SandboxTemplate(f"t{self._count}", binds, ("/opt", *self.runtime.directories), self.runtime.zygote)

    async def run(self, template: SandboxTemplate, *, fork: bool = True, **env: str) -> Any:
        """The report of a new environment."""
        self._count += 1
        spec = SandboxSpec(
            sandbox_id=f"s{self._count}", argv=self.runtime.argv, env={**self.runtime.env, **ENVIRONMENT, **env},
            limits=SandboxLimits(256 << 20, 1.0, 1 << 26), cwd="/var/task", listen=(9001, 4566), fork=fork,
            channel_fd=4,
        )  # fmt: skip
        sandbox = await self.backend.launch(template, spec)
        try:
            await asyncio.wait_for(sandbox.wait(), 30)
            output = os.read(sandbox.output_fd, 1 << 20).decode()
        finally:
            os.close(sandbox.output_fd)
            assert sandbox.channel is not None
            for handed_out in (*sandbox.listeners, sandbox.channel):
                handed_out.close()
        return json.loads(output.splitlines()[-1])


ORDINARY_USER = pytest.mark.skipif(os.geteuid() == 0, reason="test_rootless runs it as an ordinary user")


@pytest.fixture(params=[pytest.param("linux", marks=pytest.mark.root), pytest.param("rootless", marks=ORDINARY_USER)])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LinuxBackend]:
    backend = LinuxBackend(str(tmp_path), tmp_path / "state", rootless=request.param == "rootless")
    await backend.start()
    yield backend
    await backend.close()


def nursery_of(backend: LinuxBackend, identifier: str, tmp_path: Path) -> Nursery:
    catalog = RuntimeCatalog(RUNTIMES.resolve(), os.environ)
    runtime = catalog.find(identifier)
    if runtime is None:
        pytest.skip(catalog.missing_message(identifier))
    return Nursery(backend, runtime, tmp_path)


@pytest.fixture
def nursery(backend: LinuxBackend, tmp_path: Path) -> Nursery:
    return nursery_of(backend, "python3.11", tmp_path)


@pytest.mark.parametrize("identifier", [f"python3.{minor}" for minor in range(8, 16)])
async def test_a_fork_looks_like_an_executed_one(backend: LinuxBackend, tmp_path: Path, identifier: str) -> None:
    nursery = nursery_of(backend, identifier, tmp_path)
    template = nursery.template({"app.py": REPORT + END})
    await backend.prepare(template)
    assert any(forked for _, forked in backend._spawners)  # there is a zygote: else this compares nothing
    forked, executed = [await nursery.run(template, fork=fork) for fork in (True, False)]
    assert forked == executed
    assert set(forked["of init"]) == {errno.EACCES}
    assert len(forked["of init"]) == 7
    assert forked["descriptors"]["4"] == ["socket", True]
    assert not forked["sdk"]
    assert "secret" not in forked["cmdline"]


SHARED = """
import random, ssl, tempfile, uuid
report = [random.random(), ssl.RAND_bytes(8).hex(), str(uuid.uuid4()), os.urandom(8).hex(),
          next(tempfile._get_candidate_names())]
"""


async def test_forks_share_no_random_numbers(nursery: Nursery) -> None:
    template = nursery.template({"app.py": "import os, json\n" + SHARED + END})
    await nursery.backend.prepare(template)
    first, second = [await nursery.run(template) for _ in range(2)]
    assert not set(first) & set(second)


MEMORY = """
import os, re, json
found = []
with open("/proc/self/mem", "rb", 0) as memory:
    for line in open("/proc/self/maps"):
        start, end = [int(part, 16) for part in line.split()[0].split("-")]
        if line.split()[1].startswith("r") and "[v" not in line:
            try:
                memory.seek(start)
                text = memory.read(end - start)
            except (OSError, ValueError, OverflowError):
                continue
            found += [match.decode() for match in re.findall(b"marker-[a-z]+-of-an-environment", text)]
report = sorted(set(found))
"""


async def test_a_fork_knows_nothing_of_environments_before_it(nursery: Nursery) -> None:
    template = nursery.template({"app.py": MEMORY + END})
    await nursery.backend.prepare(template)
    for name in ("first", "second"):
        mark = f"marker-{name}-of-an-environment"
        assert await nursery.run(template, AWS_SECRET_ACCESS_KEY=mark) == [mark]


async def test_a_packaged_sdk_wins(nursery: Nursery) -> None:
    app = "import os, json, boto3\nreport = [boto3.__file__, getattr(boto3, 'own', None)]\n"
    own = nursery.template({"app.py": app + END, "boto3/__init__.py": "own = 1"})
    added = nursery.template({"app.py": "import sys; sys.path.insert(0, '/var/task/lib')\n" + app + END,
                              "lib/boto3.py": "own = 2"})  # fmt: skip
    await nursery.backend.prepare(own)
    assert await nursery.run(own) == ["/var/task/boto3/__init__.py", 1]
    assert await nursery.run(added) == ["/var/task/lib/boto3.py", 2]


async def test_a_packaged_dependency_of_the_sdk_wins(nursery: Nursery) -> None:
    app = "import os, json\nimport queue\nreport = [queue.own]\n"
    template = nursery.template({"app.py": app + END, "queue.py": "own = 1"})
    await nursery.backend.prepare(template)
    assert await nursery.run(template) == [1]


SDK = """
import os, sys, json
import boto3, importlib
client = boto3.client("sqs")
first = client.meta.service_model.metadata["endpointPrefix"]
other = boto3.Session().client("sqs")
same = client.meta.service_model._service_description is other.meta.service_model._service_description
report = [boto3.__file__, boto3.__spec__.origin, boto3.__spec__.name, type(boto3.__loader__).__name__, first, same,
          client._request_signer._credentials.access_key, "botocore.session" in sys.modules,
          len(boto3.Session().get_available_services()), importlib.reload(boto3) is boto3]
"""
HANDLERS = """
import hashlib, json, os, sys
import botocore.handlers, botocore.session, botocore.hooks
if CHANGED:
    botocore.handlers.BUILTIN_HANDLERS.append(("before-send", lambda **kwargs: None))

def tree(node):
    values = [[getattr(value, "__qualname__", "?") for value in values] for values in node["values"] or ()]
    return [node["chunk"], values, [tree(child) for child in node["children"].values()]]

def state(session):
    all = [tree(session._original_handler._handlers._root), sorted(session._events._alias_name_cache.items())]
    return hashlib.sha256(json.dumps(all).encode()).hexdigest()  # the pipe takes no more

class Other(botocore.session.Session):
    def register(self, event_name, handler, unique_id=None, unique_id_uses_count=False):
        super().register("other." + event_name, handler)

sessions = [Other(), *[botocore.session.Session() for _ in range(3)]]
sessions[1].register("before-send", lambda **kwargs: None)
emitters = [session._original_handler for session in sessions]
given = botocore.hooks.HierarchicalEmitter()
given.register("a.b", lambda **kwargs: None)
sessions.append(botocore.session.Session(event_hooks=given))
report = [len({id(emitter._handlers) for emitter in emitters}), *map(state, sessions)]

def positional(a): pass
def every(a, *b, c=1, **d): pass
class Callable:
    def __call__(self, **e): pass
    def method(self, **f): pass
kinds = [positional, every, Callable(), Callable().method, lambda **g: 0]
report.append([botocore.hooks.accepts_kwargs(kind) for kind in kinds])
"""


async def test_the_sdk_is_the_same(nursery: Nursery) -> None:
    if nursery.runtime.sdk_dir is None:
        pytest.skip("there is no SDK")
    template = nursery.template({"app.py": SDK + END})
    await nursery.backend.prepare(template)
    forked, executed = [await nursery.run(template, fork=fork) for fork in (True, False)]
    assert forked == executed


@pytest.mark.parametrize("changed", [False, True])
async def test_handlers_of_the_sdk_are_the_same_and_nobody_shares_them(nursery: Nursery, changed: bool) -> None:
    if nursery.runtime.sdk_dir is None:
        pytest.skip("there is no SDK")
    template = nursery.template({"app.py": HANDLERS.replace("CHANGED", str(changed)) + END})
    await nursery.backend.prepare(template)
    forked, executed = [await nursery.run(template, fork=fork) for fork in (True, False)]
    assert forked == executed
    assert forked[0] == 4  # sessions, each with its own


async def test_a_time_zone_of_its_own(nursery: Nursery) -> None:
    app = "import os, json, time\nreport = [time.tzname[0], time.localtime(0)[3]]\n"
    template = nursery.template({"app.py": app + END})
    await nursery.backend.prepare(template)
    assert await nursery.run(template, TZ="XYZ-3") == ["XYZ", 3]


async def test_a_dead_zygote_is_replaced(nursery: Nursery) -> None:
    template = nursery.template({"app.py": REPORT + END})
    await nursery.backend.prepare(template)
    zygote = nursery.runtime.zygote
    assert zygote is not None
    dead = nursery.backend._bases._zygotes[zygote].result()
    assert dead._process.pid is not None
    os.kill(dead._process.pid, signal.SIGKILL)
    async with asyncio.timeout(10):
        while dead.alive:
            await asyncio.sleep(0.01)
    assert (await nursery.run(template))["pid"] == 2  # its spawner lives
    other = nursery.template({"app.py": REPORT + END})
    await nursery.backend.prepare(other)
    assert nursery.backend._bases._zygotes[zygote].result().alive
    assert (await nursery.run(other))["pid"] == 2


def test_what_may_fork(nursery: Nursery) -> None:
    runtime = nursery.runtime
    assert runtime.may_fork({"TZ": "Europe/Vienna", "MY_VARIABLE": "1"})
    assert runtime.may_fork({"LANG": runtime.env["LANG"]})
    for name in ("PYTHONPATH", "PYTHONHASHSEED", "LD_PRELOAD", "LC_ALL", "AWS_LAMBDA_EXEC_WRAPPER", "OPENSSL_CONF"):
        assert not runtime.may_fork({name: "x"})


THREAD = """
import ctypes, json, os
libc = ctypes.CDLL(None)
kind, lock = ctypes.create_string_buffer(64), ctypes.create_string_buffer(256)
libc.pthread_mutexattr_init(kind)
libc.pthread_mutexattr_settype(kind, 2)  # PTHREAD_MUTEX_ERRORCHECK: told apart by the thread ids that libc remembers
libc.pthread_mutex_init(lock, kind)
report = {"id": os.getpid(), "got": [libc.pthread_mutex_lock(lock), libc.pthread_mutex_lock(lock)],
          "owner": int.from_bytes(lock.raw[8:12], "little"), "unlocked": libc.pthread_mutex_unlock(lock), "on": []}
for processor in os.sched_getaffinity(0):
    os.sched_setaffinity(0, {processor})
    report["on"].append([processor, libc.sched_getcpu()])
"""


async def test_libc_knows_its_thread_in_a_fork(nursery: Nursery) -> None:
    template = nursery.template({"app.py": THREAD + END})
    await nursery.backend.prepare(template)
    for _ in range(5):
        report = await nursery.run(template)
        assert report["got"] == [0, errno.EDEADLK]
        assert (report["owner"], report["unlocked"]) == (report["id"], 0)
        assert all(wanted == told for wanted, told in report["on"]), report["on"]
