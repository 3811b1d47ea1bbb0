"""Attempts to get out of a `linux` sandbox, or to get at what is not its own. Every one of them must fail."""
# ruff: noqa: E501 - programs within programs

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.root

# name: (expression evaluated inside, what it must give)
SYSTEM_CALLS: dict[str, tuple[str, str]] = {
    "mount": ("call(165, 40, b'', b'/tmp', b'tmpfs', 0, 0)", "EPERM"),
    "umount /proc": ("call(166, 39, b'/proc', 2)", "EPERM"),
    "open_tree": ("call(428, 428, -100, b'/', 1)", "EPERM"),
    "move_mount": ("call(429, 429, -100, b'/usr', -100, b'/tmp', 0)", "EPERM"),
    "fsopen": ("call(430, 430, b'tmpfs', 0)", "EPERM"),
    "mount_setattr": ("call(442, 442, -100, b'/', 0, bytes(32), 32)", "EPERM"),
    "pivot_root": ("call(155, 41, b'/tmp', b'/tmp')", "EPERM"),
    "chroot": ("call(161, 51, b'/tmp')", "EPERM"),
    "unshare user namespace": ("call(272, 97, 0x10000000)", "EPERM"),
    "unshare network": ("call(272, 97, 0x40000000)", "EPERM"),
    "clone with a new user namespace": ("call(56, 220, 0x10000000 | 17, 0, 0, 0, 0)", "EPERM"),
    "clone with a new mount namespace": ("call(56, 220, 0x00020000 | 17, 0, 0, 0, 0)", "EPERM"),
    "clone3": ("call(435, 435, bytes(88), 88)", "ENOSYS"),
    "setns": ("call(308, 268, os.open('/proc/self/ns/net', 0), 0)", "EPERM"),
    "ptrace": ("call(101, 117, 16, 1, 0, 0)", "EPERM"),
    "process_vm_readv": ("call(310, 270, 1, 0, 0, 0, 0, 0)", "EPERM"),
    "pidfd_getfd": ("call(438, 438, 0, 0, 0)", "EPERM"),
    "kcmp": ("call(312, 272, 1, 1, 0, 0, 0)", "EPERM"),
    "keyctl": ("call(250, 219, 0, -3, 0)", "EPERM"),
    "add_key": ("call(248, 217, b'user', b'x', b'y', 1, -3)", "EPERM"),
    "request_key": ("call(249, 218, b'user', b'x', 0, 0)", "EPERM"),
    "bpf": ("call(321, 280, 0, bytes(128), 128)", "EPERM"),
    "perf_event_open": ("call(298, 241, bytes(128), 0, -1, -1, 0)", "EPERM"),
    "userfaultfd": ("call(323, 282, 0)", "EPERM"),
    "io_uring_setup": ("call(425, 425, 8, bytes(120))", "EPERM"),
    "kexec_load": ("call(246, 104, 0, 0, 0, 0)", "EPERM"),
    "init_module": ("call(175, 105, b'', 0, b'')", "EPERM"),
    "finit_module": ("call(313, 273, 0, b'', 0)", "EPERM"),
    "reboot": ("call(169, 142, 0xfee1dead, 672274793, 0, 0)", "EPERM"),
    "sethostname": ("call(170, 161, b'x', 1)", "EPERM"),
    "settimeofday": ("call(164, 170, bytes(16), 0)", "EPERM"),
    "swapon": ("call(167, 224, b'/tmp/x', 0)", "EPERM"),
    "syslog": ("call(103, 116, 3, bytes(100), 100)", "EPERM"),
    "acct": ("call(163, 89, 0)", "EPERM"),
    "open_by_handle_at": ("call(304, 265, -100, bytes(16), 0)", "EPERM"),
    "fanotify_init": ("call(300, 262, 0, 0)", "EPERM"),
    "quotactl": ("call(179, 60, 0, 0, 0, 0)", "EPERM"),
    "a personality without randomisation": ("call(135, 92, 0x0040000)", "EPERM"),
    "a system call of the future": ("call(500, 500)", "ENOSYS"),
    "TIOCSTI": ("call(16, 29, 0, 0x5412, b'x')", "EPERM"),
    "TIOCLINUX": ("call(16, 29, 0, 0x541c, b'x')", "EPERM"),
    "raw socket": ("call(41, 198, 2, 3, 1)", "EPERM"),
    "packet socket": ("call(41, 198, 17, 3, 0)", "EAFNOSUPPORT"),
    "vsock": ("call(41, 198, 40, 1, 0)", "EAFNOSUPPORT"),
    "AF_ALG": ("call(41, 198, 38, 5, 0)", "EAFNOSUPPORT"),
    "device node": ("call(259, 33, -100, b'/tmp/disk', 0o60600, 0xfe00)", "EPERM"),
    "becoming root": ("call(105, 146, 0)", "EINVAL"),  # there is no root to become in its user namespace
    "raising the descriptor limit": ("__import__('resource').setrlimit(7, (4096, 4096))", "ValueError"),  # for EPERM
    "a capability": ("call(126, 91, (ctypes.c_uint * 2)(0x20080522, 0), b'\\xff' * 24)", "EPERM"),
}  # fmt: skip


