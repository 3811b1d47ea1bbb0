"""Fill the generated parts of the documentation from the code.

A generated part lies between two comments, in any Markdown file; the text around it is written by hand:

    <!-- begin generated: NAME -->
    <!-- end generated -->

`BLOCKS` maps each NAME to what makes its text. A name that no block has, or a block that no page shows, is an error.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import commands
import environment
import lifecycles
import support_tables

ROOT = Path(__file__).resolve().parents[2]
BLOCKS: Mapping[str, Callable[[], str]] = {
    **commands.BLOCKS,
    **environment.BLOCKS,
    **lifecycles.BLOCKS,
    **support_tables.BLOCKS,
}
_BLOCK = re.compile(r"(<!-- begin generated: (.+?) -->\n)(.*?)(<!-- end generated -->)", re.DOTALL)


def pages() -> list[Path]:
    """Every Markdown file that may hold generated parts."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def filled(text: str, used: set[str]) -> str:
    """The page with its generated parts as the code would have them now. Raises KeyError for an unknown name."""

    def fill(found: re.Match[str]) -> str:
        name = found[2]
        used.add(name)
        return f"{found[1]}{BLOCKS[name]().strip()}\n{found[4]}"

    return _BLOCK.sub(fill, text)


def main() -> int:
    """Exit status 0, or 1 when `--check` found a stale page or a block is shown nowhere."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a page is stale")
    options = parser.parse_args()
    used: set[str] = set()
    stale = []
    for page in pages():
        before = page.read_text()
        after = filled(before, used)
        if after != before:
            stale.append(page)
            if not options.check:
                page.write_text(after)
    for page in stale:
        print(f"{'stale' if options.check else 'written'}: {page.relative_to(ROOT)}")
    for name in sorted(set(BLOCKS) - used):
        print(f"shown nowhere: {name}")
    if options.check and stale:
        print("Run scripts/generate-docs and commit what it writes.")
    return 1 if set(BLOCKS) - used or (options.check and stale) else 0


if __name__ == "__main__":
    sys.exit(main())
