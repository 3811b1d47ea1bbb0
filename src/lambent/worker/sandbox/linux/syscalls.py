"""System calls that the standard library lacks, by ctypes. Runs in the spawner and in new sandboxes: standard library
only, and little of it. Every wrapper raises `OSError`. Numbers for x86_64 and aarch64.

See the man pages of the calls: clone(2), mount_setattr(2), open_tree(2), prctl(2), capset(2), seccomp(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

_libc = ctypes.CDLL(None, use_errno=True)
# clone3 must not go through ctypes' release of the interpreter lock: the child would have to take it again before
# the interpreter has been told that it was forked.
_libc_keeping_lock = ctypes.PyDLL(None, use_errno=True)

_X86_64 = os.uname().machine == "x86_64"
_SYS_PIVOT_ROOT = 155 if _X86_64 else 41
_SYS_CAPGET = 125 if _X86_64 else 90
_SYS_CAPSET = 126 if _X86_64 else 91
_SYS_KEYCTL = 250 if _X86_64 else 219
_SYS_PIDFD_SEND_SIGNAL = 424
_SYS_OPEN_TREE = 428  # these are the same on every architecture
_SYS_MOVE_MOUNT = 429
_SYS_FSOPEN = 430
_SYS_FSCONFIG = 431
_SYS_FSMOUNT = 432
_SYS_CLONE3 = 435
_SYS_CLOSE_RANGE = 436
_SYS_MOUNT_SETATTR = 442

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
_MOVE_MOUNT_F_EMPTY_PATH = 0x4
_CLOEXEC = 1  # FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC
_FSCONFIG_SET_FLAG, _FSCONFIG_SET_STRING, _FSCONFIG_CMD_CREATE = 0, 1, 6

CLONE_PIDFD = 0x1000
CLONE_PARENT = 0x8000
CLONE_CHILD_CLEARTID = 0x200000
CLONE_CHILD_SETTID = 0x1000000
CLONE_NEWNS = 0x20000
CLONE_NEWCGROUP = 0x2000000
CLONE_NEWUTS = 0x4000000
CLONE_NEWIPC = 0x8000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_INTO_CGROUP = 0x200000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
_PR_SET_NAME = 15
PR_SET_SECCOMP = 22
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_SECCOMP_MODE_FILTER = 2
_KEYCTL_JOIN_SESSION_KEYRING = 1
_CAPABILITY_VERSION_3 = 0x20080522
_SIGCHLD = 17
_CLOSE_RANGE_CLOEXEC = 0x4
_MAX_FD = 0xFFFFFFFF


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def _syscall(what: str, number: int, *arguments: object) -> int:
    return _check(_libc.syscall(ctypes.c_long(number), *arguments), what)


def _thread_id_address() -> int:
    """Where libc caches this thread's id, or 0 if it cannot be found.

    A raw clone3 leaves that cache with the parent's number; told the address, the kernel corrects it in the child
    (CLONE_CHILD_SETTID), as fork() has it done.
    """
    _libc.pthread_self.restype = ctypes.c_void_p
    base = _libc.pthread_self()
    thread_id = struct.pack("i", _libc.syscall(ctypes.c_long(186 if _X86_64 else 178)))
    # The field lies within the first KiB of the thread block in glibc and musl; the block is larger than that.
    block = ctypes.string_at(base, 1024)
    places = [at for at in range(0, len(block), 4) if block[at : at + 4] == thread_id]
    return base + places[-1] if places else 0


thread_id_address = _thread_id_address()


def clone3(flags: int, into_cgroup: int | None, wanted_pid: int | None = None) -> tuple[int, int]:
    """Fork with `flags`; returns (pid, pidfd) in the parent and (0, -1) in the child. `into_cgroup`: descriptor of a
    cgroup v2 directory that the child is born in. `wanted_pid`: that of the child, in this pid namespace, which must be
    ours."""
    pidfd = ctypes.c_int(-1)
    flags |= CLONE_PIDFD
    if into_cgroup is not None:
        flags |= CLONE_INTO_CGROUP
    if thread_id_address:
        flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID
    exit_signal = 0 if flags & CLONE_PARENT else _SIGCHLD
    pids = (ctypes.c_int * 1)(wanted_pid or 0)
    set_tid = (ctypes.addressof(pids), 1) if wanted_pid is not None else (0, 0)
    arguments = struct.pack(
        "11Q", flags, ctypes.addressof(pidfd), thread_id_address, 0, exit_signal, 0, 0, 0, *set_tid, into_cgroup or 0
    )
    ctypes.pythonapi.PyOS_BeforeFork()
    pid = _libc_keeping_lock.syscall(ctypes.c_long(_SYS_CLONE3), arguments, ctypes.c_size_t(len(arguments)))
    number = ctypes.get_errno()
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
        return 0, -1
    ctypes.pythonapi.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(number, os.strerror(number), "clone3")
    os.set_inheritable(pidfd.value, False)
    return pid, pidfd.value


def pidfd_send_signal(pidfd: int, number: int) -> None:
    """As that of `signal`, which Python 3.8 lacks."""
    _syscall("pidfd_send_signal", _SYS_PIDFD_SEND_SIGNAL, pidfd, number, None, ctypes.c_uint(0))


def setns(descriptor: int, kind: int) -> None:
    _check(_libc.setns(descriptor, kind), "setns")


def unshare(flags: int) -> None:
    _check(_libc.unshare(flags), "unshare")


def set_domain_name(name: bytes) -> None:
    """Of this process's uts namespace."""
    _check(_libc.setdomainname(name, len(name)), "set the domain name")


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind, options)]
    _check(_libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3]), f"mount {target}")


