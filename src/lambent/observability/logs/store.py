"""The log store as others use it: append on the hot path, queries beside it.

All of it belongs to one event loop and is called from that loop's thread. `append` never raises for want of disk: what
could not be kept is counted (`dropped_events`) and said once in the product's log until writing works again.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from lambent.model.clock import Clock
from lambent.model.ids import AccountId, Region
from lambent.model.limits import LOG_EVENT_MAX_BYTES
from lambent.observability.logs import group as groups_on_disk
from lambent.observability.logs.events import EventKey, LogEvent, LogGroupId, LogStreamId
from lambent.observability.logs.group import STAGING, LogGroup, LogStoreSettings, LogStream
from lambent.observability.logs.reading import EventPage, EventQuery, Show, Shown, read, read_page

logger = logging.getLogger(__name__)

_TARGETS_MAX = 10_000

Tap = Callable[[LogStreamId, Sequence[LogEvent]], None]
Follower = Callable[[str, Sequence[LogEvent], int], None]
"""Called with the stream's name, the events as they were given to be written, and the time of arrival (epoch ms)."""


class LogGroupNotFoundError(Exception):
    """There is no such log group."""


class LogStreamNotFoundError(Exception):
    """There is no such log stream."""


class LogGroupExistsError(Exception):
    """The log group to be created is there already."""


class LogStreamExistsError(Exception):
    """The log stream to be created is there already."""


