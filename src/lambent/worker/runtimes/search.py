"""Where interpreters may lie on a host. Looks at directories, runs nothing.

The order is by trust in the version: what was installed for Lambent, then version managers (whose prefixes are
complete), then PATH and the system. Within a version manager, newer patch versions come first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from lambent.worker.runtimes.identifiers import RuntimeIdentifier
from lambent.worker.runtimes.layout import RuntimesLayout

_ELF = b"\x7fELF"


def candidates(identifier: RuntimeIdentifier, layout: RuntimesLayout, environ: Mapping[str, str]) -> Iterator[Path]:
    """Real paths of binaries that may be interpreters of `identifier`, best first, none twice."""
    seen: set[Path] = set()
    found = _pythons if identifier.language == "python" else _nodes
    for path in found(identifier, layout, environ):
        real = path.resolve()
        if real not in seen and _is_binary(real):
            seen.add(real)
            yield real


def _pythons(identifier: RuntimeIdentifier, layout: RuntimesLayout, environ: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environ.get("HOME") or "/nonexistent")
    version = ".".join(map(str, identifier.version))
    name = f"bin/python{version}"
    roots = (
        (layout.pythons, f"cpython-{version}.*"),
        (Path(environ.get("PYENV_ROOT") or home / ".pyenv") / "versions", f"{version}.*"),
        (Path(environ.get("UV_PYTHON_INSTALL_DIR") or home / ".local/share/uv/python"), f"cpython-{version}.*"),
        (Path(environ.get("ASDF_DATA_DIR") or home / ".asdf") / "installs/python", f"{version}.*"),
        (Path(environ.get("MISE_DATA_DIR") or home / ".local/share/mise") / "installs/python", f"{version}.*"),
    )
    for root, pattern in roots:
        yield from (directory / name for directory in _newest_first(root, pattern))
    yield from _on_path(f"python{version}", environ)


def _nodes(identifier: RuntimeIdentifier, layout: RuntimesLayout, environ: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environ.get("HOME") or "/nonexistent")
    major = identifier.version[0]
    yield layout.node_prefix(identifier.name) / "bin/node"
    roots = (
        (Path(environ.get("NVM_DIR") or home / ".nvm") / "versions/node", f"v{major}.*", "bin/node"),
        (Path(environ.get("ASDF_DATA_DIR") or home / ".asdf") / "installs/nodejs", f"{major}.*", "bin/node"),
        (Path(environ.get("MISE_DATA_DIR") or home / ".local/share/mise") / "installs/node", f"{major}.*", "bin/node"),
        (
            Path(environ.get("FNM_DIR") or home / ".local/share/fnm") / "node-versions",
            f"v{major}.*",
            "installation/bin/node",
        ),
        (Path(environ.get("VOLTA_HOME") or home / ".volta") / "tools/image/node", f"{major}.*", "bin/node"),
    )
    for root, pattern, name in roots:
        yield from (directory / name for directory in _newest_first(root, pattern))
    yield from _on_path("node", environ)
    yield from _on_path("nodejs", environ)


def _newest_first(root: Path, pattern: str) -> list[Path]:
    try:
        found = [path for path in root.glob(pattern) if path.is_dir()]
    except OSError:  # not ours to read
        return []
    return sorted(found, key=lambda path: tuple(map(int, re.findall(r"\d+", path.name))), reverse=True)


def _on_path(name: str, environ: Mapping[str, str]) -> Iterator[Path]:
    directories = [part for part in environ.get("PATH", "").split(":") if part.startswith("/")]
    for directory in [*directories, "/usr/local/bin", "/usr/bin"]:
        yield Path(directory) / name


def _is_binary(path: Path) -> bool:
    """Shims of version managers are scripts, and would pick a version of their own."""
    try:
        with path.open("rb") as file:
            return file.read(4) == _ELF
    except OSError:
        return False
