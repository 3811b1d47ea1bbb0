"""`planted.py PYTHON PLACE... -- ARGUMENTS`, as a server's interpreter: PYTHON, on a host on which somebody has put
files that everybody may read into every directory that a PLACE names, and that has names of its own. The host itself
stays as it is: all of it is in namespaces of this process's.

LAMBENT_TEST_MARK is in the names of the files, LAMBENT_TEST_LAYER is a directory to keep them in, and in ~/.local of
LAMBENT_TEST_HOME there is an interpreter.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_NEWNS, _NEWUTS = 0x20000, 0x4000000
_PRIVATE = 0x4000 | 0x40000
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    _check(_libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()))


def _lay_over(lower: str, target: str, layer: Path) -> None:
    """`target` becomes a changeable `lower`; the changes go to `layer`."""
    upper, work = layer / f"upper{target.replace('/', '-')}", layer / f"work{target.replace('/', '-')}"
    upper.mkdir()
    work.mkdir()
    _mount("host", target, "overlay", options=f"lowerdir={lower},upperdir={upper},workdir={work}")
    upper.chmod(0o755)


def main() -> None:
    mark, layer, home = (os.environ.pop(f"LAMBENT_TEST_{name}") for name in ("MARK", "LAYER", "HOME"))
    python, *rest = sys.argv[1:]
    end = rest.index("--")
    _check(_libc.unshare(_NEWNS | _NEWUTS))
    _mount("none", "/", "none", _PRIVATE)
    _check(_libc.sethostname(mark.encode(), len(mark)))
    _check(_libc.setdomainname(mark.encode(), len(mark)))
    _mount("layer", layer, "tmpfs")
    for top in sorted({f"/{Path(place).parts[1]}" for place in rest[:end]}):
        Path(top).mkdir(exist_ok=True)
        _lay_over(top, top, Path(layer))
    prefix = Path(home, ".local")
    prefix.mkdir(parents=True)
    _lay_over(sys.base_prefix, str(prefix), Path(layer))
    for place in (*rest[:end], f"{prefix}/share/keyrings", f"{prefix}/state"):
        Path(place).mkdir(parents=True, exist_ok=True)
        Path(place, mark).write_text("a secret")
    for name in [name for name in os.environ if name.startswith(("LAMBENT_", "PYENV_", "UV_", "ASDF_", "MISE_"))]:
        del os.environ[name]
    os.environ |= {"HOME": home, "PATH": f"{prefix}/bin:/usr/bin:/bin", "A_SECRET": os.environ["A_SECRET"]}
    os.execv(python, [python, *rest[end + 1 :]])


main()
