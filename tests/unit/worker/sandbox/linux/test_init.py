"""The program that is pid 1 of sandboxes, by itself; `integration` has it in sandboxes."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from lambent.worker.sandbox.linux import init

_EMULATORS = {"x86_64": "qemu-x86_64-static", "aarch64": "qemu-aarch64-static"}
# The shell is pid 1 until it executes init; pid 2 is the program, pid 3 an orphan that ends before it.
_SCRIPT = '(sleep 0.2; exit 7) & (exit 3) & exec "$@"'


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_it_reaps_until_the_program_ends_and_tells_its_status(machine: str, tmp_path: Path) -> None:
    path = tmp_path / "init"
    path.write_bytes(init.program(machine))
    path.chmod(0o700)
    command = [str(path)]
    if machine != os.uname().machine:
        emulator = shutil.which(_EMULATORS[machine])
        if emulator is None:
            pytest.skip(f"no {_EMULATORS[machine]} here (package qemu-user-static)")
        command.insert(0, emulator)
    read, write = os.pipe()
    namespaces = ["unshare", "--user", "--map-root-user", "--pid", "--fork"]
    done = subprocess.run([*namespaces, "sh", "-c", _SCRIPT, "sh", *command], stdin=write, timeout=20, check=False)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        (status,) = struct.unpack("i", pipe.read())
    assert os.waitstatus_to_exitcode(status) == 7
    assert done.returncode == 0


def test_without_a_program_it_ends_and_tells_nothing(tmp_path: Path) -> None:
    path = tmp_path / "init"
    path.write_bytes(init.program(os.uname().machine))
    path.chmod(0o700)
    done = subprocess.run([str(path)], stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (0, b"")


def test_the_file_has_no_name_and_nobody_may_read_it(tmp_path: Path) -> None:
    descriptor = init.make(str(tmp_path / "init"))
    try:
        seen = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    assert (seen.st_nlink, seen.st_mode & 0o777) == (0, 0o111)
    assert not list(tmp_path.iterdir())
