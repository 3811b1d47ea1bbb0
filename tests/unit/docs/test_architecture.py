"""ARCHITECTURE.md names the folders that exist, and the layers that are checked."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path


def test_its_table_has_every_folder_and_no_other(root: Path) -> None:
    named = set(re.findall(r"^\| `([a-z_]+)/` \|", (root / "ARCHITECTURE.md").read_text(), re.MULTILINE))
    source = root / "src/lambent"
    assert named == {path.parent.name for path in source.glob("*/__init__.py")}


def test_the_layers_are_those_of_the_contract(root: Path) -> None:
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    source = root / "src/lambent"
    # Some have their place there and do not exist yet.
    rows = [[name for name in re.findall(r"\w+", layer) if list(source.glob(f"{name}*"))] for layer in layers]
    block = (root / "ARCHITECTURE.md").read_text().split("```text\n")[2].split("```")[0]
    assert block.split("\n")[:-1] == [" · ".join(row) for row in rows if row]


def test_every_service_has_its_coverage(root: Path) -> None:
    services = {path.parent.name.rstrip("_") for path in (root / "src/lambent/services").glob("*/operations.py")}
    page = (root / "docs/reference/coverage.md").read_text()
    assert services == set(re.findall("begin generated: coverage of (.+?) -->", page))
