"""Making the archive of a directory, for `lambent deploy`: the same bytes for the same files, wherever and whenever."""

from __future__ import annotations

import errno
import io
import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lambent.model.limits import UNZIPPED_MAX_BYTES, ZIPPED_DIRECT_MAX_BYTES

# What no function needs and what would make archives differ. Dependencies (node_modules, vendored packages) stay.
SKIPPED: Final = frozenset(
    {
        "__pycache__", ".git", ".hg", ".svn", ".venv", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis",
        ".DS_Store", "node_modules/.cache",
    }
)  # fmt: skip

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the first moment a ZIP can hold
_LEVEL: Final = 6
_UNIX: Final = 3


class BuildError(Exception):
    """The directory cannot become a deployment package. The text says why, in words for its owner."""


def zip_directory(path: Path) -> bytes:
    """The deployment package of a directory's content.

    Files get mode 644 or, if anybody may execute them, 755, as AWS asks; symbolic links that stay inside are kept,
    others are followed. Raises BuildError (empty, too large, what cannot be packaged), OSError (unreadable).
    """
    made = io.BytesIO()
    unzipped = 0
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for name, source, link in _members(path):
            content, mode = _read(source, path, unzipped) if link is None else (link.encode(), stat.S_IFLNK | 0o777)
            unzipped += len(content)
            info = zipfile.ZipInfo(f"{name}/" if stat.S_ISDIR(mode) else name, _EPOCH)
            info.create_system = _UNIX
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED if content else zipfile.ZIP_STORED
            archive.writestr(info, content)
            if made.tell() > ZIPPED_DIRECT_MAX_BYTES:
                raise BuildError(f"{path}: Zipped size must be smaller than {ZIPPED_DIRECT_MAX_BYTES} bytes")
        if not archive.infolist():
            raise BuildError(f"{path} holds no files")
    if len(made.getbuffer()) > ZIPPED_DIRECT_MAX_BYTES:
        raise BuildError(f"{path}: Zipped size must be smaller than {ZIPPED_DIRECT_MAX_BYTES} bytes")
    return made.getvalue()


def _members(root: Path) -> Iterator[tuple[str, Path, str | None]]:
    """Name in the archive, place on disk and, for a link that is kept, its target; sorted by name."""
    if not root.is_dir():
        raise BuildError(f"{root} is not a directory")
    real_root = root.resolve()
    yield from _walk(real_root, real_root, "", (real_root,))


def _walk(root: Path, directory: Path, prefix: str, above: tuple[Path, ...]) -> Iterator[tuple[str, Path, str | None]]:
    for path in sorted(directory.iterdir(), key=lambda each: os.fsencode(each.name)):
        name = prefix + path.name
        if path.name in SKIPPED or any(name == skip or name.endswith(f"/{skip}") for skip in SKIPPED if "/" in skip):
            continue
        _check_name(path)
        real = _real(path)
        # Below a directory that was itself reached by following a link, a relative target would mean something else.
        if path.is_symlink() and real.is_relative_to(root) and directory.resolve() == directory:
            yield name, path, os.path.relpath(real, directory)
        elif real.is_dir():
            if real in above:
                raise BuildError(f"{path} leads back to a directory that holds it")
            yield name, path, None
            yield from _walk(root, path, f"{name}/", (*above, real))
        else:
            yield name, path, None


def _check_name(path: Path) -> None:
    try:
        path.name.encode()
    except UnicodeEncodeError as error:
        raise BuildError(f"The name of {os.fsencode(path)!r} is not UTF-8") from error


def _real(path: Path) -> Path:
    try:
        return path.resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise BuildError(f"{path} is a symbolic link to nothing") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise BuildError(f"{path} is a symbolic link to nothing") from error
        raise


def _read(source: Path, root: Path, so_far: int) -> tuple[bytes, int]:
    """Content and st_mode for the archive."""
    status = source.stat()
    if stat.S_ISDIR(status.st_mode):
        return b"", stat.S_IFDIR | 0o755
    if not stat.S_ISREG(status.st_mode):
        raise BuildError(f"{source} is a device, pipe or socket")
    if so_far + status.st_size > UNZIPPED_MAX_BYTES:  # before it is read
        raise BuildError(f"{root}: Unzipped size must be smaller than {UNZIPPED_MAX_BYTES} bytes")
    return source.read_bytes(), stat.S_IFREG | (0o755 if status.st_mode & 0o111 else 0o644)