def unmount_detach(target: str) -> None:
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), f"umount {target}")


def map_file(descriptor: int, size: int, protection: int, flags: int) -> int:
    """The address of the first `size` bytes of a file (of none: -1) in memory, for as long as this process lives."""
    _libc.mmap.restype = ctypes.c_void_p
    address = _libc.mmap(None, ctypes.c_size_t(size), protection, flags, descriptor, ctypes.c_long(0))
    failed = address == ctypes.c_void_p(-1).value
    _check(-1 if failed else 0, "mmap")
    return int(address)


def collapse(start: int, size: int) -> bool:
    """Keep memory in huge pages; False where that cannot be had, now or on this kernel (before 6.1)."""
    advice = 25  # MADV_COLLAPSE
    return bool(_libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), advice) == 0)


def pivot_root(new_root: str, put_old: str) -> None:
    _syscall("pivot_root", _SYS_PIVOT_ROOT, os.fsencode(new_root), os.fsencode(put_old))


def clone_tree(path: str) -> int:
    """A detached copy of the mounts at and below `path`, as a descriptor for `set_mount_flags` and `attach_tree`."""
    flags = 1 | os.O_CLOEXEC | AT_RECURSIVE  # 1: OPEN_TREE_CLONE
    return _syscall(f"open_tree {path}", _SYS_OPEN_TREE, AT_FDCWD, os.fsencode(path), ctypes.c_uint(flags))


def attach_tree(tree: int, target: str) -> None:
    _syscall(
        f"move_mount {target}", _SYS_MOVE_MOUNT, tree, b"", AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH
    )


def new_mount(kind: str, options: dict[str, str | None], attributes: int) -> int:
    """A new file system, mounted nowhere: a descriptor for `attach_tree`. An option without a value is a flag."""
    context = _syscall(f"fsopen {kind}", _SYS_FSOPEN, os.fsencode(kind), _CLOEXEC)
    try:
        for name, value in options.items():
            command = _FSCONFIG_SET_FLAG if value is None else _FSCONFIG_SET_STRING
            text = None if value is None else os.fsencode(value)
            _syscall(f"fsconfig {name}", _SYS_FSCONFIG, context, command, os.fsencode(name), text, 0)
        _syscall(f"mount {kind}", _SYS_FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0)
        return _syscall(f"fsmount {kind}", _SYS_FSMOUNT, context, _CLOEXEC, ctypes.c_uint(attributes))
    finally:
        os.close(context)


