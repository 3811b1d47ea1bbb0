"""Where runtimes are kept. Paths only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RuntimesLayout:
    """The runtimes directory (`DATA/runtimes`, or one that data directories share) and what is in it."""

    root: Path

    @property
    def probes(self) -> Path:
        """What interpreters answered, by path, mtime and size."""
        return self.root / "probes.json"

    @property
    def empty(self) -> Path:
        """An empty directory, mounted where nothing of the host's may be seen."""
        return self.root / "empty"

    @property
    def guests(self) -> Path:
        """What is mounted at /var/runtime, one directory per interpreter and version of the guest."""
        return self.root / "guest"

    @property
    def prefixes(self) -> Path:
        """Skeletons that make a system interpreter look like a prefix of its own at /var/lang."""
        return self.root / "prefix"

    @property
    def pythons(self) -> Path:
        """Interpreters installed by uv."""
        return self.root / "python"

    def site_packages(self, identifier: str) -> Path:
        """The SDK of a Python runtime."""
        return self.root / identifier / "site-packages"

    def node_prefix(self, identifier: str) -> Path:
        """An installed Node.js: bin/node."""
        return self.root / identifier / "node"

    def node_sdk(self, identifier: str) -> Path:
        """The SDK of a Node.js runtime: a link to a directory with node_modules, shared by runtimes."""
        return self.root / identifier / "sdk"

    @property
    def node_sdks(self) -> Path:
        """The directories `node_sdk` points into, by SDK version."""
        return self.root / "node-sdk"
