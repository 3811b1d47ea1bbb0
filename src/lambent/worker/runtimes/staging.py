"""Installing so that what is there is complete: into a fresh directory, then one rename, under one lock.

A killed installation leaves a directory nobody looks at, which the next one removes. What is replaced stays on disk as
long as its name differs, because running environments may have it mounted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from lambent.worker.runtimes.layout import RuntimesLayout

Report = Callable[[str], None]

_PREFIX = ".new-"
_PATIENCE_S = 1800


class InstallError(Exception):
    """A runtime could not be installed; the message says what failed, for an operator."""


@contextlib.contextmanager
def exclusive(layout: RuntimesLayout) -> Iterator[None]:
    """One installation at a time per runtimes directory; remains of killed ones are removed."""
    layout.root.mkdir(parents=True, exist_ok=True)
    with (layout.root / ".install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for stale in layout.root.glob(f"{_PREFIX}*"):
            shutil.rmtree(stale, ignore_errors=True)
        yield


@contextlib.contextmanager
def fresh_directory(layout: RuntimesLayout) -> Iterator[Path]:
    """An empty directory on the file system of the runtimes, gone afterwards unless it was moved."""
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=layout.root))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def publish(made: Path, target: Path) -> None:
    """Move a finished directory to its place. If that is taken, its content is the same: names tell versions."""
    target.parent.mkdir(parents=True, exist_ok=True)
    open_to_all(made)
    if not target.is_dir():
        made.rename(target)


def point(link: Path, target: Path) -> None:
    """Make `link` lead to `target`, at once, whatever it was before."""
    link.parent.mkdir(parents=True, exist_ok=True)
    temporary = link.with_name(f"{_PREFIX}{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(os.path.relpath(target, link.parent))
    temporary.replace(link)


def open_to_all(directory: Path) -> None:
    """Environments run as another user, whatever the umask was."""
    for root, _, files in os.walk(directory):
        Path(root).chmod(0o755)
        for name in files:
            path = Path(root, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def run_tool(argv: Sequence[str], what: str, environ: Mapping[str, str]) -> str:
    """The tool's stdout; `InstallError` telling `what` failed and how the tool explained it."""
    try:
        done = subprocess.run(
            argv, env=dict(environ), capture_output=True, text=True, timeout=_PATIENCE_S, check=False, cwd="/"
        )
    except FileNotFoundError as error:
        raise InstallError(f"Could not {what}: {argv[0]} is not installed, or not on PATH.") from error
    except subprocess.TimeoutExpired as error:
        raise InstallError(f"Could not {what}: {argv[0]} did not finish in {_PATIENCE_S // 60} minutes.") from error
    if done.returncode != 0:
        explanation = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-8:])
        raise InstallError(
            f"Could not {what}: {Path(argv[0]).name} ended with status {done.returncode}:\n{explanation}"
        )
    return done.stdout
