"""Writing a planned tree to the disk. Blocking: runs on a thread.

The directory is new and the server's alone, the plan has no parent that is a link, and links are made last: no path
used here can lead outside. Nothing is synced (see `code_store`).
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path
from typing import Final

from lambent.packaging.tree_plan import TreePlan
from lambent.packaging.zip_format import BadZipError, Entry, contents

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# Names that are two to the plan can be one to a file system that ignores case; some allow only shorter ones.
_NAME_REFUSED: Final = (errno.EEXIST, errno.ENAMETOOLONG, errno.EILSEQ)


def write_tree(archive: bytes, plan: TreePlan, target: Path) -> None:
    """Make `target`, which must not exist, from the archive. Raises BadZipError, OSError; then it is there in part."""
    try:
        _write_tree(archive, plan, os.fspath(target))
    except OSError as error:
        if error.errno in _NAME_REFUSED:
            raise BadZipError(f"the file system refuses a name: {error}") from error
        raise


def _write_tree(archive: bytes, plan: TreePlan, root: str) -> None:
    for parts in plan.directories:
        os.mkdir(os.path.join(root, *parts), 0o700)  # noqa: PTH102, PTH118 - a tenth of pathlib's time
    for parts, (entry, mode) in plan.files.items():
        _write_file(archive, entry, mode, os.path.join(root, *parts))  # noqa: PTH118
    for parts, link in plan.links.items():
        os.symlink(link, os.path.join(root, *parts))  # noqa: PTH118, PTH211
    for parts, mode in plan.directories.items():
        os.chmod(os.path.join(root, *parts), mode)  # noqa: PTH101, PTH118


def _write_file(archive: bytes, entry: Entry, mode: int, path: str) -> None:
    descriptor = os.open(path, _CREATE, 0o600)
    try:
        for chunk in contents(archive, entry):
            write_all(descriptor, chunk)
        os.fchmod(descriptor, mode)  # not by open: the umask is somebody else's
        os.utime(descriptor, (entry.modified_s, entry.modified_s))
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """`write` until all is written. Raises OSError."""
    written = os.write(descriptor, data)
    while written < len(data):  # a signal, or the disk is filling up
        written += os.write(descriptor, memoryview(data)[written:])


def sync_tree(root: Path) -> None:
    """Make every file and directory of a tree survive a crash of the host. Raises OSError."""
    for directory, _, names in os.walk(root, topdown=False):
        for name in names:
            path = Path(directory, name)
            if stat.S_ISREG(path.lstat().st_mode):
                sync(path)
        sync(Path(directory))


def sync(path: Path) -> None:
    """`fsync` a file or directory."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(root: Path) -> None:
    """Remove a tree or file, absent is fine (its directories are always the owner's to change). Raises OSError."""
    if root.is_dir() and not root.is_symlink():
        shutil.rmtree(root)
    else:
        root.unlink(missing_ok=True)
