"""A load generator that costs little: keep-alive connections over epoll, each sending the same bytes over and over."""

from __future__ import annotations

import contextlib
import multiprocessing
import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_PATIENCE_S = 30.0  # for the last answers


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
    """Send `request` on each connection as soon as the answer to the last one is there, and await the last answers.

    A server may close a connection after an answer (some do after a thousand): there is a new one then. Raises
    ConnectionError when it closes one in the middle of an answer, or before the first.
    """
    socks = {sock.fileno(): sock for sock in (connect(port) for _ in range(connections))}
    poll = select.epoll()
    buffers = dict.fromkeys(socks, b"")
    latencies: list[float] = []
    errors = 0
    answered: set[int] = set()
    begun = now = time.perf_counter()
    sent = dict.fromkeys(socks, begun)
    for number, sock in socks.items():
        poll.register(number, select.EPOLLIN)
        sock.sendall(request)
    while sent and time.perf_counter() - begun < seconds + _PATIENCE_S:
        for number, _ in poll.poll(0.1):
            piece = socks[number].recv(1 << 16)
            if not piece:
                if buffers[number] or number not in answered:
                    raise ConnectionError(f"the server closed a connection after {buffers[number][:200]!r}")
                poll.unregister(number)
                socks.pop(number).close()
                answered.discard(number)
                del buffers[number]
                started = sent.pop(number)
                sock = connect(port)
                number = sock.fileno()
                socks[number], buffers[number], sent[number] = sock, b"", started
                poll.register(number, select.EPOLLIN)
                sock.sendall(request)
                continue
            data = buffers[number] + piece
            if whole(data) is None:
                buffers[number] = data
                continue
            buffers[number] = b""
            answered.add(number)
            now = time.perf_counter()
            latencies.append((now - sent.pop(number)) * 1000)
            errors += not data.startswith((b"HTTP/1.1 200", b"HTTP/1.1 202")) or b"x-amz-function-error" in data.lower()
            if now - begun < seconds:
                sent[number] = now
                socks[number].sendall(request)
    poll.close()
    for sock in socks.values():
        sock.close()
    return Load(len(latencies), errors + len(sent), now - begun, latencies)


def together(port: int, request: bytes, count: int, patience_s: float) -> list[bytes]:
    """Send `request` on so many connections at once; the answers that came in time, or b"" for a connection that was
    closed without one."""
    socks = {sock.fileno(): sock for sock in (connect(port) for _ in range(count))}
    buffers = dict.fromkeys(socks, b"")
    answers: list[bytes] = []
    poll = select.epoll()
    for number, sock in socks.items():
        poll.register(number, select.EPOLLIN)
        sock.sendall(request)
    deadline = time.perf_counter() + patience_s
    while len(answers) < count and time.perf_counter() < deadline:
        for number, _ in poll.poll(0.1):
            piece = socks[number].recv(1 << 16)
            buffers[number] += piece
            if not piece or whole(buffers[number]) is not None:
                answers.append(buffers[number] if piece else b"")
                poll.unregister(number)
    poll.close()
    for sock in socks.values():
        sock.close()
    return answers


@contextlib.contextmanager
def background(target: Callable[..., object], *arguments: object) -> Iterator[None]:
    """Run `target` in a process of its own meanwhile; it is ended by a signal."""
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    process.start()
    try:
        time.sleep(0.5)
        yield
        if process.exitcode is not None:
            raise RuntimeError(f"the load in the background ended early, with {process.exitcode}")
    finally:
        process.terminate()
        process.join()


def hang_up(port: int, request: bytes) -> None:
    """For ever: send half of a request, or all of it without waiting for the answer, and leave."""
    while True:
        for end in (len(request) // 2, len(request)):
            sock = connect(port)
            with contextlib.suppress(ConnectionError):
                sock.sendall(request[:end])
            sock.close()
        time.sleep(0.01)


def read_slowly(port: int, request: bytes, connections: int) -> None:
    """For ever: on each connection send requests that are never read for, a new one every 10 ms, as far as they fit."""
    socks = [connect(port) for _ in range(connections)]
    for sock in socks:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
    while True:
        for sock in socks:
            with contextlib.suppress(BlockingIOError):
                sock.send(request)
        time.sleep(0.01)
