"""The tutorial is true: its commands, run as it says, print what it says.

Read from `docs/tutorial/first-function.md`: Python blocks are `hello/app.py`, console blocks are commands and what they
print. Ids, times and measurements may differ, and the Python is the one of these tests.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

_PAGE = Path(__file__).parents[3] / "docs/tutorial/first-function.md"
_BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_RUNTIME = "python{}.{}".format(*sys.version_info)
_VARYING = (
    ("\u00a0", " "),  # the indentation of tracebacks in logs
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    (r"\d+(\.\d+)? (ms|KB)", r"N \2"),
    (r"Max Memory Used: \d+", "Max Memory Used: N"),
    (r'"milliseconds left": \d+', '"milliseconds left": N'),
    (r"127\.0\.0\.1:\d+", "ENDPOINT"),
)


def sections() -> dict[int, str]:
    """The numbered sections of the page."""
    _, *parts = re.split(r"^## (\d)\. .*$", _PAGE.read_text().replace("python3.12", _RUNTIME), flags=re.MULTILINE)
    return {int(number): text.split("\n## ")[0] for number, text in zip(parts[::2], parts[1::2], strict=True)}


def commands(block: str) -> Iterator[tuple[str, str]]:
    """A console block as commands and their output."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def comparable(output: str) -> str:
    """Without what differs from run to run."""
    for pattern, instead in _VARYING:
        output = re.sub(pattern, instead, output)
    return output.strip()


class Reader:
    """Somebody who does what the tutorial says, in a directory and a shell of their own."""

    def __init__(self, directory: Path, server: RunningServer) -> None:
        self._directory = directory
        self._server = server
        self._environ = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(directory),
            "LAMBENT_ENDPOINT_URL": server.url,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        (directory / "hello").mkdir()

    def follow(self, text: str) -> int:
        """Do what a section says; the number of commands run."""
        done = 0
        for kind, block in _BLOCK.findall(text):
            if kind == "python":
                (self._directory / "hello/app.py").write_text(block)
                continue
            for command, output in commands(block):
                assert comparable(self._run(command)) == comparable(output), command
                done += 1
        return done

    def _run(self, command: str) -> str:
        if command.startswith("export "):
            self._environ |= dict(pair.split("=", 1) for pair in command.removeprefix("export ").split())
            self._environ["AWS_ENDPOINT_URL"] = self._server.url
            return ""
        result = subprocess.run(
            ["bash", "-c", command],
            cwd=self._directory,
            env=self._environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return result.stdout


def test_the_tutorial(make_server: Callable[..., RunningServer], tmp_path: Path) -> None:
    server = make_server()
    reader = Reader(tmp_path, server)
    text = sections()
    assert sorted(text) == [1, 2, 3, 4, 5, 6, 7]
    done = sum(reader.follow(text[number]) for number in (3, 4, 5, 6))
    server.stop()
    server.start()
    done += reader.follow(text[7])
    assert done >= 15
