"""The sandbox port.

A *backend* prepares a *template* (what the file system of a group of sandboxes looks like) once, and launches
sandboxes from it. The contract (one suite runs it over every backend):

- `launch` returns when the program was started, or raises `SandboxError`; nothing is left behind when it raises.
  `set_up` and then `run` are the same in two steps, with as much time in between as one likes.
- A sandbox ends when its program exits, when it is killed, or when its backend dies; then every process in it is
  gone, `wait` returns, and everything it held on the host (cgroups, mounts, namespaces, files) is released.
- `kill` is idempotent and cannot be refused or delayed by the program. On an ended sandbox, `kill`, `freeze` and
  `thaw` do nothing. `kill` works on a frozen sandbox.
- The program gets exactly the environment of its spec: nothing of the host's.
- The sockets and descriptors a sandbox hands out belong to the caller, who closes them.
- No sandbox can reach the host's loopback or another sandbox, nor any network beyond what its spec's `network` opens.
- A backend never gives less than it says in `guarantees`; `process` says it gives nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class SandboxError(Exception):
    """A sandbox could not be made; the message says why, for an operator."""


@dataclass(frozen=True, slots=True)
class Bind:
    """A host directory or file seen, read-only, at `target` inside. The host path may lie under directories that
    only root may enter."""

    source: Path
    target: str


@dataclass(frozen=True, slots=True)
class Zygote:
    """A program that is started once, ahead, as root and outside any sandbox, and that sandboxes are forked from.

    `argv`, `env`, `binds` and `directories` are as a sandbox's; what they name must be at the same place, and the same,
    in the template. It must not hold anything of whoever sandboxes are for. When it has loaded what it wants to, it
    calls the fork server that its variable `_LAMBENT_ZYGOTE` names ("DIRECTORY MODULE ARGUMENT": the module's
    `serve_zygote` takes the argument), which returns the environment variables of a sandbox in that sandbox.
    """

    name: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    binds: tuple[Bind, ...] = ()
    directories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HeadStart:
    """What a program needs to be started before it is known whose it is.

    It is started with `env`, in a sandbox of its own that has `binds` and `directories` and nothing of any owner. Its
    variable `HEAD_START_VARIABLE` is the number of a descriptor. What it can read there, in the end, is the environment
    of the sandbox that it is in from then on: "NAME=value" and a NUL for each, until end of file; nothing, when it is
    not needed any more. Then it has to enter its working directory anew. `directories`: among them where the owner's
    binds will be.
    """

    name: str
    env: tuple[tuple[str, str], ...] = ()
    binds: tuple[Bind, ...] = ()
    directories: tuple[str, ...] = ()


HEAD_START_VARIABLE = "_LAMBENT_HEAD_START"


@dataclass(frozen=True, slots=True)
class SandboxTemplate:
    """The file system that sandboxes launched from it see: the host's system directories (/usr and what belongs to
    it) read-only, `binds` (in order, read-only), a private /proc, /dev with the harmless devices, and /tmp, private
    to each sandbox. `directories` exist, empty and read-only. `zygote`: what sandboxes may be forked from, where the
    backend can. `head_start`: how programs may be started ahead, where the backend can; its binds are the first of
    `binds`."""

    name: str
    binds: tuple[Bind, ...] = ()
    directories: tuple[str, ...] = ()
    zygote: Zygote | None = None
    head_start: HeadStart | None = None


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What one sandbox may use, all its processes together."""

    memory_bytes: int
    cpus: float  # share of CPU time: 1.0 is one whole CPU
    tmp_bytes: int
    descriptors: int = 1024  # per process
    processes: int = 1024  # processes and threads


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """What a sandbox may reach of the world. `internet`: what is public. `networks` (IPv4 ranges) and `hosts` (names,
    also "*.example.com" for those below it) besides, public or not."""

    internet: bool = False
    networks: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """One sandbox: a program and its surroundings.

    `listen`: TCP ports on 127.0.0.1 *inside*, already listening when the program starts, whose listening sockets are
    handed out. `telemetry_fd`: descriptor number of the write end of the telemetry pipe inside, if the program wants
    one. `channel_fd`: the same of its end of a channel, which is a stream socket to the caller. `init`: put a small
    init as pid 1 before the program (for programs that do not reap orphans or that rely on default signal actions, i.e.
    all but our own). `fork`: the program may be a fork of the template's zygote instead of being executed, if that is
    quicker: the zygote must be as good as `argv` with this `env`. `ahead`: it may be one that was started with the
    template's head start, which must be as good as well.
    `network`: None is none but its own loopback.
    """

    sandbox_id: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    limits: SandboxLimits
    cwd: str = "/"
    listen: tuple[int, ...] = ()
    telemetry_fd: int | None = None
    channel_fd: int | None = None
    init: bool = True
    fork: bool = False
    ahead: bool = False
    hostname: str = "localhost"
    network: NetworkPolicy | None = None


@dataclass(frozen=True, slots=True)
class SandboxExit:
    """How the program ended: one of `status` (exit code) and `signal` is set. `oom_killed`: the kernel killed a
    process of the sandbox for want of memory. `killed`: we killed it (`kill`, or the backend ended)."""

    status: int | None = None
    signal: int | None = None
    oom_killed: bool = False
    killed: bool = False


