"""A load generator that costs little: keep-alive connections over epoll, each sending the same bytes over and over."""

from __future__ import annotations

import select
import socket
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What a run of load saw. Times in milliseconds."""

    requests: int
    errors: int
    seconds: float
    latencies_ms: list[float]

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def connect(port: int) -> socket.socket:
    """A connection to this machine's `port`."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def exchange(sock: socket.socket, request: bytes) -> bytes:
    """Send a request and read its whole response (which must have a Content-Length)."""
    sock.sendall(request)
    data = b""
    while True:
        size = whole(data)
        if size is not None:
            return data[:size]
        piece = sock.recv(1 << 20)
        if not piece:
            raise ConnectionError(f"the server closed the connection after {data[:200]!r}")
        data += piece


def whole(data: bytes) -> int | None:
    """The length of the response that `data` begins with, if it is all there."""
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return None
    lower = data[:head].lower()
    at = lower.find(b"content-length:")
    length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
    return head + 4 + length if len(data) >= head + 4 + length else None


def run(port: int, request: bytes, connections: int, seconds: float) -> Load:
    """Send `request` on each connection as soon as the answer to the last one is there."""
    socks = {sock.fileno(): sock for sock in (connect(port) for _ in range(connections))}
    poll = select.epoll()
    sent: dict[int, float] = {}
    buffers = dict.fromkeys(socks, b"")
    latencies: list[float] = []
    errors = 0
    begun = time.perf_counter()
    for number, sock in socks.items():
        poll.register(number, select.EPOLLIN)
        sent[number] = time.perf_counter()
        sock.sendall(request)
    while (now := time.perf_counter()) - begun < seconds:
        for number, _ in poll.poll(0.1):
            data = buffers[number] + socks[number].recv(1 << 16)
            if whole(data) is None:
                buffers[number] = data
                continue
            buffers[number] = b""
            now = time.perf_counter()
            latencies.append((now - sent[number]) * 1000)
            errors += not data.startswith(b"HTTP/1.1 200") or b"x-amz-function-error" in data.lower()
            sent[number] = now
            socks[number].sendall(request)
    elapsed = now - begun
    poll.close()
    for sock in socks.values():
        sock.close()
    return Load(len(latencies), errors, elapsed, latencies)
