"""/tmp of `linux` sandboxes: on disk, of exactly its size, gone with the sandbox whatever happens."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lambent.worker.sandbox.api import SandboxError, SandboxTemplate
from lambent.worker.sandbox.linux import disk_image
from lambent.worker.sandbox.linux.backend import LinuxBackend

pytestmark = [
    pytest.mark.alone,
    pytest.mark.root,
    pytest.mark.skipif(bool(disk_image.why_not()), reason=f"no /tmp on disk here: {disk_image.why_not()}"),
]

MIB = 1 << 20


@pytest.fixture
def tiny_filesystem(tmp_path: Path) -> Iterator[Path]:
    """A directory that holds 24 MiB."""
    directory = tmp_path / "tiny"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(directory)], check=True)
    yield directory
    subprocess.run(["umount", str(directory)], check=True)


@pytest.mark.parametrize("size", [8 * MIB, 512 * MIB])
async def test_it_ends_at_its_size(lab: Any, size: int) -> None:
    script = f"""
import os
file = os.open("/tmp/file", os.O_CREAT | os.O_WRONLY)
os.posix_fallocate(file, 0, {size})
print(os.fstat(file).st_size)
try:
    os.posix_fallocate(file, 0, {size + MIB})
except OSError as error:
    print(error.strerror)
"""
    ran = await lab.run_python(script, tmp_bytes=size)
    assert ran.text.splitlines() == [str(size), "No space left on device"]


async def test_its_files_are_not_memory(lab: Any) -> None:
    script = "head -c 150M /dev/zero > /tmp/file && stat -c %s /tmp/file"
    ran = await lab.shell(script, memory_bytes=48 * MIB, tmp_bytes=256 * MIB)
    assert (ran.exit.status, ran.exit.oom_killed, ran.text) == (0, False, f"{150 * MIB}\n")


async def test_the_number_of_its_files_is_limited(lab: Any) -> None:
    script = """
import os
count = 0
try:
    while count < 5000:
        os.close(os.open(f"/tmp/{count}", os.O_CREAT | os.O_WRONLY)); count += 1
except OSError as error:
    print(count, error.strerror)
"""
    count, _, why = (await lab.run_python(script, tmp_bytes=8 * MIB)).text.strip().partition(" ")
    assert 400 < int(count) < 600
    assert why == "No space left on device"


async def test_it_gives_no_privileges(lab: Any) -> None:
    script = """
cp /bin/true /tmp/program && chmod 6755 /tmp/program && /tmp/program && echo runs
grep ' /tmp ' /proc/self/mounts | cut -d' ' -f4 | tr , '\\n' | grep -x -e nosuid -e nodev
mknod /tmp/null c 1 3 2>/dev/null || echo no devices
chown 0 /tmp/program 2>/dev/null || echo stays mine
"""
    ran = await lab.shell(script)
    assert ran.text.split("\n") == ["runs", "nosuid", "nodev", "no devices", "stays mine", ""]


async def test_many_at_once_and_other_sizes(lab: Any) -> None:
    sizes = [16 * MIB, 64 * MIB, 512 * MIB, 96 * MIB, 24 * MIB, 80 * MIB] * 3
    script = 'test -z "$(ls -A /tmp)" && echo x > /tmp/mine && df -B1M --output=size /tmp | tail -1'
    runs = await asyncio.gather(*(lab.shell(script, tmp_bytes=size) for size in sizes))
    for size, ran in zip(sizes, runs, strict=True):
        assert int(ran.text) == pytest.approx(size / MIB, rel=0.1)


async def test_a_host_disk_without_room_refuses_the_sandbox(
    tiny_filesystem: Path, tmp_path: Path, template: SandboxTemplate, open_lab: Any
) -> None:
    async with open_lab(LinuxBackend(str(tmp_path), tiny_filesystem / "state"), template) as lab:
        assert (await lab.shell("echo fits", tmp_bytes=MIB)).text == "fits\n"
        with pytest.raises(SandboxError, match=r"no room for a /tmp of 512 MB: \d+ MB are free at .*state/tmp"):
            await lab.shell("true", tmp_bytes=512 * MIB)


async def test_a_host_disk_that_fills_up_harms_who_writes_only(
    tiny_filesystem: Path, tmp_path: Path, template: SandboxTemplate, open_lab: Any
) -> None:
    free = os.statvfs(tiny_filesystem)
    size = free.f_bavail * free.f_frsize * 3 // 5 // MIB * MIB
    # Whoever is done first stays: at its end its room is free again.
    script = f"head -c {size} /dev/zero > /tmp/file && sync /tmp/file; status=$?; sleep 2; exit $status"
    async with open_lab(LinuxBackend(str(tmp_path), tiny_filesystem / "state"), template) as lab:
        sandboxes = [await lab.launch("/bin/sh", "-c", script, tmp_bytes=size) for _ in range(2)]
        runs = [await lab.finish(sandbox) for sandbox in sandboxes]
        assert sorted(ran.exit.status for ran in runs) != [0, 0]
        assert (await lab.shell("echo x > /tmp/x && sync /tmp/x && echo fits", tmp_bytes=MIB)).text == "fits\n"


async def test_a_host_without_loop_devices_uses_memory_and_says_so(
    tmp_path: Path, template: SandboxTemplate, open_lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_image, "_LOOP_CONTROL", "/dev/no-such-control")
    backend = LinuxBackend(str(tmp_path), tmp_path / "state")
    async with open_lab(backend, template) as lab:
        ran = await lab.shell(
            "dd if=/dev/zero of=/tmp/file bs=1M count=100 2>&1; stat -c %s /tmp/file", tmp_bytes=8 * MIB
        )
        assert "No space left on device" in ran.text
        assert ran.text.splitlines()[-1] == str(8 * MIB)
    guarantees = {guarantee.name: guarantee for guarantee in backend.report().guarantees}
    assert not guarantees["temporary files apart from memory"].holds
    assert "modprobe loop" in guarantees["temporary files apart from memory"].how


async def test_images_that_cannot_be_mounted_are_noticed_at_the_start(
    tmp_path: Path, template: SandboxTemplate, open_lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_image, "find_mkfs", lambda: "/bin/false")
    backend = LinuxBackend(str(tmp_path), tmp_path / "state")
    async with open_lab(backend, template) as lab:
        assert (await lab.shell("echo in memory")).text == "in memory\n"
        guarantees = {guarantee.name: guarantee for guarantee in backend.report().guarantees}
        assert not guarantees["temporary files apart from memory"].holds


async def test_nothing_has_a_name_on_the_host(lab: Any, tmp_path: Path) -> None:
    ran = await lab.shell("echo secret > /tmp/secret; sync /tmp/secret")
    assert ran.exit.status == 0
    assert list((tmp_path / "state" / "tmp").iterdir()) == []
    assert str(tmp_path) not in subprocess.run(["mount"], capture_output=True, text=True, check=True).stdout
