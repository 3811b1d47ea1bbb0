"""What a launch needs on the server's side: cgroup, pipes and a place in the roster, and the message to the spawner."""

from __future__ import annotations

import re

from lambent.worker.sandbox import descriptors
from lambent.worker.sandbox.api import SandboxError, SandboxSpec
from lambent.worker.sandbox.linux import wire
from lambent.worker.sandbox.linux.cgroups import Cgroups
from lambent.worker.sandbox.linux.roster import Roster
from lambent.worker.sandbox.linux.sandbox import LinuxSandbox
from lambent.worker.sandbox.linux.tmp_images import TmpImage

_SANDBOX_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")


def check(spec: SandboxSpec) -> None:
    """Refuse what the kernel would refuse in a less telling way, or what would reach outside. Raises `SandboxError`."""
    if not _SANDBOX_ID.fullmatch(spec.sandbox_id):
        raise SandboxError(f"not a sandbox id: {spec.sandbox_id!r}")
    places = [place for place in (spec.telemetry_fd, spec.channel_fd) if place is not None]
    if len(set(places)) < len(places) or any(not 3 <= place < spec.limits.descriptors for place in places):
        raise SandboxError(f"sandbox {spec.sandbox_id}: {places} cannot be the places of its descriptors")
    if len(spec.listen) > wire.MAX_DESCRIPTORS:
        raise SandboxError(f"sandbox {spec.sandbox_id}: more than {wire.MAX_DESCRIPTORS} ports to listen on")


def make(
    spec: SandboxSpec, cgroups: Cgroups, roster: Roster, tmp: TmpImage | None, network: int | None
) -> tuple[LinuxSandbox, list[int]]:
    """The sandbox, without a process yet, and the descriptors to pass inside: output [, telemetry] [, channel]
    [, status]."""
    host_id = roster.free_host_id()
    if tmp is not None:
        tmp.give_to(host_id)
    cgroup = cgroups.create(spec.sandbox_id, spec.limits)
    output_read, output_write = descriptors.pipe()
    telemetry_read, telemetry_write = descriptors.pipe() if spec.telemetry_fd is not None else (None, None)
    channel, theirs = descriptors.channel() if spec.channel_fd is not None else (None, None)
    status_read, status_write = descriptors.pipe() if spec.init else (None, None)
    sandbox = LinuxSandbox(
        spec.sandbox_id,
        cgroup,
        tmp,
        network,
        output_read,
        telemetry_read,
        channel,
        status_read,
        roster.forget,
    )
    roster.add(sandbox, host_id)
    return sandbox, [fd for fd in (output_write, telemetry_write, theirs, status_write) if fd is not None]


def message(
    spec: SandboxSpec, cgroups: Cgroups, roster: Roster, *, fork: bool, on_disk: bool, variables_fd: int | None
) -> wire.Launch:
    """For the spawner, about a sandbox that was made. `fork`: of the zygote, if the spec allows it. `on_disk`: what
    will be at /tmp comes along. `variables_fd`: start the program ahead, which reads its variables there."""
    return wire.Launch(
        ahead=variables_fd,
        channel_fd=spec.channel_fd,
        cwd=spec.cwd,
        descriptors=spec.limits.descriptors,
        fork=fork and spec.fork,
        host_id=roster.host_id(spec.sandbox_id),
        hostname=spec.hostname,
        init=spec.init,
        listen=spec.listen,
        network=spec.network is not None,
        processes=None if "pids" in cgroups.uses else spec.limits.processes,
        sandbox_id=spec.sandbox_id,
        telemetry_fd=spec.telemetry_fd,
        tmp_bytes=None if on_disk else spec.limits.tmp_bytes,
    )
