"""Listening sockets for the HTTP server. Knows nothing else of it."""

from __future__ import annotations

import socket

BACKLOG = 4_096


def bind_tcp(host: str, port: int) -> socket.socket:
    """A listening, non-blocking TCP socket; port 0 takes a free one. Raises OSError (address in use, no such host).

    `host` is an address or a name; a name takes its first address. IPv6 addresses listen for IPv6 only.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock
