"""Writes a directory to stdout as an initramfs: a cpio archive, as in the kernel's
Documentation/driver-api/early-userspace/buffer-format.rst. So that no cpio need be installed."""

from __future__ import annotations

import sys
from pathlib import Path


def entry(number: int, name: str, mode: int, data: bytes) -> bytes:
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return padded(header + name.encode() + b"\0") + padded(data)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def main() -> None:
    root = Path(sys.argv[1])
    for number, path in enumerate(sorted(root.rglob("*")), 1):
        content = path.read_bytes() if path.is_file() else b""
        sys.stdout.buffer.write(entry(number, str(path.relative_to(root)), path.stat().st_mode, content))
    sys.stdout.buffer.write(entry(0, "TRAILER!!!", 0, b""))


main()
