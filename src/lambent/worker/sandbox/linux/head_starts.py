"""Programs started before it is known whose they are, one for each kind that was asked for lately. For the server.

When a launch could have used one, and has taken it or found none, the next is started a little later. It waits in a
sandbox of its own, which has nothing of any owner, and becomes the sandbox of whoever takes it: the files are mounted,
then the program is told its variables. What is taken is never given back.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from lambent.worker.sandbox.api import (
    HEAD_START_VARIABLE,
    Bind,
    HeadStart,
    NetworkPolicy,
    SandboxError,
    SandboxSpec,
    SandboxTemplate,
)
from lambent.worker.sandbox.linux import syscalls
from lambent.worker.sandbox.linux.roster import Roster
from lambent.worker.sandbox.linux.tmp_images import TmpImage
from lambent.worker.sandbox.linux.waiting import WaitingLinuxSandbox

logger = logging.getLogger(__name__)

_KEPT = 3  # each is a process that waits, with some 10 MB
_AFTER_S = 0.05  # when the launch that took one, or went without, no longer needs the processor
_RETRY_AFTER_S = 60.0

Launch = Callable[[SandboxTemplate, SandboxSpec], Coroutine[Any, Any, WaitingLinuxSandbox]]


@dataclass(frozen=True, slots=True)
class Kind:
    """What cannot be changed any more once the program was started."""

    head_start: HeadStart
    argv: tuple[str, ...]
    cwd: str
    listen: tuple[int, ...]
    telemetry_fd: int | None
    channel_fd: int | None
    hostname: str
    network: NetworkPolicy | None
    memory_bytes: int
    descriptors: int
    processes: int


def descriptor(spec: SandboxSpec) -> int:
    """Where a program that was started ahead reads its variables: the first that is free inside."""
    return max(2, spec.telemetry_fd or 0, spec.channel_fd or 0) + 1


def first(head_start: HeadStart, spec: SandboxSpec) -> SandboxSpec:
    """As it is started."""
    return replace(spec, env={**dict(head_start.env), HEAD_START_VARIABLE: str(descriptor(spec))})


def kind(template: SandboxTemplate, spec: SandboxSpec) -> Kind | None:
    """None: it must be started for its owner."""
    head_start = template.head_start
    if head_start is None or not spec.ahead or not spec.argv or not spec.init:
        return None
    if template.binds[: len(head_start.binds)] != head_start.binds:
        return None
    if not {bind.target for bind in owners_binds(template)} <= {*head_start.directories}:
        return None
    limits = spec.limits
    return Kind(
        head_start, spec.argv, spec.cwd, spec.listen, spec.telemetry_fd, spec.channel_fd, spec.hostname, spec.network,
        limits.memory_bytes, limits.descriptors, limits.processes,
    )  # fmt: skip


def owners_binds(template: SandboxTemplate) -> tuple[Bind, ...]:
    """What is mounted only when it is known whose the sandbox is."""
    return template.binds[len(template.head_start.binds if template.head_start else ()) :]


def open_tree(bind: Bind) -> int:
    """What is to be mounted, as a descriptor. Raises `OSError`."""
    tree = syscalls.clone_tree(str(bind.source.resolve()))
    flags = syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV
    syscalls.set_mount_flags(tree, flags, private=True)
    return tree


async def give(
    waiting: WaitingLinuxSandbox, template: SandboxTemplate, spec: SandboxSpec, tmp: TmpImage | None, roster: Roster
) -> None:
    """Make it the sandbox of `spec`, with `tmp` at /tmp (None: a tmpfs). Raises `SandboxError`."""
    if waiting.ended:
        if tmp is not None:
            await tmp.discard()
        raise SandboxError("it died while it waited for its owner")
    roster.give(waiting.sandbox, spec.sandbox_id, template)
    waiting.sandbox.own_tmp(tmp)
    mounts: dict[str, int] = {}
    try:
        for bind in owners_binds(template):
            mounts[bind.target] = open_tree(bind)
        if tmp is not None:
            tmp.give_to(roster.host_id(spec.sandbox_id))
            mounts["/tmp"] = os.dup(tmp.mount)  # noqa: S108 - the sandbox's own
        waiting.give_to(spec, mounts, spec.limits.tmp_bytes if tmp is None else None)
    except OSError as error:
        raise SandboxError(f"{error.filename}: {error.strerror}") from error
    finally:
        for tree in mounts.values():
            os.close(tree)


class HeadStarts:
    """`launch` starts one: a sandbox whose program has been told and that waits for its owner. `close` at the end."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._ready: OrderedDict[Kind, asyncio.Task[WaitingLinuxSandbox]] = OrderedDict()
        self._timers: dict[Kind, asyncio.TimerHandle] = {}
        self._failed_at: dict[Kind, float] = {}
        self._discards: set[asyncio.Task[None]] = set()
        self._closed = False

    async def take(self, template: SandboxTemplate, spec: SandboxSpec) -> WaitingLinuxSandbox | None:
        """One that waits for its owner, or None. One that has been begun is as good: it is ahead of what would be
        begun now."""
        wanted = kind(template, spec)
        if wanted is None:
            return None
        task = self._ready.pop(wanted, None)
        self._start_later(wanted, spec)
        if task is None:
            return None
        try:
            waiting = await asyncio.shield(task)
        except SandboxError:
            return None  # `_started` has told why
        except asyncio.CancelledError:
            self._discard(task)
            raise
        if waiting.ended:
            await waiting.discard()
            return None
        return waiting

    async def close(self) -> None:
        """Discard what waits. What was taken is its taker's."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        while self._ready:
            self._discard(self._ready.popitem()[1])
        while self._discards:
            await asyncio.wait(self._discards)

    def _start_later(self, wanted: Kind, spec: SandboxSpec) -> None:
        loop = asyncio.get_running_loop()
        if (timer := self._timers.pop(wanted, None)) is not None:
            timer.cancel()
        if not self._closed and loop.time() - self._failed_at.get(wanted, -_RETRY_AFTER_S) >= _RETRY_AFTER_S:
            self._timers[wanted] = loop.call_later(_AFTER_S, self._start, wanted, spec)

    def _start(self, wanted: Kind, spec: SandboxSpec) -> None:
        del self._timers[wanted]
        head_start = wanted.head_start
        bare = SandboxTemplate(f"{head_start.name} ahead", head_start.binds, head_start.directories)
        nobodys = replace(
            first(head_start, spec),
            sandbox_id=f"ahead-{secrets.token_hex(8)}",
            limits=replace(spec.limits, tmp_bytes=0),  # comes with the owner
        )
        task = asyncio.get_running_loop().create_task(self._launch(bare, nobodys), name=f"start {bare.name}")
        task.add_done_callback(lambda done: self._started(wanted, done))
        self._ready[wanted] = task
        if len(self._ready) > _KEPT:
            self._discard(self._ready.popitem(last=False)[1])

    def _started(self, wanted: Kind, task: asyncio.Task[WaitingLinuxSandbox]) -> None:
        """The supervision point of what is started ahead."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed_at[wanted] = asyncio.get_running_loop().time()
            extra = {"program": wanted.head_start.name}
            logger.error("nothing started ahead: environments start from scratch", extra=extra, exc_info=error)

    def _discard(self, task: asyncio.Task[WaitingLinuxSandbox]) -> None:
        async def discard() -> None:
            try:
                waiting = await task
            except SandboxError:
                return  # `_started` has told why
            await waiting.discard()

        discarding = asyncio.get_running_loop().create_task(discard(), name="discard what was started ahead")
        self._discards.add(discarding)
        discarding.add_done_callback(self._discards.discard)
