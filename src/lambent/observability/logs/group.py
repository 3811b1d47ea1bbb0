"""One log group on disk: its directory, the segment being written, the index in memory, and its recovery.

Directory: `group.json` (who it is), `NNNNNNNNNN.log` (segments), `NNNNNNNNNN.idx` (notes of finished blocks).
Not thread-safe: used from the event loop's thread (loading may happen in another before anyone else has the object).
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import orjson

from lambent.model.ids import AccountId, Region
from lambent.model.limits import MIB
from lambent.observability.logs import blocks, segment
from lambent.observability.logs.blocks import EVENT_COST_BYTES, Block, Span
from lambent.observability.logs.events import LogEvent, LogGroupId
from lambent.observability.logs.segment import Declaration

logger = logging.getLogger(__name__)

STAGING: Final = ".staging"
"""The folder, beside the accounts', where directories are that are not yet, or no longer, groups."""

_DESCRIPTION: Final = "group.json"


@dataclass(frozen=True, slots=True)
class LogStoreSettings:
    """Sizes in bytes. `scan_bytes`: how much one query reads before it answers with a token to go on from."""

    segment_bytes: int = 64 * MIB
    block_bytes: int = 128 * 1024
    open_files: int = 128
    scan_bytes: int = 512 * MIB


class LogStream:
    """A stream's totals. `declared_in`: the last segment that says what its ordinal stands for."""

    __slots__ = ("created_ms", "declared_in", "name", "ordinal", "total")

    def __init__(self, ordinal: int, name: str, created_ms: int) -> None:
        self.ordinal = ordinal
        self.name = name
        self.created_ms = created_ms
        self.declared_in = 0
        self.total: Span | None = None

    def add(self, span: Span) -> None:
        """Count what was appended."""
        if self.total is None:
            self.total = Span(span.events, span.size, span.first_ms, span.last_ms, span.ingestion_ms)
        else:
            self.total.add(span)


