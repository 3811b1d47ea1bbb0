"""What of an interpreter's prefix is mounted at /var/lang: all of it only where nothing else can be in it.

A prefix that a version manager made is mounted whole. One of the system is in /usr, which is there already: a skeleton
of links stands for it. Any other may be shared with whatever somebody keeps there (~/.local, /opt): of that only the
binary and the libraries are mounted.
"""

from __future__ import annotations

from pathlib import Path

from lambent.worker.runtimes import guest_files
from lambent.worker.runtimes.layout import RuntimesLayout
from lambent.worker.runtimes.probe import Interpreter
from lambent.worker.sandbox.api import Bind

TARGET = "/var/lang"
_SYSTEM = ("/", "/usr", "/usr/local")
_LIBRARIES = ("lib", "lib64")


def of_python(layout: RuntimesLayout, interpreter: Interpreter, name: str, *, own: bool) -> tuple[Bind, ...]:
    """What to mount, in order; the first is the prefix. `name` of the binary, "python3.12"; `own`: nothing but the
    interpreter is in its prefix. May make files in `layout`."""
    prefix = Path(interpreter.prefix)
    if interpreter.prefix in _SYSTEM:
        skeleton = guest_files.python_prefix(layout, interpreter)
        return Bind(skeleton, TARGET), Bind(interpreter.path, f"{TARGET}/bin/{name}")
    if own:
        return (Bind(prefix, TARGET),)
    libraries = _libraries(prefix)
    skeleton = guest_files.bare_prefix(layout, interpreter, ("python3", "python"), libraries)
    return Bind(skeleton, TARGET), Bind(interpreter.path, f"{TARGET}/bin/{name}"), *_binds(prefix, libraries)


def of_node(layout: RuntimesLayout, interpreter: Interpreter, *, own: bool) -> tuple[Bind, ...]:
    """The same for Node.js, which needs libraries of its prefix only if it was linked against some."""
    prefix = interpreter.path.parent.parent
    if own and str(prefix) not in _SYSTEM:
        return (Bind(prefix, TARGET),)
    libraries: tuple[str, ...] = ()
    if str(prefix) not in _SYSTEM and any((prefix / "lib").glob("lib*.so*")):
        libraries = _libraries(prefix)
    skeleton = guest_files.bare_prefix(layout, interpreter, (), libraries)
    return Bind(skeleton, TARGET), Bind(interpreter.path, f"{TARGET}/bin/node"), *_binds(prefix, libraries)


def _libraries(prefix: Path) -> tuple[str, ...]:
    return tuple(name for name in _LIBRARIES if (prefix / name).is_dir() and not (prefix / name).is_symlink())


def _binds(prefix: Path, libraries: tuple[str, ...]) -> tuple[Bind, ...]:
    return tuple(Bind(prefix / name, f"{TARGET}/{name}") for name in libraries)
