"""Where things are when there is no file system and no network of a sandbox's own: paths below a bind's target become
paths below its source, ports on 127.0.0.1 become the ports that were to be had. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from lambent.worker.sandbox.api import Bind, SandboxSpec


def rewrite_paths(text: str, binds: Sequence[Bind]) -> str:
    """`text` with every path that lies at or below a bind's target replaced; the longest target wins. Handles lists of
    paths ("/opt/bin:/usr/bin") and paths after "=" or "," as well."""
    sources = {bind.target.rstrip("/"): str(bind.source) for bind in binds}
    if not sources:
        return text
    targets = "|".join(re.escape(target) for target in sorted(sources, key=len, reverse=True))
    return re.sub(rf"(?<![\w./-])({targets})(?=[/:;,\s]|$)", lambda match: sources[match[1]], text)


def rewrite_ports(text: str, ports: Mapping[int, int]) -> str:
    """`text` with "127.0.0.1:<port>" and "localhost:<port>" replaced for the ports in `ports` (inside → real)."""

    def real(match: re.Match[str]) -> str:
        return f"{match[1]}:{ports.get(int(match[2]), int(match[2]))}"

    return re.sub(r"\b(127\.0\.0\.1|localhost):(\d+)(?!\d)", real, text)


def rewrite_command(
    spec: SandboxSpec, binds: Sequence[Bind], ports: Mapping[int, int], tmp: str
) -> tuple[list[str], dict[str, str], str]:
    """(argv, environment, working directory) as the program gets them. `tmp`: its directory for temporary files."""
    argv = [rewrite_ports(rewrite_paths(argument, binds), ports) for argument in spec.argv]
    env = {name: rewrite_ports(rewrite_paths(value, binds), ports) for name, value in spec.env.items()}
    env["TMPDIR"] = tmp
    return argv, env, rewrite_paths(spec.cwd, binds)
