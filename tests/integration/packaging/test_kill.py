"""`kill -9` while packages are added: what was stored is whole, nothing half-made stays."""

from __future__ import annotations

import hashlib
import io
import random
import runpy
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from lambent.packaging.code_store import CodeStore

ADDER = Path(__file__).with_name("adder.py")


def _run_and_kill(root: Path, seconds: float) -> dict[int, str]:
    child = subprocess.Popen([sys.executable, ADDER, root], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child.stdout as output:
        assert output.readline() == "ready\n"
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
        lines = [line.split() for line in output if line.endswith("\n")]
    assert child.wait() == -signal.SIGKILL
    return {int(number): digest for number, digest in lines}


def _assert_whole(store: CodeStore, digest: str) -> None:
    archive = store.archive(digest).read_bytes()
    assert hashlib.sha256(archive).hexdigest() == digest
    tree = store.tree(digest)
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        expected = {name: opened.read(name) for name in opened.namelist()}
    assert {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()} == expected


async def test_packages_survive_kill_9(tmp_path: Path) -> None:
    package = runpy.run_path(str(ADDER))["package"]
    root = tmp_path / "code"
    dice = random.Random(7)
    interrupted = rounds = 0
    while rounds < 6 or (interrupted == 0 and rounds < 60):  # the first kills may all fall between two additions
        rounds += 1
        stored = _run_and_kill(root, dice.uniform(0.0, 0.15))
        interrupted += len(list((root / "incoming").iterdir()))

        store = CodeStore(root, pending_grace_s=0)
        await store.start()
        digests = {path.stem for path in (root / "archives").iterdir()}
        assert set(stored.values()) <= digests
        assert digests == {path.name for path in (root / "trees").iterdir()}
        assert list((root / "incoming").iterdir()) == []
        for digest in digests:
            _assert_whole(store, digest)

        number = max(stored, default=0) + 1  # most likely the one that was interrupted
        _assert_whole(store, (await store.add_zip(package(number))).digest)
        kept = sorted(digests)[:2]
        await store.collect(kept)
        assert sorted(path.name for path in root.rglob("*.zip")) == [f"{digest}.zip" for digest in kept]
        assert sorted(path.name for path in (root / "trees").iterdir()) == kept
        await store.close()
    assert interrupted > 0
