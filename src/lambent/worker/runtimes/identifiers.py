"""The runtime identifiers that can be run here. Pure: no I/O.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Language = Literal["python", "nodejs", "provided"]


@dataclass(frozen=True, slots=True)
class RuntimeIdentifier:
    """A runtime by name. `version`: what an interpreter must begin with, e.g. (3, 12) or (22,); empty for provided."""

    name: str
    language: Language
    version: tuple[int, ...]

    @property
    def label(self) -> str:
        """As in INIT_START lines, without the runtime version: "python:3.12", "nodejs:22", "provided:al2023"."""
        if self.language == "provided":
            return f"provided:{self.name.partition('.')[2]}"
        return f"{self.language}:{'.'.join(map(str, self.version))}"


def _table() -> dict[str, RuntimeIdentifier]:
    known = [RuntimeIdentifier(f"python3.{minor}", "python", (3, minor)) for minor in range(8, 16)]
    known += [RuntimeIdentifier(f"nodejs{major}.x", "nodejs", (major,)) for major in (18, 20, 22, 24, 26)]
    known += [RuntimeIdentifier(name, "provided", ()) for name in ("provided.al2", "provided.al2023")]
    return {identifier.name: identifier for identifier in known}


KNOWN = _table()
