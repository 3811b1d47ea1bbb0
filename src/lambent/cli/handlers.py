"""Which handler and language does a deployment package have? Looks only where the answer is obvious. Pure.

Works on the names of the files at the top of the package and the text of a few of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

PYTHON_FILES: Final = ("lambda_function.py", "app.py", "handler.py", "main.py", "index.py", "function.py")
NODE_FILES: Final = tuple(
    f"{stem}.{suffix}" for stem in ("index", "app", "handler", "main", "function") for suffix in ("mjs", "js", "cjs")
)
NAMES: Final = ("lambda_handler", "handler", "main")

_PYTHON = r"^(?:async\s+)?def\s+{name}\s*\(|^{name}\s*="
_NODE = (
    r"^\s*export\s+(?:const|let|var|async\s+function|function)\s+{name}\b"
    r"|^\s*(?:module\.)?exports\.{name}\s*="
    r"|^\s*export\s*\{{[^}}]*\b{name}\b[^}}]*\}}"
)


@dataclass(frozen=True, slots=True)
class Guess:
    """`language` is "python", "nodejs" or "provided"; `handler` as the function's Handler."""

    language: str
    handler: str


def guess(names: Collection[str], read: Callable[[str], str]) -> Guess | None:
    """What the package looks like, or None when it is not obvious. A single source file at the top is obvious too."""
    if "bootstrap" in names:
        return Guess("provided", "bootstrap")
    for language, usual, suffixes, pattern in (
        ("python", PYTHON_FILES, (".py",), _PYTHON),
        ("nodejs", NODE_FILES, (".mjs", ".js", ".cjs"), _NODE),
    ):
        sources = sorted(name for name in names if name.endswith(suffixes) and "/" not in name)
        candidates = [name for name in usual if name in names] + (sources if len(sources) == 1 else [])
        for file in candidates:
            text = read(file)
            for name in NAMES:
                if re.search(pattern.format(name=name), text, re.MULTILINE):
                    return Guess(language, f"{file.rsplit('.', 1)[0]}.{name}")
    return None
