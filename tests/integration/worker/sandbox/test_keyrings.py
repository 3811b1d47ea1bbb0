"""Session keyrings: no sandbox stays in that of whoever started the server, however many there are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.root, pytest.mark.alone]

# Sandboxes in a row, with a filter that lets them ask for their keyring, which the real one does not. The server is in
# a keyring of its own with a key in it, and the user's quota is used up once the first sandbox has run.
KEYRINGS = """
import asyncio, ctypes, json, os, platform, sys
from pathlib import Path
from lambent.worker.sandbox.api import Bind, SandboxLimits, SandboxSpec, SandboxTemplate
from lambent.worker.sandbox.linux import backend as backends
backends.build_filter = lambda machine: bytes.fromhex("06000000 0000ff7f")
ADD_KEY, KEYCTL = (248, 250) if platform.machine() == "x86_64" else (217, 219)
libc = ctypes.CDLL(None, use_errno=True)
PROGRAM = f'''
import ctypes
libc = ctypes.CDLL(None)
print(libc.syscall({KEYCTL}, 0, -3, 0), libc.syscall({KEYCTL}, 10, -3, b"user", b"secret", 0))
'''
def add_key(name):
    return libc.syscall(ADD_KEY, b"user", name, b"x", ctypes.c_size_t(1), ctypes.c_int(-3))
async def main():
    libc.syscall(KEYCTL, 1, None)
    own, key = libc.syscall(KEYCTL, 0, -3, 0), add_key(b"secret")
    backend = backends.LinuxBackend("test", Path(sys.argv[1]), rootless=os.geteuid() != 0)
    await backend.start()
    template = SandboxTemplate("t", (Bind(Path(sys.base_prefix), sys.base_prefix),))
    argv = (sys.base_prefix + "/bin/python3", "-I", "-S", "-c", PROGRAM)
    said = []
    for number in range(3):
        spec = SandboxSpec(f"s{number}", argv, {}, SandboxLimits(128 << 20, 1.0, 8 << 20))
        sandbox = await backend.launch(template, spec)
        await sandbox.wait()
        said.append(os.read(sandbox.output_fd, 100).decode().split())
        if os.geteuid():
            while add_key(b"%d" % os.getpid() + os.urandom(8)) >= 0: pass
            assert ctypes.get_errno() == 122, ctypes.get_errno()
    await backend.close()
    print(json.dumps({"own": own, "key": key, "sandboxes": said}))
asyncio.run(main())
"""
JOINS = """
import ctypes, os, platform
from lambent.worker.sandbox.linux import syscalls
ADD_KEY = 248 if platform.machine() == "x86_64" else 217
os.setuid(0x6fff0000)
syscalls.join_new_session_keyring()
while ctypes.CDLL(None).syscall(ADD_KEY, b"user", os.urandom(8).hex().encode(), b"x", ctypes.c_size_t(1), -3) >= 0: pass
try:
    syscalls.join_new_session_keyring()
except OSError as error:
    print(error.errno, error.filename)
"""


def check(done: subprocess.CompletedProcess[str]) -> set[str]:
    """The keyrings that the sandboxes were in; none of them is the server's, and none finds the key that is there."""
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(done.stdout)
    assert seen["own"] > 0
    assert seen["key"] > 0
    keyrings = {keyring for keyring, _ in seen["sandboxes"]}
    assert all(int(keyring) > 0 for keyring in keyrings)
    assert str(seen["own"]) not in keyrings
    assert {found for _, found in seen["sandboxes"]} == {"-1"}
    return keyrings


def test_sandboxes_of_root_have_one_each(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KEYRINGS, str(tmp_path)]
    assert len(check(subprocess.run(command, capture_output=True, text=True, check=False))) == 3


def test_those_of_an_ordinary_user_share_one_and_use_up_no_quota(ordinary_user: Any) -> None:
    with ordinary_user.home() as home:
        assert len(check(ordinary_user.run(home, "-c", KEYRINGS, str(home / "state")))) == 1


def test_a_keyring_that_is_refused_is_an_error() -> None:
    done = subprocess.run([sys.executable, "-c", JOINS], capture_output=True, text=True, check=False)
    assert done.stdout.split(maxsplit=1) == ["122", "join a new session keyring\n"], done.stderr
