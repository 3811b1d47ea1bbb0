"""`--sandbox rootless`, as an ordinary user: the contract of sandboxes, what they see, and a whole server."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lambent.worker.sandbox.linux.probe import judge, look

pytestmark = [pytest.mark.root, pytest.mark.alone]

Run = Callable[..., "subprocess.CompletedProcess[str]"]
HERE = Path(__file__).parent
REPOSITORY = HERE.parents[3]
SERVER = """
import sys
from pathlib import Path
from lambent.testing.server import RunningServer
SOURCE = '''
import os, socket
def handler(event, context):
    status = {line.split(":")[0]: line.split()[-1] for line in open("/proc/self/status")}
    try:
        socket.create_connection(("127.0.0.1", event), 2); reached = True
    except OSError:
        reached = False
    open("/tmp/file", "w").write("x")
    return [os.getuid(), status["CapEff"], status["Seccomp"], os.path.exists("/home"), reached, os.listdir("/tmp")]
'''
with RunningServer(Path(sys.argv[1]), ("--sandbox", "rootless")) as server:
    server.deploy("probe", {"app.py": SOURCE})
    print(server.invoke("probe", 22).payload)
    print(server.invoke("probe", 22).payload)
"""
SEES = """
import asyncio, os, sys
from pathlib import Path
from lambent.worker.sandbox.api import SandboxLimits, SandboxSpec, SandboxTemplate
from lambent.worker.sandbox.linux.backend import LinuxBackend
SCRIPT = '''
id -u; ls -d /proc/[0-9]* | wc -l
cat /sys/fs/cgroup/* 2>&1 | head -1
echo x 2>/dev/null > /usr/x || echo read-only
unshare -U true 2>/dev/null || echo no namespaces
head -c 20M /dev/zero 2>/dev/null > /tmp/file; stat -c %s /tmp/file
i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done 2>/dev/null; echo not reached
'''
async def main():
    backend = LinuxBackend("test", Path(sys.argv[1]), rootless=True)
    await backend.start()
    spec = SandboxSpec("s", ("/bin/sh", "-c", SCRIPT), {"PATH": "/usr/bin:/bin"},
                       SandboxLimits(64 << 20, 1.0, 8 << 20, processes=20))
    sandbox = await backend.launch(SandboxTemplate("t"), spec)
    await sandbox.wait()
    sys.stdout.write(os.read(sandbox.output_fd, 65536).decode())
    await backend.close()
asyncio.run(main())
"""


@pytest.fixture
def home(ordinary_user: Any) -> Iterator[Path]:
    """A directory of the user's, where that can get to it."""
    with ordinary_user.home() as directory:
        yield directory


@pytest.fixture
def run(ordinary_user: Any, home: Path) -> Run:
    """Run Python as the user, who sees this project and its dependencies."""
    return functools.partial(ordinary_user.run, home)


def run_as_ordinary_user(run: Run, home: Path, tests: Path, which: str) -> None:
    options = ["-q", "-k", which, "-p", "no:cacheprovider", "--basetemp", str(home / "t"), "-c"]
    done = run("-m", "pytest", *options, str(REPOSITORY / "pyproject.toml"), str(tests))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout


def test_the_contract(run: Run, home: Path) -> None:
    run_as_ordinary_user(run, home, HERE / "test_contract.py", "rootless")


def test_forks_of_zygotes(run: Run, home: Path, ordinary_user: Any) -> None:
    """With the SDK that a test of root's has, where there is one."""
    runtimes = home / "runtimes"
    runtimes.mkdir()
    os.chown(runtimes, ordinary_user.id, ordinary_user.id)
    without_sdk = " and not test_the_sdk_is_the_same"
    for installed in (REPOSITORY / ".runtimes").glob("python3.11"):
        (runtimes / installed.name).symlink_to(installed)
        without_sdk = ""
    which = "rootless and (python3.11 or not test_a_fork_looks_like)" + without_sdk
    run_as_ordinary_user(run, home, HERE.parent / "guest" / "test_zygote.py", which)


def test_programs_started_ahead(run: Run, home: Path) -> None:
    """With a Node.js that everybody can find."""
    for path in os.environ.get("PATH", "").split(":"):
        node = Path(path, "node").resolve()
        if node.is_relative_to("/usr") and node.is_file():
            break
    else:
        pytest.skip("no Node.js in /usr")
    version = subprocess.check_output([node, "-p", "process.versions.node.split('.')[0]"], text=True, env={}).strip()
    which = f"rootless and nodejs{version}.x"
    run_as_ordinary_user(run, home, HERE.parent / "guest" / "test_head_start.py", which)


def test_what_a_sandbox_sees_and_may_use(run: Run, home: Path) -> None:
    done = run("-c", SEES, str(home / "state"))
    lines = done.stdout.splitlines()
    assert lines[0] == "993", done.stderr
    assert int(lines[1]) <= 5
    assert "No such file" in lines[2]
    assert lines[3:6] == ["read-only", "no namespaces", str(8 << 20)]
    assert "not reached" not in lines  # the shell gives up when it cannot fork


def test_a_server_runs_functions(run: Run, home: Path) -> None:
    done = run("-c", SERVER, str(home / "data"))
    answers = ["[993, '0000000000000000', '2', False, False, ['file']]"] * 2
    assert done.stdout.splitlines() == answers, done.stderr


def test_what_does_not_hold_is_said() -> None:
    report = judge(replace(look((), "an ordinary user cannot mount one", rootless=True), is_root=False))
    missing = {guarantee.name for guarantee in report.guarantees if not guarantee.holds}
    assert {"a host user for each sandbox", "memory limit", "CPU limit", "temporary files apart from memory"} <= missing


def test_root_is_refused() -> None:
    """Its sandboxes would be root on the host."""
    report = judge(look((), rootless=True))
    assert not report.usable
    assert "root has --sandbox linux" in report.reason