class LogGroup:
    """A log group; make one with `create` or `load`. `salt`: what tells its event ids from those of other groups."""

    def __init__(self, identity: LogGroupId, path: Path, created_ms: int, settings: LogStoreSettings) -> None:
        self.id = identity
        self.path = path
        self.created_ms = created_ms
        self.streams: dict[str, LogStream] = {}
        self.by_ordinal: dict[int, LogStream] = {}
        self.finished: list[Block] = []
        self.current = Block(0, 0, 0)  # its `end` is the length of the segment being written; segment 0: none yet
        self.last_append_ms = 0
        self.deleted = False
        self.salt = int.from_bytes(hashlib.sha256(f"{identity.key}/{created_ms}".encode()).digest()[:10])
        self._settings = settings
        self.fd = -1
        self._sealed = False  # nothing more may be written to the current segment
        self._next_ordinal = 1

    @property
    def stored_bytes(self) -> int:
        """The bytes of every event, counted as AWS does."""
        return sum(stream.total.size for stream in self.streams.values() if stream.total)

    def segment_path(self, number: int) -> Path:
        """The file of a segment."""
        return self.path / f"{number:010d}.log"

    def blocks(self) -> list[Block]:
        """Every block with anything in it, in order of arrival."""
        return [*self.finished, self.current] if self.current.end > self.current.start else list(self.finished)

    # Writing

    def stream(self, name: str, now_ms: int) -> LogStream:
        """The stream of that name, made if need be (in memory; its first append declares it)."""
        stream = self.streams.get(name)
        if stream is None:
            stream = LogStream(self._next_ordinal, name, now_ms)
            self._next_ordinal += 1
            self._know(stream)
        return stream

    def append(self, stream: LogStream, batch: Sequence[LogEvent], now_ms: int, message_bytes: int) -> None:
        """Write events of a stream of this group: all of them or, raising OSError, none."""
        fd = self.fd if self.fd >= 0 else self._open()
        block = self.current
        data, count = segment.events(stream.ordinal, now_ms, batch, message_bytes)
        overhead = segment.HEAD_BYTES + segment.EVENTS_HEAD_BYTES + count * segment.EVENT_OVERHEAD_BYTES
        size = len(data) - overhead + count * EVENT_COST_BYTES
        if stream.declared_in != block.segment:
            data = self._declare(stream) + data
        self._write(fd, data)
        first_ms = last_ms = batch[0].timestamp_ms
        for event in batch:
            if event.timestamp_ms < first_ms:
                first_ms = event.timestamp_ms
            elif event.timestamp_ms > last_ms:
                last_ms = event.timestamp_ms
        span = Span(count, size, first_ms, last_ms, now_ms)
        stream.add(span)
        block.add(stream.ordinal, span)
        self.last_append_ms = now_ms
        if stream.declared_in != block.segment:
            self._declared(stream)
        if block.end - block.start >= self._settings.block_bytes:
            self._finish_block()

    def declare(self, stream: LogStream) -> None:
        """Put an empty stream on disk. Raises OSError."""
        fd = self.fd if self.fd >= 0 else self._open()
        self._write(fd, self._declare(stream))
        self._declared(stream)

    def forget(self, stream: LogStream) -> None:
        """Delete a stream: its events are no longer found. Raises OSError."""
        fd = self.fd if self.fd >= 0 else self._open()
        self._write(fd, segment.forget(stream.ordinal))
        self.current.forgotten.append(stream.ordinal)
        self._forget(stream.ordinal)

    def expire(self, before_ms: int) -> int:
        """Remove the segments in which every event is older; returns the bytes given back. Raises OSError."""
        latest: dict[int, int] = {}
        for block in self.blocks():
            latest[block.segment] = max(latest.get(block.segment, -1), block.last_ms)
        old = {number for number, last_ms in latest.items() if 0 <= last_ms < before_ms}
        if not old:
            return 0
        if self.current.segment in old:
            self.close()
            self._begin_segment(self.current.segment + 1)
        for stream in list(self.streams.values()):
            if stream.declared_in in old:
                self.declare(stream)
        self.finished = [block for block in self.finished if block.segment not in old]
        self._count_again()
        freed = 0
        for number in sorted(old):  # the oldest first: what a crash leaves is a shorter history, not one with a hole
            path = self.segment_path(number)
            freed += path.stat().st_size
            path.unlink()
            path.with_suffix(".idx").unlink(missing_ok=True)
        return freed

    def close(self) -> None:
        """Note the unfinished block and let go of the file. A later append opens it again."""
        if self.current.end > self.current.start:
            self._finish_block()
        self.release()

    def release(self) -> None:
        """Let go of the file only."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _open(self) -> int:
        if self._sealed or self.current.segment == 0 or self.current.end >= self._settings.segment_bytes:
            self._begin_segment(self.current.segment + 1)
        else:
            self.fd = os.open(self.segment_path(self.current.segment), os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        return self.fd

    def _begin_segment(self, number: int) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        fd = os.open(self.segment_path(number), flags, 0o600)
        try:
            written = os.write(fd, segment.MAGIC)
        except OSError:
            os.close(fd)
            raise
        if written != len(segment.MAGIC):
            os.close(fd)
            raise OSError(f"the beginning of {self.segment_path(number)} could not be written")
        if self.current.end > self.current.start:
            self._finish_block()
        self.fd = fd
        self._sealed = False
        self.current = Block(number, written, written)

    def _write(self, fd: int, data: bytes) -> None:
        block = self.current
        written = 0
        try:
            written = os.write(fd, data)
            while written < len(data):  # the disk is nearly full; the next write says so, or a signal came between
                written += os.write(fd, data[written:])
        except OSError:
            if written:
                self._take_back(fd, block.end)
            raise
        block.end += written

    def _take_back(self, fd: int, size: int) -> None:
        try:
            os.ftruncate(fd, size)
        except OSError:
            # What follows half a frame would be lost with it, so nothing may follow: go on in another segment.
            logger.exception("a half-written log frame could not be removed", extra={"log_group": self.id.name})
            self.release()
            self._sealed = True

    def _declare(self, stream: LogStream) -> bytes:
        return segment.declare(Declaration(stream.ordinal, stream.name, stream.created_ms))

    def _declared(self, stream: LogStream) -> None:
        if stream.declared_in != self.current.segment:
            stream.declared_in = self.current.segment
            self.current.declared.append(Declaration(stream.ordinal, stream.name, stream.created_ms))

    def _finish_block(self) -> None:
        block = self.current
        self.finished.append(block)
        self._note([block], os.O_APPEND)
        self.current = Block(block.segment, block.end, block.end)
        if block.end >= self._settings.segment_bytes:
            self.release()

    def _note(self, noted: Sequence[Block], how: int) -> None:
        """Keep blocks' index entries. They are a cache: not being able to costs time at the next start, no more."""
        path = self.segment_path(noted[0].segment).with_suffix(".idx")
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | how | os.O_CLOEXEC, 0o600)
            try:
                os.write(fd, b"".join(map(blocks.note, noted)))
            finally:
                os.close(fd)
        except OSError as error:
            logger.warning("log index entry not kept: %s", error, extra={"log_group": self.id.name})

    # The index

    def _know(self, stream: LogStream) -> None:
        self.streams[stream.name] = stream
        self.by_ordinal[stream.ordinal] = stream
        self._next_ordinal = max(self._next_ordinal, stream.ordinal + 1)

    def _forget(self, ordinal: int) -> None:
        stream = self.by_ordinal.pop(ordinal, None)
        if stream is not None and self.streams.get(stream.name) is stream:
            del self.streams[stream.name]

    def _take_in(self, block: Block) -> None:
        for declaration in block.declared:
            stream = self.by_ordinal.get(declaration.ordinal)
            if stream is None:
                stream = LogStream(declaration.ordinal, declaration.name, declaration.created_ms)
                self._know(stream)
            stream.declared_in = block.segment
        for ordinal, span in block.spans.items():
            known = self.by_ordinal.get(ordinal)
            if known is not None:
                known.add(span)
        for ordinal in block.forgotten:
            self._forget(ordinal)

    def _count_again(self) -> None:
        for stream in self.streams.values():
            stream.total = None
        for block in self.blocks():
            for ordinal, span in block.spans.items():
                if ordinal in self.by_ordinal:
                    self.by_ordinal[ordinal].add(span)

    # Recovery

    def _recover(self) -> None:
        for number in sorted(int(path.stem) for path in self.path.glob("*.log")):
            self._recover_segment(number)
        for block in self.blocks():
            self._take_in(block)

    def _recover_segment(self, number: int) -> None:
        """Index a segment and make it the one to go on in; of the one before, nothing more is written."""
        if self.current.end > self.current.start:
            self._finish_block()
        path = self.segment_path(number)
        size = path.stat().st_size
        notes = path.with_suffix(".idx")
        noted = list(blocks.parse_notes(notes.read_bytes() if notes.exists() else b"", number, size))
        end = noted[-1].end if noted else len(segment.MAGIC)
        self.finished += noted
        self.current = Block(number, end, end)
        self._sealed = False
        if size != end:
            self._recover_tail(path, path.read_bytes(), noted)

    def _recover_tail(self, path: Path, data: bytes, noted: list[Block]) -> None:
        number, end = self.current.segment, self.current.end
        if not data.startswith(segment.MAGIC):
            # Shorter than its own beginning (a crash while it was begun), or not ours: nothing is to be had from it.
            logger.error("not a log segment: %s (%d bytes)", path, len(data))
            self._sealed = True
            return
        scanned, damage = blocks.scan(data, number, end, self._settings.block_bytes)
        good = scanned[-1].end if scanned else end
        if good < len(data):
            lost = len(data) - good
            logger.warning("the last %d bytes of log segment %s are not whole: %s", lost, path, damage or "torn")
            os.truncate(path, good)
        if scanned and scanned[-1].end - scanned[-1].start < self._settings.block_bytes:
            self.current = scanned.pop()
        else:
            self.current = Block(number, good, good)
        self.finished += scanned
        if scanned:
            self._note([*noted, *scanned], os.O_TRUNC)


