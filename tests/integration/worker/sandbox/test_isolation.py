"""What a program in a `linux` sandbox sees of the world, asked from inside."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lambent.worker.sandbox.api import Bind, SandboxError, SandboxTemplate

pytestmark = [pytest.mark.root, pytest.mark.alone]

PROBE = """
import json, os, resource
status = dict(line.rstrip("\\n").split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
def refused(path):
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    except OSError as error:
        return error.strerror
    return "written"
print(json.dumps({
    "ids": [*os.getresuid(), *os.getresgid(), *os.getgroups()],
    "capabilities": [status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
    "no_new_privs": status["NoNewPrivs"], "seccomp": status["Seccomp"],
    "pid": os.getpid(), "parent": os.getppid(), "session": os.getsid(0),
    "pids": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
    "interfaces": sorted(line.split(":")[0].strip() for line in list(open("/proc/net/dev"))[2:]),
    "routes": len(list(open("/proc/net/route"))) - 1,
    "root": sorted(os.listdir("/")), "dev": sorted(os.listdir("/dev")),
    "written": {path: refused(path) for path in ("/x", "/usr/x", "/var/task/x", "/etc/x", "/dev/x", "/opt/x")},
    "umask": os.umask(0o022), "cwd": os.getcwd(),
    "hostname": os.uname().nodename,
    "nofile": resource.getrlimit(resource.RLIMIT_NOFILE), "core": resource.getrlimit(resource.RLIMIT_CORE),
    "tmp": [os.stat("/tmp").st_mode & 0o7777, os.stat("/tmp").st_uid, os.statvfs("/tmp").f_blocks * 4096],
    "cgroup": {line.split(":", 2)[2].strip() for line in open("/proc/self/cgroup")} == {"/"},
    "stdin": os.readlink("/proc/self/fd/0"),
    "signals": [status["SigIgn"], status["SigBlk"]],
    "hosts": open("/etc/hosts").read().split("\\n")[0].split(), "resolver": open("/etc/resolv.conf").read(),
    "user": [line.split(":")[0] for line in open("/etc/passwd") if line.split(":")[2] == "993"],
    "init": open("/proc/1/cmdline").read().rstrip("\\0"),
}))
"""


@pytest.fixture
def template(tmp_path: Path) -> SandboxTemplate:
    code = tmp_path / "code"
    code.mkdir(mode=0o755)
    return SandboxTemplate(
        "probe", (Bind(Path(sys.base_prefix), sys.base_prefix), Bind(code, "/var/task")), directories=("/var/runtime",)
    )


async def probe(lab: Any, **changes: Any) -> dict[str, Any]:
    # json needs the interpreter's own library only: -I -S
    ran = await lab.run_python(PROBE, **changes)
    assert ran.exit.status == 0, ran.text
    seen: dict[str, Any] = json.loads(ran.text)
    return seen


async def test_the_world_from_inside(lab: Any) -> None:
    seen = await probe(lab, tmp_bytes=32 << 20, hostname="169-254-10-245", cwd="/var/task")
    assert seen["ids"] == [993, 993, 993, 990, 990, 990]
    assert set(seen["capabilities"]) == {"0000000000000000"}
    assert (seen["no_new_privs"], seen["seccomp"]) == ("1", "2")
    assert (seen["pid"], seen["parent"], seen["session"], seen["pids"]) == (2, 1, 2, [1, 2])
    assert (seen["interfaces"], seen["routes"]) == (["lo"], 0)
    assert set(seen["root"]) <= {
        "bin",
        "dev",
        "etc",
        "lib",
        "lib32",
        "lib64",
        "libx32",
        "mnt",
        "opt",
        "proc",
        "run",
        "sbin",
        "sys",
        "tmp",
        "usr",
        "var",
        "root",
        "home",
        "work",
    } | {Path(sys.base_prefix).parts[1]}
    assert seen["dev"] == ["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"]
    assert set(seen["written"].values()) == {"Read-only file system"}
    assert (seen["hostname"], seen["cwd"], seen["umask"]) == ("169-254-10-245", "/var/task", 0o022)
    assert (seen["nofile"], seen["core"]) == ([1024, 1024], [1, 1])
    assert seen["tmp"] == [0o700, 993, pytest.approx(32 << 20, rel=0.05)]
    assert seen["cgroup"]
    assert seen["stdin"] == "/dev/null"
    ignored, blocked = (int(mask, 16) for mask in seen["signals"])
    # SIGPIPE and SIGXFSZ by Python itself; 32 and 33, glibc's own, in all that its posix_spawn starts
    assert (ignored & ~(3 << 31), blocked) == (0x1001000, 0)
    assert (seen["hosts"][:2], seen["resolver"]) == (
        ["127.0.0.1", "localhost"],
        "nameserver 169.254.78.1\n",
    )
    assert seen["user"] == ["sbx_user1051"]
    assert seen["init"] == "lambent-init"


async def test_without_init_the_program_is_pid_1(lab: Any) -> None:
    seen = await probe(lab, init=False)
    assert (seen["pid"], seen["pids"], seen["session"]) == (1, [1], 1)
    assert seen["init"].startswith(lab.python)


async def test_tmp_is_not_shared(lab: Any) -> None:
    first = await lab.launch("/bin/sh", "-c", "echo secret > /tmp/secret; echo done; sleep 100")
    assert await lab.line(first) == b"done\n"
    ran = await lab.shell("ls -A /tmp")
    assert ran.text == ""
    first.kill()
    await lab.finish(first)


async def test_every_sandbox_is_another_user_of_the_host(lab: Any) -> None:
    sandboxes = [await lab.launch("/bin/sleep", "100", init=False) for _ in range(3)]
    (spawner,) = lab.spawners()
    programs = Path(f"/proc/{spawner}/task/{spawner}/children").read_text().split()
    ids = {
        line for pid in programs for line in _lines(Path(f"/proc/{pid}/status")) if line.startswith(("Uid:", "Gid:"))
    }
    numbers = {int(number) for line in ids for number in line.split()[1:]}
    assert len(ids) == 6
    assert len(numbers) == 3
    assert min(numbers) >= 0x70000000
    for sandbox in sandboxes:
        sandbox.kill()
        await lab.finish(sandbox)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return []


async def test_a_crash_without_init_is_reported_as_its_signal(lab: Any) -> None:
    ran = await lab.run_python("import ctypes; ctypes.string_at(0)", init=False)
    assert ran.exit.signal == 11
    assert not ran.exit.killed


async def test_links_of_bound_trees_do_not_lead_out_of_the_template(lab: Any, tmp_path: Path) -> None:
    """What a bound tree links to is looked up inside; a later bind below such a link does not reach the host."""
    outside, code, more = (tmp_path / name for name in ("outside", "hostile", "more"))
    for directory in (outside, code, more):
        directory.mkdir(mode=0o755)
    (code / "link").symlink_to(outside)
    (code / "passwd").symlink_to("/etc/shadow")
    lab.template = SandboxTemplate("hostile", (Bind(code, "/var/task"), Bind(more, "/var/task/link/made")))
    with pytest.raises(SandboxError, match="/var/task/link/made"):
        await lab.shell("true")
    assert list(outside.iterdir()) == []
    lab.template = SandboxTemplate("hostile", (Bind(code, "/var/task"),))
    assert "No such file" in (await lab.shell("cat /var/task/passwd 2>&1")).text


async def test_certificates_time_zone_and_loader_work(lab: Any) -> None:
    ran = await lab.shell("date +%Z; getent passwd sbx_user1051; getent hosts localhost; ls /etc/ssl/certs | head -1")
    lines = ran.text.splitlines()
    assert lines[0] == "UTC"
    assert "sbx_user1051:x:993:990" in lines[1]
    assert "localhost" in lines[2]
