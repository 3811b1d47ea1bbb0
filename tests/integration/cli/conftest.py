"""`lambent` commands as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

LAMBENT = Path(sys.executable).parent / "lambent"
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a user who has no AWS keys and no settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LAMBENT_"))}
    return {**inherited, "HOME": str(tmp_path_factory.mktemp("home"))}


@pytest.fixture(scope="module")
def lambent(environ: Mapping[str, str]) -> Command:
    """Runs a command to its end."""

    def run(*arguments: str, input: str | None = None, **more: str) -> subprocess.CompletedProcess[str]:  # noqa: A002
        return subprocess.run(
            [LAMBENT, *arguments],
            input=input,
            env={**environ, **more},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def command_line() -> list[str]:
    """The program, for tests that start it themselves."""
    return [str(LAMBENT)]
