"""`LinuxBackend`: sandboxes in namespaces, limited by cgroups, filtered by seccomp (see `linux/__init__`)."""

from __future__ import annotations

import asyncio
import logging
import os
import zlib
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from lambent.worker.sandbox.api import (
    BackendReport,
    NetworkPolicy,
    Sandbox,
    SandboxError,
    SandboxSpec,
    SandboxTemplate,
    WaitingSandbox,
    check_program,
)
from lambent.worker.sandbox.linux import disk_image, head_starts, launching, probe, wire
from lambent.worker.sandbox.linux.base_client import BaseClient
from lambent.worker.sandbox.linux.bases import Bases
from lambent.worker.sandbox.linux.cgroup_hierarchies import Hierarchy, find_hierarchies
from lambent.worker.sandbox.linux.cgroups import Cgroups
from lambent.worker.sandbox.linux.network.networks import AnyRouter, Networks
from lambent.worker.sandbox.linux.network.outlook import outlook
from lambent.worker.sandbox.linux.network.router_client import RouterClient
from lambent.worker.sandbox.linux.network.router_thread import RouterThread
from lambent.worker.sandbox.linux.ready_channel import ReadyChannel
from lambent.worker.sandbox.linux.roster import Roster
from lambent.worker.sandbox.linux.seccomp import build_filter
from lambent.worker.sandbox.linux.spawner_client import SpawnerClient
from lambent.worker.sandbox.linux.tmp_images import TmpImage, TmpImages
from lambent.worker.sandbox.linux.waiting import Program, WaitingLinuxSandbox, program

logger = logging.getLogger(__name__)

USER_ID = 993  # AWS's, as seen inside
GROUP_ID = 990
USER_NAME = "sbx_user1051"

# On the host every sandbox is a user of its own. The range is above what distributions hand out to user namespaces
# (/etc/subuid) and to systemd's services and containers, and below 2^31, which some tools take for negative.
# Servers on the same host take different parts of it, by their instance id (as far as chance wills).
_FIRST_HOST_ID = 0x70000000
_HOST_IDS = 0x4000
_PARTS = 0x3C00


def host_ids(instance_id: str) -> range:
    """The users of the host that the sandboxes of one server are."""
    first = _FIRST_HOST_ID + zlib.crc32(instance_id.encode()) % _PARTS * _HOST_IDS
    return range(first, first + _HOST_IDS)


