"""Reading what a sandbox's processes print, and keeping it in order with the platform's own lines.

Everything of one environment goes through one `OutputLog`: lines wait in memory for at most 20 ms or until their
invocation ends, and are written in one system call. `drain` reads both pipes until they are empty:
what a runtime printed before it called the Runtime API is in the pipe by then, so draining before END and REPORT
puts every line of an invocation between its START and its END, on disk before the answer leaves.

During the first 20 ms of an invocation nothing wakes the event loop for what is printed: the pipes hold it, and `drain`
reads it with the answer. A function that printed more than half a pipe before is listened to from its beginning.

A function that prints without end, or nothing but line feeds, takes a fifth of the event loop's time at most: it is
read in small pieces, with rests in which it must wait, and `drain` reads what was there when it was called, not what
comes meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import select
import struct
import termios
import time
from collections import deque

from lambent.model import limits
from lambent.observability.logs.events import LogEvent, LogStreamId
from lambent.worker.log_budget import LogBudget
from lambent.worker.log_levels import ApplicationLogFilter
from lambent.worker.ports import LogSink
from lambent.worker.telemetry import FrameDecoder, LineSplitter

_READ_BYTES = 64 * 1024
_PIPE_BYTES = 256 * 1024  # what a function can print before somebody must read
_FLUSH_AFTER_S = 0.02
_LISTEN_AFTER_S = 0.02
_MAX_PENDING = 500
_LISTEN_READ_BYTES = 16 * 1024
_TURN_S = 0.005  # reading a piece takes longer than this only if there are very many lines in it
_REST_FACTOR = 4


class LogTail:
    """The last 4 KB of an invocation's log, for LogType=Tail."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._size = 0

    def add(self, message: str) -> None:
        chunk = message.encode("utf-8", "replace")
        if not chunk.endswith(b"\n"):
            chunk += b"\n"
        self._chunks.append(chunk)
        self._size += len(chunk)
        while self._size - len(self._chunks[0]) >= limits.LOG_TAIL_MAX_BYTES:
            self._size -= len(self._chunks.popleft())

    def bytes(self) -> bytes:
        """At most 4 KB, the last ones."""
        return b"".join(self._chunks)[-limits.LOG_TAIL_MAX_BYTES :]


