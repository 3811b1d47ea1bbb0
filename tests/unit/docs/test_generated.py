"""What is generated from the code is as the code would have it now; and the check that says so can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def check(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "scripts/docs_from_code"), "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_no_generated_page_is_stale(root: Path) -> None:
    result = check(root)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def copy(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages and their generator, somewhere else."""
    copy = tmp_path_factory.mktemp("repository")
    for name in ("docs", "scripts"):
        shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for page in root.glob("*.md"):
        shutil.copy(page, copy)
    return copy


def test_a_page_that_tells_something_else_than_the_code_is_found(copy: Path) -> None:
    page = copy / "docs/reference/settings.md"
    before = page.read_text()
    page.write_text(before.replace("`4566`", "`4567`"))
    result = check(copy)
    page.write_text(before)
    assert result.returncode == 1
    assert "stale: docs/reference/settings.md" in result.stdout


def test_a_block_that_no_page_shows_is_found(copy: Path) -> None:
    page = copy / "docs/reference/settings.md"
    before = page.read_text()
    page.write_text("nothing is generated here")
    result = check(copy)
    page.write_text(before)
    assert result.returncode == 1
    assert "shown nowhere: settings" in result.stdout
