"""Deployment packages made of text, for tests."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path


def zip_of(files: Mapping[str, str | bytes]) -> bytes:
    """A ZIP archive with these files. A name that ends in `!` loses it and gets the executable bit."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in files.items():
            info = zipfile.ZipInfo(name.rstrip("!"))
            info.external_attr = (0o100755 if name.endswith("!") else 0o100644) << 16
            package.writestr(info, content)
    return buffer.getvalue()


def files_in(directory: Path) -> dict[str, str | bytes]:
    """The files below a directory as `zip_of` takes them; links are followed, caches of Python left out."""
    return {
        path.relative_to(directory).as_posix() + ("!" if path.stat().st_mode & 0o100 else ""): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
