"""Netlink messages: attributes, requests and their acknowledgements. https://docs.kernel.org/userspace-api/netlink/"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP = 0x300
NLM_F_CREATE = 0x400
NLM_F_EXCL = 0x200
NLM_F_REPLACE = 0x100
NLM_F_APPEND = 0x800
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_NESTED = 0x8000
_HEADER = struct.Struct("=IHHII")
_BUFFER = 1 << 17
_TIMEOUT_S = 5.0


def attribute(kind: int, data: bytes) -> bytes:
    """One attribute, padded."""
    return struct.pack("=HH", len(data) + 4, kind) + data + bytes(-len(data) % 4)


def nested(kind: int, *parts: bytes) -> bytes:
    return attribute(kind | _NESTED, b"".join(parts))


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def number(kind: int, value: int) -> bytes:
    """In the host's byte order, as rtnetlink has it."""
    return attribute(kind, struct.pack("=I", value))


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(kind, content) of each."""
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            return
        yield kind & 0x3FFF, data[at + 4 : at + length]
        at += (length + 3) & ~3


def message(kind: int, flags: int, body: bytes, sequence: int = 0) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, flags | NLM_F_REQUEST, sequence, 0) + body


class Netlink:
    """A netlink socket of the network namespace that its thread is in when it is made."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.settimeout(_TIMEOUT_S)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def request(self, kind: int, flags: int, body: bytes, what: str) -> None:
        """Raises `OSError` about `what` when the kernel refuses."""
        self._sequence += 1
        self._socket.send(message(kind, flags | NLM_F_ACK, body, self._sequence))
        self._acknowledged({self._sequence: what})

    def batch(self, messages: list[tuple[int, int, bytes, str]], begin: bytes, end: bytes) -> None:
        """Send (kind, flags, body, what) of each between `begin` and `end`, which are messages; all or nothing."""
        data, awaited = begin, {}
        for kind, flags, body, what in messages:
            self._sequence += 1
            awaited[self._sequence] = what
            data += message(kind, flags | NLM_F_ACK, body, self._sequence)
        self._socket.send(data + end)
        self._acknowledged(awaited)

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """The bodies of what the kernel lists."""
        self._sequence += 1
        self._socket.send(message(kind, NLM_F_DUMP, body, self._sequence))
        found: list[bytes] = []
        while True:
            for got, sequence, content in self._receive():
                if sequence != self._sequence:
                    continue
                if got == _NLMSG_DONE:
                    return found
                if got == _NLMSG_ERROR:
                    _raise(content, "dump")
                found.append(content)

    def _acknowledged(self, awaited: dict[int, str]) -> None:
        failure: OSError | None = None
        while awaited:
            for kind, sequence, content in self._receive():
                what = awaited.pop(sequence, None)
                if kind == _NLMSG_ERROR:
                    try:
                        _raise(content, what or "batch")
                    except OSError as error:
                        failure = failure or error
            if failure is not None:
                raise failure

    def _receive(self) -> Iterator[tuple[int, int, bytes]]:
        data, at = self._socket.recv(_BUFFER), 0
        while at < len(data):
            length, kind, _, sequence, _ = _HEADER.unpack_from(data, at)
            yield kind, sequence, data[at + _HEADER.size : at + length]
            at += (length + 3) & ~3


def _raise(content: bytes, what: str) -> None:
    code = -struct.unpack_from("=i", content)[0]
    if code:
        raise OSError(code, os.strerror(code), what)
