"""Pairs of descriptors between the server and a sandbox: ours does not block, theirs is passed on."""

from __future__ import annotations

import os
import socket


def pipe() -> tuple[int, int]:
    """What we read from, and what is written to inside. Raises `OSError`."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    return read, write


def channel() -> tuple[socket.socket, int]:
    """Our end of a Unix socket pair, and theirs. Raises `OSError`."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return ours, theirs.detach()
