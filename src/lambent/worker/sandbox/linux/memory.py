"""What a process that will be forked often does to its memory: forks copy less.

Standard library only, and little of it; valid for Python 3.8.
"""

from __future__ import annotations

from lambent.worker.sandbox.linux import syscalls

_HUGE = 2 << 20


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
