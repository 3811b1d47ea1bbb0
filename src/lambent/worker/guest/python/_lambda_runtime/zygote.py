"""A bootstrap that is started ahead, without a function, and forked into environments (a zygote).

It loads what environments need, sees to it that nothing of that can be told from the outside (see `shelf`), and hands
itself over to the fork server its variable names. What that returns from is a new environment: a process that has all
namespaces, limits and descriptors of its own, and goes on as if it had just been executed.

Nothing of a function is known here before the fork: no variables, no code.
"""

import gc
import importlib
import os
import sys
import time
from _signal import SIG_IGN, SIGINT, SIGPIPE, SIGXFSZ, default_int_handler, signal

from _lambda_runtime import shelf

VARIABLE = "_LAMBENT_ZYGOTE"


def become_environment(loaded):
    """Returns in a new environment. `loaded`: the modules that an executed bootstrap would have loaded by now."""
    directory, name, argument = os.environ.pop(VARIABLE).split(" ")
    sys.path.append(directory)
    fork_server = importlib.import_module(name)
    sys.path.remove(directory)
    sys.path_importer_cache.pop(directory, None)
    import site  # noqa: F401 - `search_path` does it, in each environment

    loaded.update(name for name in ("site", "_sitebuiltins") if name in sys.modules)
    blank = shelf.blank_modules()
    with fork_server.memory.Apart():
        shelf.fill(loaded, ("lambent", "_lambda_runtime"), blank)
    blank.clear()
    fork_server.memory.keep(become_environment, fork_server, loaded)
    gc.disable()  # a collection would touch, and so copy, every page that environments share with us
    gc.freeze()
    environ = fork_server.serve_zygote(argument)
    if environ is None:
        sys.exit(0)
    _start_anew(environ)


def _start_anew(environ):
    """What is set when an interpreter starts, and is not reset by the interpreter itself when it is forked."""
    gc.enable()
    coerced = os.environb.get(b"LC_CTYPE")  # set by the interpreter when the host has not got the locale of LANG
    if coerced is not None:
        environ.setdefault(b"LC_CTYPE", coerced)
    _set_environ(environ)
    time.tzset()
    signal(SIGINT, default_int_handler)
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    _restart_clocks()


def _set_environ(environ):
    """As if by `os.environ`, whose methods do it one by one, and slower."""
    data = os.environ._data
    for name in data:
        os.unsetenv(name)
    data.clear()
    for name, value in environ.items():
        os.putenv(name, value)
    data.update(environ)


def _restart_clocks():
    logging = sys.modules["logging"]
    logging._startTime = time.time_ns() if isinstance(logging._startTime, int) else time.time()
