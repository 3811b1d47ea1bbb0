"""The system calls that programs in a sandbox may make: an allow-list modelled on what Docker allows by default to a
container without capabilities, as a classic BPF program (seccomp(2), "SECCOMP_SET_MODE_FILTER").

Everything else fails with EPERM. Calls newer than the list fail with ENOSYS, so that C libraries fall back to older
ones; so does clone3, whose flags a filter cannot read (they are in memory): libc then uses clone, whose it can.
Stricter than Docker: no ptrace and process_vm_*, no socket families but AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK
(AF_VSOCK would reach the hypervisor from any network namespace), no typing into terminals by ioctl, no asynchronous I/O
of the old kind (its contexts are counted for the whole host, and few), no leases on files (an ordinary user's sandboxes
own their code, and could hold up whoever opens it), no pipes larger than they come (the server reads what is in one at
once). The limit on core dumps stays as it is; setting it does nothing, and nor does `sync`, which
would have the host write all its disks. Knows no I/O.
"""

from __future__ import annotations

import errno
import struct
import sys
from collections.abc import Mapping, Sequence

from lambent.worker.sandbox.linux import syscall_numbers

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JUMP_GREATER_EQUAL = 0x35
_JUMP_ANY_BIT = 0x45
_RETURN = 0x06

_NUMBER_OFFSET = 0  # in struct seccomp_data
_ARCHITECTURE_OFFSET = 4
_ARGUMENTS_OFFSET = 16

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_REFUSE = _ERRNO | errno.EPERM
_UNKNOWN = _ERRNO | errno.ENOSYS
_DO_NOTHING = _ERRNO | 0  # success, without the call

_NAMESPACE_FLAGS = 0x7E020000  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}; clone cannot make a time namespace
_FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
_TERMINAL_INJECTION = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)

_RLIMIT_CORE = 4
_F_SETLEASE = 1024
_F_SETPIPE_SZ = 1031

_Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


def build_filter(machine: str, byteorder: str = sys.byteorder) -> bytes:
    """The program for `machine` (`os.uname().machine`): an array of `struct sock_filter`. Raises `ValueError` for an
    architecture that this list was not made for."""
    if byteorder != "little" or machine not in _ARCHITECTURES:
        raise ValueError(f"no list of system calls for {machine} ({byteorder}-endian)")
    architecture, numbers = _ARCHITECTURES[machine]
    program: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_OFFSET),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _UNKNOWN),  # another architecture's calls, e.g. 32-bit ones on a 64-bit kernel
        (_LOAD, 0, 0, _NUMBER_OFFSET),
    ]
    for name, check in _conditional().items():
        program += [(_JUMP_EQUAL, 0, len(check), numbers[name]), *check]
    allowed = sorted(number for name, number in numbers.items() if name not in _conditional())
    program += _search(_edges(allowed))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


_ARCHITECTURES: Mapping[str, tuple[int, Mapping[str, int]]] = {
    "x86_64": (0xC000003E, syscall_numbers.X86_64),
    "aarch64": (0xC00000B7, syscall_numbers.AARCH64),
}


def _conditional() -> dict[str, list[_Instruction]]:
    """What to do for calls that depend on their arguments; each ends by returning."""
    return {
        "clone": [
            (_LOAD, 0, 0, _argument(0)),
            (_JUMP_ANY_BIT, 0, 1, _NAMESPACE_FLAGS),
            (_RETURN, 0, 0, _REFUSE),
            (_RETURN, 0, 0, _ALLOW),
        ],
        "clone3": [(_RETURN, 0, 0, _UNKNOWN)],
        "fcntl": _by_argument(1, (_F_SETLEASE, _F_SETPIPE_SZ), found=_REFUSE, other=_ALLOW),
        "ioctl": _by_argument(1, _TERMINAL_INJECTION, found=_REFUSE, other=_ALLOW),
        "personality": _by_argument(0, _PERSONALITIES, found=_ALLOW, other=_REFUSE),
        "prlimit64": [
            (_LOAD, 0, 0, _argument(1)),
            (_JUMP_EQUAL, 0, 4, _RLIMIT_CORE),
            (_LOAD, 0, 0, _argument(2)),  # the new limit: a pointer; null only asks
            (_JUMP_EQUAL, 0, 3, 0),
            (_LOAD, 0, 0, _argument(2) + 4),
            (_JUMP_EQUAL, 0, 1, 0),
            (_RETURN, 0, 0, _ALLOW),
            (_RETURN, 0, 0, _DO_NOTHING),
        ],
        "setrlimit": _by_argument(0, (_RLIMIT_CORE,), found=_DO_NOTHING, other=_ALLOW),
        "socket": _by_argument(0, _FAMILIES, found=_ALLOW, other=_ERRNO | errno.EAFNOSUPPORT),
        "sync": [(_RETURN, 0, 0, _DO_NOTHING)],
        "syncfs": [(_RETURN, 0, 0, _DO_NOTHING)],
    }


def _argument(index: int) -> int:
    """Where the low half of an argument lies; the kernel itself reads no more of the arguments that are looked at."""
    return _ARGUMENTS_OFFSET + 8 * index


def _by_argument(index: int, values: Sequence[int], found: int, other: int) -> list[_Instruction]:
    tests = [(_JUMP_EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)]
    return [(_LOAD, 0, 0, _argument(index)), *tests, (_RETURN, 0, 0, other), (_RETURN, 0, 0, found)]


def _edges(allowed: Sequence[int]) -> list[tuple[int, int]]:
    """(first number, verdict) of each stretch of numbers with the same verdict, in order, from 0 on."""
    edges = [(0, _REFUSE)]
    for number in range(syscall_numbers.NEWEST + 2):
        verdict = _ALLOW if number in allowed else _REFUSE
        verdict = _UNKNOWN if number > syscall_numbers.NEWEST else verdict
        if number == 0:
            edges = [(0, verdict)]
        elif verdict != edges[-1][1]:
            edges.append((number, verdict))
    return edges


def _search(edges: Sequence[tuple[int, int]]) -> list[_Instruction]:
    """A binary search over the stretches: some seven comparisons instead of three hundred."""
    if len(edges) == 1:
        return [(_RETURN, 0, 0, edges[0][1])]
    middle = len(edges) // 2
    below, above = _search(edges[:middle]), _search(edges[middle:])
    if len(below) < 256:
        return [(_JUMP_GREATER_EQUAL, len(below), 0, edges[middle][0]), *below, *above]
    raise ValueError("the list of system calls has become too long for one jump")
