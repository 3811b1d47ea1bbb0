"""What the file system itself objects to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lambent.packaging.extract import write_tree
from lambent.packaging.tree_plan import plan_tree
from lambent.packaging.zip_format import BadZipError, read_entries


def test_names_that_are_one_to_the_file_system_are_the_archives_fault(
    tmp_path: Path, member: Any, assemble: Callable[..., bytes]
) -> None:
    """As on a file system that ignores case: the second name is there already."""
    archive = assemble(member(b"a", b"x"), member(b"d/b", b"y"))
    plan = plan_tree(read_entries(archive), lambda _: b"")
    plan.directories.pop(())
    for taken in ("a", "d"):
        target = tmp_path / f"with {taken}"
        target.mkdir()
        (target / taken).write_text("another")
        with pytest.raises(BadZipError, match="refuses a name"):
            write_tree(archive, plan, target)
        assert (target / taken).read_text() == "another"


def test_other_trouble_is_not_the_archives_fault(tmp_path: Path, member: Any, assemble: Callable[..., bytes]) -> None:
    archive = assemble(member(b"a", b"x"))
    plan = plan_tree(read_entries(archive), lambda _: b"")
    with pytest.raises(FileNotFoundError):
        write_tree(archive, plan, tmp_path / "no" / "such")
