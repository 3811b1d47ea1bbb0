"""slirp4netns: the way out of an ordinary user's router. A program that answers for the world at one interface of the
router, and does by sockets of its own, as that user, what it is asked for there. For the server.

It lives until the server ends, however; when it dies, it is started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import shutil
import sys
from ipaddress import IPv4Network

from lambent.worker.sandbox.linux.network.router import UPLINK

logger = logging.getLogger(__name__)

PROGRAM = "slirp4netns"
PREFIX = 24  # of its network
INSTANCE_VARIABLE = "LAMBENT_INSTANCE"  # tells whose it is
_TUN = "/dev/net/tun"
_START_TIMEOUT_S = 5.0
_RETRY_AFTER_S = 1.0
_SAID_BYTES = 2000
# As root of the router's user namespace it can lock itself up (--enable-sandbox), and has no rights but there. One
# descriptor goes with each connection of any sandbox.
_ENTER = """
import ctypes, os, resource, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.setns(int(sys.argv[1]), 0x10000000):
    sys.exit(f"cannot enter the user namespace: {os.strerror(ctypes.get_errno())}")
os.close(int(sys.argv[1]))
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
os.execv(sys.argv[2], sys.argv[2:])
"""


def why_not() -> str:
    """Why it cannot be used here by this user, and what would help; "" if it can. Looks, and changes nothing."""
    if shutil.which(PROGRAM) is None:
        return f"{PROGRAM} was not found: apt-get install {PROGRAM}, or the package of that name elsewhere"
    try:
        os.close(os.open(_TUN, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            return f"this user may not open {_TUN}: chmod 666 {_TUN}"
        return f"there is no {_TUN}: modprobe tun; for a container, --device {_TUN}"
    return ""


class Slirp:
    """`start` first, `close` last, also after a failed `start`. `network`: its own, where its interface has number
    100. `user_namespace`, `namespace`: the router's, as descriptors that stay open as long as this. `instance_id`: a
    mark to find it by."""

    def __init__(self, network: IPv4Network, user_namespace: int, namespace: int, instance_id: str) -> None:
        self._network = network
        self._user_namespace = user_namespace
        self._namespace = namespace
        self._instance_id = instance_id
        self._running: _Running | None = None
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when it works. Raises `OSError` with what it said."""
        self._running = await self._run()
        self._keeping = asyncio.get_running_loop().create_task(self._keep(), name=f"keep {PROGRAM}")

    async def close(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        if self._running is not None:
            await self._running.end()

    async def _keep(self) -> None:
        """The supervision point: what functions ask of the world fails until it is back."""
        while True:
            if self._running is not None:
                await self._running.process.wait()
                running, self._running = self._running, None
                await running.end()
                logger.error("%s died: %s; functions have no network until it is back", PROGRAM, running.words)
            try:
                self._running = await self._run()
            except OSError as error:
                logger.warning("%s cannot be started again: %s", PROGRAM, error)
                await asyncio.sleep(_RETRY_AFTER_S)

    async def _run(self) -> _Running:
        """Returns when it works. Raises `OSError`."""
        program = shutil.which(PROGRAM)
        if program is None:
            raise OSError(why_not())
        ready, ready_theirs = os.pipe()
        life_theirs, life = os.pipe()
        options = (
            "--configure", f"--cidr={self._network}", "--disable-host-loopback", "--disable-dns", "--enable-sandbox",
            "--enable-seccomp", f"--ready-fd={ready_theirs}", f"--exit-fd={life_theirs}", "--netns-type=path",
        )  # fmt: skip
        where = f"/proc/self/fd/{self._namespace}", UPLINK
        enter = sys.executable, "-I", "-S", "-c", _ENTER, str(self._user_namespace), program
        try:
            process = await asyncio.create_subprocess_exec(
                *enter, *options, *where, env={INSTANCE_VARIABLE: self._instance_id}, cwd="/",
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
                pass_fds=(ready_theirs, life_theirs, self._user_namespace, self._namespace),
            )  # fmt: skip
        except BaseException:
            os.close(ready)
            os.close(life)
            raise
        finally:
            os.close(ready_theirs)
            os.close(life_theirs)
        running = _Running(process, life)
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                works = await _read(ready)
        except BaseException as error:
            await running.end()
            if isinstance(error, TimeoutError):
                raise OSError(f"{PROGRAM} does not get ready: {running.words}") from None
            raise
        finally:
            os.close(ready)
        if not works:
            await running.end()
            raise OSError(f"{PROGRAM}: {running.words}")
        return running


class _Running:
    """One process of it. `life`: a pipe whose end makes it end; ours from now on."""

    def __init__(self, process: asyncio.subprocess.Process, life: int) -> None:
        self.process = process
        self._life = life
        self._said = b""
        self._hearing = asyncio.get_running_loop().create_task(self._hear(), name=f"hear {PROGRAM}")

    @property
    def words(self) -> str:
        """The last that it said."""
        return self._said.decode("utf-8", "replace").strip().rpartition("\n")[2]

    async def end(self) -> None:
        """Returns when it is gone, and what it said was read."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        await self._hearing
        os.close(self._life)

    async def _hear(self) -> None:
        """It must never have to wait for somebody to listen."""
        assert self.process.stdout is not None  # noqa: S101 - a pipe was asked for
        while part := await self.process.stdout.read(_SAID_BYTES):
            self._said = (self._said + part)[-_SAID_BYTES:]


async def _read(descriptor: int) -> bytes:
    """The next byte from a pipe; none at its end."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, 1)
