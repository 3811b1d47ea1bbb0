"""The documentation as files."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def pages(root: Path) -> list[Path]:
    """Every Markdown page that belongs to the project."""
    found = [*root.glob("*.md"), *(root / "docs").rglob("*.md"), *(root / "examples").rglob("*.md")]
    assert len(found) > 10
    return found