class OutputLog:
    """The log stream of one environment: what its processes print and what the platform says."""

    def __init__(
        self, sink: LogSink, stream: LogStreamId, application_level: str | None = None, budget: LogBudget | None = None
    ) -> None:
        """`application_level`: lines below it are left out (see `log_levels`). `budget`: how much may be printed."""
        self._sink = sink
        self._stream = stream
        self._filter = ApplicationLogFilter(application_level)
        self._budget = budget
        self._pending: list[LogEvent] = []
        self._sources: list[_Source] = []
        self._poll = select.poll()  # for what there is in any of them
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flush_timer: asyncio.TimerHandle | None = None
        self._listening = False  # the event loop tells when there is something to read
        self._listen_timer: asyncio.TimerHandle | None = None
        self._begun_s: float | None = None  # when the running invocation began
        self._read_bytes = 0  # during it
        self._is_chatty = False
        self.tail: LogTail | None = None

    def attach(self, output_fd: int, telemetry_fd: int | None) -> None:
        """Start reading a sandbox's pipes; this object closes them."""
        self._loop = asyncio.get_running_loop()
        self._sources = [_Source(output_fd, LineSplitter())]
        if telemetry_fd is not None:
            self._sources.insert(0, _Source(telemetry_fd, FrameDecoder()))
        for source in self._sources:
            self._poll.register(source.fd, select.POLLIN)
            with contextlib.suppress(OSError):  # not a pipe, or more than this host allows
                fcntl.fcntl(source.fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._listen()

    def begin(self) -> None:
        """An invocation begins."""
        self._begun_s = time.monotonic()
        self._read_bytes = 0
        if self._listening and not self._is_chatty:
            self._stop_listening()
        if self._listen_timer is None and self._loop is not None:
            self._listen_timer = self._loop.call_later(_LISTEN_AFTER_S, self._listen_late)

    def end(self) -> None:
        """It is over, and drained."""
        self._begun_s = None
        self._is_chatty = self._read_bytes > _PIPE_BYTES // 2

    def say(self, *messages: str) -> None:
        """Lines of the platform's. They are written with the next `flush`."""
        now_ms = _now_ms()
        self._take([LogEvent(now_ms, message) for message in messages])

    def drain(self) -> None:
        """Read everything that was printed so far."""
        now_ms = _now_ms()
        ready = self._poll.poll(0)  # one call for all pipes, most of which are empty
        for source in self._sources:
            events: list[LogEvent] = []
            for fd, _ in ready:
                if fd == source.fd:
                    events, size = source.read_all(now_ms)
                    self._read_bytes += size
            if source.decoder.is_unsettled:
                events += source.decoder.settle(now_ms)
            if events:
                self._take(self._kept(events))

    def flush(self) -> None:
        """Write what was said and read, in one system call."""
        if self._pending:
            events, self._pending = self._pending, []
            self._sink.append(self._stream, events)

    def detach(self) -> None:
        """Read what is left, write it, and let go of the pipes."""
        self.drain()
        self._stop_listening()
        if self._listen_timer is not None:
            self._listen_timer.cancel()
            self._listen_timer = None
        for source in self._sources:
            self._take(self._kept(source.decoder.flush(_now_ms())))
            self._poll.unregister(source.fd)
            os.close(source.fd)
        self._sources = []
        self.flush()

    def _listen_late(self) -> None:
        """One timer for many invocations: when one began since, it is set again."""
        self._listen_timer = None
        if self._begun_s is not None and self._loop is not None:
            remaining_s = self._begun_s + _LISTEN_AFTER_S - time.monotonic()
            if remaining_s > 0:
                self._listen_timer = self._loop.call_later(remaining_s, self._listen_late)
                return
        self._listen()

    def _listen(self) -> None:
        if self._loop is not None and not self._listening:
            self._listening = True
            for source in self._sources:
                if not source.ended:
                    self._loop.add_reader(source.fd, self._readable, source)

    def _stop_listening(self) -> None:
        if self._loop is not None and self._listening:
            self._listening = False
            for source in self._sources:
                self._loop.remove_reader(source.fd)
                source.wake()

    def _rest(self, source: _Source, time_s: float) -> None:
        """Do not listen for a while: others come first."""
        if self._loop is not None and self._listening:
            self._loop.remove_reader(source.fd)
            source.rest = self._loop.call_later(time_s, self._rested, source)

    def _rested(self, source: _Source) -> None:
        source.rest = None
        if self._loop is not None and self._listening:
            self._loop.add_reader(source.fd, self._readable, source)

    def _readable(self, source: _Source) -> None:
        began_s = time.monotonic()
        self._read_some(source)
        spent_s = time.monotonic() - began_s
        if spent_s > _TURN_S and not source.ended:
            self._rest(source, spent_s * _REST_FACTOR)

    def _read_some(self, source: _Source) -> None:
        now_ms = _now_ms()
        data = source.read(_LISTEN_READ_BYTES)
        if data:
            self._read_bytes += len(data)
            self._take(self._kept(source.decoder.feed(data, now_ms)))
            self._flush_soon()
        elif data == b"" and self._loop is not None:
            # Every writer is gone. The descriptor is closed by `detach`; until then it would only wake us.
            source.ended = True
            self._loop.remove_reader(source.fd)

    def _flush_soon(self) -> None:
        """A short invocation's lines go with its END in one write; those of a long one are not kept waiting."""
        if len(self._pending) >= _MAX_PENDING:
            self.flush()
        elif self._flush_timer is None and self._loop is not None:
            self._flush_timer = self._loop.call_later(_FLUSH_AFTER_S, self._flush_late)

    def _flush_late(self) -> None:
        self._flush_timer = None
        self.flush()

    def _kept(self, events: list[LogEvent]) -> list[LogEvent]:
        if not self._filter.keeps_all:
            events = [event for event in events if self._filter.keeps(event.message)]
        return events if self._budget is None else self._budget.keep(events)

    def _take(self, events: list[LogEvent]) -> None:
        self._pending += events
        if self.tail is not None:
            for event in events:
                self.tail.add(event.message)


class _Source:
    """One pipe and the decoder of what comes out of it."""

    __slots__ = ("decoder", "ended", "fd", "rest")

    def __init__(self, fd: int, decoder: LineSplitter | FrameDecoder) -> None:
        self.fd = fd
        self.decoder = decoder
        self.ended = False
        self.rest: asyncio.TimerHandle | None = None  # until when nobody listens

    def wake(self) -> None:
        """End its rest."""
        if self.rest is not None:
            self.rest.cancel()
            self.rest = None

    def read(self, size: int) -> bytes | None:
        """What is there: None when nothing is now, b"" when nothing will ever be."""
        try:
            return os.read(self.fd, size)
        except BlockingIOError:
            return None

    def read_all(self, now_ms: int) -> tuple[list[LogEvent], int]:
        """The events of everything that is there now, and its size in bytes."""
        events: list[LogEvent] = []
        total = 0
        data = self.read(_READ_BYTES)
        if not data:
            return events, 0
        rest = self._unread() if len(data) == _READ_BYTES else 0  # a pipe gives as much as it has
        while data:
            total += len(data)
            events += self.decoder.feed(data, now_ms)
            data = self.read(min(rest, _READ_BYTES)) if rest > 0 else None
            rest -= len(data or b"")
        return events, total

    def _unread(self) -> int:
        return int(struct.unpack("i", fcntl.ioctl(self.fd, termios.FIONREAD, bytes(4)))[0])


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