async def test_system_calls_are_refused(cell: Any) -> None:
    lines = [
        f"try: print({name!r}, '=', {expression})\nexcept Exception as error: print({name!r}, '=', repr(error))"
        for name, (expression, _) in SYSTEM_CALLS.items()
    ]
    said = dict(line.split(" = ", 1) for line in (await cell.run("\n".join(lines))).splitlines())
    wrong = {name: said.get(name) for name, (_, wanted) in SYSTEM_CALLS.items() if wanted not in said.get(name, "")}
    assert wrong == {}


async def test_a_32_bit_system_call_is_refused(cell: Any) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("x86_64 only")
    script = """
import mmap
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex("b8140000 00 cd80 c3".replace(" ", "")))  # mov eax, 20 (getpid); int 0x80; ret
function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
print(function())
"""
    assert await cell.run(script) == "-38"  # ENOSYS


async def test_kernel_settings_cannot_be_written(cell: Any) -> None:
    script = """
for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger",
             "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/modprobe", "/proc/1/oom_score_adj", "/proc/self/uid_map"):
    if os.path.exists(path):
        print(path, attempt(lambda: os.write(os.open(path, os.O_WRONLY), b"1")))
print(os.listdir("/sys"))
"""
    lines = (await cell.run(script)).splitlines()
    assert lines.pop() == "[]"
    assert lines
    assert {line.split()[1] for line in lines} <= {"EACCES", "EPERM", "EROFS"}