class LogStore:
    """Every log group of this host, below `root`. `await start()` before anything else."""

    def __init__(self, root: Path, clock: Clock, settings: LogStoreSettings | None = None) -> None:
        self.dropped_events = 0
        self._root = root
        self._clock = clock
        self._settings = settings or LogStoreSettings()
        self._groups: dict[LogGroupId, LogGroup] = {}
        self._targets: dict[LogStreamId, tuple[LogGroup, LogStream]] = {}  # the hot path's short cut
        self._followers: dict[LogGroupId, list[Follower]] = {}
        self._taps: list[Tap] = []
        self._open: set[LogGroup] = set()  # groups that hold a file descriptor
        self._dropped_unsaid = 0

    async def start(self) -> None:
        """Read the indexes, cut off what a crash left half written, and remove what was being deleted."""
        for group in await asyncio.get_running_loop().run_in_executor(None, self._load):
            self._groups[group.id] = group

    async def close(self) -> None:
        """Keep the indexes and let go of every file. Idempotent."""
        for group in self._groups.values():
            group.close()
        self._open.clear()
        self._targets.clear()

    # Writing

    def append(self, stream: LogStreamId, events: Sequence[LogEvent]) -> None:
        """Write what a function or the platform printed, in this order, with one write(2); it is with the kernel when
        this returns.

        Group and stream are created if they do not exist, as Lambda does. A message of more than 256 KiB becomes
        several events. What cannot be written is dropped, all of it, and counted; nothing is raised.
        """
        try:
            self.write(stream, events)
        except OSError as error:
            self._drop(stream, len(events), error)
            return
        if self._dropped_unsaid:
            logger.warning("log events are being written again; %d were dropped", self._dropped_unsaid)
            self._dropped_unsaid = 0

    def write(
        self, stream: LogStreamId, events: Sequence[LogEvent], *, message_bytes: int = LOG_EVENT_MAX_BYTES
    ) -> None:
        """As `append`, for callers who must know: raises OSError, and then nothing was written."""
        if not events:
            return
        now_ms = int(self._clock.now() * 1000)
        target = self._targets.get(stream)
        if target is None:
            target = self._resolve(stream, now_ms)
        group, log_stream = target
        if group.fd < 0:
            self._make_room(group)
        group.append(log_stream, events, now_ms, message_bytes)
        if self._followers:
            for follower in tuple(self._followers.get(group.id, ())):
                follower(log_stream.name, events, now_ms)
        for tap in self._taps:
            tap(stream, events)

    def now_ms(self) -> int:
        """The clock, in epoch milliseconds."""
        return int(self._clock.now() * 1000)

    def create_group(self, group: LogGroupId) -> None:
        """Make an empty group that survives a crash of the host. Raises LogGroupExistsError, OSError."""
        if group in self._groups:
            raise LogGroupExistsError(group.name)
        self._create(group, self.now_ms(), sync=True)

    def create_stream(self, stream: LogStreamId) -> None:
        """Make an empty stream. Raises LogGroupNotFoundError, LogStreamExistsError, OSError."""
        group = self.group(stream.group_id)
        if stream.stream in group.streams:
            raise LogStreamExistsError(stream.stream)
        self._make_room(group)
        group.declare(group.stream(stream.stream, self.now_ms()))

    async def delete_group(self, group: LogGroupId) -> None:
        """Delete a group: nobody sees it any more at once; its files are gone when this returns.

        Raises LogGroupNotFoundError, OSError.
        """
        found = self.group(group)
        removed = self._root / STAGING / secrets.token_hex(8)
        removed.parent.mkdir(parents=True, exist_ok=True)
        found.release()
        found.path.rename(removed)
        found.deleted = True
        del self._groups[group]
        self._open.discard(found)
        self._targets = {key: target for key, target in self._targets.items() if target[0] is not found}
        await asyncio.get_running_loop().run_in_executor(None, shutil.rmtree, removed)

    def delete_stream(self, stream: LogStreamId) -> None:
        """Delete a stream and, to every reader, its events. Raises LogGroupNotFoundError, LogStreamNotFoundError,
        OSError."""
        group = self.group(stream.group_id)
        if stream.stream not in group.streams:
            raise LogStreamNotFoundError(stream.stream)
        self._make_room(group)
        group.forget(group.streams[stream.stream])
        self._targets.pop(stream, None)

    def expire(self, group: LogGroupId, before_ms: int) -> int:
        """Give back the space of segments in which every event is older; returns bytes.

        Raises LogGroupNotFoundError, OSError.
        """
        found = self.group(group)
        self._make_room(found)
        return found.expire(before_ms)

    # Reading

    def group(self, group: LogGroupId) -> LogGroup:
        """The group, for reading its description and streams. Raises LogGroupNotFoundError."""
        found = self._groups.get(group)
        if found is None:
            raise LogGroupNotFoundError(group.name)
        return found

    def groups(self, account: AccountId, region: Region) -> list[LogGroup]:
        """An account's groups in a region, by name."""
        found = [g for g in self._groups.values() if g.id.account == account and g.id.region == region]
        return sorted(found, key=lambda group: group.id.name)

    async def events(self, group: LogGroupId, query: EventQuery) -> EventPage:
        """A page of events, ordered by time. Raises LogGroupNotFoundError, also when it is deleted meanwhile."""
        found = self.group(group)
        page = await read_page(found, query, self._settings.scan_bytes)
        if found.deleted:
            raise LogGroupNotFoundError(group.name)
        return page

    async def events_as(
        self, group: LogGroupId, query: EventQuery, show: Show[Shown]
    ) -> tuple[list[Shown], EventKey | None]:
        """As `events`, made by `show` straight from what is on disk: for readers of millions."""
        found = self.group(group)
        page = await read(found, query, self._settings.scan_bytes, show)
        if found.deleted:
            raise LogGroupNotFoundError(group.name)
        return page

    def tap(self, callback: Tap) -> None:
        """Call back after every append to any group, from within it: be quick, and raise nothing."""
        self._taps.append(callback)

    def follow(self, group: LogGroupId, callback: Follower) -> Callable[[], None]:
        """Call back after every append to a group (which need not exist yet), from within the append: do little, and
        keep little. Returns what ends it."""
        self._followers.setdefault(group, []).append(callback)

        def unfollow() -> None:
            callbacks = self._followers.get(group, [])
            if callback in callbacks:
                callbacks.remove(callback)
            if not callbacks:
                self._followers.pop(group, None)

        return unfollow

    # Inside

    def _resolve(self, stream: LogStreamId, now_ms: int) -> tuple[LogGroup, LogStream]:
        identity = stream.group_id
        group = self._groups.get(identity)
        if group is None:
            group = self._create(identity, now_ms, sync=False)
        target = (group, group.stream(stream.stream, now_ms))
        if len(self._targets) >= _TARGETS_MAX:
            self._targets.clear()
        self._targets[stream] = target
        return target

    def _create(self, identity: LogGroupId, now_ms: int, *, sync: bool) -> LogGroup:
        group = groups_on_disk.create(identity, self._root, now_ms, self._settings, sync=sync)
        self._groups[identity] = group
        return group

    def _make_room(self, group: LogGroup) -> None:
        """Before a group opens its file: close the one that was longest not written to, if there are too many."""
        self._open = {each for each in self._open if each.fd >= 0} if group not in self._open else self._open
        if len(self._open) >= self._settings.open_files:
            oldest = min(self._open, key=lambda each: each.last_append_ms)
            oldest.release()
            self._open.discard(oldest)
        self._open.add(group)

    def _drop(self, stream: LogStreamId, count: int, error: OSError) -> None:
        self.dropped_events += count
        if not self._dropped_unsaid:
            logger.error("log events are being dropped: %s", error, extra={"log_group": stream.group})
        self._dropped_unsaid += count

    def _load(self) -> list[LogGroup]:
        shutil.rmtree(self._root / STAGING, ignore_errors=True)
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = []
        for path in sorted(self._root.glob("[0-9]*/*/*")):
            try:
                found.append(groups_on_disk.load(path, self._settings))
            except (OSError, ValueError, KeyError):
                logger.exception("a log group cannot be read and is left out: %s", path)
        return found
