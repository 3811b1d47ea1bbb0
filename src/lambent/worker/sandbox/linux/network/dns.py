"""The name server of sandboxes with a network: hands questions on to the servers that the host asks, and their answers
back. On the event loop; the sockets were made in the router.

Nothing is cached and nothing is made up, but that what a sandbox may not ask is refused. Of an answer only the
addresses are looked at, for names that a policy opens. Every question goes out from a port of its own, and only so many
at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path

from lambent.worker.sandbox.api import NetworkPolicy
from lambent.worker.sandbox.linux.network.policy import is_opened, may_resolve

logger = logging.getLogger(__name__)

_RESOLV_CONF = Path("/etc/resolv.conf")
_TIMEOUT_S = 3.0
_AT_A_TIME = 64  # of one sandbox
_IN_ALL = 1024
_CONNECTIONS = 256
_MESSAGE_BYTES = 65535
_REFUSED, _SERVER_FAILURE = 5, 2
_TYPE_A = 1

PolicyAt = Callable[[str], NetworkPolicy | None]
OpenAddresses = Callable[[NetworkPolicy, list[str], int], Awaitable[None]]


class NameServer:
    """`policy_at` tells the policy of the sandbox at an address; `open_addresses` lets through to some for a while."""

    def __init__(
        self, datagrams: socket.socket, streams: socket.socket, policy_at: PolicyAt, open_addresses: OpenAddresses
    ) -> None:
        self._datagrams = datagrams
        self._streams = streams
        self._policy_at = policy_at
        self._open_addresses = open_addresses
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight: Counter[str] = Counter()
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._loop.add_reader(self._datagrams, self._readable)
        self._server = await asyncio.start_server(self._serve_stream, sock=self._streams)

    async def close(self) -> None:
        """The sockets are the router's, but for the listening one."""
        self._loop.remove_reader(self._datagrams)
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _readable(self) -> None:
        for _ in range(64):
            try:
                question, client = self._datagrams.recvfrom(_MESSAGE_BYTES)
            except BlockingIOError:
                return
            if self._in_flight[client[0]] >= _AT_A_TIME or self._in_flight.total() >= _IN_ALL:
                continue  # it will ask again
            self._in_flight[client[0]] += 1
            self._supervise(self._answer_datagram(question, client))

    async def _answer_datagram(self, question: bytes, client: tuple[str, int]) -> None:
        try:
            answer = await self._answer(question, client[0], over_stream=False)
            if answer is not None:
                with contextlib.suppress(OSError):  # the sandbox is gone, or does not read: datagrams may be lost
                    self._datagrams.sendto(answer, client)
        finally:
            self._in_flight[client[0]] -= 1
            if not self._in_flight[client[0]]:
                del self._in_flight[client[0]]

    async def _serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - start_server makes one for each connection
        self._tasks.add(task)
        try:
            if len(self._tasks) > _CONNECTIONS:
                return
            async with asyncio.timeout(10 * _TIMEOUT_S):
                while True:
                    question = await reader.readexactly(struct.unpack(">H", await reader.readexactly(2))[0])
                    answer = await self._answer(question, writer.get_extra_info("peername")[0], over_stream=True)
                    if answer is None:
                        return
                    writer.write(struct.pack(">H", len(answer)) + answer)
                    await writer.drain()
        except (asyncio.IncompleteReadError, OSError, TimeoutError):
            return  # it has hung up, or is too slow
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, question: bytes, client: str, *, over_stream: bool) -> bytes | None:
        """None: this is no question."""
        name = question_name(question)
        policy = self._policy_at(client)
        if name is None or policy is None:
            return None
        if not may_resolve(policy, name):
            return failure(question, _REFUSED)
        for server in servers():
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                async with asyncio.timeout(_TIMEOUT_S):
                    ask = self._ask_stream if over_stream else self._ask_datagram
                    answer = await ask(question, server)
                if is_opened(policy, name):
                    found, seconds = addresses(answer)
                    await self._open_addresses(policy, found, seconds)
                return answer
        return failure(question, _SERVER_FAILURE)

    async def _ask_datagram(self, question: bytes, server: str) -> bytes:
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as asking:
            asking.connect((server, 53))
            asking.send(question)
            while True:
                answer = await self._loop.sock_recv(asking, _MESSAGE_BYTES)
                if answer[:2] == question[:2] and question_name(answer, response=True) == question_name(question):
                    return answer

    async def _ask_stream(self, question: bytes, server: str) -> bytes:
        reader, writer = await asyncio.open_connection(server, 53)
        try:
            writer.write(struct.pack(">H", len(question)) + question)
            return await reader.readexactly(struct.unpack(">H", await reader.readexactly(2))[0])
        finally:
            writer.close()

    def _supervise(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        """The supervision point of questions: the sandbox asks again, or gives up."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a sandbox's question for a name could not be answered", exc_info=error)


def servers(resolv_conf: Path = _RESOLV_CONF) -> list[str]:
    """Those that the host asks. Its own stub (127.0.0.53) is asked as the host does: the question leaves from here."""
    try:
        lines = resolv_conf.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    found = [words[1] for line in lines if len(words := line.split()) > 1 and words[0] == "nameserver"]
    return found[:3] or ["127.0.0.1"]


def question_name(message: bytes, *, response: bool = False) -> str | None:
    """The name that a message asks for, in lower case; None if it is not a plain question with one name."""
    if len(message) < 12:
        return None
    flags, questions = struct.unpack_from(">HH", message, 2)
    if bool(flags & 0x8000) is not response or flags & 0x7800 or questions != 1:
        return None
    labels: list[str] = []
    at = 12
    while at < len(message):
        length = message[at]
        if length == 0:
            return ".".join(labels) if at + 5 <= len(message) else None
        if length > 63 or at + 1 + length > len(message):
            return None
        labels.append(message[at + 1 : at + 1 + length].decode("latin-1").lower())
        at += 1 + length
    return None


def failure(question: bytes, code: int) -> bytes:
    """An answer that says that there is none, and why."""
    end = 12
    while question[end]:
        end += 1 + question[end]
    flags = 0x8080 | (question[2] & 0x01) << 8 | code  # response, recursion available, and desired as it was
    return question[:2] + struct.pack(">5H", flags, 1, 0, 0, 0) + question[12 : end + 5]


def addresses(answer: bytes) -> tuple[list[str], int]:
    """The IPv4 addresses in an answer, and for how many seconds the first to expire holds; what is malformed is left
    out."""
    found: list[str] = []
    seconds = 86_400
    try:
        questions, answers = struct.unpack_from(">HH", answer, 4)
        at = 12
        for _ in range(questions):
            at = _after_name(answer, at) + 4
        for _ in range(answers):
            at = _after_name(answer, at)
            kind, _, lasts, length = struct.unpack_from(">HHIH", answer, at)
            at += 10
            if kind == _TYPE_A and length == 4 and at + 4 <= len(answer):
                found.append(str(ipaddress.IPv4Address(answer[at : at + 4])))
                seconds = min(seconds, lasts)
            at += length
    except (struct.error, IndexError):
        return found, min(seconds, 60)
    return found, seconds


def _after_name(message: bytes, at: int) -> int:
    while message[at]:
        if message[at] >= 0xC0:
            return at + 2
        at += 1 + message[at]
    return at + 1