def directory_name(group: str) -> str:
    """The directory of a group: its name as far as a file name can hold it, made unique by a hash."""
    return f"{quote(group, safe='')[:180]}~{hashlib.sha256(group.encode()).hexdigest()[:16]}"


def create(identity: LogGroupId, root: Path, created_ms: int, settings: LogStoreSettings, *, sync: bool) -> LogGroup:
    """Make a group's directory, whole or not at all. `sync`: return when it survives a crash of the host.

    Raises OSError.
    """
    path = root / identity.account / identity.region / directory_name(identity.name)
    staged = root / STAGING / secrets.token_hex(8)
    staged.mkdir(parents=True, mode=0o700)
    try:
        fd = os.open(staged / _DESCRIPTION, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            description = {
                "account": identity.account,
                "region": identity.region,
                "name": identity.name,
                "created_ms": created_ms,
            }
            text = orjson.dumps(description)
            if os.write(fd, text) != len(text):
                raise OSError(f"{staged} could not be written")
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        staged.rename(path)
    except OSError:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    if sync:
        _sync_directory(path.parent)
    return LogGroup(identity, path, created_ms, settings)


def load(path: Path, settings: LogStoreSettings) -> LogGroup:
    """A group as it lies on disk; what a crash left half written is cut off. Raises OSError, ValueError."""
    described = orjson.loads((path / _DESCRIPTION).read_bytes())
    identity = LogGroupId(AccountId(described["account"]), Region(described["region"]), described["name"])
    group = LogGroup(identity, path, described["created_ms"], settings)
    group._recover()  # noqa: SLF001  the other half of the constructor
    return group


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
