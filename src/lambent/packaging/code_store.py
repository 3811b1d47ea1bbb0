"""`CodeStore`: archives and their trees on disk, by content, through crashes. May import `model` and this folder.

    ROOT/archives/DIGEST.zip   the archive as it was uploaded; synced before `add_zip` returns
    ROOT/trees/DIGEST/         what it unpacks to
    ROOT/synced/DIGEST         empty; says that the tree was synced too
    ROOT/merged/NAME/          what several layers make together, for as long as this process runs (see `layers`)
    ROOT/incoming/             what is being made or removed; emptied at start

A record that refers to a digest is written after `add_zip` returned, so what it needs must be durable by then, at the
least cost. A tree of n files needs n+ syncs, its archive one: so only the archive is synced, and the tree, complete in
the page cache and so safe from a crash of this process, can be made again from it after a crash of the host. Trees are
synced later, in `collect`, `close` and `start`; whatever `start` finds without its mark in `synced/` was perhaps not
written by the kernel in time, and is made anew. A mark that is lost costs time, never correctness.

Everything appears under its final name by a rename, so it is there whole or not at all; but for the crash of the host
before `add_zip` returned, which may leave an archive that is not whole. Its digest tells, and nothing refers to it.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import itertools
import logging
import os
import re
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lambent.model.errors import InvalidParameterValueException, request_entity_too_large
from lambent.model.limits import UNZIPPED_MAX_BYTES, ZIPPED_DIRECT_MAX_BYTES
from lambent.packaging.extract import remove_tree, sync, sync_tree, write_all, write_tree
from lambent.packaging.layers import merged_name, write_merged
from lambent.packaging.tree_plan import TreePlan, plan_tree
from lambent.packaging.zip_format import BadZipError, contents, read_entries

logger = logging.getLogger(__name__)

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_HASHED_INLINE_BYTES: Final = 64 * 1024  # less than 0.1 ms, as long as a thread takes to start
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
_PENDING_GRACE_S: Final = 60.0


class CodeStorageFullError(Exception):
    """The disk is full; nothing of the archive was kept."""


@dataclass(frozen=True, slots=True)
class StoredPackage:
    """What is known of a deployment package."""

    code_sha256: str  # base64, AWS's `CodeSha256`
    digest: str  # the same in hex: its name here
    code_size: int  # bytes of the archive, AWS's `CodeSize`
    unzipped_size: int  # bytes


class CodeStore:
    """Deployment packages under `root`. One process at a time, one event loop; call `start` first and `close` last."""

    def __init__(
        self, root: Path, *, pending_grace_s: float = _PENDING_GRACE_S, unzipped_max_bytes: int = UNZIPPED_MAX_BYTES
    ) -> None:
        """`pending_grace_s`: how long, in real seconds after `add_zip`, `collect` spares a package that nothing
        refers to yet, because its function is being written. `unzipped_max_bytes`: of one package that is added."""
        self._unzipped_max_bytes = unzipped_max_bytes
        self._root = root
        self._archives = root / "archives"
        self._trees = root / "trees"
        self._synced = root / "synced"
        self._merged = root / "merged"
        self._incoming = root / "incoming"
        self._pending_grace_s = pending_grace_s
        self._names = itertools.count()
        self._adding: dict[str, asyncio.Future[StoredPackage]] = {}
        self._merging: dict[str, asyncio.Future[None]] = {}
        self._added_at: dict[str, float] = {}
        self._unsynced: set[str] = set()
        self._syncing = asyncio.Lock()

    async def start(self) -> None:
        """Make the directories, remove what a crash left half-made, make anew the trees it may have damaged."""
        await asyncio.to_thread(self._recover)
        await self._sync_trees()

    async def close(self) -> None:
        """Finish what is being added and sync the trees, so that the next start has nothing to make anew."""
        await asyncio.gather(*self._adding.values(), *self._merging.values(), return_exceptions=True)
        await self._sync_trees()

    async def add_zip(self, archive: bytes, *, max_bytes: int = ZIPPED_DIRECT_MAX_BYTES) -> StoredPackage:
        """Store a package; when this returns, its archive survives a crash and its tree is there.

        `max_bytes`: how large the archive itself may be (one that came through S3 may be larger). Raises
        InvalidParameterValueException and RequestEntityTooLargeException in AWS's words, CodeStorageFullError. A
        caller cancelled meanwhile leaves the package to be collected.
        """
        if len(archive) > max_bytes:
            raise request_entity_too_large(f"Zipped size must be smaller than {max_bytes} bytes")
        if len(archive) <= _HASHED_INLINE_BYTES:
            digest = _digest(archive)
        else:
            digest = await asyncio.to_thread(_digest, archive)
        adding = self._adding.get(digest)
        if adding is None:  # else the same content is being added already: share it
            adding = asyncio.ensure_future(asyncio.to_thread(self._add, archive, digest))
            self._adding[digest] = adding
            adding.add_done_callback(lambda done: self._added(digest, done))
        return await asyncio.shield(adding)

    def tree(self, digest: str) -> Path:
        """The directory of a stored package's files. Treat it as read-only; ValueError if this is no digest."""
        return self._trees / _checked(digest)

    async def merged(self, digests: Sequence[str]) -> Path:
        """The directory of what these layers, stored packages all, make together, extracted in this order.

        Made when it is first asked for. Read-only, as `tree`. Raises OSError, CodeStorageFullError, ValueError (no
        digests).
        """
        trees = [self.tree(digest) for digest in digests]
        if not trees:
            raise ValueError("No layers to merge")
        if len(trees) == 1:
            return trees[0]
        name = merged_name(digests)
        self._added_at[name] = time.monotonic()
        target = self._merged / name
        if not target.exists():
            merging = self._merging.get(name)
            if merging is None:
                merging = asyncio.ensure_future(asyncio.to_thread(self._merge, trees, target))
                self._merging[name] = merging
                merging.add_done_callback(lambda done: self._was_merged(name, done))
            await asyncio.shield(merging)
        return target

    def archive(self, digest: str) -> Path:
        """The archive of a stored package, byte for byte as uploaded. ValueError if this is no digest."""
        return self._archives / f"{_checked(digest)}.zip"

    async def collect(self, in_use: Collection[str]) -> list[str]:
        """Remove all packages but these, those being added and those added a moment ago; returns what was removed.

        `in_use` must also name the packages of environments that still run, and merged trees by their name (see
        `layers.digests_needed`). Takes as long as removing and syncing trees does: not for a request to wait for.
        """
        removed = []
        async with self._syncing:
            # Without an await from here on, so that nobody adds one of them in between; only the renames are done.
            spared = self._spared().union(in_use)
            for digest in self._stored() - spared:
                self._discard(digest)
                removed.append(digest)
            for path in [path for path in self._merged.iterdir() if path.name not in spared]:
                path.rename(self._removed_name())
        await asyncio.to_thread(self._empty_incoming, "removed-*")
        await self._sync_trees()
        return sorted(removed)

    def _added(self, digest: str, done: asyncio.Future[StoredPackage]) -> None:
        del self._adding[digest]
        if not done.cancelled() and done.exception() is None:
            self._added_at[digest] = time.monotonic()

    def _was_merged(self, name: str, done: asyncio.Future[None]) -> None:
        del self._merging[name]
        if not done.cancelled() and (error := done.exception()) is not None:
            logger.warning("layers cannot be merged", extra={"merged": name, "reason": str(error)})

    def _spared(self) -> set[str]:
        now = time.monotonic()
        self._added_at = {
            digest: added for digest, added in self._added_at.items() if added + self._pending_grace_s > now
        }
        return {*self._adding, *self._merging, *self._added_at}

    def _stored(self) -> set[str]:
        return {path.stem for path in self._archives.iterdir() if _DIGEST.fullmatch(path.stem)}

    def _discard(self, digest: str) -> None:
        """In an order that `start` can finish: a tree without an archive is removed there."""
        (self._synced / digest).unlink(missing_ok=True)
        self.archive(digest).unlink(missing_ok=True)
        self._unsynced.discard(digest)
        if self.tree(digest).exists():
            self.tree(digest).rename(self._removed_name())

    def _removed_name(self) -> Path:
        return self._incoming / f"removed-{next(self._names)}"

    # Below: on threads.

    def _add(self, archive: bytes, digest: str) -> StoredPackage:
        plan = _plan(archive, digest, self._unzipped_max_bytes)
        try:
            if not (self.archive(digest).exists() and self.tree(digest).exists()):
                self._make(archive, digest, plan)
        except BadZipError as error:
            raise _refused(error, digest) from error
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise CodeStorageFullError(f"Cannot store code in {self._root}: {error.strerror}") from error
            raise
        sha256 = base64.b64encode(bytes.fromhex(digest)).decode()
        return StoredPackage(sha256, digest, len(archive), plan.unzipped_size)

    def _make(self, archive: bytes, digest: str, plan: TreePlan) -> None:
        work = self._incoming / f"adding-{next(self._names)}"
        work.mkdir(0o700)
        undo = not self.archive(digest).exists()  # else only its tree was missing: records refer to it
        try:
            write_tree(archive, plan, work / "tree")
            self._keep_archive(archive, digest, work / "archive")
            self._replace_tree(work / "tree", digest)
        except BaseException:
            if undo:
                self.archive(digest).unlink(missing_ok=True)
            raise
        finally:
            remove_tree(work)

    def _merge(self, trees: Sequence[Path], target: Path) -> None:
        work = self._incoming / f"merging-{next(self._names)}"
        try:
            write_merged(trees, work)
            work.rename(target)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise CodeStorageFullError(f"Cannot merge layers in {self._root}: {error.strerror}") from error
            raise
        finally:
            remove_tree(work)

    def _keep_archive(self, archive: bytes, digest: str, new: Path) -> None:
        with new.open("xb", buffering=0) as file:
            write_all(file.fileno(), archive)
            # Renamed before it is synced: one journal commit carries both, the directory's own is then for free.
            new.rename(self.archive(digest))
            os.fsync(file.fileno())
        sync(self._archives)

    def _replace_tree(self, made: Path, digest: str) -> None:
        (self._synced / digest).unlink(missing_ok=True)
        remove_tree(self.tree(digest))
        made.rename(self.tree(digest))
        self._unsynced.add(digest)

    def _recover(self) -> None:
        # Environments reach their tree by its name, from other uids; nobody else may list or read archives.
        for directory, mode in (
            (self._root, 0o711),
            (self._trees, 0o711),
            (self._archives, 0o700),
            (self._synced, 0o700),
            (self._merged, 0o711),
            (self._incoming, 0o700),
        ):
            directory.mkdir(parents=True, exist_ok=True)
            directory.chmod(mode)
        sync(self._root)
        sync(self._root.parent)
        self._empty_incoming("*")
        # Never synced, and perhaps of trees that are made anew below. The first `collect` removes them.
        for path in self._merged.iterdir():
            path.rename(self._removed_name())
        stored = self._stored()
        for path in (*self._trees.iterdir(), *self._synced.iterdir()):
            if path.name not in stored:
                remove_tree(path)
        for digest in sorted(stored):
            if not ((self._synced / digest).exists() and self.tree(digest).is_dir()):
                self._make_anew(digest)

    def _make_anew(self, digest: str) -> None:
        """One package that cannot be made must not keep the others from working: its functions fail, the log
        says why. A later `add_zip` of the same archive repairs it."""
        work = self._incoming / f"again-{next(self._names)}"
        try:
            archive = self.archive(digest).read_bytes()
            if _digest(archive) != digest:
                raise BadZipError("the archive on disk is damaged")
            write_tree(archive, _plan(archive, digest, None), work)  # it was not too large when it was added
            self._replace_tree(work, digest)
        except (BadZipError, InvalidParameterValueException, OSError) as error:
            logger.exception("deployment package cannot be unpacked", extra={"digest": digest, "reason": str(error)})
            remove_tree(work)
            remove_tree(self.tree(digest))

    def _empty_incoming(self, pattern: str) -> None:
        for path in self._incoming.glob(pattern):
            remove_tree(path)

    async def _sync_trees(self) -> None:
        async with self._syncing:
            while self._unsynced:
                digest = self._unsynced.pop()
                await asyncio.to_thread(self._sync_tree, digest)

    def _sync_tree(self, digest: str) -> None:
        try:
            sync_tree(self.tree(digest))
            sync(self._trees)
            (self._synced / digest).touch(mode=0o600)
        except OSError as error:
            logger.warning("tree cannot be synced", extra={"digest": digest, "reason": str(error)})


def _plan(archive: bytes, digest: str, max_bytes: int | None) -> TreePlan:
    """What the archive unpacks to, at most `max_bytes`. Raises InvalidParameterValueException."""
    try:
        entries = read_entries(archive) if archive else []
        if not entries:
            raise InvalidParameterValueException("Uploaded file must be a non-empty zip")
        if max_bytes is not None and sum(entry.size for entry in entries) > max_bytes:
            raise InvalidParameterValueException(f"Unzipped size must be smaller than {max_bytes} bytes")
        return plan_tree(entries, lambda entry: b"".join(contents(archive, entry)))
    except BadZipError as error:
        raise _refused(error, digest) from error


def _refused(error: BadZipError, digest: str) -> InvalidParameterValueException:
    logger.info("deployment package refused", extra={"digest": digest, "reason": str(error)})
    return InvalidParameterValueException(
        "Could not unzip uploaded file. Please check your file, then try to upload again."
    )


def _digest(archive: bytes) -> str:
    return hashlib.sha256(archive).hexdigest()


def _checked(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is not a SHA-256 digest")
    return digest
