"""Prepares what is mounted into environments: the guest, compiled, and prefixes for interpreters without their own.

Everything is made in a temporary directory and renamed, under a name that tells its content, so that what is there is
complete, is never changed, and may be mounted by running environments while a newer one is made.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import lambent.worker
from lambent.worker.runtimes.layout import RuntimesLayout
from lambent.worker.runtimes.probe import Interpreter
from lambent.worker.runtimes.staging import open_to_all

GUEST = Path(lambent.worker.__file__).parent / "guest"

# Hash-based and unchecked: the directory is read-only inside and its name tells its content.
_COMPILE = (
    "import sys, py_compile\n"
    "mode = py_compile.PycInvalidationMode.UNCHECKED_HASH\n"
    "for path in sys.argv[1:]: py_compile.compile(path, doraise=True, invalidation_mode=mode)\n"
)


def python_guest(layout: RuntimesLayout, interpreter: Interpreter) -> Path:
    """The directory for /var/runtime, with modules compiled by `interpreter`: compiling takes longer than starting."""
    source = GUEST / "python"
    name = f"{interpreter.tag}-{_digest(source, interpreter.version)}"

    def make(target: Path) -> None:
        _copy(source, target)
        modules = [str(path) for path in sorted(target.rglob("*.py"))]
        command = [str(interpreter.path), "-I", "-S", "-c", _COMPILE, *modules]
        subprocess.run(command, env={"PATH": "/usr/bin:/bin"}, check=True, capture_output=True, timeout=60)
        open_to_all(target)

    return _made_once(layout.guests / name, make)


def node_guest(layout: RuntimesLayout) -> Path:
    """The directory for /var/runtime of Node.js, with an empty node_modules to mount the SDK over."""
    source = GUEST / "node"

    def make(target: Path) -> None:
        _copy(source, target)
        (target / "node_modules").mkdir()
        open_to_all(target)

    return _made_once(layout.guests / f"nodejs-{_digest(source, '')}", make)


def empty_directory(layout: RuntimesLayout) -> Path:
    return _made_once(layout.empty, open_to_all)


def python_prefix(layout: RuntimesLayout, interpreter: Interpreter) -> Path:
    """A prefix for a Python that lives in /usr: links to its library, a place for the SDK, and an empty file to mount
    the binary over (Python finds its prefix from where its binary is)."""
    binary = interpreter.path.name

    def make(target: Path) -> None:
        library = target / "lib" / binary
        library.mkdir(parents=True)
        for entry in Path(interpreter.library).iterdir():
            if entry.name not in ("site-packages", "dist-packages", "__pycache__"):
                (library / entry.name).symlink_to(entry)
        (library / "site-packages").mkdir()
        for entry in Path(interpreter.prefix, "lib").glob(f"lib{binary}*.so*"):
            (target / "lib" / entry.name).symlink_to(entry)
        _add_binary(target, binary, ("python3", "python"))
        open_to_all(target)

    return _made_once(layout.prefixes / f"{binary}-{_binary_digest(interpreter)}", make)


def bare_prefix(
    layout: RuntimesLayout, interpreter: Interpreter, aliases: tuple[str, ...], libraries: tuple[str, ...]
) -> Path:
    """A prefix with an empty file to mount the binary over, links to that, and empty directories to mount `libraries`
    over."""
    binary = interpreter.path.name

    def make(target: Path) -> None:
        _add_binary(target, binary, aliases)
        for name in libraries:
            (target / name).mkdir()
        open_to_all(target)

    name = "-".join((binary, *libraries, _binary_digest(interpreter)))
    return _made_once(layout.prefixes / name, make)


def _add_binary(prefix: Path, name: str, aliases: tuple[str, ...]) -> None:
    directory = prefix / "bin"
    directory.mkdir()
    (directory / name).touch(mode=0o755)
    for alias in aliases:
        (directory / alias).symlink_to(name)


def _binary_digest(interpreter: Interpreter) -> str:
    status = interpreter.path.stat()
    text = f"{interpreter.path}\n{interpreter.version}\n{status.st_mtime_ns}\n{status.st_size}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _digest(source: Path, salt: str) -> str:
    digest = hashlib.sha256(salt.encode())
    for path in sorted(source.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(source)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _copy(source: Path, target: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source, target, ignore=ignored, dirs_exist_ok=True, copy_function=shutil.copyfile)


def _made_once(target: Path, make: Callable[[Path], None]) -> Path:
    """`target`, made by `make` if it is not there. Of several makers at once, one wins and the others use its work."""
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=target.parent) as temporary:
        made = Path(temporary) / target.name
        made.mkdir()
        make(made)
        try:
            made.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    return target
