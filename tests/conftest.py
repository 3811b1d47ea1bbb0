"""What holds for all tests: where installed runtimes are, and who may run which."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_INSTALLED = Path(__file__).parents[1] / ".runtimes"  # made by scripts/test-runtimes

if _INSTALLED.is_dir():
    os.environ.setdefault("LAMBENT_RUNTIMES_DIR", str(_INSTALLED))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    reason = pytest.mark.skip(reason="needs root: sandboxes are made of namespaces, mounts and cgroups")
    for item in items:
        if item.get_closest_marker("root") is not None:
            item.add_marker(reason)
