"""A socket made inside a network namespace and served from outside it, as sandboxes hand out theirs."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest

from lambent.http.messages import Exchange, RequestHead, Response
from lambent.http.server import HttpServer

# Runs alone in a new network namespace: brings lo up, hands its listener out, and asks itself over it.
INSIDE = """
import fcntl, http.client, socket, struct, sys
out = socket.socket(fileno=int(sys.argv[1]))
listener = socket.socket()
fcntl.ioctl(listener, 0x8914, struct.pack("16sh14x", b"lo", 1 | 64))  # SIOCSIFFLAGS: up, running
listener.bind(("127.0.0.1", 9001))
listener.listen()
socket.send_fds(out, [b"x"], [listener.fileno()])
listener.close()
client = http.client.HTTPConnection("127.0.0.1", 9001, timeout=10)
for body in (b"first", b"second"):
    client.request("POST", "/echo", body)
    print(client.getresponse().read().decode())
"""


class Policy:
    def body_limit(self, head: RequestHead) -> int:
        return 1_000

    def too_large(self, head: RequestHead, limit: int) -> Response:
        return Response(413)

    def malformed(self, status: int, reason: str) -> Response:
        return Response(status)


def echo(exchange: Exchange) -> None:
    exchange.respond(Response(200, body=exchange.request.body))


@pytest.mark.root
async def test_a_socket_out_of_a_network_namespace() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = await asyncio.create_subprocess_exec(
            "unshare", "--net", sys.executable, "-c", INSIDE, str(theirs.fileno()),
            stdout=asyncio.subprocess.PIPE, pass_fds=[theirs.fileno()],
        )  # fmt: skip
        _, (descriptor,), _, _ = await asyncio.to_thread(socket.recv_fds, ours, 1, 1)
        server = HttpServer(echo, Policy(), name="inner")
        await server.start(socket.socket(fileno=descriptor))
        output, _ = await process.communicate()
        await server.close(1)
    assert process.returncode == 0
    assert output.split() == [b"first", b"second"]
