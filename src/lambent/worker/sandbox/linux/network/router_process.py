"""The router of an ordinary user's sandboxes: a fork of the base, which is root where network namespaces are made.

It does what the server asks for, one thing after the other, until its socket ends. Standard library only.

server → router         (number, call, …)                        with descriptors
router → server         ("done", number)                         with descriptors
                        ("failed", number, errno, words, about)
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

from lambent.worker.sandbox.api import NetworkPolicy
from lambent.worker.sandbox.linux import syscalls, wire
from lambent.worker.sandbox.linux.network.router import Router


def run(control_fd: int) -> None:
    """Serve until the server closes the socket or dies."""
    syscalls.set_process_title(b"lambent-router")
    control = socket.socket(fileno=control_fd)
    router = Router()
    while True:
        try:
            message, descriptors = wire.receive(control)
        except ConnectionResetError:
            message = None
        if message is None:
            return
        fields: Any = message
        number, call, *arguments = fields
        answer: tuple[object, ...] = ("done", number)
        with contextlib.ExitStack() as sent:
            results: tuple[int, ...] = ()
            try:
                results = _call(router, call, arguments, descriptors, sent)
            except OSError as error:
                answer = ("failed", number, error.errno, error.strerror or str(error), error.filename)
            try:
                wire.send(control, answer, results)
            except (BrokenPipeError, ConnectionResetError):
                return


def _call(
    router: Router, call: str, arguments: list[Any], descriptors: tuple[int, ...], sent: contextlib.ExitStack
) -> tuple[int, ...]:
    """Do it; the descriptors to answer with, that `sent` closes as far as they are not the router's."""
    match call:
        case "make":
            namespace, datagrams, streams = router.make()
            users = os.open("/proc/self/ns/user", os.O_RDONLY | os.O_CLOEXEC)
            sent.callback(os.close, users)
            return namespace, users, datagrams.fileno(), streams.fileno()
        case "take_over":
            router.take_over(descriptors[0])
        case "make_namespace":
            index, policy, number = arguments
            made = router.make_namespace(index, NetworkPolicy(*policy), number)
            sent.callback(os.close, made)
            return (made,)
        case "open_addresses":
            index, policy, addresses, seconds = arguments
            router.open_addresses(index, NetworkPolicy(*policy), addresses, seconds)
        case "close_to":
            router.close_to(*arguments)
        case _:
            raise AssertionError(f"unknown call {call!r} of a router")
    return ()