async def test_hosts_files_are_not_there(cell: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    script = """
for path in (os.environ["SECRET"], "/etc/shadow", "/root/.ssh", "/home", "/var/lib", "/boot", "/lib/modules",
             "/proc/1/root/etc/shadow", "/proc/1/cwd/etc/shadow", "/proc/kcore", "/dev/mem", "/dev/kmsg", "/dev/vda",
             "/dev/sda", "/dev/kvm", "/sys/kernel", "/run/docker.sock", "/var/run/docker.sock", "/tmp/../../etc/shadow",
             "/.old", "/proc/self/fd/../../1/root/etc/shadow"):
    def look():
        if os.path.isdir(path):
            return os.listdir(path)
        return os.read(os.open(path, 0), 10)
    print(path, attempt(look))
"""
    for line in (await cell.run(script, SECRET=str(tmp_path / "secret"))).splitlines():
        path, _, got = line.partition(" ")
        # A masked file is /dev/null; below /usr, modules are the host's, readable by everyone there as well.
        assert got in ("ENOENT", "EACCES", "ENOTDIR", "EPERM", "b''", "[]") or path == "/lib/modules", line


async def test_links_in_tmp_lead_nowhere(cell: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    script = """
os.symlink(os.environ["SECRET"], "/tmp/link")
print(attempt(lambda: open("/tmp/link").read()))
os.symlink("/../../../../..", "/tmp/up")
print(sorted(os.listdir("/tmp/up")) == sorted(os.listdir("/")))
"""
    assert (await cell.run(script, SECRET=str(tmp_path / "secret"))).split() == ["ENOENT", "True"]


async def test_hosts_processes_cannot_be_seen_or_signalled(cell: Any) -> None:
    script = """
print([attempt(lambda: os.kill(pid, 0)) for pid in (int(os.environ["SERVER"]), int(os.environ["PARENT"]))])
print([name for name in os.listdir("/proc") if name.isdigit()])
print(attempt(lambda: os.kill(-1, 9)))
print(attempt(lambda: os.kill(1, 9)), "still here")
"""
    said = await cell.run(script, SERVER=str(os.getpid()), PARENT=str(os.getppid()))
    assert said.splitlines() == ["['ESRCH', 'ESRCH']", "['1', '2']", "ESRCH", "None still here"]


async def test_init_cannot_be_read_or_changed(cell: Any) -> None:
    script = """
for name in ("environ", "mem", "maps", "fd", "cwd", "root", "exe", "task/1/environ", "syscall", "stack"):
    path = "/proc/1/" + name
    def look():
        if os.path.islink(path): return os.readlink(path)
        if name == "fd": return os.listdir(path)
        with open(path, "rb") as file: return file.read(10)
    print(name, attempt(look))
"""
    for line in (await cell.run(script)).splitlines():
        assert line.split(" ", 1)[1] in ("EACCES", "EPERM"), line


async def test_another_sandboxes_environment_is_out_of_reach(cell: Any) -> None:
    other = await cell.launch("print('up', flush=True); import time; time.sleep(100)", SECRET="of the other")
    await cell.until_it_says(other, b"up")
    script = """
import glob
print([open(path, "rb").read() for path in glob.glob("/proc/[0-9]*/environ") if "self" not in path
       and path.split("/")[2] not in (str(os.getpid()), "1")])
"""
    assert await cell.run(script) == "[]"
    other.kill()
    await cell.finish(other)


async def test_hosts_loopback_and_network_are_out_of_reach(cell: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0lambent-test-{os.getpid()}")
        abstract.listen()
        script = """
import _socket
def connect(family, address):
    client = _socket.socket(family)
    client.settimeout(2)
    client.connect(address)
    return "connected"
print(attempt(lambda: connect(_socket.AF_INET, ("127.0.0.1", int(os.environ["PORT"])))))
print(attempt(lambda: connect(_socket.AF_INET, ("169.254.169.254", 80))))
print(attempt(lambda: connect(_socket.AF_INET, ("1.1.1.1", 53))))
print(attempt(lambda: connect(_socket.AF_INET6, ("2606:4700:4700::1111", 53))))
print(attempt(lambda: connect(_socket.AF_UNIX, os.environ["ABSTRACT"].replace("@", "\\0"))))
"""
        port = str(listener.getsockname()[1])
        said = await cell.run(script, PORT=port, ABSTRACT=f"@lambent-test-{os.getpid()}")
    assert said.split() == ["ECONNREFUSED", "ENETUNREACH", "ENETUNREACH", "ENETUNREACH", "ECONNREFUSED"]


async def test_two_sandboxes_share_no_port(cell: Any) -> None:
    sleep = "print('up', flush=True); import time; time.sleep(100)"
    other = await cell.launch(sleep, listen=(9001,))
    script = "import _socket; print(attempt(lambda: _socket.socket().connect(('127.0.0.1', 9001))))"
    assert await cell.run(script) == "ECONNREFUSED"
    other.kill()
    await cell.finish(other)


async def test_setuid_programs_gain_nothing(cell: Any) -> None:
    script = """
import glob
tried = 0
for path in ("/usr/bin/su", "/usr/bin/passwd", "/usr/bin/mount", "/bin/su", "/usr/bin/chsh"):
    if os.path.exists(path) and os.stat(path).st_mode & 0o4000:
        tried += 1
os.system("cp /usr/bin/id /tmp/id 2>/dev/null")
print(attempt(lambda: os.chmod("/tmp/id", 0o4755)))
print(os.popen("/tmp/id -u").read().strip())
print(os.popen("grep -h NoNewPrivs /proc/self/status").read().split())
print(os.statvfs("/usr").f_flag & 2, os.statvfs("/tmp").f_flag & 2)
"""
    lines = (await cell.run(script, PATH="/usr/bin:/bin")).splitlines()
    assert lines[1] == "993"
    assert lines[2] == "['NoNewPrivs:', '1']"
    assert lines[3] == "2 2"  # nosuid


async def test_device_files_give_no_more_than_their_name(cell: Any) -> None:
    script = """
for name in sorted(os.listdir("/dev")):
    path = "/dev/" + name
    mode = os.lstat(path).st_mode
    if mode & 0o170000 == 0o020000:
        print(name, os.major(os.stat(path).st_rdev), os.minor(os.stat(path).st_rdev))
print(attempt(lambda: os.mknod("/dev/shm/null", 0o20666, os.makedev(1, 3))))
print(attempt(lambda: os.open("/dev/tty", os.O_RDWR)))
"""
    lines = (await cell.run(script)).splitlines()
    assert lines == ["full 1 7", "null 1 3", "random 1 8", "urandom 1 9", "zero 1 5", "EPERM", "ENOENT"]


async def test_devices_cannot_be_changed_for_others(cell: Any) -> None:
    before = os.stat("/dev/null")
    script = """
print(attempt(lambda: os.chmod("/dev/null", 0o600)), attempt(lambda: os.unlink("/dev/null")),
      attempt(lambda: os.utime("/dev/null", (0, 0))))
"""
    assert set((await cell.run(script)).split()) <= {"EPERM", "EACCES", "EROFS", "EBUSY"}
    assert (os.stat("/dev/null").st_mode, os.stat("/dev/null").st_ctime) == (before.st_mode, before.st_ctime)


async def test_core_dumps_cannot_be_switched_on(cell: Any) -> None:
    """Not even by asking for none: with a limit of 0, the kernel starts the host's handler of core dumps, as root."""
    script = """
import resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
print(resource.getrlimit(resource.RLIMIT_CORE), call(160, 164, 4, bytes(16)), resource.getrlimit(resource.RLIMIT_CORE))
"""
    assert await cell.run(script) == "(1, 1) 0 (1, 1)"


async def test_descriptors_of_the_server_are_not_inherited(cell: Any, tmp_path: Path) -> None:
    (tmp_path / "open").write_text("secret")
    with (tmp_path / "open").open() as file:
        os.set_inheritable(file.fileno(), True)
        script = "print([os.readlink(f'/proc/self/fd/{n}').split(':')[0] for n in (0, 1, 2)], len(os.listdir('/proc/self/fd')))"
        said = await cell.run(script)
    assert said == "['/dev/null', 'pipe', 'pipe'] 4"


async def test_message_queues_and_shared_memory_are_private(cell: Any) -> None:
    key = 0x6C616D62
    shm = libc_shmget(key)
    try:
        assert await cell.run(f"print(call(29, 194, {key}, 4096, 0))") == "ENOENT"
    finally:
        libc_shmctl_remove(shm)


def libc_shmget(key: int) -> int:
    import ctypes

    return int(ctypes.CDLL(None).shmget(key, 4096, 0o1666))


def libc_shmctl_remove(identifier: int) -> None:
    import ctypes

    ctypes.CDLL(None).shmctl(identifier, 0, None)


async def test_what_a_program_writes_is_never_decoded(cell: Any) -> None:
    """Everything it can write to (output, connections) is plain bytes for whoever reads them; it holds no socket to the
    spawner or the server."""
    script = "print(sorted({os.readlink(f'/proc/self/fd/{n}').split(':')[0] for n in os.listdir('/proc/self/fd') if n != '3'}))"
    assert await cell.run(script, init=False) == "['/dev/null', 'pipe']"
