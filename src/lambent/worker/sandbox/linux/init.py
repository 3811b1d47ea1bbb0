# pathlib costs too much to import:
# ruff: noqa: PTH108
"""Init: a static program of some hundred bytes of machine code that is pid 1 of a sandbox, and the way to have it there
without copying any memory.

`leave_behind` is called in pid 1 when all is set up. It makes a process that goes on in the *same* memory, as a thread
would, with descriptors of its own; pid 1 itself executes init at once, which has memory of its own, one page of it.
From then on the sandbox's program has its memory for itself, and nothing of it is copied, as a fork would have it.

Init reaps whatever is orphaned. When the program, which is pid 2, ends, init writes its wait status to descriptor 0 and
ends, and with it everything in the sandbox.

Standard library only, and little of it; valid for Python 3.8.
"""

from __future__ import annotations

import ctypes
import os
import struct

from lambent.worker.sandbox.linux import init_code, syscalls, thread_state

_LOAD_AT = 0x400000
_HEADERS_BYTES = 64 + 2 * 56
_PT_LOAD, _PT_GNU_STACK = 1, 0x6474E551
_READ_EXECUTE, _READ_WRITE = 5, 6  # PF_R | PF_X, PF_R | PF_W; the former are PROT_READ | PROT_EXEC, too
_READ_WRITE_MEMORY = 3  # PROT_READ | PROT_WRITE
_MAP_PRIVATE, _MAP_ANONYMOUS = 2, 0x20
_NAME = b"lambent-init\0"
_CLONE_VM = 0x100
_SIGCHLD = 17


def program(machine: str) -> bytes:
    """An ELF file: init, and after it the code of `leave`, which only those who map the file use."""
    code = b"".join(init_code.code(machine))
    size = _HEADERS_BYTES + len(code)
    entry = _LOAD_AT + _HEADERS_BYTES
    header = b"\x7fELF\2\1\1" + bytes(9)
    header += struct.pack("<2HI3QI6H", 2, init_code.E_MACHINE[machine], 1, entry, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    header += struct.pack("<2I6Q", _PT_LOAD, _READ_EXECUTE, 0, _LOAD_AT, _LOAD_AT, size, size, 0x10000)
    header += struct.pack("<2I6Q", _PT_GNU_STACK, _READ_WRITE, 0, 0, 0, 0, 0, 16)
    return header + code


def make(path: str) -> int:
    """A descriptor of an executable file without a name, made at `path`. Nobody may read it, so nobody may look into
    a process that executes it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o700)
    os.write(descriptor, program(os.uname().machine))
    os.close(descriptor)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    os.fchmod(descriptor, 0o111)
    os.unlink(path)
    return descriptor


class Init:
    """Loaded ahead by who has sandboxes made. `descriptor`: from `make`."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        init, leave, thread_pointer = init_code.code(os.uname().machine)
        before = _HEADERS_BYTES + len(init)
        size = before + len(leave) + len(thread_pointer)
        at = before + syscalls.map_file(descriptor, size, _READ_EXECUTE, _MAP_PRIVATE)
        # Called without letting go of the interpreter's lock, see `syscalls.clone3`.
        self._leave = ctypes.PYFUNCTYPE(ctypes.c_int, *[ctypes.c_ulong] * 6)(at)
        self._arguments = _arguments()
        self._sequences = thread_state.restartable_sequences(ctypes.PYFUNCTYPE(ctypes.c_size_t)(at + len(leave))())

    def leave_behind(self, descriptor: int, status: int) -> None:
        """Returns in a new process, the program's. This one becomes init. `descriptor`: of the file, by now; `status`:
        where to init shall write the program's wait status."""
        address = syscalls.thread_id_address
        flags = _CLONE_VM | _SIGCHLD
        if address:
            flags |= syscalls.CLONE_CHILD_SETTID | syscalls.CLONE_CHILD_CLEARTID
        # Executing, this process would have the kernel clear the thread id at that address, the other's by then.
        thread_state.forget_thread_id_address()
        ctypes.pythonapi.PyOS_BeforeFork()
        result = self._leave(flags, address, descriptor, 0, self._arguments, status)
        if result == 0:
            ctypes.pythonapi.PyOS_AfterFork_Child()
            if self._sequences is not None:  # a new process has them again, one that shares memory has not
                thread_state.register_restartable_sequences(*self._sequences)
            return
        ctypes.pythonapi.PyOS_AfterFork_Parent()
        raise OSError(-result, os.strerror(-result), "clone")


def _arguments() -> int:
    """The address of init's arguments and, after their end, an empty environment: in memory that is never given back.
    The new process may have let go of everything here before this one has executed init."""
    arguments = ctypes.sizeof(ctypes.c_void_p) * 3
    address = syscalls.map_file(-1, arguments + len(_NAME), _READ_WRITE_MEMORY, _MAP_PRIVATE | _MAP_ANONYMOUS)
    ctypes.memmove(address, struct.pack("3P", address + arguments, 0, 0) + _NAME, arguments + len(_NAME))
    return address
