"""What libc has the kernel keep in memory about a thread, for a process that goes on in the memory of another.

Standard library only, and little of it; valid for Python 3.8. See set_tid_address(2) and glibc's manual on rseq.
"""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_X86_64 = os.uname().machine == "x86_64"
_SYS_SET_TID_ADDRESS = 218 if _X86_64 else 96
_SYS_RSEQ = 334 if _X86_64 else 293
_RSEQ_SIGNATURE = 0x53053053 if _X86_64 else 0xD428BC00
_RSEQ_BYTES = 32  # at least, however many of them libc knows


def forget_thread_id_address() -> None:
    """Have the kernel write nothing there when this process executes a program or ends."""
    _libc.syscall(ctypes.c_long(_SYS_SET_TID_ADDRESS), None)


def restartable_sequences(thread_pointer: int) -> tuple[int, int] | None:
    """(address, size) of what libc registered of this thread for rseq(2), by which it knows its processor; None: it did
    not."""
    try:
        size = ctypes.c_uint.in_dll(_libc, "__rseq_size").value
        offset = ctypes.c_ssize_t.in_dll(_libc, "__rseq_offset").value
    except ValueError:
        return None  # glibc before 2.35, or another libc
    return (thread_pointer + offset, max(size, _RSEQ_BYTES)) if size else None


def register_restartable_sequences(address: int, size: int) -> None:
    """Have the kernel keep them up to date again. Where it does not, libc asks for its processor by a call."""
    unregistered, at_cpu = ctypes.c_uint(0xFFFFFFFF), 4  # RSEQ_CPU_ID_UNINITIALIZED
    ctypes.memmove(address + at_cpu, ctypes.byref(unregistered), 4)
    _libc.syscall(ctypes.c_long(_SYS_RSEQ), ctypes.c_void_p(address), size, 0, ctypes.c_uint(_RSEQ_SIGNATURE))
