"""The process a query runs in, and the server's end of it.

A query is other people's code: a regular expression alone can take for ever, and would hold Python's global lock all
the time. So each query has a process of its own, of low priority and limited memory, that can be killed; it takes some
0.1 s to start. They speak in JSON over pipes: a message is 4 bytes of length and so many bytes. The first says the
query (`[text, limit]`), then each is a batch of events, and an empty one ends them. Answers: `{done, matched}` to a
batch, `{rows, matched}` at the end, `{failure}` at any time.
"""

from __future__ import annotations

import asyncio
import os
import resource
import struct
import sys
from typing import Any, BinaryIO, Final

import orjson

from lambent.observability.insights.pipeline import QueryRun, QueryTooLargeError
from lambent.observability.insights.rows import SourceEvent, SourceFields

MEMORY_MAX_BYTES: Final = 1024 * 1024 * 1024
BATCH_TIMEOUT_S: Final = 120.0
_LENGTH: Final = struct.Struct("!I")
_NICENESS: Final = 10


class QueryWorkerError(Exception):
    """The query failed; the message says why."""


class QueryWorker:
    """The server's end. Make one with `start`; whatever happens, `close` it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.done = False
        self.matched = 0

    @classmethod
    async def start(cls, text: str, limit: int | None) -> QueryWorker:
        """Start the process. Raises OSError."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "lambent.observability.insights.worker",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd="/", limit=64 * 1024,
        )  # fmt: skip
        worker = cls(process)
        worker._send(orjson.dumps([text, limit]))
        return worker

    async def feed(self, events: list[SourceFields]) -> None:
        """Let it take in a batch. Raises QueryWorkerError, TimeoutError."""
        answer = await self._ask(orjson.dumps(events))
        self.done, self.matched = answer["done"], answer["matched"]

    async def finish(self) -> list[list[tuple[str, str]]]:
        """The rows of the answer. Raises QueryWorkerError, TimeoutError."""
        answer = await self._ask(b"")
        self.matched = answer["matched"]
        rows: list[list[tuple[str, str]]] = answer["rows"]
        return rows

    async def close(self) -> None:
        """Kill it, and wait until it is gone."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _send(self, message: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101  a pipe was asked for
        self._process.stdin.write(_LENGTH.pack(len(message)) + message)

    async def _ask(self, message: bytes) -> dict[str, Any]:
        assert self._process.stdin is not None  # noqa: S101  pipes were asked for
        assert self._process.stdout is not None  # noqa: S101
        try:
            async with asyncio.timeout(BATCH_TIMEOUT_S):
                self._send(message)
                await self._process.stdin.drain()
                head = await self._process.stdout.readexactly(_LENGTH.size)
                text = await self._process.stdout.readexactly(_LENGTH.unpack(head)[0])
        except (asyncio.IncompleteReadError, ConnectionError):
            raise QueryWorkerError("The process of the query ended; it may have needed too much memory.") from None
        answer: dict[str, Any] = await asyncio.to_thread(orjson.loads, text)
        if "failure" in answer:
            raise QueryWorkerError(answer["failure"])
        return answer


def main() -> None:
    """The process's end."""
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX_BYTES, MEMORY_MAX_BYTES))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    first = _read(source)
    if first is None:
        return
    run = QueryRun(*orjson.loads(first))
    try:
        while (message := _read(source)) is not None:
            if not message:
                run.finish()
                _write(sink, {"rows": run.results(), "matched": run.matched})
                return
            run.feed(list(map(SourceEvent._make, orjson.loads(message))))
            _write(sink, {"done": run.done, "matched": run.matched})
    except (QueryTooLargeError, MemoryError, RecursionError) as error:
        _write(sink, {"failure": str(error) or "The query needs too much memory."})


def _read(source: BinaryIO) -> bytes | None:
    """The next message; None when the server is gone."""
    head = source.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    size = _LENGTH.unpack(head)[0]
    message = source.read(size)
    return message if len(message) == size else None


def _write(sink: BinaryIO, answer: dict[str, Any]) -> None:
    text = orjson.dumps(answer)
    sink.write(_LENGTH.pack(len(text)) + text)
    sink.flush()


if __name__ == "__main__":
    main()
