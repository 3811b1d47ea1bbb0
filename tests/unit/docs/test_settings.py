"""Every setting and every command is documented."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from lambent.cli.main import build_parser
from lambent.config import OPTIONS, Option


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_a_setting_is_documented_by_its_flag_variable_and_meaning(root: Path, option: Option) -> None:
    page = (root / "docs/reference/settings.md").read_text()
    (line,) = [line for line in page.splitlines() if line.startswith(f"| `--{option.name}` |")]
    assert f"`{option.variable}`" in line
    assert option.help in line


def test_every_command_has_a_section(root: Path) -> None:
    page = (root / "docs/reference/command-line.md").read_text()
    (commands,) = (a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    for name in commands.choices:
        assert f"### lambent {name}\n" in page
