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


def has_own_prefix(
    identifier: RuntimeIdentifier, path: Path, layout: RuntimesLayout, environ: Mapping[str, str]
) -> bool:
    """Whether a version manager made a directory for this interpreter (a real path) and nothing else. Others may share
    theirs with anything: somebody's ~/.local, /opt."""
    return any(path.is_relative_to(root.resolve()) for root, _, _ in _managed(identifier, layout, environ))


def _pythons(identifier: RuntimeIdentifier, layout: RuntimesLayout, environ: Mapping[str, str]) -> Iterator[Path]:
    yield from _of_managers(identifier, layout, environ)
    yield from _on_path(f"python{'.'.join(map(str, identifier.version))}", environ)


def _nodes(identifier: RuntimeIdentifier, layout: RuntimesLayout, environ: Mapping[str, str]) -> Iterator[Path]:
    yield from _of_managers(identifier, layout, environ)
    yield from _on_path("node", environ)
    yield from _on_path("nodejs", environ)


def _of_managers(identifier: RuntimeIdentifier, layout: RuntimesLayout, environ: Mapping[str, str]) -> Iterator[Path]:
    for root, pattern, name in _managed(identifier, layout, environ):
        yield from (directory / name for directory in _newest_first(root, pattern))


def _managed(
    identifier: RuntimeIdentifier, layout: RuntimesLayout, environ: Mapping[str, str]
) -> tuple[tuple[Path, str, str], ...]:
    """(directory of a version manager, pattern of a prefix in it, binary in the prefix)."""
    home = Path(environ.get("HOME") or "/nonexistent")
    asdf = Path(environ.get("ASDF_DATA_DIR") or home / ".asdf") / "installs"
    mise = Path(environ.get("MISE_DATA_DIR") or home / ".local/share/mise") / "installs"
    version = ".".join(map(str, identifier.version))
    if identifier.language == "python":
        name = f"bin/python{version}"
        uv = Path(environ.get("UV_PYTHON_INSTALL_DIR") or home / ".local/share/uv/python")
        return (
            (layout.pythons, f"cpython-{version}.*", name),
            (Path(environ.get("PYENV_ROOT") or home / ".pyenv") / "versions", f"{version}.*", name),
            (uv, f"cpython-{version}.*", name),
            (asdf / "python", f"{version}.*", name),
            (mise / "python", f"{version}.*", name),
        )
    fnm = Path(environ.get("FNM_DIR") or home / ".local/share/fnm") / "node-versions"
    volta = Path(environ.get("VOLTA_HOME") or home / ".volta") / "tools/image/node"
    return (
        (layout.root / identifier.name, layout.node_prefix(identifier.name).name, "bin/node"),
        (Path(environ.get("NVM_DIR") or home / ".nvm") / "versions/node", f"v{version}.*", "bin/node"),
        (asdf / "nodejs", f"{version}.*", "bin/node"),
        (mise / "node", f"{version}.*", "bin/node"),
        (fnm, f"v{version}.*", "installation/bin/node"),
        (volta, f"{version}.*", "bin/node"),
    )


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