class LinuxBackend:
    """`SandboxBackend` on Linux system calls; needs root. `instance_id` names this server among others on the host,
    the same at every start: what an earlier run with that name left is removed. No two may run at once. `state_dir`:
    a directory of this server's own, where the places of its cgroups are noted for the next start. `memory_bytes`: what
    all sandboxes may use together. `networks`: all that specs will ask for, to be had from the start; `report` tells
    when they cannot be. `rootless`: for an ordinary user, in a user namespace that holds nobody else: all sandboxes are
    that user on the host, and limits hold as far as the user's own cgroup was delegated."""

    def __init__(
        self,
        instance_id: str,
        state_dir: Path,
        memory_bytes: int | None = None,
        networks: Collection[NetworkPolicy] = (),
        *,
        rootless: bool = False,
    ) -> None:
        self._rootless = rootless
        self._instance_id = instance_id
        self._policies = networks
        self._networks: Networks | None = None
        self._why_no_network = "" if networks else "not asked for"
        self._cgroups = Cgroups(instance_id, _host_hierarchies(), memory_bytes)
        self._state_dir = state_dir
        self._filter = b""
        self._bases = Bases(self._template_message)
        # By template, and whether its sandboxes are forks of a zygote.
        self._spawners: dict[tuple[SandboxTemplate, bool], asyncio.Task[SpawnerClient]] = {}
        self._head_starts = head_starts.HeadStarts(self._start_ahead)
        self._roster = Roster(None if rootless else host_ids(instance_id))
        self._hierarchy_fds: tuple[int, ...] = ()
        self._tmp_images: TmpImages | None = None
        self._why_no_images = "an ordinary user cannot mount one" if rootless else disk_image.why_not()
        self._running = False

    @property
    def name(self) -> str:
        return "rootless" if self._rootless else "linux"

    def report(self) -> BackendReport:
        """Before `start`, what is to be expected; after it, what was had."""
        hierarchies = self._cgroups.hierarchies if self._running else _host_hierarchies()
        host = probe.look(hierarchies, self._why_no_images, rootless=self._rootless)
        verdict = probe.judge(host)
        if self._running or self._why_no_network or not verdict.usable:
            return replace(verdict, why_no_network=self._why_no_network)
        expected = outlook(rootless=self._rootless)
        return replace(verdict, why_no_network=expected.why_not, network=expected.how)

    async def start(self) -> None:
        """Raises `SandboxError` when this host cannot run sandboxes."""
        report = self.report()
        if not report.usable:
            raise SandboxError(report.reason)
        self._filter = build_filter(os.uname().machine)
        self._state_dir.mkdir(parents=True, exist_ok=True)
        self._cgroups.claim(noted_in=self._state_dir / "cgroups")
        self._hierarchy_fds = tuple(os.open(base, os.O_RDONLY | os.O_DIRECTORY) for base in self._cgroups.bases)
        self._bases.start()
        await asyncio.gather(self._start_tmp_images(), self._start_networks())
        self._running = True

    async def prepare(self, template: SandboxTemplate) -> None:
        if template.zygote is not None:
            await self._bases.prepare(template.zygote)
        await self._spawner(template, fork=True)

    async def launch(self, template: SandboxTemplate, spec: SandboxSpec) -> Sandbox:
        check_program(spec)
        if (sandbox := await self._started_ahead(template, spec)) is not None:
            return sandbox
        waiting = await self._ask_for(template, spec, program(spec))
        return await waiting.started()

    async def set_up(self, template: SandboxTemplate, spec: SandboxSpec) -> WaitingSandbox:
        if spec.fork and template.zygote is not None:
            await self._bases.prepare(template.zygote)
        if head_starts.kind(template, spec) is not None and template.head_start is not None:
            return await self._start_ahead(template, head_starts.first(template.head_start, spec))
        waiting = await self._ask_for(template, spec, None)
        await waiting.until_it_waits()
        return waiting

    async def _start_ahead(self, template: SandboxTemplate, spec: SandboxSpec) -> WaitingLinuxSandbox:
        waiting = await self._ask_for(template, spec, program(spec), variables_fd=head_starts.descriptor(spec))
        await waiting.until_it_waits()
        return waiting

    async def _started_ahead(self, template: SandboxTemplate, spec: SandboxSpec) -> Sandbox | None:
        """The sandbox, if its program was started before."""
        launching.check(spec)
        self._roster.check_new(spec.sandbox_id)
        waiting = None if self._rootless else await self._head_starts.take(template, spec)
        if waiting is None:
            return None
        try:
            async with waiting.or_gone():
                await head_starts.give(waiting, template, spec, await self._tmp(spec), self._roster)
            return await waiting.started()
        except SandboxError as error:
            logger.warning("what was started ahead was of no use", extra={"reason": str(error)})
            return None

    async def _ask_for(
        self,
        template: SandboxTemplate,
        spec: SandboxSpec,
        to_run: Program | None,
        *,
        variables_fd: int | None = None,
    ) -> WaitingLinuxSandbox:
        """A sandbox whose process is on its way, and knows its program if there is one yet. `variables_fd`: start that
        program ahead."""
        launching.check(spec)
        self._roster.check_new(spec.sandbox_id)
        spawner, fork = await self._spawner(template, fork=spec.fork)
        ready = ReadyChannel()
        try:
            if to_run is not None:
                ready.send_program(*to_run, ahead=variables_fd is not None)
            tmp = await self._tmp(spec)
            network = None
            try:
                network = await self._network(spec)
                sandbox, inside = launching.make(spec, self._cgroups, self._roster, tmp, network)
            except BaseException:
                if network is not None:
                    os.close(network)
                if tmp is not None:
                    await tmp.discard()
                raise
        except BaseException:
            ready.close()
            raise
        spawner.add(sandbox)
        waiting = WaitingLinuxSandbox(spec, sandbox, ready, ahead=variables_fd is not None)
        more = [fd for fd in (None if tmp is None else tmp.mount, network) if fd is not None]
        descriptors = (inside[0], ready.theirs.fileno(), *inside[1:], *more)
        async with waiting.or_gone():
            try:
                message = launching.message(
                    spec, self._cgroups, self._roster, fork=fork, on_disk=tmp is not None, variables_fd=variables_fd
                )
                await spawner.launch(message, descriptors)
            finally:
                ready.theirs.close()
                for descriptor in inside:
                    os.close(descriptor)
        ready.watch()
        return waiting

    async def release(self, template: SandboxTemplate) -> None:
        tasks = [task for fork in (False, True) if (task := self._spawners.pop((template, fork), None)) is not None]
        await asyncio.gather(*(_stop(task) for task in tasks))
        given = self._roster.given_to(template)
        for sandbox in given:
            sandbox.kill()
        for sandbox in given:
            await sandbox.wait()

    async def close(self) -> None:
        self._running = False
        await self._head_starts.close()
        tasks = list(self._spawners.values())
        self._spawners.clear()
        await asyncio.gather(*(_stop(task) for task in tasks))
        if self._networks is not None:
            networks, self._networks = self._networks, None
            await networks.close()
        await self._bases.close()
        for sandbox in self._roster.all():  # of spawners that had died before
            sandbox.kill()
            await sandbox.wait()
        for descriptor in self._hierarchy_fds:
            os.close(descriptor)
        self._hierarchy_fds = ()
        if self._tmp_images is not None:
            images, self._tmp_images = self._tmp_images, None
            await images.close()
        self._cgroups.close()

    async def _start_tmp_images(self) -> None:
        """Temporary files on disk where it can be had; `report` tells where it cannot."""
        if self._why_no_images:
            return
        images = TmpImages(self._state_dir / "tmp")
        try:
            await images.start()
        except OSError as error:
            await images.close()
            self._why_no_images = f"no file system on a loop device can be made: {error}"
        else:
            self._tmp_images = images

    async def _start_networks(self) -> None:
        if not self._policies:
            return
        networks = Networks(self._router())
        opened = sorted({network for policy in self._policies for network in policy.networks})
        try:
            await networks.start(opened, to_internet=any(policy.internet for policy in self._policies))
        except OSError as error:
            await networks.close()
            self._why_no_network = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        else:
            self._networks = networks

    def _router(self) -> AnyRouter:
        if self._rootless:
            return RouterClient(self._instance_id, self._bases)
        return RouterThread(self._instance_id, self._state_dir / "forwarding")

    async def _tmp(self, spec: SandboxSpec) -> TmpImage | None:
        """What will be at /tmp; None for a tmpfs, and for one that is to be had later."""
        if self._tmp_images is None or not spec.limits.tmp_bytes:
            return None
        return await self._tmp_images.take(spec.limits.tmp_bytes)

    async def _network(self, spec: SandboxSpec) -> int | None:
        if spec.network is None:
            return None
        if self._networks is None:
            raise SandboxError(f"no network: {self._why_no_network}")
        return await self._networks.take(spec.network)

    async def _spawner(self, template: SandboxTemplate, *, fork: bool) -> tuple[SpawnerClient, bool]:
        """A spawner of the template, and whether sandboxes can be forks of it: started if there is none, or if it
        died. `fork`: of the zygote, if that is ready."""
        if not self._running:
            raise SandboxError("the sandbox backend is not running")
        base = self._bases.base(template.zygote if fork else None)
        key = (template, base.is_zygote)
        task = self._spawners.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception() or not task.result().alive)):
            task = self._spawners[key] = asyncio.create_task(self._start_spawner(template, base))
        return await asyncio.shield(task), base.is_zygote

    async def _start_spawner(self, template: SandboxTemplate, base: BaseClient) -> SpawnerClient:
        spawner = SpawnerClient(template.name)
        await spawner.start(base, self._template_message(template), self._hierarchy_fds)
        return spawner

    def _template_message(self, template: SandboxTemplate) -> wire.Template:
        born_in = [at for at, h in enumerate(self._cgroups.hierarchies) if h.version == 2]
        return wire.Template(
            attached_to=tuple(at for at, h in enumerate(self._cgroups.hierarchies) if h.version == 1),
            binds=tuple((str(bind.source.resolve()), bind.target) for bind in template.binds),
            born_in=born_in[0] if born_in else None,
            directories=template.directories,
            group=GROUP_ID,
            instance_directory=self._cgroups.directory,
            rootless=self._rootless,
            seccomp=self._filter,
            user=USER_ID,
            user_name=USER_NAME,
        )


async def _stop(task: asyncio.Task[SpawnerClient]) -> None:
    try:
        spawner = await task
    except SandboxError:
        return  # it never started; whoever asked for it was told why
    await spawner.stop()


def _host_hierarchies() -> tuple[Hierarchy, ...]:
    return find_hierarchies(Path("/proc/self/mountinfo").read_text(), Path("/proc/self/cgroup").read_text())