def check_program(spec: SandboxSpec) -> None:
    """Raises `SandboxError` for what cannot be executed anywhere."""
    if not spec.argv:
        raise SandboxError(f"sandbox {spec.sandbox_id}: no program")
    texts = [*spec.argv, *spec.env.values(), spec.cwd, spec.hostname]
    if any("\0" in text for text in texts) or any(not name or "=" in name or "\0" in name for name in spec.env):
        raise SandboxError(f"sandbox {spec.sandbox_id}: a program's arguments and environment cannot hold that")


class Sandbox(Protocol):
    """A running (or ended) sandbox."""

    @property
    def sandbox_id(self) -> str: ...

    @property
    def listeners(self) -> tuple[socket.socket, ...]:
        """The listening sockets, in the order of `SandboxSpec.listen`; non-blocking."""
        ...

    @property
    def output_fd(self) -> int:
        """Read end of the pipe that is the program's stdout and stderr; non-blocking. EOF when all writers ended."""
        ...

    @property
    def telemetry_fd(self) -> int | None:
        """Read end of the telemetry pipe (an `AF_UNIX` `SOCK_STREAM` or pipe), non-blocking, if asked for."""
        ...

    @property
    def channel(self) -> socket.socket | None:
        """The caller's end of the channel, a connected `AF_UNIX` `SOCK_STREAM`, non-blocking, if asked for."""
        ...

    async def wait(self) -> SandboxExit:
        """Return when the sandbox has ended and is cleaned up. May be awaited by many, before and after the end."""
        ...

    def freeze(self) -> None:
        """Stop all its processes from running until `thaw`, where the backend can; else do nothing."""
        ...

    def thaw(self) -> None: ...

    def limit_cpus(self, cpus: float) -> None:
        """Change its share of CPU time (as `SandboxLimits.cpus`), where the backend limits it; else do nothing."""
        ...

    def kill(self) -> None:
        """End it now, all processes; `wait` tells when it is done."""
        ...

    def memory_peak_bytes(self) -> int:
        """The most memory its processes used together so far (last known value once it ended); 0 if not measured."""
        ...

    def memory_current_bytes(self) -> int:
        """What its processes use now; 0 if not measured or ended."""
        ...


class WaitingSandbox(Protocol):
    """A sandbox in which nothing runs yet but what is the backend's own. It ends as sandboxes end, or by `discard`."""

    @property
    def ended(self) -> bool:
        """Whether no program can be run in it (any more)."""
        ...

    async def run(self, argv: tuple[str, ...], env: Mapping[str, str]) -> Sandbox:
        """Start a program with exactly that environment. At most once. Raises `SandboxError`; then nothing is left."""
        ...

    async def discard(self) -> None:
        """End it; returns when nothing is left. After `run` it does nothing. Idempotent."""
        ...

    def memory_current_bytes(self) -> int:
        """What it takes up now; 0 if not measured or ended."""
        ...


@dataclass(frozen=True, slots=True)
class Guarantee:
    """One line of what a backend gives on this host, for the start-up line and `lambent doctor`."""

    name: str  # e.g. "memory limit", "separate network"
    holds: bool
    how: str  # e.g. "cgroup v1 memory controller"; when it does not hold: why, and the command that would help


@dataclass(frozen=True, slots=True)
class BackendReport:
    """What a backend can do on this host. `usable` False: `reason` says what is missing and what to do.
    `why_no_network`: why sandboxes cannot be given a `network`; "" if they can, or, before the backend was started, are
    likely to. `network`: by what then, and what may yet be in the way."""

    name: str
    usable: bool
    reason: str = ""
    guarantees: tuple[Guarantee, ...] = field(default=())
    why_no_network: str = ""
    network: str = ""


class Launcher(Protocol):
    """Launches sandboxes."""

    async def launch(self, template: SandboxTemplate, spec: SandboxSpec) -> Sandbox:
        """Start a sandbox; prepares the template first if it is not (concurrent launches share one preparation)."""
        ...


class SandboxBackend(Launcher, Protocol):
    """Makes sandboxes. One instance per server; `start` before anything else, `close` at the end."""

    @property
    def name(self) -> str: ...

    def report(self) -> BackendReport:
        """Probe this host (no side effects that stay)."""
        ...

    async def start(self) -> None:
        """Claim what is needed and remove what an earlier, crashed run of the same data directory left behind."""
        ...

    async def set_up(self, template: SandboxTemplate, spec: SandboxSpec) -> WaitingSandbox:
        """As `launch`, up to where the program is started: `env` of the spec is not looked at, nor is `argv`, unless
        the program may be started `ahead`: then `argv` is what has to be run."""
        ...

    async def prepare(self, template: SandboxTemplate) -> None:
        """Make later launches from `template` fast. Idempotent."""
        ...

    async def release(self, template: SandboxTemplate) -> None:
        """Let go of a template; sandboxes made from it are killed. Unknown templates are fine."""
        ...

    async def close(self) -> None:
        """Kill every sandbox, release everything, leave nothing on the host. Idempotent."""
        ...