def set_mount_flags(place: int | str, attributes: int, *, recursive: bool = True, private: bool = False) -> None:
    """Add `attributes` (MOUNT_ATTR_*) to the mount at `place`: a path, or a descriptor from `clone_tree`. `private`:
    and let what is mounted there be seen nowhere else, nor the other way round."""
    directory, path = (place, b"") if isinstance(place, int) else (AT_FDCWD, os.fsencode(place))
    flags = (AT_EMPTY_PATH if isinstance(place, int) else 0) | (AT_RECURSIVE if recursive else 0)
    setting = struct.pack("4Q", attributes, 0, MS_PRIVATE if private else 0, 0)
    size = ctypes.c_size_t(len(setting))
    _syscall("mount_setattr", _SYS_MOUNT_SETATTR, directory, path, ctypes.c_uint(flags), setting, size)


def prctl(option: int, value: int = 0, third: int = 0) -> int:
    result = _libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(third), ctypes.c_ulong(0), ctypes.c_ulong(0))
    return _check(result, f"prctl {option}")


def set_process_name(name: bytes) -> None:
    """What `ps -c` and `top` call this process; 15 bytes count."""
    buffer = ctypes.create_string_buffer(name)
    prctl(_PR_SET_NAME, ctypes.addressof(buffer))


def set_process_title(title: bytes) -> None:
    """What `ps` and `top` call this process. Also takes the place of its arguments in /proc/PID/cmdline, which hold
    paths of the host that no sandbox needs to see in its init."""
    set_process_name(title)
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end, numbers 48 and 49 in proc_pid_stat(5)
    if 0 < start < end:
        ctypes.memset(start, 0, end - start)
        ctypes.memmove(start, title, min(len(title), end - start - 1))


def close_descriptors(first: int, last: int = _MAX_FD) -> None:
    if first <= last:
        _syscall("close_range", _SYS_CLOSE_RANGE, ctypes.c_uint(first), ctypes.c_uint(last), 0)


def close_on_exec(first: int) -> None:
    """Mark all descriptors from `first` on to be closed by execve."""
    _syscall(
        "close_range",
        _SYS_CLOSE_RANGE,
        ctypes.c_uint(first),
        ctypes.c_uint(_MAX_FD),
        ctypes.c_uint(_CLOSE_RANGE_CLOEXEC),
    )


def last_capability() -> int:
    """The highest capability number this kernel knows."""
    number = 0
    while _libc.prctl(PR_CAPBSET_READ, ctypes.c_ulong(number + 1)) >= 0:
        number += 1
    return number


def capabilities() -> bytes:
    """This thread's capability sets, for `set_capabilities`."""
    sets = ctypes.create_string_buffer(24)
    _syscall("capget", _SYS_CAPGET, struct.pack("Ii", _CAPABILITY_VERSION_3, 0), sets)
    return sets.raw


def set_capabilities(sets: bytes) -> None:
    """Take on `sets`, as far as they are permitted."""
    _syscall("capset", _SYS_CAPSET, struct.pack("Ii", _CAPABILITY_VERSION_3, 0), sets)


def drop_capabilities(last: int) -> None:
    """Empty all five capability sets, for good."""
    for number in range(last + 1):
        _check(_libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(number)), "drop bounding set")
    prctl(PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    _syscall("capset", _SYS_CAPSET, struct.pack("Ii", _CAPABILITY_VERSION_3, 0), bytes(24))


def join_new_session_keyring() -> None:
    """Leave the session keyring of whoever started us. The new one counts for this process's real user, of whose keys
    the kernel allows 200."""
    try:
        _syscall("join a new session keyring", _SYS_KEYCTL, _KEYCTL_JOIN_SESSION_KEYRING, None)
    except OSError as error:
        # No keyrings in this kernel; or a filter around us, as Docker's, that keeps us and sandboxes from all of them.
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise


def install_seccomp_filter(program: bytes) -> None:
    """`program`: an array of `struct sock_filter`, 8 bytes each. Needs no_new_privs or CAP_SYS_ADMIN."""
    code = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code)))
    prctl(PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(header))
