"""Who is left behind when a program is started before it is known whose it is.

The program has given up all privileges, like any other; the attendant is the process that still may mount. Until it is
told the owner, it, the program and init are alone in the sandbox, and none of them has heard anything from outside.
Then it mounts what is the owner's, gives its own privileges up, tells the program its variables, and ends.

Standard library only, and little of it; valid for Python 3.8.
"""

from __future__ import annotations

import os
from _socket import socket

from lambent.worker.sandbox.linux import syscalls, wire

TYPE_CHECKING = False  # `typing` costs too much to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

PID = 3  # inside: init is 1, and the program has to be 2


def attend(ready: int, told: int, mount_tmp: Callable[[int], None], drop_privileges: Callable[[], None]) -> NoReturn:
    """`ready`: the socket to the server. `told`: where the program reads its variables. Raises `OSError`."""
    syscalls.set_process_title(b"lambent-attendant")
    channel = socket(fileno=ready)
    message, trees = wire.receive(channel)
    channel.detach()
    if message is None:
        os._exit(127)  # nobody wants this sandbox any more; the program finds an end of file, too
    fields: Any = message[1:]
    env, targets, tmp_bytes = fields
    for number, target in enumerate(targets):
        syscalls.attach_tree(trees[number], target)
    if tmp_bytes is not None:
        mount_tmp(tmp_bytes)
    drop_privileges()
    with open(told, "wb") as pipe:
        pipe.write(b"".join(name + b"=" + value + b"\0" for name, value in env.items()))
    os._exit(0)
