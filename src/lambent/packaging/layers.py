"""The one tree at /opt that a function's layers make: what is in it (pure), and making it on disk (blocking).

https://docs.aws.amazon.com/lambda/latest/dg/chapter-layers.html: layers are extracted one after the other into /opt. So
directories of the same name are one directory; anything else of a later layer takes the place of what an earlier one
has there, whatever it is.

Files of the merged tree are hard links to those of the layers' own trees: a merge costs some microseconds per file and
no room for content, and environments share the page cache, however the layers are combined.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Final

# The file is linked too often already, or this file system has no links (for us): then its content is copied.
_CANNOT_LINK: Final = (errno.EMLINK, errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP)


@dataclass(frozen=True, slots=True)
class File:
    """A file or symbolic link; `source` is where its layer has it."""

    source: str
    is_link: bool = False


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory with its permission bits."""

    mode: int
    children: Mapping[str, Node]


Node = File | Directory


def merge(trees: Iterable[Directory]) -> Directory:
    """What is there after these trees were extracted, in order, into one place."""
    return reduce(_merged, trees)


def merged_name(digests: Sequence[str]) -> str:
    """The name of the tree that layers with these digests make, in this order: the digest itself if it is one."""
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def digests_needed(code_digest: str, layer_digests: Sequence[str]) -> set[str]:
    """All that the code store must keep for a function with this code (none: empty) and these layers."""
    needed = {code_digest, *layer_digests} - {""}
    return needed | {merged_name(layer_digests)} if layer_digests else needed


def write_merged(roots: Sequence[Path], target: Path) -> None:
    """Make `target`, which must not exist, from the trees at `roots`. Raises OSError; then it is there in part."""
    _write(merge(_read(os.fspath(root)) for root in roots), os.fspath(target))


def _merged(lower: Directory, upper: Directory) -> Directory:
    children = dict(lower.children)
    for name, node in upper.children.items():
        below = children.get(name)
        if isinstance(below, Directory) and isinstance(node, Directory):
            children[name] = _merged(below, node)
        else:
            children[name] = node
    return Directory(upper.mode, children)


def _read(root: str) -> Directory:
    children: dict[str, Node] = {}
    with os.scandir(root) as entries:
        for entry in entries:
            is_directory = entry.is_dir(follow_symlinks=False)
            children[entry.name] = _read(entry.path) if is_directory else File(entry.path, entry.is_symlink())
    return Directory(stat.S_IMODE(os.stat(root).st_mode), children)  # noqa: PTH116 - as in `extract`


def _write(tree: Directory, target: str) -> None:
    os.mkdir(target, 0o700)  # noqa: PTH102 - as in `extract`
    for name, node in tree.children.items():
        path = os.path.join(target, name)  # noqa: PTH118
        if isinstance(node, Directory):
            _write(node, path)
        elif node.is_link:
            os.symlink(os.readlink(node.source), path)  # noqa: PTH115, PTH211
        else:
            _link(node.source, path)
    os.chmod(target, tree.mode)  # noqa: PTH101


def _link(source: str, path: str) -> None:
    try:
        os.link(source, path)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        shutil.copy2(source, path)
