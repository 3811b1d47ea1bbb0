"""`kill -9` while commits are written: what was acknowledged is there, and no commit is there by half."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from lambent.store.api import FUNCTIONS, ROLES
from lambent.store.sqlite import SqliteStore

COMMITTER = Path(__file__).with_name("committer.py")


def _run_and_kill(path: Path, first: int, seconds: float) -> list[int]:
    """The acknowledged commits of a child killed after so long."""
    child = subprocess.Popen([sys.executable, COMMITTER, path, str(first)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child.stdout as output:
        assert output.readline() == "ready\n"
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
        acknowledged = [int(line) for line in output if line.endswith("\n")]
    assert child.wait() == -signal.SIGKILL
    return acknowledged


async def test_acknowledged_commits_survive_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    acknowledged: set[int] = set()
    dice = random.Random(2018_06_01)
    for _ in range(8):
        first = max(acknowledged, default=0) + 1_000
        acknowledged.update(_run_and_kill(path, first - first % 4, dice.uniform(0.0, 0.25)))

        store = await SqliteStore.open(path)
        functions = {record.value["number"] for record in await store.scan(FUNCTIONS, "")}
        pairs = {record.value["number"] for record in await store.scan(ROLES, "0")}
        lasts = {key: await store.get(ROLES, f"last{key}") for key in range(4)}
        assert acknowledged <= pairs
        # Whole commits: a role has its function, unless the next commit of its lane, also there, removed it.
        assert functions == {number for number in pairs if number + 4 not in pairs}
        for lane, last in lasts.items():
            assert (0 if last is None else last.value["number"]) == max(
                (number for number in pairs if number % 4 == lane), default=0
            )
        await store.close()
    assert len(acknowledged) > 50
