"""What tree an archive's entries make, decided before anything is written. Pure.

What AWS does with odd archives is mostly undocumented. The rules here:

- Names are relative, with `/`; `.` and empty parts are dropped; `..`, absolute names, NUL, parts over 255 bytes and
  over-deep paths are refused. A backslash or a drive letter is nothing special: it stays in the name, as on AWS, where
  archives made with them unpack to files with such names.
- Permission bits are kept, as AWS keeps them: a file without read permission for others cannot be read by the function
  ("permission denied" there too; AWS asks for 644 and 755, see "Permissions policies on Lambda deployment packages" in
  its Developer Guide). Beware of Python's `ZipFile.writestr` with a plain name: it writes 600. Entries without Unix
  modes (made on Windows) get 644 and 755, so nothing of theirs is executable. Set-uid, set-gid, sticky and write by
  group and others are dropped; the owner, who is the server and never the function, may always read.
- A name that occurs twice means its last entry (as for `unzip -o`; some build tools do write such archives). Nothing
  can be both a directory and something else.
- Symbolic links are kept if they are relative and lead, through any other links, to a place inside the tree.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from lambent.packaging.zip_format import ENTRIES_MAX, BadZipError, Entry

_PART_MAX_BYTES: Final = 255
_PATH_MAX_BYTES: Final = 3_000  # PATH_MAX is 4,096 and the tree has a place of its own
_DEPTH_MAX: Final = 100
_LINK_MAX_BYTES: Final = 4_095
_LINKS_FOLLOWED_MAX: Final = 40  # as Linux
_LINK_STEPS_MAX: Final = 1_000_000  # over all links: bounds the time a hostile archive can take

_FILE_MODE: Final = 0o644
_DIRECTORY_MODE: Final = 0o755
_KEPT_BITS: Final = 0o755

Path = tuple[str, ...]


@dataclass(slots=True)
class TreePlan:
    """Paths are tuples of parts relative to the tree; () is the tree itself. Parents come before their children."""

    directories: dict[Path, int] = field(default_factory=dict)  # → mode
    files: dict[Path, tuple[Entry, int]] = field(default_factory=dict)  # → content, mode
    links: dict[Path, str] = field(default_factory=dict)  # → target
    unzipped_size: int = 0  # bytes of all entries


def plan_tree(entries: Iterable[Entry], read: Callable[[Entry], bytes]) -> TreePlan:
    """The tree of these entries. `read` gives the content of a symbolic link. Raises BadZipError."""
    made = TreePlan(directories={(): _DIRECTORY_MODE})
    for entry in entries:
        made.unzipped_size += entry.size
        _place(made, entry, read)
        if len(made.directories) + len(made.files) + len(made.links) > ENTRIES_MAX:
            raise BadZipError(f"more than {ENTRIES_MAX} files and directories")
    steps = 0
    for path in made.links:
        steps += _check_link(made, path)
        if steps > _LINK_STEPS_MAX:
            raise BadZipError("too many symbolic links through symbolic links")
    return made


def _place(made: TreePlan, entry: Entry, read: Callable[[Entry], bytes]) -> None:
    path = _path(entry.name)
    mode = entry.mode or 0
    kind = stat.S_IFMT(mode)
    if entry.name.endswith("/") or kind == stat.S_IFDIR:
        if entry.size or kind not in (0, stat.S_IFDIR):
            raise BadZipError(f"{entry.name!r} is named as a directory and is none")
        _add_directory(made, path)
        if path:  # not the tree itself: "./" often has the mode of somebody's temporary directory
            made.directories[path] = mode & _KEPT_BITS | 0o700 if stat.S_IMODE(mode) else _DIRECTORY_MODE
        return
    if not path or path in made.directories:
        raise BadZipError(f"{entry.name!r} is also a directory")
    _add_directory(made, path[:-1])
    made.files.pop(path, None)
    made.links.pop(path, None)
    if kind == stat.S_IFLNK:
        made.links[path] = _link_target(entry, read)
    elif kind in (0, stat.S_IFREG):
        made.files[path] = (entry, mode & _KEPT_BITS | 0o400 if entry.mode else _FILE_MODE)
    else:
        raise BadZipError(f"{entry.name!r} is a device, pipe or socket")


def _path(name: str) -> Path:
    if name.startswith("/"):
        raise BadZipError(f"{name!r} is absolute")
    if not name or "\0" in name:
        raise BadZipError(f"{name!r} is no name")
    path = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in path:
        raise BadZipError(f"{name!r} leads out of the archive")
    if len(path) > _DEPTH_MAX or len(name.encode()) > _PATH_MAX_BYTES:
        raise BadZipError(f"{name[:80]!r}… is too long")
    if any(len(part.encode()) > _PART_MAX_BYTES for part in path):
        raise BadZipError(f"{name[:80]!r}… is too long")
    return path


def _add_directory(made: TreePlan, path: Path) -> None:
    missing = []
    while path not in made.directories:
        if path in made.files or path in made.links:
            raise BadZipError(f"{'/'.join(path)!r} is also a directory")
        missing.append(path)
        path = path[:-1]
    for each in reversed(missing):
        made.directories[each] = _DIRECTORY_MODE


def _link_target(entry: Entry, read: Callable[[Entry], bytes]) -> str:
    if not 0 < entry.size <= _LINK_MAX_BYTES:
        raise BadZipError(f"{entry.name!r} is a symbolic link of {entry.size} bytes")
    raw = read(entry)
    try:
        target = raw.decode()
    except UnicodeDecodeError as error:
        raise BadZipError(f"{entry.name!r} is a symbolic link to no UTF-8 path") from error
    if target.startswith("/") or "\0" in target:
        raise BadZipError(f"{entry.name!r} is a symbolic link to {target!r}")
    return target


def _check_link(made: TreePlan, link: Path) -> int:
    """Walk as the kernel would: `..` is the parent of where links have led so far. Returns the number of steps."""
    here: Path = link
    ahead: list[str] = []
    followed = steps = 0
    while True:
        if here in made.links:
            followed += 1
            if followed > _LINKS_FOLLOWED_MAX:
                raise BadZipError(f"{'/'.join(link)!r} is one of too many symbolic links")
            ahead += made.links[here].split("/")[::-1]
            here = here[:-1]
        if not ahead:
            return steps
        steps += 1
        part = ahead.pop()
        if part == "..":
            if not here:
                raise BadZipError(f"{'/'.join(link)!r} is a symbolic link out of the archive")
            here = here[:-1]
        elif part not in ("", "."):
            here = (*here, part)
