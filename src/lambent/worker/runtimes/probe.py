"""What an interpreter really is: asked once by running it, then remembered by its path, mtime and size."""

from __future__ import annotations

import json
import logging
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lambent.worker.runtimes.identifiers import Language

logger = logging.getLogger(__name__)

_ASK_PYTHON = (
    "import sys, os, json; print(json.dumps({'version': '%d.%d.%d' % sys.version_info[:3], "
    "'prefix': sys.base_prefix, 'library': os.path.dirname(os.__file__), 'tag': sys.implementation.cache_tag, "
    "'level': sys.version_info[3]}))"
)
_ASK_NODE = "process.stdout.write(JSON.stringify({version: process.versions.node, tag: 'node'}))"
_PATIENCE_S = 20  # an interpreter on a cold disk may take seconds


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A verified interpreter. `prefix` and `library` (the standard library) are empty for Node.js."""

    path: Path
    version: str
    prefix: str
    library: str
    tag: str

    def is_version(self, version: tuple[int, ...]) -> bool:
        return tuple(map(int, self.version.split(".")[: len(version)])) == version


def ask_directly(language: Language, path: Path) -> Interpreter | None:
    """The interpreter at `path`, by running it; None when it does not run (the reason is logged)."""
    answer = _run(language, path)
    return None if answer is None else _interpreter(path, answer)


class Prober:
    """Asks interpreters; `cache` is the file that remembers answers. Not thread-safe: the catalog holds a lock."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._answers: dict[str, dict[str, str]] | None = None

    def ask(self, language: Language, path: Path) -> Interpreter | None:
        """The interpreter at `path`, a real path; None when it does not run (the reason is logged)."""
        status = path.stat()
        key = f"{path}\n{status.st_mtime_ns}\n{status.st_size}"
        answers = self._load()
        if key not in answers:
            answer = _run(language, path)
            if answer is None:
                return None
            answers[key] = answer
            self._save(answers)
        return _interpreter(path, answers[key])

    def _load(self) -> dict[str, dict[str, str]]:
        if self._answers is None:
            try:
                stored = json.loads(self._cache.read_bytes())
            except (FileNotFoundError, ValueError):  # a damaged cache is only a slow one
                stored = {}
            wanted = {"version", "prefix", "library", "tag"}
            self._answers = {key: value for key, value in stored.items() if set(value) == wanted}
        return self._answers

    def _save(self, answers: dict[str, dict[str, str]]) -> None:
        self._cache.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._cache.with_name(f"{self._cache.name}.{os.getpid()}")
        temporary.write_text(json.dumps(answers, indent=1))
        temporary.replace(self._cache)


def _interpreter(path: Path, answer: dict[str, str]) -> Interpreter:
    return Interpreter(path, answer["version"], answer["prefix"], answer["library"], answer["tag"])


def _run(language: Language, path: Path) -> dict[str, str] | None:
    argv = [str(path), "-I", "-S", "-c", _ASK_PYTHON] if language == "python" else [str(path), "-e", _ASK_NODE]
    environ = {"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": str(path.parent.parent / "lib")}
    try:
        done = subprocess.run(argv, env=environ, capture_output=True, timeout=_PATIENCE_S, check=True, cwd="/")
        answer = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        logger.warning("interpreter does not run", extra={"path": str(path), "error": str(error)})
        return None
    if answer.get("level", "final") == "alpha":
        logger.warning("interpreter is an alpha version", extra={"path": str(path)})
        return None
    names = ("version", "prefix", "library", "tag")
    return {name: str(answer.get(name, "")) for name in names}
