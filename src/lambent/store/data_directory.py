"""The data directory: its layout, and the lock that gives it to one server.

DATA/lock           held while a server runs
DATA/credentials    the root access key (0600), in the format of ~/.aws/credentials
DATA/lambent.db     functions, roles, settings (SQLite)
DATA/queues.db      messages waiting in queues (SQLite)
DATA/code/          deployment packages and their trees, by content
DATA/logs/          log groups
DATA/metrics.db     metrics, and what was used (SQLite)
DATA/audit/         decisions of IAM policies, with --iam enforce
DATA/runtimes/      what `lambent runtimes install` fetched
DATA/tls/           certificates made by --tls auto; clients trust DATA/tls/ca.pem
DATA/sandbox/       what the running server holds on the host, for the next start to remove after a crash
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path


class DataDirectoryError(Exception):
    """The data directory cannot be used; the message says why."""


class DataDirectory:
    """A data directory, held by this process from `acquire` to `release`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock_fd: int | None = None

    @property
    def database(self) -> Path:
        return self.path / "lambent.db"

    @property
    def queues(self) -> Path:
        return self.path / "queues.db"

    @property
    def code(self) -> Path:
        return self.path / "code"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def audit(self) -> Path:
        return self.path / "audit"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.db"

    @property
    def credentials(self) -> Path:
        return self.path / "credentials"

    @property
    def tls(self) -> Path:
        return self.path / "tls"

    @property
    def sandbox(self) -> Path:
        return self.path / "sandbox"

    @property
    def instance_id(self) -> str:
        """8 hex digits that are always the same for this directory: what its leftovers are recognised by."""
        return hashlib.sha256(os.fsencode(self.path.resolve())).hexdigest()[:8]

    def acquire(self) -> None:
        """Make it and lock it. Raises DataDirectoryError when another server has it or it cannot be made."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataDirectoryError(f"the data directory {self.path} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            os.close(fd)
            raise DataDirectoryError(
                f"the data directory {self.path} is in use by another server (process {owner or 'unknown'}); "
                "stop it, or choose another directory with --data-dir"
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._lock_fd = fd

    def release(self) -> None:
        """Let another server have it. Idempotent."""
        if self._lock_fd is not None:
            fd, self._lock_fd = self._lock_fd, None
            os.close(fd)
