"""The audit log of access decisions: JSON lines in files of limited size. Knows the file system and asyncio.

DATA/audit/decisions.jsonl is the current file; when it is full it becomes decisions.jsonl.1 and so on, the oldest one
going. Kept are all denials, and what was allowed except for data events (invocations, reading and writing logs), as
CloudTrail does by default. An entry is on its way to the file within `FLUSH_INTERVAL_S`; a crash of the host may lose
what came later than that.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Any, Final

import orjson

logger = logging.getLogger(__name__)

FILE_MAX_BYTES: Final = 16 * 1024 * 1024
FILES_MAX: Final = 8
FLUSH_INTERVAL_S: Final = 0.25
_PENDING_MAX: Final = 100_000
_FILE: Final = "decisions.jsonl"


class AuditLog:
    """Entries in the order recorded. Use from the event loop's thread; `close` writes what is left."""

    def __init__(self, directory: Path, *, file_max_bytes: int = FILE_MAX_BYTES, files_max: int = FILES_MAX) -> None:
        self._directory = directory
        self._file_max_bytes = file_max_bytes
        self._files_max = files_max
        self._pending: list[bytes] = []
        self._lost = 0
        self._flushing: asyncio.Task[None] | None = None

    @property
    def path(self) -> Path:
        """The current file."""
        return self._directory / _FILE

    def record(self, entry: dict[str, Any]) -> None:
        """Note an entry. Never blocks, never raises for want of disk."""
        if len(self._pending) >= _PENDING_MAX:
            self._lost += 1
            return
        self._pending.append(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.get_running_loop().create_task(self._flush_soon())

    async def close(self) -> None:
        """Write everything. Idempotent."""
        if self._flushing is not None:
            await self._flushing
        await self._flush()

    async def _flush_soon(self) -> None:
        while self._pending:
            await asyncio.sleep(FLUSH_INTERVAL_S)
            await self._flush()

    async def _flush(self) -> None:
        entries, self._pending = self._pending, []
        lost, self._lost = self._lost, 0
        if not entries:
            return
        try:
            await asyncio.to_thread(self._append, b"".join(entries))
        except OSError:
            lost += len(entries)
            logger.exception("cannot write the audit log", extra={"path": str(self.path)})
        if lost:
            logger.error("entries of the audit log are lost", extra={"entries": lost})

    def _append(self, data: bytes) -> None:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write(data)
            size = file.tell()
        if size >= self._file_max_bytes:
            self._rotate()

    def _rotate(self) -> None:
        for number in range(self._files_max - 1, 0, -1):
            source = self.path if number == 1 else self._directory / f"{_FILE}.{number - 1}"
            if source.exists():
                source.replace(self._directory / f"{_FILE}.{number}")
