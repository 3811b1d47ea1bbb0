"""What `pip install` gets is whole: a server that runs from the wheel alone deploys and invokes."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lambent.testing.server import RunningServer

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.root
@pytest.mark.slow
def test_a_server_from_the_wheel(tmp_path: Path) -> None:
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(REPOSITORY), str(source)], check=True)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    [wheel] = tmp_path.glob("lambent-*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if "__pycache__" in name or name.startswith("tests")]
        archive.extractall(installed)
    environ = {"PYTHONPATH": str(installed)}
    where = "import lambent; print(lambent.__file__)"
    told = subprocess.run(
        [sys.executable, "-c", where], env={**os.environ, **environ}, check=True, capture_output=True, text=True
    )
    assert told.stdout.startswith(str(installed))
    with RunningServer(tmp_path / "data", (), environ) as server:
        server.deploy("hello", {"app.py": "def handler(event, context): return [event, 'hello']"})
        assert server.invoke("hello", 1).payload == [1, "hello"]
