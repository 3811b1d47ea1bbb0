"""What a process that will be forked often does to its memory, so that forks copy less.

What forks write to, if only by counting references, should be in few places, and all else in places of its own: a page
that is written to is copied, and of 2 MB in which nothing was written a fork copies a single entry.

Standard library only, and little of it; valid for Python 3.8.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys

from lambent.worker.sandbox.linux import syscalls

TYPE_CHECKING = False  # `typing` costs too much to import
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_HUGE = 2 << 20
_SMALL = 512  # up to this size, objects are in pools of blocks of the same size (Objects/obmalloc.c)
_LARGE = 64 << 10  # beyond it, memory comes from the kernel
_SMALLEST = 24  # what malloc gives at least


class Apart:
    """A context in which to load what forks will rarely touch: it gets memory of its own. What was free before is free
    again afterwards, and is what forks will use; what is free within the new memory is taken for good."""

    def __enter__(self) -> Apart:
        gc.collect()  # the lists of free objects, too, are emptied
        self._taken = _Gaps()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _forget_names()
        gc.collect()
        keep(_Gaps())
        self._taken.free()


def keep(*objects: object) -> None:
    """Never free them: that would be work for each fork, and pages to copy."""
    for each in objects:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(each))


def _forget_names() -> None:
    """What the interpreter remembers of attributes looked up: later it would let go of each name when it remembers
    another, and write to it."""
    getattr(sys, "_clear_internal_caches" if sys.version_info >= (3, 13) else "_clear_type_cache")()


class _Gaps:
    """All that is free within the memory of this process, taken until `free`."""

    def __init__(self) -> None:
        libc, python = ctypes.CDLL(None), ctypes.pythonapi
        for allocate, free in ((libc.malloc, libc.free), (python.PyObject_Malloc, python.PyObject_Free)):
            allocate.restype, allocate.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
            free.restype, free.argtypes = None, (ctypes.c_void_p,)
        self._free = (libc.free, python.PyObject_Free)
        self._large = list(_large(libc))
        small = _free_blocks()
        self._small = (ctypes.c_void_p * sum(small.values()))()
        at = 0
        for size, count in small.items():
            for _ in range(count):
                self._small[at] = python.PyObject_Malloc(size)
                at += 1

    def free(self) -> None:
        """Only once."""
        free_large, free_small = self._free
        for address in self._small:
            free_small(address)
        for address in self._large:
            free_large(address)


def _large(libc: ctypes.CDLL) -> Iterator[int]:
    """Blocks of many sizes, the largest first: of each until malloc takes it from the end of its memory."""
    if not hasattr(libc, "mallinfo"):  # glibc has it
        return
    libc.mallinfo.restype, libc.sbrk.restype = _Mallinfo, ctypes.c_void_p
    size = _LARGE
    while size >= _SMALLEST:
        free, end = _free_and_end(libc)
        for _ in range(free // size + 1):
            address = libc.malloc(size)
            yield address
            if not address or address >= end:
                break
        size = size * 7 // 8


def _free_and_end(libc: ctypes.CDLL) -> tuple[int, int]:
    """(free bytes within malloc's memory, where its end begins, which is free, too)"""
    info = libc.mallinfo()
    return info.fordblks - info.keepcost, libc.sbrk(0) - info.keepcost


def _free_blocks() -> dict[int, int]:
    """{size: free blocks in the pools of that size}, as the interpreter tells it on standard error."""
    file, stderr = os.memfd_create("blocks"), os.dup(2)
    try:
        os.dup2(file, 2)
        sys._debugmallocstats()  # noqa: SLF001 - the only way to know
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
    told = os.pread(file, 1 << 20, 0).decode()
    os.close(file)
    pools = pool_bytes = 0
    blocks = {}
    for words in map(str.split, told.splitlines()):
        if len(words) == 5 and all(word.isdigit() for word in words):
            _, size, _, _, free = map(int, words)  # class, size, pools, blocks in use, free blocks
            blocks[size] = free
        elif words[1:3] == ["unused", "pools"]:
            pools, pool_bytes = int(words[0]), int(words[4])
    blocks[_SMALL] = blocks.get(_SMALL, 0) + pools * ((pool_bytes - 48) // _SMALL)
    return blocks


class _Mallinfo(ctypes.Structure):
    """See mallinfo(3)."""

    _fields_ = [
        (name, ctypes.c_int)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def use_huge_pages() -> None:
    """Have the kernel keep what memory this process has by now in pages of 2 MB, where it can. A fork copies one entry
    for such a page instead of 512. Who writes to it gets a copy of the 4 KB around, as always."""
    with open("/proc/self/maps", "rb") as file:
        lines = file.read().splitlines()
    for line in lines:
        place, permissions, _, _, inode, *name = line.split(maxsplit=5)
        if permissions == b"rw-p" and inode == b"0" and name in ([], [b"[heap]"]):
            start, end = (int(address, 16) for address in place.split(b"-"))
            first, last = -(-start // _HUGE) * _HUGE, end // _HUGE * _HUGE
            if first < last:
                syscalls.collapse(first, last - first)
